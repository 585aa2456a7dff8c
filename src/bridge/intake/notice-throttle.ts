import { BoundedMap } from '../../bounded-map.ts';

const OPENLY_EVERY_MS = 60_000;
const KEPT = 1_000;

/**
 * Whether a refusal is said openly in the thread: a private notice may never arrive (docs/slack.md, Interactivity), so
 * one in a minute is; the others would only be noise where too much comes already.
 */
export class NoticeThrottle {
  readonly #everyMs: number;
  readonly #postedAt = new BoundedMap<string, number>(KEPT);

  /** @param everyMs how often one is due for each key */
  constructor(everyMs = OPENLY_EVERY_MS) {
    this.#everyMs = everyMs;
  }

  /** @param now by the monotonic clock */
  mayPost(key: string, now: number): boolean {
    const last = this.#postedAt.get(key);
    if (last !== undefined && now - last < this.#everyMs) return false;
    this.#postedAt.set(key, now);
    return true;
  }
}
