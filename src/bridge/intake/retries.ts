import { asBridgeError } from '../../errors.ts';
import type { InboundMessage } from '../inbound.ts';
import type { Clock, Timer } from '../ports.ts';

/** Until Slack itself delivers for the third time, a minute later. */
const DELAYS_MS = [2_000, 4_000, 8_000, 16_000, 30_000];
/** How many messages wait at most, because each holds a text; Slack delivers the others again anyway. */
const MOST = 100;

/**
 * Retries messages that the bridge could not judge because Slack did not say who wrote them. Slack delivers them again
 * after a minute; this retries within seconds, because most failures are short. If both succeed, the second is a repeat.
 */
export class MessageRetries {
  readonly #clock: Clock;
  readonly #handleMessage: (message: InboundMessage) => Promise<unknown>;
  readonly #waiting = new Map<string, number>();
  readonly #timers = new Set<Timer>();
  #isClosed = false;

  /** @param handleMessage rejects when it fails again */
  constructor(clock: Clock, handleMessage: (message: InboundMessage) => Promise<unknown>) {
    this.#clock = clock;
    this.#handleMessage = handleMessage;
  }

  retryIfSlackFailed(message: InboundMessage, error: unknown): void {
    // Retries a refusal of Slack, too, because a single one may be Slack's mistake.
    const { code } = asBridgeError(error);
    if (code !== 'slack_failed' || this.#waiting.has(message.key) || this.#waiting.size >= MOST || this.#isClosed)
      return;
    this.#waiting.set(message.key, 0);
    this.#scheduleRetry(message);
  }

  #scheduleRetry(message: InboundMessage): void {
    const tries = this.#waiting.get(message.key) ?? 0;
    const delay = DELAYS_MS[tries];
    if (delay === undefined || this.#isClosed) {
      this.#waiting.delete(message.key);
      return;
    }
    this.#waiting.set(message.key, tries + 1);
    const timer = this.#clock.after(delay, () => {
      this.#timers.delete(timer);
      this.#handleMessage(message).then(
        () => this.#waiting.delete(message.key),
        () => this.#scheduleRetry(message),
      );
    });
    this.#timers.add(timer);
  }

  /** Retries nothing any more: the store is about to close, and Slack delivers again what it was not told "ok" for. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}
