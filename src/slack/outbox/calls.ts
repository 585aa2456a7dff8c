import type { SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import type { SlackAnswer } from '../api/slack-api.ts';
import { type PlannedCall, UNKNOWN } from './plan.ts';
import { METADATA_TYPE } from './post-metadata.ts';

/** One Web API call. */
export interface Call {
  method: string;
  args: Record<string, unknown>;
}

/**
 * `text` beside blocks is a summary; in an edit Slack refuses more than 4,000 characters (docs/slack.md, Size limits).
 */
const SUMMARY_MAX = 4_000;
const LOOK_PAGE = 100;

/**
 * The Web API call for a planned call. A post without blocks shows its `text`, as plain text.
 * @param inChannel whether the channel shows it, too
 * @param owner the id under which the messages of one delivery are found again: the turn.
 */
export function slackCall(address: ThreadAddress, owner: string, planned: PlannedCall, inChannel = false): Call {
  const { channel } = address;
  if (planned.kind === 'delete') return { method: 'chat.delete', args: { channel, ts: planned.record.ts } };
  const { post } = planned;
  const { part, live, ends } = post;
  const payload = { turn: owner, part, ...(live && { live }), ...(ends && { ends }) };
  const metadata = { event_type: METADATA_TYPE, event_payload: payload };
  const plain = post.blocks.length === 0;
  const content = {
    text: plain ? post.text : post.text.slice(0, SUMMARY_MAX),
    parse: 'none',
    link_names: false,
  };
  if (planned.kind === 'update') {
    const args = {
      channel,
      ts: planned.record.ts,
      // Sent even when empty, because otherwise Slack would keep the old blocks.
      blocks: post.blocks,
      ...content,
      // Left out when unchanged: Slack then keeps the old metadata.
      ...(planned.record.part === part ? {} : { metadata }),
    };
    return { method: 'chat.update', args };
  }
  return {
    method: 'chat.postMessage',
    args: {
      channel,
      ...(address.threadTs === null
        ? {}
        : { thread_ts: address.threadTs, ...(inChannel && { reply_broadcast: true }) }),
      ...(plain ? { mrkdwn: false } : { blocks: post.blocks }),
      ...content,
      unfurl_links: false,
      unfurl_media: false,
      metadata,
    },
  };
}

/**
 * Asks for the newest messages of the thread with their metadata.
 * @param after only messages newer than this one are read; it must be older than what is looked for.
 */
export function lookCall(address: ThreadAddress, after: SlackTs, cursor: string | null): Call {
  const { channel, threadTs } = address;
  const args = {
    channel,
    oldest: after,
    limit: LOOK_PAGE,
    include_all_metadata: true,
    ...(cursor === null ? {} : { cursor }),
  };
  return threadTs === null
    ? { method: 'conversations.history', args }
    : { method: 'conversations.replies', args: { ...args, ts: threadTs } };
}

/**
 * Reads a page that {@link lookCall} got: the messages of `owner`, the timestamps of all messages, and the cursor of
 * the next page.
 */
export function readLook(
  answer: SlackAnswer,
  owner: string,
): { found: PostRecord[]; all: SlackTs[]; cursor: string | null } {
  const messages: unknown[] = Array.isArray(answer.messages) ? answer.messages : [];
  const found = messages.flatMap((message): PostRecord[] => {
    const { ts, metadata } = (message ?? {}) as { ts?: unknown; metadata?: unknown };
    const { event_type, event_payload } = (metadata ?? {}) as { event_type?: unknown; event_payload?: unknown };
    const { turn, part, live, ends } = (event_payload ?? {}) as Record<string, unknown>;
    if (event_type !== METADATA_TYPE || turn !== owner || typeof ts !== 'string' || typeof part !== 'string') return [];
    // Slack keeps the metadata of the post, and a message that we did not know of cannot have been edited since.
    return [{ part, ts, hash: UNKNOWN, ...(live === true && { live }), ...(ends === true && { ends }) }];
  });
  const all = messages.map((message) => String((message as { ts?: unknown } | null)?.ts));
  return { found, all, cursor: nextCursor(answer) };
}

/** The cursor of the next page; `null`: this is the last one. */
export function nextCursor(answer: SlackAnswer): string | null {
  const next = (answer.response_metadata as { next_cursor?: unknown } | undefined)?.next_cursor;
  return typeof next === 'string' && next !== '' ? next : null;
}
