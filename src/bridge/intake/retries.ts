import { asBridgeError } from '../../errors.ts';
import type { InboundMessage } from '../inbound.ts';
import type { Clock } from '../ports.ts';

/** As long as Slack waits before it delivers for the third time; from then on its own deliveries do. */
const DELAYS_MS = [2_000, 4_000, 8_000, 16_000, 30_000];
/** Each holds a text. What is too much comes again by itself. */
const MOST = 100;

/**
 * Messages that could not be judged because Slack did not say who wrote them. Slack delivers them again after a minute:
 * in a short blip that is long, so they are tried again sooner. A message that was taken by then is a repeat.
 */
export class MessageRetries {
  readonly #clock: Clock;
  readonly #handleMessage: (message: InboundMessage) => Promise<unknown>;
  readonly #waiting = new Map<string, number>();

  /** @param handleMessage rejects when it fails again */
  constructor(clock: Clock, handleMessage: (message: InboundMessage) => Promise<unknown>) {
    this.#clock = clock;
    this.#handleMessage = handleMessage;
  }

  retryIfSlackFailed(message: InboundMessage, error: unknown): void {
    // Also where Slack refused the question: one refusal may be a mistake of its own.
    const { code } = asBridgeError(error);
    if (code !== 'slack_failed' || this.#waiting.has(message.key) || this.#waiting.size >= MOST) return;
    this.#waiting.set(message.key, 0);
    this.#scheduleRetry(message);
  }

  #scheduleRetry(message: InboundMessage): void {
    const tries = this.#waiting.get(message.key) ?? 0;
    const delay = DELAYS_MS[tries];
    if (delay === undefined) {
      this.#waiting.delete(message.key);
      return;
    }
    this.#waiting.set(message.key, tries + 1);
    this.#clock.after(delay, () => {
      this.#handleMessage(message).then(
        () => this.#waiting.delete(message.key),
        () => this.#scheduleRetry(message),
      );
    });
  }
}
