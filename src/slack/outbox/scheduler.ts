import type { ChannelId } from '../../bridge/ids.ts';
import type { Clock, Log, Random, Timer } from '../../bridge/ports.ts';
import type { CallMeter } from '../api/call-meter.ts';
import { type SlackAnswer, type SlackApi, type SlackClient, SlackError } from '../api/slack-api.ts';
import {
  type Ask,
  type Budget,
  emptyBudget,
  noteAnswered,
  noteLimited,
  noteSent,
  noteUnknownCalls,
  shareOfPace,
  whenAllowed,
} from './budget.ts';
import type { Call } from './calls.ts';
import { createDoors } from './doors.ts';
import type { Closed } from './refusal.ts';

/** 0 goes first: final text, approvals and our own lines; 1: the first text of a turn; 2: live edits. */
export type Rank = 0 | 1 | 2;

export interface Wish {
  rank: Rank;
  /** Since when something waits to be shown, by the monotonic clock: within a rank the longest wait goes first. */
  since: number;
  /** {@link Job.run} need not be called before this, by the monotonic clock. */
  notBefore: number;
}

/** Something that makes calls, one after another. */
export interface Job {
  /** What it waits for; `null` while its call has no answer, or when there is nothing to do. Must be cheap. */
  wish(): Wish | null;
  /** Starts its next call or changes its wish; then its wish is read again. */
  run(): void;
}

/** The place of a call that will be made in a moment: to others it is as if it were made. */
export interface Place {
  /** False: a call that did not wait for it, or a refusal, has taken it. */
  isFree(): boolean;
  /** Call it right before the call is made, or when it will not be made. */
  leave(): void;
}

/** Decides which job calls Slack next, and when, with one budget and one timer for a workspace. */
export interface Scheduler {
  add(job: Job): void;
  remove(job: Job): void;
  /** Call it when a job may run sooner. The jobs are checked a moment later, once for many calls. */
  wake(): void;
  whenAllowed(ask: Ask): number;
  /** Keeps the place of a call that is allowed now, while something has to be stored before it is made. */
  keepPlace(ask: Ask): Place;
  /**
   * Whether live text of one more message is fresher as a native stream than by edits: each has a budget that the
   * messages share which are written now.
   */
  isStreamFresher(): boolean;
  /** Why Slack refuses such calls for now; `null`: it accepts them, as far as we know. */
  whyClosed(method: string, channel: ChannelId): { word: string; scope: Closed } | null;
  /** Changes whenever a closed way may be open again, so that waiting jobs check again. */
  readonly openings: number;
  /** Something happened that may have opened closed ways in this channel (`null`: in all), so they are tried soon. */
  retrySoon(channel: ChannelId | null): void;
  /** Notes that a process before this one was at work, so its edits may still count. Only the first call matters. */
  noteEarlierLife(): void;
  /** Makes a call that is allowed now and updates the budget; rejects with a SlackError. */
  call(ask: Ask, call: Call, client: SlackClient): Promise<SlackAnswer>;
  /** Starts no more calls; resolves when all are answered. */
  close(): Promise<void>;
}

const EDIT = 'chat.update';
const APPEND = 'chat.appendStream';
/** For a 429 that does not say how long. */
const RETRY_AFTER_MS = 5_000;
const JITTER_MS = 250;
/** Only these methods have doors. Private messages and statuses handle refusals themselves. */
const HAS_DOOR = new Set(['chat.postMessage', 'chat.update', 'chat.delete']);

/** By method: the method that goes on with the live text that it shows. */
const GOES_ON: Readonly<Record<string, string>> = {
  'chat.postMessage': EDIT,
  [EDIT]: EDIT,
  'chat.startStream': APPEND,
  [APPEND]: APPEND,
};
/**
 * So many streams are as fresh as one edited message. Twice as many calls are allowed, but a stream gets more of them
 * while it is alone; found by playing two to ten threads (bench/pace/).
 */
const STREAMS_TO_EDITED = 1.5;
/** A message counts as being written for so long after its last live call. */
const WRITTEN_MS = 10_000;

/** Other parts of the bridge read, too, so for these the calls of all parts count. */
const READS: ReadonlySet<string> = new Set(['conversations.replies', 'conversations.history']);
const MOST_READS = 45;
const READ_AGAIN_MS = 1_000;

export interface SchedulerParts {
  api: SlackApi;
  /** Counts the calls of all parts; left out: there are no others. */
  meter?: Pick<CallMeter, 'countRecent'> | undefined;
  clock: Clock;
  random: Random;
  log: Log;
}

