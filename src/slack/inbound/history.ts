import { z } from 'zod';
import { backoffMs } from '../../backoff.ts';
import { BoundedMap } from '../../bounded-map.ts';
import { type ChannelId, compareTs, type SlackTs } from '../../bridge/ids.ts';
import type { ChannelKind, InboundMessage } from '../../bridge/inbound.ts';
import type { Clock, History, Log, Past, Random, Timer } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import type { CallMeter } from '../api/call-meter.ts';
import { isPassing } from '../api/refusals.ts';
import { BACKGROUND_RETRY, type SlackAnswer, type SlackApi, SlackError } from '../api/slack-api.ts';
import { normalizeEvent, type SlackIdentity } from './normalize.ts';

/** `limited`: apps that are distributed outside the Marketplace (docs/slack.md, History limits of 2025). */
export type HistoryTier = 'full' | 'limited';

export interface HistoryOptions {
  api: SlackApi;
  identity: SlackIdentity;
  tier: HistoryTier;
  /** Counts the calls of all parts of the bridge through `api`. */
  meter: Pick<CallMeter, 'countRecent'>;
  clock: Clock;
  random: Random;
  log: Log;
}

/**
 * `full` uses half of tier 3, so that answers keep the other half; its first calls come faster while nothing else reads.
 * `limited`: one call a minute, 15 messages each.
 */
const TIERS = {
  full: { gapMs: 2_400, aloneMs: 1_200, limit: 200, pages: 10 },
  limited: { gapMs: 61_000, aloneMs: 61_000, limit: 15, pages: 4 },
} as const;
const INFO = TIERS.full;
/** So many calls a minute may come fast: the rest of the window is for others, who may begin to read at any time. */
const FAST_CALLS = 8;
/** While the bridge makes so many calls of the method a minute, looking back waits. */
const BUSY_CALLS = 40;
const BUSY_MS = 1_000;
const WINDOW_MS = 60_000;
const ATTEMPTS = 6;
/** For a 429 that does not say how long. */
const RETRY_AFTER_MS = 5_000;
const JITTER_MS = 250;
/** How long facts about a channel are cached, and of how many channels. */
const KEPT_MS = 10 * 60_000;
const KEPT = 500;

interface ChannelFacts {
  kind: ChannelKind;
  isExternal: boolean;
}

const info = z.looseObject({
  channel: z.looseObject({
    is_im: z.boolean().nullish(),
    is_mpim: z.boolean().nullish(),
    is_private: z.boolean().nullish(),
    is_ext_shared: z.boolean().nullish(),
    is_pending_ext_shared: z.boolean().nullish(),
  }),
});
const page = z.looseObject({
  messages: z.array(z.looseObject({ ts: z.string() })),
  response_metadata: z.looseObject({ next_cursor: z.string().nullish() }).nullish(),
});
type Wire = z.output<typeof page>['messages'][number];

