import { z } from 'zod';
import type { InboundJoin } from '../../bridge/inbound.ts';
import { channelKindOf, type SlackIdentity } from './normalize.ts';

const id = z.string().regex(/^[A-Z0-9]+$/);
const payload = z.looseObject({
  event: z.looseObject({
    type: z.literal('member_joined_channel'),
    user: id,
    channel: id,
    inviter: id.nullish(),
  }),
});

/** Reads that the bot itself joined a channel; `null` for every other payload. Never throws. */
export function readJoin(body: unknown, identity: SlackIdentity): InboundJoin | null {
  const parsed = payload.safeParse(body);
  if (!parsed.success || parsed.data.event.user !== identity.botUserId) return null;
  const { channel, inviter = null } = parsed.data.event;
  return { team: identity.teamId, channel, channelKind: channelKindOf(channel, null), inviter };
}