export function createScheduler({ api, meter, clock, random, log }: SchedulerParts): Scheduler {
  const jobs = new Set<Job>();
  const inFlight = new Set<Promise<unknown>>();
  const doors = createDoors();
  /** Messages that are being written, by ts: how, and when that was last seen. Those without an answer have a number. */
  const written = new Map<string, { by: string; at: number }>();
  let openings = 0;
  let hadEarlierLife = false;
  let budget: Budget = emptyBudget;
  /** Places that are kept, and since when. */
  const kept = new Set<{ ask: Ask; at: number }>();
  let timer: Timer | null = null;
  let isWakePending = false;
  let isClosed = false;

  function wake(): void {
    if (isWakePending || isClosed) return;
    isWakePending = true;
    queueMicrotask(runReadyJobs);
  }

  function runReadyJobs(): void {
    isWakePending = false;
    timer?.cancel();
    timer = null;
    if (isClosed) return;
    // A job that has run has a later wish or none, so this ends. The bound guards against a job that breaks this rule.
    let next = findNextJob();
    for (let round = 0; next !== null && next.at <= clock.monotonic() && round <= jobs.size; round += 1) {
      next.job.run();
      next = findNextJob();
    }
    if (next !== null) timer = clock.after(Math.max(1, next.at - clock.monotonic()), runReadyJobs);
  }

  /** The job to run now, or, when none is ready, the one that will be ready first. */
  function findNextJob(): { job: Job; at: number } | null {
    const wishes: { job: Job; wish: Wish }[] = [];
    for (const job of jobs) {
      const wish = job.wish();
      if (wish !== null) wishes.push({ job, wish });
    }
    // Read after the wishes: a job that may go at once answers with the time of its answer, which is later than the
    // start.
    const now = clock.monotonic();
    let ready: { job: Job; wish: Wish } | null = null;
    let later: { job: Job; at: number } | null = null;
    for (const { job, wish } of wishes) {
      if (wish.notBefore > now) {
        if (later === null || wish.notBefore < later.at) later = { job, at: wish.notBefore };
      } else if (ready === null || isBefore(wish, ready.wish)) {
        ready = { job, wish };
      }
    }
    return ready ? { job: ready.job, at: now } : later;
  }

  /** False: it shows no live text. */
  function noteWritten({ method, urgency }: Ask, ts: string): boolean {
    const by = GOES_ON[method];
    if (by === undefined || urgency === 'must') {
      // Its end, or that of a part of it.
      written.delete(ts);
      return false;
    }
    const now = clock.monotonic();
    for (const [key, { at }] of written) if (at < now - WRITTEN_MS) written.delete(key);
    written.set(ts, { by, at: now });
    return true;
  }

  function countWritten(method: string): number {
    const since = clock.monotonic() - WRITTEN_MS;
    return [...written.values()].filter(({ by, at }) => by === method && at >= since).length;
  }

  async function call(ask: Ask, { method, args }: Call, client: SlackClient): Promise<SlackAnswer> {
    const madeAt = clock.monotonic();
    const use = noteSent(budget, ask, madeAt);
    budget = use.budget;
    if (HAS_DOOR.has(method)) doors.noteTry(ask, clock.monotonic());
    const isWritten = noteWritten(ask, String(args.ts ?? use.id));
    const noteAnswer = (error: SlackError | null) => {
      if (HAS_DOOR.has(method) && doors.noteAnswer(ask, error, clock.monotonic())) openings += 1;
    };
    const answer = api.call(method, args, { client });
    inFlight.add(answer);
    try {
      const got = await answer;
      noteAnswer(null);
      if (isWritten && args.ts === undefined && typeof got.ts === 'string') noteWritten(ask, got.ts);
      return got;
    } catch (error) {
      if (error instanceof SlackError) noteAnswer(error);
      if (error instanceof SlackError && error.failure === 'limited') {
        const ms = (error.retryAfterMs ?? RETRY_AFTER_MS) + random.next() * JITTER_MS;
        const now = clock.monotonic();
        budget = noteLimited(budget, method, now, now + ms, madeAt);
        log.warn(
          { method, retryAfterMs: error.retryAfterMs, pace: shareOfPace(budget, method, now) },
          'Slack limits a method',
        );
      }
      throw error;
    } finally {
      inFlight.delete(answer);
      written.delete(String(use.id));
      budget = noteAnswered(budget, ask, use.id, clock.monotonic());
      wake();
    }
  }

  /** @param own the place kept for it: only those count that were kept before */
  function allowedAt(ask: Ask, own: { ask: Ask; at: number } | null): number {
    const now = clock.monotonic();
    let at = whenAllowed(budget, ask, now);
    let used = budget;
    for (const each of kept) {
      if (each === own) break;
      used = noteSent(used, each.ask, each.at).budget;
      // A place that was kept before the last call was made must not bring an earlier time back.
      at = Math.max(at, whenAllowed(used, ask, now));
    }
    return HAS_DOOR.has(ask.method) ? Math.max(at, doors.opensAt(ask, now)) : at;
  }

  return {
    add(job) {
      jobs.add(job);
      wake();
    },
    remove: (job) => void jobs.delete(job),
    wake,
    whenAllowed(ask) {
      const at = allowedAt(ask, null);
      const isBusy = READS.has(ask.method) && (meter?.countRecent(ask.method) ?? 0) >= MOST_READS;
      return isBusy ? Math.max(at, clock.monotonic() + READ_AGAIN_MS) : at;
    },
    keepPlace(ask) {
      const own = { ask, at: clock.monotonic() };
      kept.add(own);
      return {
        isFree: () => allowedAt(ask, own) <= clock.monotonic(),
        leave: () => void kept.delete(own),
      };
    },
    isStreamFresher: () => countWritten(APPEND) + 1 <= (countWritten(EDIT) + 1) * STREAMS_TO_EDITED,
    whyClosed: (method, channel) => doors.whyClosed({ method, channel }),
    get openings() {
      return openings;
    },
    retrySoon(channel) {
      doors.retrySoon(channel, clock.monotonic());
      openings += 1;
      wake();
    },
    noteEarlierLife() {
      if (!hadEarlierLife) budget = noteUnknownCalls(budget, clock.monotonic());
      hadEarlierLife = true;
    },
    call,
    async close() {
      isClosed = true;
      timer?.cancel();
      timer = null;
      while (inFlight.size > 0) await Promise.allSettled(inFlight);
    },
  };
}

function isBefore(a: Wish, b: Wish): boolean {
  return a.rank === b.rank ? a.since < b.since : a.rank < b.rank;
}
