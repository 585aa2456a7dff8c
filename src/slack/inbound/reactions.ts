import { z } from 'zod';
import type { InboundReaction } from '../../bridge/inbound.ts';
import { emojiName } from '../../bridge/text/emoji-name.ts';
import { channelKindOf, type SlackIdentity } from './normalize.ts';

const id = z.string().regex(/^[A-Z0-9]+$/);
const ts = z.string().regex(/^\d+\.\d+$/);
const payload = z.looseObject({
  is_ext_shared_channel: z.boolean().nullish(),
  event: z.looseObject({
    type: z.enum(['reaction_added', 'reaction_removed']),
    user: id,
    reaction: z.string().min(1),
    item: z.looseObject({ type: z.literal('message'), channel: id, ts }),
    item_user: z.string().nullish(),
    event_ts: ts,
  }),
});

/**
 * Reads a reaction to a message; `null` for every other payload, our own reactions included. Never throws. The event
 * names the message, but not its thread.
 */
export function readReaction(body: unknown, identity: SlackIdentity): InboundReaction | null {
  const parsed = payload.safeParse(body);
  if (!parsed.success) return null;
  const { type, user, reaction, item, item_user: author, event_ts: at } = parsed.data.event;
  const emoji = emojiName(reaction);
  if (emoji === null || user === identity.botUserId) return null;
  const channelKind = channelKindOf(item.channel, null);
  return {
    kind: type === 'reaction_added' ? 'added' : 'removed',
    team: identity.teamId,
    channel: item.channel,
    channelKind,
    external: parsed.data.is_ext_shared_channel ?? null,
    ts: item.ts,
    isOurs: author === identity.botUserId || (identity.botId !== null && author === identity.botId),
    emoji,
    user,
    at,
  };
}
