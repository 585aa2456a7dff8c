import { type Backoff, backoffMs } from '../../backoff.ts';
import type { ThreadKey } from '../ids.ts';
import type { Clock, Log, Threads } from '../ports.ts';
import type { ThreadRecord } from '../record/thread-record.ts';
import { type Change, newThread, type Thread } from './core/thread.ts';
import type { Context, Work } from './core/work.ts';
import type { Changes, CommitOptions } from './mailbox.ts';

export interface StateParts {
  threads: Threads;
  clock: Clock;
  log: Log;
  /** Told what is on disk after a commit; `undefined`: the changes since the last one were dropped. */
  onStored?: ((record: ThreadRecord | null | undefined) => void) | undefined;
}

const AGAIN: Backoff = { firstMs: 1_000, longestMs: 60_000 };

/** A thread's value, with changes of its record that are not on disk yet, and the only one who writes that record. */
export class ThreadState implements Changes {
  readonly #parts: StateParts;
  #closed = false;
  /** Ends the pause before a failed disk access is repeated. */
  #hurry: (() => void) | null = null;
  #thread: Thread;
  /** The thread before {@link #changes}; meaningful only while changes are pending. */
  #before: Thread;
  /** The pending changes, which make the record of {@link #thread} out of that of {@link #before}. */
  #changes: Change[] = [];

  constructor(key: ThreadKey, parts: StateParts) {
    this.#thread = newThread(key, null);
    this.#before = this.#thread;
    this.#parts = parts;
  }

  get thread(): Thread {
    return this.#thread;
  }

  /** Takes over a record that was stored elsewhere, of which nothing is shown; only while there are no pending changes. */
  take(key: ThreadKey, record: ThreadRecord | null): void {
    this.#thread = { ...this.#thread, key, record, showing: new Set(), finishing: new Set() };
  }

  async load(): Promise<void> {
    const { key } = this.#thread;
    this.take(key, await this.#parts.threads.load(key));
  }

  begin(context: Context): Work {
    return { thread: this.#thread, changes: [], effects: [], context, isDue: false, answer: undefined };
  }

  /** Takes what a step made; its changes are on disk before any effect of the present mail begins. */
  apply({ thread, changes }: Work): void {
    if (!this.pending) this.#before = this.#thread;
    this.#changes.push(...changes);
    this.#thread = thread;
  }

  /** Slack shows the present view of the open turn. */
  shown(): void {
    this.#outdate(false);
  }

  outdate(): void {
    this.#outdate(true);
  }

  #outdate(isViewOutdated: boolean): void {
    const { live } = this.#thread;
    if (live) this.#thread = { ...this.#thread, live: { ...live, isViewOutdated } };
  }

  get pending(): boolean {
    return this.#changes.length > 0;
  }

  /** Takes back all that the steps made whose changes are pending. */
  drop(): void {
    if (this.pending) {
      this.#thread = this.#before;
      this.#parts.onStored?.(undefined);
    }
    this.#changes = [];
  }

  /**
   * The only place where a thread's record is written. A write that rejected may have landed all the same, so the
   * record is read before the write is repeated.
   */
  async commit(options: CommitOptions): Promise<void> {
    const { once, onFailed, onHeldUp } = options;
    const { threads, log } = this.#parts;
    for (let failures = 1; ; failures += 1) {
      let before = null as number | null;
      try {
        const stored = await threads.update(this.#thread.key, (record) => {
          before = record?.rev ?? 0;
          return this.#next(record);
        });
        return this.#committed(stored);
      } catch (error) {
        onFailed(error);
        if (before !== null && (await this.#hasLanded(before, error, options))) return;
        if (once || this.#closed) throw error;
        onHeldUp(error);
        const retryInMs = backoffMs(AGAIN, failures);
        log.error({ err: error, retryInMs }, 'could not store the thread');
        await this.#pause(retryInMs, error);
      }
    }
  }

  /** The changed record. If the disk has another rev than this process knew, the changes are applied to that record. */
  #next(record: ThreadRecord | null): ThreadRecord | null {
    if (record?.rev === this.#before.record?.rev) return this.#thread.record;
    return this.#changes.reduce((now, change) => change(now) ?? now, record);
  }

  #committed(record: ThreadRecord | null): void {
    this.#changes = [];
    this.#thread = { ...this.#thread, record };
    this.#parts.onStored?.(record);
  }

  /** @param before the rev of the record that the failed write was to replace */
  async #hasLanded(before: number, failure: unknown, { isRepeatable, onHeldUp }: CommitOptions): Promise<boolean> {
    const { threads, log } = this.#parts;
    for (let failures = 1; ; failures += 1) {
      try {
        const record = await threads.load(this.#thread.key);
        const landed = (record?.rev ?? 0) > before;
        if (landed) this.#committed(record);
        return landed;
      } catch (error) {
        // If the write landed all the same, the next write finds another rev and applies its changes to that record.
        if (this.#closed || isRepeatable) throw failure;
        onHeldUp(error);
        const retryInMs = backoffMs(AGAIN, failures);
        log.error({ err: error, retryInMs }, 'could not ask the disk whether the thread was stored');
        await this.#pause(retryInMs, failure);
      }
    }
  }

  /** @throws `failure` once the thread is closed */
  async #pause(ms: number, failure: unknown): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#parts.clock.after(ms, resolve);
      this.#hurry = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#hurry = null;
    if (this.#closed) throw failure;
  }

  /** Somebody waits for an answer, so a failed disk access is repeated now. */
  hurry(): void {
    this.#hurry?.();
  }

  close(): void {
    this.#closed = true;
    this.hurry();
  }
}
