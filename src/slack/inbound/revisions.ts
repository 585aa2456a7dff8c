import { z } from 'zod';
import type { InboundMessage, InboundRevision } from '../../bridge/inbound.ts';
import { normalizeEvent, type SlackIdentity } from './normalize.ts';

const body = z.looseObject({
  event: z.looseObject({
    type: z.literal('message'),
    subtype: z.enum(['message_changed', 'message_deleted']),
    channel: z.string(),
    channel_type: z.string().nullish(),
    message: z.looseObject({ subtype: z.string().nullish(), edited: z.looseObject({}).nullish() }).nullish(),
    previous_message: z.looseObject({}).nullish(),
  }),
});

/**
 * The edit or deletion of a person's message in a `message_changed` or `message_deleted` event; `null` when the
 * person's words and files did not change: link previews and reply counts change messages, too, but leave no `edited`
 * mark. Slack changes a deleted root with replies into a tombstone (docs/slack.md, Posting and deleting).
 */
export function readRevision(payload: unknown, identity: SlackIdentity): InboundRevision | null {
  const parsed = body.safeParse(payload);
  if (!parsed.success) return null;
  const { subtype, channel, channel_type, message, previous_message } = parsed.data.event;
  const spoken = (said: object | null | undefined): InboundMessage | null => {
    const event = { ...said, type: 'message', channel, channel_type };
    const normalized = said ? normalizeEvent({ ...(payload as object), event }, identity) : null;
    // Edits by bots are ignored, because bots edit often (progress, status) without saying anything new.
    return normalized?.kind === 'message' && !normalized.message.bot ? normalized.message : null;
  };
  const before = spoken(previous_message);
  if (subtype === 'message_deleted' || message?.subtype === 'tombstone') {
    if (!before) return null;
    const { key, team, channelKind, ts, threadTs, user, mentionsBot } = before;
    return { kind: 'deleted', key, team, channel, channelKind, ts, threadTs, user, mentionsBot };
  }
  const now = spoken(message);
  if (!now) return null;
  // Slack leaves no mark when it finishes an upload after the message, or when somebody deletes a file.
  const hasAddedFiles = now.files.some(({ id }) => !before?.files.some((earlier) => earlier.id === id));
  const hasOtherFiles = before !== null && filesKey(before) !== filesKey(now);
  if (!message?.edited && !hasOtherFiles) return null;
  return { kind: 'edited', message: now, mentionedBefore: before?.mentionsBot ?? false, hasAddedFiles };
}

function filesKey({ files }: InboundMessage): string {
  return files.map(({ id, withheld, transcript }) => `${id} ${withheld} ${transcript}`).join();
}
