import { z } from 'zod';
import { compareTs, isDirect, type SlackTs } from '../../bridge/ids.ts';
import type { ThreadAddress } from '../../bridge/inbound.ts';
import type { LinkedPast, LinkQuery, PastMessage, PastQuery, ThreadPast, ThreadReader } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import type { CallMeter } from '../api/call-meter.ts';
import { type SlackApi, SlackError } from '../api/slack-api.ts';
import { UNREAD, unreadText } from '../words/notices.ts';
import type { HistoryTier } from './history.ts';
import type { SlackIdentity } from './normalize.ts';
import { readPastMessage } from './past-message.ts';

export interface ThreadReaderOptions {
  api: SlackApi;
  identity: SlackIdentity;
  /** As for catch-up: how much of the history Slack lets the app read. */
  tier: HistoryTier;
  meter: Pick<CallMeter, 'countRecent'>;
}

/**
 * `perMinute`: no call is made when so many were made in the last minute, by whomever: of the 50 that tier 3 allows,
 * looks for our own posts and catch-up need the rest. `limited` apps have one call a minute, of 15 messages.
 */
const TIERS = {
  full: { perMinute: 30, page: 1_000, calls: 2 },
  limited: { perMinute: 1, page: 15, calls: 1 },
} as const;
/** How far before the turn the newest messages of a thread are looked for that is too long to be read as a whole. */
const NEWEST_S = 24 * 60 * 60;

const page = z.looseObject({
  messages: z.array(z.looseObject({ ts: z.string(), reply_count: z.number().nullish().catch(null) })),
  has_more: z.boolean().nullish().catch(null),
});
type Wire = z.output<typeof page>['messages'][number];

/** A message behind a link and so many replies at most. */
const LINKED = 6;
const MEMBER_PAGES = 3;

const members = z.looseObject({
  members: z.array(z.string()),
  response_metadata: z.looseObject({ next_cursor: z.string().nullish() }).nullish(),
});

/**
 * Reads threads for turns that wait: each with one call, or two where a thread is so long that its beginning and its
 * newest messages lie on different pages. Slack gives the oldest replies first, and the first message with each page.
 */
