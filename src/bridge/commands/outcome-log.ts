import { BoundedMap } from '../../bounded-map.ts';
import type { MessageKey, UserId } from '../ids.ts';

/** What became of a message when it arrived. */
export interface NotedOutcome {
  key: MessageKey;
  /** `null` when the bridge did not read it as a message of a person. */
  user: UserId | null;
  /** ms since 1970 */
  at: number;
  /** `accepted`, `context`, `ignored`, … */
  outcome: string;
  /** Why, where the outcome alone does not say. */
  reason: string | null;
}

/** How many outcomes are kept; the oldest are dropped first. They hold no texts. */
const KEPT = 5_000;

/** The latest outcomes of messages, so that `!why` can tell why one was or was not answered. Not stored. */
export class OutcomeLog {
  readonly #outcomes = new BoundedMap<MessageKey, NotedOutcome>(KEPT);
  /** ms since 1970: the log knows nothing from before. */
  readonly since: number;

  constructor(now: number) {
    this.since = now;
  }

  /** Keeps the first outcome of a message; a later one replaces it unless it is a repeat or ignored, as twins are. */
  noteOutcome(decision: NotedOutcome): void {
    const known = this.#outcomes.get(decision.key);
    if (known && (decision.outcome === 'repeated' || decision.outcome === 'ignored')) return;
    this.#outcomes.set(decision.key, decision);
  }

  findOutcome(key: MessageKey): NotedOutcome | null {
    return this.#outcomes.get(key) ?? null;
  }
}
