import type { UserId } from '../ids.ts';
import type { ThreadAddress } from '../inbound.ts';
import type { Log, Surface, WhisperButtons } from '../ports.ts';

export interface NoticeParts {
  surface: Surface;
  log: Log;
}

/** Words of the bridge's own, of which nothing depends on whether they arrive. */
export class Notices {
  readonly #parts: NoticeParts;

  constructor(parts: NoticeParts) {
    this.#parts = parts;
  }

  /**
   * Slack waits for our ack at most 3 s: what is only courtesy is not waited for.
   * @param buttons below the text
   */
  whisper(address: ThreadAddress, user: UserId, text: string, buttons?: WhisperButtons): void {
    this.#parts.surface.whisper(address, user, text, buttons).catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, 'could not show a private notice');
    });
  }

  say(address: ThreadAddress, text: string): void {
    this.#parts.surface.say(address, text).then(
      (delivery) => {
        if (!delivery.delivered) this.#parts.log.warn({ reason: delivery.reason }, 'could not post a notice');
      },
      (error: unknown) => this.#parts.log.warn({ err: error }, 'could not post a notice'),
    );
  }
}
