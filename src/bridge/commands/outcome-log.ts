import { BoundedMap } from '../../bounded-map.ts';
import type { MessageKey, UserId } from '../ids.ts';

/** What became of a message when it came in. */
export interface NotedOutcome {
  key: MessageKey;
  /** `null` for what was not even read as a message of somebody. */
  user: UserId | null;
  /** ms since 1970 */
  at: number;
  /** `accepted`, `context`, `ignored`, … */
  outcome: string;
  /** Why, where the outcome alone does not say. */
  reason: string | null;
}

/** Later ones push out the oldest. No text of anybody is kept. */
const KEPT = 5_000;

/** The last decisions about messages, so that people can be told why one was or was not answered. Ends with the process. */
export class OutcomeLog {
  readonly #outcomes = new BoundedMap<MessageKey, NotedOutcome>(KEPT);
  /** ms since 1970: before it nothing is known. */
  readonly since: number;

  constructor(now: number) {
    this.since = now;
  }

  /** The first word about a message counts, unless a later one did something with it: twins and repeats say little. */
  noteOutcome(decision: NotedOutcome): void {
    const known = this.#outcomes.get(decision.key);
    if (known && (decision.outcome === 'repeated' || decision.outcome === 'ignored')) return;
    this.#outcomes.set(decision.key, decision);
  }

  findOutcome(key: MessageKey): NotedOutcome | null {
    return this.#outcomes.get(key) ?? null;
  }
}
