import type { ThreadKey, UserId } from './ids.ts';
import type { ThreadRecord } from './thread-record.ts';
import { ThreadWorker, type WorkerParts } from './thread-worker.ts';

/** The workers of threads in which something happens; quiet threads have none. */
export class ThreadWorkers {
  readonly #parts: WorkerParts;
  readonly #workers = new Map<ThreadKey, ThreadWorker>();
  #closed = false;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  /** Takes up every thread that was left with something open. Its cost does not depend on how many are stored. */
  async start(): Promise<void> {
    const keys = await this.#parts.threads.active();
    for (const key of keys) this.wake(key, null);
    this.#parts.log.info({ threads: keys.length }, 'open threads taken up');
  }

  wake(key: ThreadKey, record: ThreadRecord | null): void {
    this.get(key).wake(record);
  }

  get(key: ThreadKey): ThreadWorker {
    const known = this.#workers.get(key);
    if (known) return known;
    if (this.#closed) throw new Error('the bridge is stopping');
    const worker: ThreadWorker = new ThreadWorker(key, this.#parts, () => {
      if (this.#workers.get(key) === worker) this.#workers.delete(key);
    });
    this.#workers.set(key, worker);
    return worker;
  }

  /** Live threads whose running turn belongs to `user`. */
  ofRequester(user: UserId): ThreadKey[] {
    return [...this.#workers].flatMap(([key, worker]) => (worker.requester === user ? [key] : []));
  }

  close(): void {
    this.#closed = true;
    for (const worker of this.#workers.values()) worker.close();
    this.#workers.clear();
  }
}
