import { z } from 'zod';
import type { InboundChannelChange } from '../../bridge/inbound.ts';
import type { SlackIdentity } from './normalize.ts';

const id = z.string().regex(/^[A-Z0-9]+$/);
const payload = z.looseObject({
  event: z.looseObject({ type: z.literal('channel_id_changed'), old_channel_id: id, new_channel_id: id }),
});

/** Reads a `channel_id_changed` event; `null` for every other payload. Never throws. */
export function readChannelChange(body: unknown, identity: SlackIdentity): InboundChannelChange | null {
  const parsed = payload.safeParse(body);
  if (!parsed.success) return null;
  const { old_channel_id, new_channel_id } = parsed.data.event;
  return { team: identity.teamId, from: old_channel_id, to: new_channel_id };
}
