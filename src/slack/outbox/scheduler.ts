import type { ChannelId } from '../../bridge/ids.ts';
import type { Clock, Log, Random, Timer } from '../../bridge/ports.ts';
import { type SlackAnswer, type SlackApi, type SlackClient, SlackError } from '../api/slack-api.ts';
import { type Ask, answered, type Budget, emptyBudget, limited, sent, whenAllowed } from './budget.ts';
import type { Call } from './calls.ts';
import { createDoors } from './doors.ts';
import type { Closed } from './refusal.ts';

/** 0 goes first: final text, approvals and our own lines; then the first text of a turn; then live edits. */
export type Rank = 0 | 1 | 2;

export interface Wish {
  rank: Rank;
  /** Since when, by the monotonic clock, something waits unseen: among equals the longest goes first. */
  since: number;
  /** Before when, by the monotonic clock, {@link Job.run} need not be called. */
  notBefore: number;
}

/** Something that has calls to make, one after another. */
export interface Job {
  /** What it waits for now; `null` while a call of it is on its way or nothing is to be done. Cheap: asked often. */
  wish(): Wish | null;
  /** Starts its next call, or changes its wish: afterwards it is asked again. */
  run(): void;
}

/** Whose turn it is to call Slack, and when: one budget and one timer for all jobs of a workspace. */
export interface Scheduler {
  add(job: Job): void;
  remove(job: Job): void;
  /** A wish changed for the better. Cheap; looks at the jobs a moment later, once for many calls. */
  wake(): void;
  whenAllowed(ask: Ask): number;
  /** Why Slack lets us make no such call for now; `null`: it does, as far as is known. */
  closed(method: string, channel: ChannelId): { word: string; scope: Closed } | null;
  /** Changes whenever a way that was closed may be open again: what waited for it looks anew. */
  readonly opened: number;
  /** Something happened that may have opened what is closed: in this channel, or, with `null`, everywhere. */
  knock(channel: ChannelId | null): void;
  /** Makes a call that is allowed now and keeps the books; rejects with a SlackError. */
  call(ask: Ask, call: Call, client: SlackClient): Promise<SlackAnswer>;
  /** Starts nothing any more; resolves when no call is on its way. */
  close(): Promise<void>;
}

/** For a 429 that does not say how long. */
const RETRY_AFTER_MS = 5_000;
const JITTER_MS = 250;
/** What must arrive goes these ways. Words for one person, and statuses, have rules of their own. */
const HAS_DOOR = new Set(['chat.postMessage', 'chat.update', 'chat.delete']);

export interface SchedulerParts {
  api: SlackApi;
  clock: Clock;
  random: Random;
  log: Log;
}

export function createScheduler({ api, clock, random, log }: SchedulerParts): Scheduler {
  const jobs = new Set<Job>();
  const onTheirWay = new Set<Promise<unknown>>();
  const doors = createDoors();
  let opened = 0;
  let budget: Budget = emptyBudget;
  let timer: Timer | null = null;
  let awake = false;
  let closed = false;

  function wake(): void {
    if (awake || closed) return;
    awake = true;
    queueMicrotask(look);
  }

  function look(): void {
    awake = false;
    timer?.cancel();
    timer = null;
    if (closed) return;
    // A job that was run has a later wish or none, so this ends; the bound is for a job that breaks its word.
    let next = soonest();
    for (let round = 0; next !== null && next.at <= clock.monotonic() && round <= jobs.size; round += 1) {
      next.job.run();
      next = soonest();
    }
    if (next !== null) timer = clock.after(Math.max(1, next.at - clock.monotonic()), look);
  }

  /** The job to run now, or, when none is ready, the one that will be ready first. */
  function soonest(): { job: Job; at: number } | null {
    const wishes: { job: Job; wish: Wish }[] = [];
    for (const job of jobs) {
      const wish = job.wish();
      if (wish !== null) wishes.push({ job, wish });
    }
    // Looked at only now: what may go at once says so by the time at which it was asked, and the asking takes time.
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

  async function call(ask: Ask, { method, args }: Call, client: SlackClient): Promise<SlackAnswer> {
    const taken = sent(budget, ask, clock.monotonic());
    budget = taken.budget;
    if (HAS_DOOR.has(method)) doors.tried(ask, clock.monotonic());
    const heard = (error: SlackError | null) => {
      if (HAS_DOOR.has(method) && doors.answered(ask, error, clock.monotonic())) opened += 1;
    };
    const answer = api.call(method, args, { client });
    onTheirWay.add(answer);
    try {
      const got = await answer;
      heard(null);
      return got;
    } catch (error) {
      if (error instanceof SlackError) heard(error);
      if (error instanceof SlackError && error.failure === 'limited') {
        const ms = (error.retryAfterMs ?? RETRY_AFTER_MS) + random.next() * JITTER_MS;
        budget = limited(budget, method, clock.monotonic() + ms);
        log.warn({ method, retryAfterMs: error.retryAfterMs, pace: budget.pace }, 'slack limits a method');
      }
      throw error;
    } finally {
      onTheirWay.delete(answer);
      budget = answered(budget, ask, taken.id, clock.monotonic());
      wake();
    }
  }

  return {
    add(job) {
      jobs.add(job);
      wake();
    },
    remove: (job) => void jobs.delete(job),
    wake,
    whenAllowed(ask) {
      const now = clock.monotonic();
      const at = whenAllowed(budget, ask, now);
      return HAS_DOOR.has(ask.method) ? Math.max(at, doors.opensAt(ask, now)) : at;
    },
    closed: (method, channel) => doors.why({ method, channel }),
    get opened() {
      return opened;
    },
    knock(channel) {
      doors.knock(channel, clock.monotonic());
      opened += 1;
      wake();
    },
    call,
    async close() {
      closed = true;
      timer?.cancel();
      timer = null;
      while (onTheirWay.size > 0) await Promise.allSettled(onTheirWay);
    },
  };
}

function isBefore(a: Wish, b: Wish): boolean {
  return a.rank === b.rank ? a.since < b.since : a.rank < b.rank;
}
