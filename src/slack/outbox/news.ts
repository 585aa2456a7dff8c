import { z } from 'zod';
import type { ChannelId, SlackTs } from '../../bridge/ids.ts';

/** What the outbox needs to know of an event: in which channel something happened, and which message was deleted. */
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

/** Reads an event, whoever caused it; `null` when it belongs to no channel. */
export function readNews(payload: unknown): News | null {
  const parsed = body.safeParse(payload);
  if (!parsed.success) return null;
  const { type, subtype, channel, deleted_ts } = parsed.data.event;
  const isDeletion = type === 'message' && subtype === 'message_deleted';
  return { channel, deletedTs: isDeletion ? (deleted_ts ?? null) : null };
}
