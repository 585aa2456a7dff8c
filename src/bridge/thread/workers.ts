import type { ToolsetsSeen } from '../agent-event.ts';
import { type ChannelId, makeThreadKey, parseThreadKey, type SlackTs, type ThreadKey, type UserId } from '../ids.ts';
import type { Clock, MessageAddress } from '../ports.ts';
import type { ChangeContext, InboxChange } from '../record/inbox-change.ts';
import type { Joining } from '../record/joined.ts';
import { hasSchedules, type ThreadRecord } from '../record/thread-record.ts';
import type { Schedule } from '../schedules/schedule.ts';
import type { AttachOrder } from './core/events.ts';
import type { Stored } from './core/inbox.ts';
import type { ThreadOverview } from './core/view.ts';
import { type Others, ThreadWorker, type WorkerParts } from './worker.ts';

export type { Stored } from './core/inbox.ts';

/** A thread with an open turn, background tasks or queued messages. */
export interface BusyThread {
  key: ThreadKey;
  /** Whose turn or background tasks run, and whose messages wait. */
  users: readonly UserId[];
}

/** What was still open when a drain ended. */
export interface LeftOpen {
  /** Turns that were working or ending, and threads without a turn whose background tasks run. */
  running: number;
  /** Turns that wait for people or for Letta, and messages that wait for their turn. */
  waitingForPeople: number;
  waitingForLetta: number;
  waitingMessages: number;
}

const LOOK_EVERY_MS = 50;
/** How long a shutdown waits for Slack to show that turns rest. */
const PAUSE_MS = 4_000;

