import { BoundedMap } from '../../bounded-map.ts';

const OPENLY_EVERY_MS = 60_000;
const KEPT = 1_000;

/**
 * Allows at most one public notice per key and period; the caller whispers the others. One is public because a private
 * notice may never arrive (docs/slack.md, Interactivity); more would add noise where too much is written already.
 */
export class NoticeThrottle {
  readonly #everyMs: number;
  readonly #postedAt = new BoundedMap<string, number>(KEPT);

  /** @param everyMs how often one notice per key may be posted */
  constructor(everyMs = OPENLY_EVERY_MS) {
    this.#everyMs = everyMs;
  }

  /** Whether a notice may be posted for this key now; a yes counts as posted. @param now by the monotonic clock */
  mayPost(key: string, now: number): boolean {
    const last = this.#postedAt.get(key);
    if (last !== undefined && now - last < this.#everyMs) return false;
    this.#postedAt.set(key, now);
    return true;
  }
}
