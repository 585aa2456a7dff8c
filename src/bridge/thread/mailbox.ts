import type { Clock, Log } from '../ports.ts';

/** One thing that happens to a thread. It may wait for the disk, never for Slack or Letta. */
export type Mail = () => void | Promise<void>;

export interface MailboxParts {
  clock: Clock;
  log: Log;
  /** The last mail was handled; called once per burst. */
  onEmpty(): void;
  /** A mail threw: called after a second, to take up what is left undone. */
  onFailed: Mail;
}

const AFTER_FAILURE_MS = 1_000;

/** Handles mails one after another: the order of things in a thread comes from here, not from locks. */
export class Mailbox {
  readonly #parts: MailboxParts;
  readonly #mails: Mail[] = [];
  /** Those who wait for a mail that is still in the queue. */
  readonly #waiting = new Set<(error: Error) => void>();
  #draining = false;
  #closed = false;

  constructor(parts: MailboxParts) {
    this.#parts = parts;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get empty(): boolean {
    return this.#mails.length === 0;
  }

  post(mail: Mail): void {
    if (this.#closed) return;
    this.#mails.push(mail);
    if (!this.#draining) this.#drain();
  }

  /** A mail whose result somebody outside waits for. */
  ask<T>(work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#closed) return reject(closing());
      this.#waiting.add(reject);
      this.post(() => {
        this.#waiting.delete(reject);
        return work().then(resolve, reject);
      });
    });
  }

  /** Work of the world, already under way: what comes of it is a mail. */
  away<T>(work: Promise<T>, done: (value: T) => ReturnType<Mail>, failed: (error: unknown) => ReturnType<Mail>): void {
    work.then(
      (value) => this.post(() => done(value)),
      (error: unknown) => this.post(() => failed(error)),
    );
  }

  later(ms: number, mail: Mail): { cancel(): void } {
    return this.#parts.clock.after(ms, () => this.post(mail));
  }

  /** Mails that wait are forgotten, and whoever asked is told. Closing twice is fine. */
  close(): void {
    this.#closed = true;
    this.#mails.length = 0;
    for (const reject of this.#waiting) reject(closing());
    this.#waiting.clear();
  }

  /** Most mails wait for nothing (a word of the answer): they cost no promise. */
  #drain(): void {
    this.#draining = true;
    for (let mail = this.#mails.shift(); mail; mail = this.#mails.shift()) {
      try {
        const waiting = mail();
        if (waiting) return void this.#goOn(waiting);
      } catch (error) {
        this.#failed(error);
      }
      this.#handled();
    }
    this.#draining = false;
  }

  async #goOn(waiting: Promise<void>): Promise<void> {
    try {
      await waiting;
    } catch (error) {
      this.#failed(error);
    }
    this.#handled();
    this.#drain();
  }

  #failed(error: unknown): void {
    this.#parts.log.error({ err: error }, 'a step of the thread failed');
    this.later(AFTER_FAILURE_MS, this.#parts.onFailed);
  }

  #handled(): void {
    if (this.#mails.length === 0 && !this.#closed) this.#rest();
  }

  #rest(): void {
    try {
      this.#parts.onEmpty();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'a thread could not be shown');
    }
  }
}

function closing(): Error {
  return new Error('the thread is closing');
}