/** The workers of threads in which something happens; a thread without work has none. */
export class ThreadWorkers implements Others {
  readonly #parts: WorkerParts;
  readonly #workers = new Map<ThreadKey, ThreadWorker>();
  #closed = false;
  #draining = false;
  readonly #closing = Promise.withResolvers<void>();

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** Resumes every thread that was left with work; the index of active threads spares reading the others. */
  async start(): Promise<void> {
    await Promise.all([this.#parts.killSwitch.load(), this.#parts.policies.load?.()]);
    const keys = await this.#parts.threads.listActive();
    for (const key of keys) {
      this.#parts.onTakenUp?.(key);
      this.wake(key);
    }
    this.#parts.log.info({ threads: keys.length }, 'resumed open threads');
  }

  /** Wakes all workers, because people paused or resumed the agent. @returns how many turns are open */
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
    const worker: ThreadWorker = new ThreadWorker(key, this.#parts, retired, this);
    if (this.#draining) worker.drain();
    this.#workers.set(key, worker);
    return worker;
  }

  /** The toolsets of a thread's conversation; `null`: it has no link, or its device does not tell. */
  toolsetsOf(key: ThreadKey): ToolsetsSeen | null {
    return this.#workers.get(key)?.toolsets ?? null;
  }

  /** How many messages wait in all threads; a thread with a waiting message has a live worker, so none is missed. */
  get waiting(): number {
    let waiting = 0;
    for (const worker of this.#workers.values()) waiting += worker.waiting;
    return waiting;
  }

  /** Overviews of the threads with an open turn or background tasks. */
  overviews(): ThreadOverview[] {
    return [...this.#workers.values()].flatMap(({ overview }) => (overview ? [overview] : []));
  }

  /** How many subagents, commands and monitors run in the background, in all threads. */
  get inBackground(): number {
    let count = 0;
    for (const worker of this.#workers.values()) count += worker.inBackground;
    return count;
  }

  /** All schedules: a thread with a schedule has a worker, so none is missed. */
  schedules(): { key: ThreadKey; schedule: Schedule }[] {
    return [...this.#workers].flatMap(([key, { schedules }]) => schedules.map((schedule) => ({ key, schedule })));
  }

  countAlongside(workplace: string, but: ThreadWorker): number {
    return [...this.#workers.values()].filter((other) => other !== but && other.workplace === workplace).length;
  }

  isScheduled(id: string): boolean {
    return this.schedules().some(({ schedule }) => schedule.id === id);
  }

  countSchedules(owner: UserId, channel: ChannelId): { user: number; channel: number; workspace: number } {
    const kept = this.schedules().filter(({ schedule }) => schedule.wanted !== 'gone');
    return {
      user: kept.filter(({ schedule }) => schedule.owner === owner).length,
      channel: kept.filter(({ key }) => parseThreadKey(key).channel === channel).length,
      workspace: kept.length,
    };
  }

  /** How many threads have a worker. */
  get live(): number {
    return this.#workers.size;
  }

  /** How many approvals and questions wait for people, in all threads. */
  get openApprovals(): number {
    let open = 0;
    for (const worker of this.#workers.values()) open += worker.openApprovals;
    return open;
  }

  /**
   * From now on no turn begins; resolves when the running turns have ended, at the latest after `ms`. A turn that waits
   * for people or for Letta is left to the next start. Each turn that is left open then says so in its thread, for
   * which Slack gets up to {@link PAUSE_MS} more.
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

  /** Shows in each thread with an open turn that the turn rests, for at most {@link PAUSE_MS}. */
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
      // A background task that ends in time still reports in its thread; a longer one goes on at Letta without us.
      if (progress === 'none' && inBackground > 0) left.running += 1;
      // A held-up turn counts here, because a person must let us write in the thread again.
      if (progress === 'waiting_for_people' || progress === 'held_up') left.waitingForPeople += 1;
      if (progress === 'waiting_for_letta') left.waitingForLetta += 1;
      if (progress === 'prepared') left.waitingMessages += 1;
    }
    return left;
  }

  /** Threads with an open turn, background tasks or queued messages, and whose they are. */
  busy(): BusyThread[] {
    return [...this.#workers].flatMap(([key, { wanted }]) => (wanted.length === 0 ? [] : [{ key, users: wanted }]));
  }

  /** Live threads whose open turn, or else first background task, belongs to `user`. */
  ofRequester(user: UserId): ThreadKey[] {
    return [...this.#workers].flatMap(([key, worker]) => (worker.requester === user ? [key] : []));
  }

  /** Stores a message, or a change of one, and then does what is due. Rejects when the disk fails. */
  store(key: ThreadKey, change: InboxChange, admit?: ChangeContext['admit']): Promise<Stored> {
    return this.get(key).store(change, admit);
  }

  /**
   * Lets the thread of a message that the agent posted elsewhere belong to the conversation of `home`, unless it has one.
   * Resolves when both threads have it on disk; doing it again changes nothing.
   */
  async join(home: ThreadKey, { channel, ts, threadTs }: MessageAddress, requester: UserId): Promise<void> {
    const { team } = parseThreadKey(home);
    const root = threadTs ?? ts;
    const { record } = await this.store(home, { do: 'share' });
    const runtime = record?.runtime;
    // A thread with schedules keeps its link, so no other one could use it.
    if (!runtime || hasSchedules(record)) return;
    const address = { team, channel, threadTs: root };
    await this.begin(root, { address, runtime, requester });
  }

  async begin(root: SlackTs, joining: Joining): Promise<void> {
    const { team, channel } = joining.address;
    const key = makeThreadKey({ team, channel, root });
    await this.#parts.onJoining?.(key);
    await this.store(key, { do: 'belong', to: joining });
  }

  /** Gives the thread a conversation that began elsewhere. @returns why not, for the person; empty: it has it on disk */
  async attach(key: ThreadKey, order: AttachOrder): Promise<string> {
    await this.#parts.onJoining?.(key);
    return this.get(key).command(order);
  }

  /**
   * Moves a thread to another key. A running turn that would die with its link keeps the link.
   * @param store writes the record under its new key and deletes the old one; `null`: there was no record
   */
  async move(from: ThreadKey, to: ThreadKey, store: () => Promise<ThreadRecord | null>): Promise<void> {
    if (!(await this.#moveAtWork(from, to, store))) {
      // Both workers close their links, and a new one resumes a running turn under the new key, as after a restart.
      await this.leave(from);
      // A message that comes while a worker closes makes another one, which would begin a conversation of its own.
      do await this.leave(to);
      while (this.#workers.has(to));
      await this.get(to).takeIn(store);
    }
    // A click may have made a worker for the old key meanwhile.
    await this.leave(from);
  }

  async #moveAtWork(from: ThreadKey, to: ThreadKey, store: () => Promise<ThreadRecord | null>): Promise<boolean> {
    const worker = this.#workers.get(from);
    if (!worker?.mustKeepLink || this.#workers.has(to)) return false;
    // Registered first, so that requests under the new key wait in this worker's mailbox until the move is done.
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

  /** Ends the thread's worker, if there is one; resolves when none of its Slack calls is running any more. */
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
