import type { ThreadKey, UserId } from '../ids.ts';
import type { Clock } from '../ports.ts';
import type { ThreadRecord } from '../record/thread-record.ts';
import { type ThreadOverview, ThreadWorker, type WorkerParts } from './worker.ts';

/** A thread in which a turn runs, or messages wait for theirs. */
export interface BusyThread {
  key: ThreadKey;
  /** Whose turn runs, and whose messages wait. */
  users: readonly UserId[];
}

/** What was still open when a drain ended. */
export interface LeftOpen {
  /** Turns that were at work, or whose last words were on their way; threads in which something goes on after its turn. */
  running: number;
  /** Turns that wait for people or for Letta, and messages that wait for their turn. */
  waitingForPeople: number;
  waitingForLetta: number;
  waitingMessages: number;
}

const LOOK_EVERY_MS = 50;
/** How long a shutdown waits until Slack says that turns rest. */
const PAUSE_MS = 4_000;

/** The workers of threads in which something happens; quiet threads have none. */
export class ThreadWorkers {
  readonly #parts: WorkerParts;
  readonly #workers = new Map<ThreadKey, ThreadWorker>();
  #closed = false;
  #draining = false;
  readonly #closing = Promise.withResolvers<void>();

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** Takes up every thread that was left with something open. Its cost does not depend on how many are stored. */
  async start(): Promise<void> {
    await Promise.all([this.#parts.killSwitch.load(), this.#parts.policies.load?.()]);
    const keys = await this.#parts.threads.listActive();
    for (const key of keys) {
      this.#parts.onTakenUp?.(key);
      this.wake(key);
    }
    this.#parts.log.info({ threads: keys.length }, 'resumed open threads');
  }

  /** Something changed that concerns all of them. Answers how many turns are open. */
  wakeAll(): number {
    const open = [...this.#workers.values()].filter((worker) => worker.progress !== 'none');
    for (const worker of this.#workers.values()) worker.wake();
    return open.length;
  }

  wake(key: ThreadKey): void {
    this.get(key).wake();
  }

  get(key: ThreadKey): ThreadWorker {
    const known = this.#workers.get(key);
    if (known) return known;
    if (this.#closed) throw new Error('the bridge is stopping');
    const retired = () => {
      if (this.#workers.get(worker.key) === worker) this.#workers.delete(worker.key);
    };
    const alongside = (workplace: string) =>
      [...this.#workers.values()].filter((other) => other !== worker && other.workplace === workplace).length;
    const worker: ThreadWorker = new ThreadWorker(key, this.#parts, retired, alongside);
    if (this.#draining) worker.drain();
    this.#workers.set(key, worker);
    return worker;
  }

  /** How many messages wait in all threads together: those with one have a live worker, so nothing is searched. */
  get waiting(): number {
    let waiting = 0;
    for (const worker of this.#workers.values()) waiting += worker.waiting;
    return waiting;
  }

  /** Of every thread with an open turn. */
  overviews(): ThreadOverview[] {
    return [...this.#workers.values()].flatMap(({ overview }) => (overview ? [overview] : []));
  }

  /** How many subagents, commands and monitors go on in the background. */
  get inBackground(): number {
    let count = 0;
    for (const worker of this.#workers.values()) count += worker.inBackground;
    return count;
  }

  /** Threads in which something happens. */
  get live(): number {
    return this.#workers.size;
  }

  /** How many approvals and questions wait for people. */
  get openApprovals(): number {
    let open = 0;
    for (const worker of this.#workers.values()) open += worker.openApprovals;
    return open;
  }

  /**
   * From now on no turn begins; resolves when those that run have ended, at the latest after `ms`. A turn that waits
   * for people or for Letta is not waited for: it is taken up by the next start. What is left open then says so in its
   * thread, for which Slack gets a few seconds more.
   */
  async drain(ms: number): Promise<LeftOpen> {
    this.#draining = true;
    for (const worker of this.#workers.values()) worker.drain();
    const { clock } = this.#parts;
    const until = clock.monotonic() + ms;
    for (let left = this.#left(); ; left = this.#left()) {
      const remaining = until - clock.monotonic();
      if (this.#closed || left.running === 0 || remaining <= 0) {
        await this.#pause();
        return left;
      }
      await pause(clock, Math.min(LOOK_EVERY_MS, remaining));
    }
  }

  /** Whoever looks at a turn that is left open reads that it rests; that takes a few seconds at most. */
  async #pause(): Promise<void> {
    if (this.#closed) return;
    const isOver = pause(this.#parts.clock, PAUSE_MS);
    const said = Promise.all([...this.#workers.values()].map((worker) => worker.pause()));
    await Promise.race([said, isOver, this.#closing.promise]);
  }

  #left(): LeftOpen {
    const left: LeftOpen = { running: 0, waitingForPeople: 0, waitingForLetta: 0, waitingMessages: this.waiting };
    for (const { progress, inBackground } of this.#workers.values()) {
      if (progress === 'working' || progress === 'ending') left.running += 1;
      // What it reports is shown, if it comes in time; it goes on at Letta if not.
      if (progress === 'none' && inBackground > 0) left.running += 1;
      // Somebody must let us write there again.
      if (progress === 'waiting_for_people' || progress === 'held_up') left.waitingForPeople += 1;
      if (progress === 'waiting_for_letta') left.waitingForLetta += 1;
      if (progress === 'prepared') left.waitingMessages += 1;
    }
    return left;
  }

  /** Threads in which a turn runs, or messages wait for theirs. */
  busy(): BusyThread[] {
    return [...this.#workers].flatMap(([key, { wanted }]) => (wanted.length === 0 ? [] : [{ key, users: wanted }]));
  }

  /** Live threads whose running turn belongs to `user`. */
  ofRequester(user: UserId): ThreadKey[] {
    return [...this.#workers].flatMap(([key, worker]) => (worker.requester === user ? [key] : []));
  }

  /**
   * Changes the thread's record in the order of what happens to the thread, which then goes on with it. Resolves with what
   * is stored; rejects when the disk fails.
   * @param change as `Threads.update` wants it
   */
  store(key: ThreadKey, change: (record: ThreadRecord | null) => ThreadRecord | null): Promise<ThreadRecord | null> {
    return this.get(key).store(change);
  }

  /**
   * Moves a thread to another key. A turn at work that would not outlive its link goes on over it.
   * @param store writes the record under its new key and forgets the old one; `null`: there was none
   */
  async move(from: ThreadKey, to: ThreadKey, store: () => Promise<ThreadRecord | null>): Promise<void> {
    if (!(await this.#moveAtWork(from, to, store))) {
      // Their links close: a turn at work is taken up under the new id like after a restart.
      await this.leave(from);
      // A message that comes while one closes makes another, which would go on in a conversation of its own.
      do await this.leave(to);
      while (this.#workers.has(to));
      await this.get(to).takeIn(store);
    }
    // A click may have woken it meanwhile.
    await this.leave(from);
  }

  async #moveAtWork(from: ThreadKey, to: ThreadKey, store: () => Promise<ThreadRecord | null>): Promise<boolean> {
    const worker = this.#workers.get(from);
    if (!worker?.mustKeepLink || this.#workers.has(to)) return false;
    // Whoever asks for it under the new key meanwhile waits behind the move.
    this.#workers.delete(from);
    this.#workers.set(to, worker);
    let moved = false;
    try {
      moved = await worker.moveTo(to, store);
      return moved;
    } finally {
      if (!moved) {
        if (this.#workers.get(to) === worker) this.#workers.delete(to);
        await worker.leave();
      }
    }
  }

  /** Ends the thread's worker, if there is one; resolves when nothing of it is under way to Slack any more. */
  async leave(key: ThreadKey): Promise<void> {
    const worker = this.#workers.get(key);
    this.#workers.delete(key);
    await worker?.leave();
  }

  close(): void {
    this.#closed = true;
    this.#closing.resolve();
    for (const worker of this.#workers.values()) worker.close();
    this.#workers.clear();
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}
