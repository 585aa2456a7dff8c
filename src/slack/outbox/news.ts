import { z } from 'zod';
import type { ChannelId, SlackTs } from '../../bridge/ids.ts';

/** What a delivery of Slack's says about the ways we write: something happened in a channel; a message was deleted there. */
export interface News {
  channel: ChannelId;
  deletedTs: SlackTs | null;
}

const body = z.looseObject({
  event: z.looseObject({
    type: z.string(),
    subtype: z.string().nullish(),
    channel: z.string(),
    deleted_ts: z.string().nullish(),
  }),
});

/** `null` for what belongs to no channel. Who caused it does not matter. */
export function readNews(payload: unknown): News | null {
  const parsed = body.safeParse(payload);
  if (!parsed.success) return null;
  const { type, subtype, channel, deleted_ts } = parsed.data.event;
  const isDeletion = type === 'message' && subtype === 'message_deleted';
  return { channel, deletedTs: isDeletion ? (deleted_ts ?? null) : null };
}
