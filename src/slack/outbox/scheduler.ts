import type { ChannelId } from '../../bridge/ids.ts';
import type { Clock, Log, Random, Timer } from '../../bridge/ports.ts';
import { type SlackAnswer, type SlackApi, type SlackClient, SlackError } from '../api/slack-api.ts';
import { type Ask, type Budget, emptyBudget, noteAnswered, noteLimited, noteSent, whenAllowed } from './budget.ts';
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
  whyClosed(method: string, channel: ChannelId): { word: string; scope: Closed } | null;
  /** Changes whenever a way that was closed may be open again: what waited for it looks anew. */
  readonly openings: number;
  /** Something happened that may have opened what is closed: in this channel, or, with `null`, everywhere. */
  retrySoon(channel: ChannelId | null): void;
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
  const inFlight = new Set<Promise<unknown>>();
  const doors = createDoors();
  let openings = 0;
  let budget: Budget = emptyBudget;
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
    // A job that was run has a later wish or none, so this ends; the bound is for a job that breaks its word.
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
    const use = noteSent(budget, ask, clock.monotonic());
    budget = use.budget;
    if (HAS_DOOR.has(method)) doors.noteTry(ask, clock.monotonic());
    const noteAnswer = (error: SlackError | null) => {
      if (HAS_DOOR.has(method) && doors.noteAnswer(ask, error, clock.monotonic())) openings += 1;
    };
    const answer = api.call(method, args, { client });
    inFlight.add(answer);
    try {
      const got = await answer;
      noteAnswer(null);
      return got;
    } catch (error) {
      if (error instanceof SlackError) noteAnswer(error);
      if (error instanceof SlackError && error.failure === 'limited') {
        const ms = (error.retryAfterMs ?? RETRY_AFTER_MS) + random.next() * JITTER_MS;
        budget = noteLimited(budget, method, clock.monotonic() + ms);
        log.warn({ method, retryAfterMs: error.retryAfterMs, pace: budget.pace }, 'Slack limits a method');
      }
      throw error;
    } finally {
      inFlight.delete(answer);
      budget = noteAnswered(budget, ask, use.id, clock.monotonic());
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
    whyClosed: (method, channel) => doors.whyClosed({ method, channel }),
    get openings() {
      return openings;
    },
    retrySoon(channel) {
      doors.retrySoon(channel, clock.monotonic());
      openings += 1;
      wake();
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
