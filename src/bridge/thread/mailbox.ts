import type { Clock, Log, Timer } from '../ports.ts';

/** One thing that happens to a thread. It may wait for the disk, never for Slack or Letta. */
export type Mail = () => void | Promise<void>;

export interface MailboxParts {
  clock: Clock;
  log: Log;
  /** The last mail was handled; called once per burst. */
  onEmpty(): void;
  /** A mail threw: called after a second, to take up what is left undone. */
  onFailed: Mail;
  /** Somebody waits behind the present mail who should rather hear soon that the disk fails. */
  onHurry(): void;
}

interface Queued {
  mail: Mail;
  /** Tells whoever waits for it that it will not be handled. */
  refuse?: (error: unknown) => void;
  /** Whoever waits for it can try again, and is told at once when the disk fails. */
  hurries?: boolean;
}

const AFTER_FAILURE_MS = 1_000;

/** Handles mails one after another: the order of things in a thread comes from here, not from locks. */
export class Mailbox {
  readonly #parts: MailboxParts;
  #mails: Queued[] = [];
  /** What Slack has taken and the disk does not know yet: handled also once closed, and before anything else. */
  #posted: Queued[] = [];
  readonly #timers = new Set<Timer>();
  #draining = false;
  /** The present mail waits until what Slack has taken is stored. */
  #serving = false;
  #served: Promise<void> | null = null;
  #closed = false;

  constructor(parts: MailboxParts) {
    this.#parts = parts;
  }

  get closed(): boolean {
    return this.#closed;
  }

  get empty(): boolean {
    return this.#mails.length + this.#posted.length === 0;
  }

  post(mail: Mail): void {
    if (!this.#closed) this.#push(this.#mails, { mail });
  }

  /** A mail whose result somebody outside waits for. */
  ask<T>(work: () => Promise<T>, { hurries = false } = {}): Promise<T> {
    if (this.#closed) return Promise.reject(closing());
    return this.#asked(this.#mails, work, hurries);
  }

  /** As {@link ask}, for what Slack has taken already: it is stored whatever becomes of the thread. */
  posted<T>(work: () => Promise<T>): Promise<T> {
    return this.#asked(this.#posted, work, true);
  }

  #asked<T>(queue: Queued[], work: () => Promise<T>, hurries: boolean): Promise<T> {
    return new Promise<T>((resolve, refuse) => {
      this.#push(queue, { mail: () => work().then(resolve, refuse), refuse, hurries });
      if (hurries) this.#parts.onHurry();
    });
  }

  #push(queue: Queued[], queued: Queued): void {
    queue.push(queued);
    if (!this.#draining) this.#drain();
    else if (this.#serving && !this.#served) this.#served = this.#servePosted();
  }

  /** Inside a mail: waits for something that ends only once all that Slack has taken is stored. */
  async serve<T>(work: Promise<T>): Promise<T> {
    this.#serving = true;
    this.#served ??= this.#servePosted();
    try {
      return await work;
    } finally {
      this.#serving = false;
      await this.#served;
    }
  }

  async #servePosted(): Promise<void> {
    while (this.#serving) {
      const next = this.#posted.shift();
      if (!next) break;
      await next.mail();
    }
    this.#served = null;
  }

  /** The disk fails: those who can try again do not wait for it. */
  refuseHurried(error: unknown): void {
    for (const queue of [this.#posted, this.#mails]) {
      for (const { hurries, refuse } of queue) if (hurries) refuse?.(error);
    }
    this.#posted = [];
    this.#mails = this.#mails.filter(({ hurries }) => !hurries);
  }

  /** Work of the world, already under way: what comes of it is a mail. */
  away<T>(work: Promise<T>, done: (value: T) => ReturnType<Mail>, failed: (error: unknown) => ReturnType<Mail>): void {
    work.then(
      (value) => this.post(() => done(value)),
      (error: unknown) => this.post(() => failed(error)),
    );
  }

  later(ms: number, mail: Mail): Timer {
    if (this.#closed) return { cancel: () => undefined };
    const timer = this.#parts.clock.after(ms, () => {
      this.#timers.delete(timer);
      this.post(mail);
    });
    this.#timers.add(timer);
    return {
      cancel: () => {
        this.#timers.delete(timer);
        timer.cancel();
      },
    };
  }

  /** Mails that wait are forgotten, those of later too, and whoever asked is told. Closing twice is fine. */
  close(): void {
    this.#closed = true;
    for (const { refuse } of this.#mails.splice(0)) refuse?.(closing());
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** Most mails wait for nothing (a word of the answer): they cost no promise. */
  #drain(): void {
    this.#draining = true;
    for (let next = this.#next(); next; next = this.#next()) {
      try {
        const waiting = next.mail();
        if (waiting) return void this.#goOn(waiting);
      } catch (error) {
        this.#failed(error);
      }
      this.#handled();
    }
    this.#draining = false;
  }

  #next(): Queued | undefined {
    return this.#posted.shift() ?? this.#mails.shift();
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
    if (this.empty && !this.#closed) this.#rest();
  }

  #rest(): void {
    try {
      this.#parts.onEmpty();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'could not show a thread');
    }
  }
}

function closing(): Error {
  return new Error('the thread is closing');
}