export function createThreadReader({ api, identity, tier, meter }: ThreadReaderOptions): ThreadReader {
  const { perMinute, page: limit, calls } = TIERS[tier];

  async function fetchPage(method: string, args: Record<string, unknown>): Promise<{ wire: Wire[]; hasMore: boolean }> {
    if (meter.countRecent(method) >= perMinute) throw unreadable(UNREAD.limited);
    try {
      // A `live` call makes one try with a short timeout: a turn waits for it.
      const answer = await api.call(method, { ...args, include_all_metadata: true }, { client: 'live' });
      const parsed = page.safeParse(answer);
      if (!parsed.success) throw unreadable(UNREAD.unexpected);
      return { wire: parsed.data.messages, hasMore: parsed.data.has_more === true };
    } catch (error) {
      if (!(error instanceof SlackError)) throw error;
      throw unreadable(reasonOf(error), error);
    }
  }

  async function readReplies(channel: string, root: SlackTs, { after, before }: PastQuery): Promise<ThreadPast> {
    const fetchFrom = (oldest: SlackTs | null) =>
      fetchPage('conversations.replies', {
        ...{ channel, ts: root, limit, latest: before },
        ...(oldest !== null && { oldest }),
      });
    const isLimited = tier === 'limited' && after === null;
    const first = await fetchFrom(isLimited ? dayBefore(before) : after);
    const second = first.hasMore && calls > 1 ? await fetchNewest(first.wire, before, fetchFrom) : null;
    // Where a part between the two pages was not read, the first page gives only the thread's first message.
    const wire = second ? [...(second.isNext ? first.wire : []), ...second.wire] : first.wire;
    const unique = new Map([...first.wire.filter(({ ts }) => ts === root), ...wire].map((each) => [each.ts, each]));
    const rootWire = unique.get(root);
    unique.delete(root);
    const replies = [...unique.values()].filter(
      ({ ts }) => compareTs(ts, before) < 0 && (after === null || compareTs(ts, after) > 0),
    );
    const mayLack = isLimited || (second !== null && !second.isNext);
    // Slack counts the replies from `before` on, too: the turn's own.
    const counted = after === null ? (rootWire?.reply_count ?? 0) - 1 : 0;
    const place = placeOf(channel);
    return {
      root: rootWire ? readPastMessage(rootWire, place, identity, true) : null,
      messages: readAll(replies, (message) => readPastMessage(message, place, identity, false)),
      unread: mayLack ? Math.max(isLimited ? 0 : 1, counted - replies.length) : 0,
      isComplete: !(second ?? first).hasMore,
    };
  }

  /** `isNext`: the page begins where the first one ends. `null`: it cannot be read, or holds nothing. */
  async function fetchNewest(
    first: readonly Wire[],
    before: SlackTs,
    fetchFrom: (oldest: SlackTs) => Promise<{ wire: Wire[]; hasMore: boolean }>,
  ): Promise<{ wire: Wire[]; hasMore: boolean; isNext: boolean } | null> {
    const end = first.map(({ ts }) => ts).reduce((a, b) => (compareTs(a, b) > 0 ? a : b), '0.000000');
    const day = dayBefore(before);
    const isNext = compareTs(end, day) >= 0;
    const newest = await fetchFrom(isNext ? end : day).catch(() => null);
    return newest?.wire.some(({ ts }) => compareTs(ts, end) > 0) ? { ...newest, isNext } : null;
  }

  async function readTop(channel: string, { after, before, most }: PastQuery): Promise<ThreadPast> {
    const args = {
      channel,
      limit: Math.min(limit, most + 50),
      latest: before,
      ...(after !== null && { oldest: after }),
    };
    const { wire, hasMore } = await fetchPage('conversations.history', args);
    const place = placeOf(channel);
    const newer = wire.filter(({ ts }) => compareTs(ts, before) < 0 && (after === null || compareTs(ts, after) > 0));
    const messages = readAll(newer, (message) => readPastMessage(message, place, identity, false));
    // Slack gives the newest first.
    return { root: null, messages, unread: hasMore ? 1 : 0, isComplete: true };
  }

  /** Whether the person is in the channel, as far as its first members tell. */
  async function isMember(channel: string, user: string): Promise<boolean> {
    let cursor = '';
    for (let n = 0; n < MEMBER_PAGES; n += 1) {
      const more = cursor === '' ? {} : { cursor };
      const answer = await api.call('conversations.members', { channel, limit: 1_000, ...more }, { client: 'live' });
      const parsed = members.safeParse(answer);
      if (!parsed.success) return false;
      if (parsed.data.members.includes(user)) return true;
      cursor = parsed.data.response_metadata?.next_cursor ?? '';
      if (cursor === '') return false;
    }
    return false;
  }

  async function readLinked({ channel, ts, threadTs, reader, from }: LinkQuery): Promise<LinkedPast> {
    if (channel !== from && !(await isMember(channel, reader))) return { refused: `${reader} is not in that channel` };
    const args = {
      channel,
      ts: threadTs ?? ts,
      limit: LINKED,
      ...(threadTs !== null && { oldest: ts, inclusive: true }),
    };
    const { wire } = await fetchPage('conversations.replies', args);
    const wanted = wire.filter((each) => threadTs === null || each.ts === threadTs || each.ts === ts);
    const place = placeOf(channel);
    // The message that the link leads to goes along whole, as the first one of a thread does.
    const messages = wanted.flatMap((each) => readPastMessage(each, place, identity, each.ts === ts) ?? []);
    return messages.some((each) => each.ts === ts) ? { messages } : { refused: UNREAD.notThere };
  }

  return {
    readLinked: (query) =>
      readLinked(query).catch((error: unknown) => ({
        refused:
          error instanceof SlackError ? reasonOf(error) : error instanceof BridgeError ? error.notice : UNREAD.silent,
      })),
    readThread: ({ channel, threadTs }: ThreadAddress, query) =>
      threadTs === null ? readTop(channel, query) : readReplies(channel, threadTs, query),
  };
}

function readAll(wire: readonly Wire[], read: (message: Wire) => PastMessage | null): PastMessage[] {
  return wire.flatMap((message) => read(message) ?? []).sort((a, b) => compareTs(a.ts, b.ts));
}

function placeOf(channel: string) {
  return { channel, channelKind: isDirect(channel) ? ('im' as const) : ('channel' as const) };
}

function dayBefore(before: SlackTs): SlackTs {
  const [seconds = '0', rest = '000000'] = before.split('.');
  return `${Math.max(0, Number(seconds) - NEWEST_S)}.${rest}`;
}

function reasonOf({ failure, error }: SlackError): string {
  if (failure === 'limited') return UNREAD.limited;
  if (failure === 'unknown') return UNREAD.silent;
  return unreadText(error);
}

function unreadable(reason: string, cause?: unknown): BridgeError {
  return new BridgeError('slack_failed', `could not read the thread: ${reason}`, { notice: reason, cause });
}
