import type { SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import type { SlackAnswer } from '../api/slack-api.ts';
import { type PlannedCall, UNKNOWN } from './plan.ts';

/** Arguments and name of one Web API call. */
export interface Call {
  method: string;
  args: Record<string, unknown>;
}

/**
 * By this a message of ours is found again; ids only, since anybody in the workspace can read it (docs/slack.md,
 * Posting and deleting).
 */
const METADATA_TYPE = 'letta_bridge_post';

/** `text` beside blocks is a summary; more than 4,000 is refused in an edit (docs/slack.md, Size limits). */
const SUMMARY_MAX = 4_000;
const LOOK_PAGE = 100;

/**
 * A planned call as Slack wants it. Without blocks `text` is shown, as plain text.
 * @param owner the id under which the messages of one delivery are found again: the turn.
 */
export function slackCall(address: ThreadAddress, owner: string, planned: PlannedCall): Call {
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
      // Without blocks an edit must take away those that are there.
      blocks: post.blocks,
      ...content,
      // Kept by Slack when left out.
      ...(planned.record.part === part ? {} : { metadata }),
    };
    return { method: 'chat.update', args };
  }
  return {
    method: 'chat.postMessage',
    args: {
      channel,
      ...(address.threadTs === null ? {} : { thread_ts: address.threadTs }),
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
 * @param after the look begins behind this message; must be older than what is looked for.
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
 * The messages of `owner` on a page that {@link lookCall} got, when all on it were posted, and where the next page
 * begins.
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
    // Of the moment when it was posted: what nobody knew of was never edited.
    return [{ part, ts, hash: UNKNOWN, ...(live === true && { live }), ...(ends === true && { ends }) }];
  });
  const all = messages.map((message) => String((message as { ts?: unknown } | null)?.ts));
  return { found, all, cursor: nextCursor(answer) };
}

/** Where the page after this one begins. */
export function nextCursor(answer: SlackAnswer): string | null {
  const next = (answer.response_metadata as { next_cursor?: unknown } | undefined)?.next_cursor;
  return typeof next === 'string' && next !== '' ? next : null;
}
