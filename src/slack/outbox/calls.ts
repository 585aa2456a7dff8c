import type { KnownBlock } from '@slack/types';
import { compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { PostRecord } from '../../bridge/record/thread-record.ts';
import type { SlackAnswer } from '../api/slack-api.ts';
import type { SlackPost } from '../render/post.ts';
import { type PlannedCall, UNKNOWN } from './plan.ts';
import { METADATA_TYPE } from './post-metadata.ts';

export const START_STREAM = 'chat.startStream';
export const APPEND_STREAM = 'chat.appendStream';
export const STOP_STREAM = 'chat.stopStream';

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
  const { part } = post;
  const metadata = metadataOf(owner, post);
  const plain = post.blocks.length === 0;
  const content = {
    text: plain ? post.text : post.text.slice(0, SUMMARY_MAX),
    parse: 'none',
    link_names: false,
  };
  if (planned.kind === 'update') {
    const isMarked = planned.record.part === part && planned.record.hash !== UNKNOWN;
    const args = {
      channel,
      ts: planned.record.ts,
      // Sent even when empty, because otherwise Slack would keep the old blocks.
      blocks: post.blocks,
      ...content,
      // Left out when unchanged: Slack then keeps the old metadata. A native stream may have none yet.
      ...(isMarked || post.isOfTurn ? {} : { metadata }),
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

function metadataOf(owner: string, { part, live, ends }: Pick<SlackPost, 'part' | 'live' | 'ends'>) {
  const payload = { turn: owner, part, ...(live && { live }), ...(ends && { ends }) };
  return { event_type: METADATA_TYPE, event_payload: payload };
}

/** Begins a native stream with its first text. It has no metadata before it is stopped. */
export function startStreamCall({ channel, threadTs }: ThreadAddress, text: string): Call {
  return { method: START_STREAM, args: { channel, thread_ts: threadTs, markdown_text: text } };
}

export function appendStreamCall({ channel }: ThreadAddress, ts: SlackTs, text: string): Call {
  return { method: APPEND_STREAM, args: { channel, ts, markdown_text: text } };
}

export interface StreamEnd {
  /** The last text, and blocks below all text. */
  text: string;
  below: readonly KnownBlock[];
  /** The state of the thread's session from then on; `null`: the app has none. */
  session: string | null;
}

/** Ends a native stream; its message is an ordinary one then. */
export function stopStreamCall(
  { channel }: ThreadAddress,
  owner: string,
  ts: SlackTs,
  post: Pick<SlackPost, 'part' | 'live' | 'ends'>,
  { text, below, session }: StreamEnd,
): Call {
  const args = {
    channel,
    ts,
    ...(text !== '' && { markdown_text: text }),
    ...(below.length > 0 && { blocks: below }),
    ...(session !== null && { session_status: session }),
    metadata: metadataOf(owner, post),
  };
  return { method: STOP_STREAM, args };
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

/** A native stream that may have been begun. */
export interface BegunStream {
  part: string;
  /** Words that the message begins with, for certain. */
  words: string;
  /** The message is not older than this, whatever our clock says. */
  since: SlackTs;
}

/** So many characters of a stream's text are compared, up to the first that Slack may show otherwise. */
const WORDS_COMPARED = 40;
/** So far our clock may be ahead of Slack's. */
const CLOCKS_DIFFER_MS = 10 * 60_000;

/**
 * By what a native stream is found again.
 * @param now ms since 1970
 */
export function begunStream(part: string, text: string, now: number): BegunStream {
  const words = /^[\p{L}\p{N}\p{M} ,.;:'"!?()-]*/u.exec(text.slice(0, WORDS_COMPARED))?.[0].trim() ?? '';
  return { part, words, since: `${Math.floor((now - CLOCKS_DIFFER_MS) / 1_000)}.000000` };
}

/**
 * Reads a page that {@link lookCall} got: the messages of `owner`, the timestamps of all messages, and the cursor of
 * the next page.
 * @param begun looks for this native stream, too: it has no metadata, so it is known by being ours without any, and by
 * its first words
 */
export function readLook(
  answer: SlackAnswer,
  owner: string,
  begun: (BegunStream & { bot: string }) | null = null,
): { found: PostRecord[]; all: SlackTs[]; cursor: string | null } {
  const messages: unknown[] = Array.isArray(answer.messages) ? answer.messages : [];
  const stream = begun && messages.findLast((message) => isStream(message, begun));
  const found = messages.flatMap((message): PostRecord[] => {
    const { ts, metadata } = (message ?? {}) as { ts?: unknown; metadata?: unknown };
    const { event_type, event_payload } = (metadata ?? {}) as { event_type?: unknown; event_payload?: unknown };
    const { turn, part, live, ends } = (event_payload ?? {}) as Record<string, unknown>;
    if (begun && message === stream && typeof ts === 'string') {
      return [{ part: begun.part, ts, hash: UNKNOWN, stream: true }];
    }
    if (event_type !== METADATA_TYPE || turn !== owner || typeof ts !== 'string' || typeof part !== 'string') return [];
    // Slack keeps the metadata of the post, and a message that we did not know of cannot have been edited since.
    return [{ part, ts, hash: UNKNOWN, ...(live === true && { live }), ...(ends === true && { ends }) }];
  });
  const all = messages.map((message) => String((message as { ts?: unknown } | null)?.ts));
  return { found, all, cursor: nextCursor(answer) };
}

function isStream(message: unknown, { bot, words, since }: BegunStream & { bot: string }): boolean {
  const { user, ts, thread_ts: root, metadata, files, text } = (message ?? {}) as Record<string, unknown>;
  // A stream is never the thread's first message.
  if (user !== bot || metadata !== undefined || files !== undefined || typeof ts !== 'string' || ts === root)
    return false;
  return compareTs(ts, since) > 0 && String(text ?? '').startsWith(words);
}

/** The cursor of the next page; `null`: this is the last one. */
export function nextCursor(answer: SlackAnswer): string | null {
  const next = (answer.response_metadata as { next_cursor?: unknown } | undefined)?.next_cursor;
  return typeof next === 'string' && next !== '' ? next : null;
}