/** Reads old messages slowly: one call at a time, spaced per method, and never before `Retry-After` is over. */
export function createHistory(options: HistoryOptions): History & { stop(): void } {
  const { api, identity, meter, clock, random, log } = options;
  const tier = TIERS[options.tier];
  /** By method: when our last call was made, and those of the last minute. */
  const madeAt = new Map<string, number[]>();
  /** By method: when the next call may be made after a refusal. */
  const refusedUntil = new Map<string, number>();
  const channels = new BoundedMap<ChannelId, { until: number; facts: ChannelFacts }>(KEPT);
  let isStopped = false;
  let wakeSleeper: (() => void) | null = null;

  function sleep(ms: number): Promise<void> {
    if (ms <= 0 || isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer: Timer = clock.after(ms, resolve);
      // There is one call at a time, so there is one sleeper.
      wakeSleeper = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** `null`: Slack refuses for a reason that will not pass by itself. */
  async function callPaced(
    method: string,
    args: Record<string, unknown>,
    pace: { gapMs: number; aloneMs: number },
  ): Promise<SlackAnswer | null> {
    for (let failures = 1; ; failures += 1) {
      for (let ms = waitMs(method, pace); ms > 0 && !isStopped; ms = waitMs(method, pace)) await sleep(ms);
      if (isStopped) throw new BridgeError('internal', 'stopped while reading the history', { retry: true });
      madeAt.set(method, [...recentCalls(method), clock.monotonic()]);
      try {
        return await api.call(method, args, { client: 'control' });
      } catch (error) {
        if (!(error instanceof SlackError)) throw error;
        if (error.failure === 'refused' && !isPassing(error.error)) {
          log.info({ method, error: error.error }, 'Slack does not let the bot read the history of a channel');
          return null;
        }
        if (failures >= ATTEMPTS) throw toBridgeError(error);
        const wait =
          error.failure === 'limited'
            ? (error.retryAfterMs ?? RETRY_AFTER_MS) + random.next() * JITTER_MS
            : backoffMs(BACKGROUND_RETRY, failures, random.next());
        log.debug({ method, error: error.error, ms: wait }, 'Slack limits reading the history; waiting');
        refusedUntil.set(method, clock.monotonic() + wait);
      }
    }
  }

  const recentCalls = (method: string) => (madeAt.get(method) ?? []).filter((at) => clock.monotonic() - at < WINDOW_MS);

  /** How long the next call must wait: less while no other part of the bridge uses the method. */
  function waitMs(method: string, { gapMs, aloneMs }: { gapMs: number; aloneMs: number }): number {
    const own = recentCalls(method);
    if (meter.countRecent(method) >= BUSY_CALLS) return BUSY_MS;
    const isAlone = meter.countRecent(method) <= own.length && own.length < FAST_CALLS;
    const paced = (own.at(-1) ?? Number.NEGATIVE_INFINITY) + (isAlone ? aloneMs : gapMs);
    return Math.max(paced, refusedUntil.get(method) ?? 0) - clock.monotonic();
  }

  /** A channel's kind and whether it is shared: access depends on both, and messages from the history lack them. */
  async function fetchFacts(channel: ChannelId): Promise<ChannelFacts | null> {
    const known = channels.get(channel);
    if (known && known.until > clock.monotonic()) return known.facts;
    const answer = await callPaced('conversations.info', { channel }, INFO);
    if (answer === null) return null;
    const parsed = info.safeParse(answer);
    if (!parsed.success) throw new BridgeError('slack_failed', 'conversations.info answered something unexpected');
    const { is_im, is_mpim, is_private, is_ext_shared, is_pending_ext_shared } = parsed.data.channel;
    const kind: ChannelKind = is_im ? 'im' : is_mpim ? 'mpim' : is_private ? 'group' : 'channel';
    const facts = { kind, isExternal: is_ext_shared === true || is_pending_ext_shared === true };
    channels.set(channel, { until: clock.monotonic() + KEPT_MS, facts });
    return facts;
  }

  /** @param after the pages come newest first, and those that end before it are not wanted; `null`: all are */
  async function fetchPages(
    method: string,
    args: Record<string, unknown>,
    after: SlackTs | null,
  ): Promise<{ wire: Wire[]; complete: boolean } | null> {
    const wire: Wire[] = [];
    let cursor = '';
    for (let n = 0; n < tier.pages; n += 1) {
      const more = cursor === '' ? {} : { cursor };
      const answer = await callPaced(method, { ...args, limit: tier.limit, ...more }, tier);
      if (answer === null) return null;
      const parsed = page.safeParse(answer);
      if (!parsed.success) throw new BridgeError('slack_failed', `${method} answered something unexpected`);
      wire.push(...parsed.data.messages);
      cursor = parsed.data.response_metadata?.next_cursor ?? '';
      const oldest = parsed.data.messages.at(-1)?.ts;
      const isPast = after !== null && oldest !== undefined && compareTs(oldest, after) <= 0;
      if (cursor === '' || isPast) return { wire, complete: true };
    }
    log.warn(
      { method, channel: args.channel, messages: wire.length },
      'stopped reading the history before its beginning',
    );
    return { wire, complete: false };
  }

  function messagesOf(wire: readonly Wire[], channel: ChannelId, facts: ChannelFacts): InboundMessage[] {
    const found = wire.flatMap((message) => {
      const event = { ...message, type: 'message', channel, channel_type: facts.kind };
      const read = normalizeEvent({ is_ext_shared_channel: facts.isExternal, event }, identity);
      return read.kind === 'message' ? [read.message] : [];
    });
    return found.sort((a, b) => compareTs(a.ts, b.ts));
  }

  return {
    async readChannel(channel, after): Promise<Past | null> {
      const facts = await fetchFacts(channel);
      // Without `oldest`, because only their first messages tell of new replies in threads, and those may be old.
      const read = facts && (await fetchPages('conversations.history', { channel }, after));
      if (!read) return null;
      const threads = read.wire.flatMap(({ ts, latest_reply }): { ts: SlackTs; latest: SlackTs }[] =>
        typeof latest_reply === 'string' && compareTs(latest_reply, after) > 0 ? [{ ts, latest: latest_reply }] : [],
      );
      threads.sort((a, b) => compareTs(b.latest, a.latest));
      const newer = read.wire.filter(({ ts }) => compareTs(ts, after) > 0);
      const messages = messagesOf(newer, channel, facts);
      return { messages, threads: threads.map(({ ts }) => ts), isComplete: read.complete };
    },

    async readThread(channel, root, after): Promise<Past | null> {
      const facts = await fetchFacts(channel);
      const read = facts && (await fetchPages('conversations.replies', { channel, ts: root, oldest: after }, null));
      if (!read) return null;
      // Slack adds the root, however old it is. It is left out, because `channel` reads it.
      const newer = read.wire.filter(({ ts }) => ts !== root && compareTs(ts, after) > 0);
      return { messages: messagesOf(newer, channel, facts), threads: [], isComplete: read.complete };
    },

    /** Calls that wait reject. Stopping twice is fine. */
    stop() {
      isStopped = true;
      wakeSleeper?.();
    },
  };
}

function toBridgeError(error: SlackError): BridgeError {
  return new BridgeError('slack_failed', asBridgeError(error).message, { retry: true, cause: error });
}
