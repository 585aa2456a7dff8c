import type { ThreadKey } from './ids.ts';

const OPENLY_EVERY_MS = 60_000;
const THREADS_KEPT = 1_000;

/**
 * Whether a refusal is said openly in the thread: a private notice may never arrive (PLATFORM.md 6), so one in a minute
 * is; the others would only be noise where too much comes already.
 */
export class OpenRefusals {
  readonly #saidAt = new Map<ThreadKey, number>();

  isDue(key: ThreadKey, now: number): boolean {
    const last = this.#saidAt.get(key);
    if (last !== undefined && now - last < OPENLY_EVERY_MS) return false;
    this.#saidAt.delete(key);
    this.#saidAt.set(key, now);
    for (const oldest of this.#saidAt.keys()) {
      if (this.#saidAt.size <= THREADS_KEPT) break;
      this.#saidAt.delete(oldest);
    }
    return true;
  }
}
