import { BoundedMap } from '../../bounded-map.ts';

const OPENLY_EVERY_MS = 60_000;
const KEPT = 1_000;

/**
 * Whether a refusal is said openly in the thread: a private notice may never arrive (docs/slack.md, Interactivity), so
 * one in a minute is; the others would only be noise where too much comes already.
 */
export class OpenRefusals {
  readonly #everyMs: number;
  readonly #saidAt = new BoundedMap<string, number>(KEPT);

  /** @param everyMs how often one is due for each key */
  constructor(everyMs = OPENLY_EVERY_MS) {
    this.#everyMs = everyMs;
  }

  /** @param now by the monotonic clock */
  isDue(key: string, now: number): boolean {
    const last = this.#saidAt.get(key);
    if (last !== undefined && now - last < this.#everyMs) return false;
    this.#saidAt.set(key, now);
    return true;
  }
}
