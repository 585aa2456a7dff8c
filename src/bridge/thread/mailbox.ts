import type { Clock, Log, Timer } from '../ports.ts';

/** One event of a thread. It never waits: what it changes is stored, and what it wants of the world done, afterwards. */
export type Mail = () => void;

/** What the present mail has changed of the thread's record. */
export interface Changes {
  /** Reads the record, before the first mail. */
  load(): Promise<void>;
  readonly pending: boolean;
  /** Resolves when they are on disk; rejects when they are not, or count as not, or the thread has closed. */
  commit(options: CommitOptions): Promise<void>;
  drop(): void;
  /** Somebody waits behind a disk that fails: it is asked now. */
  hurry(): void;
}

export interface CommitOptions {
  /** Whoever waits for it tries again; else the disk is asked until it takes them, or the thread closes. */
  once: boolean;
  /** Whoever waits for it does the same again: then it counts as not done when the disk does not say. */
  isRepeatable: boolean;
  onFailed(error: unknown): void;
  /** All behind it has to wait until the disk is well. */
  onHeldUp(error: unknown): void;
}

export interface MailboxParts {
  clock: Clock;
  log: Log;
  changes: Changes;
  /** The last mail was handled; called once per burst. */
  onEmpty(): void;
  /** A mail threw: called after a second, to take up what is left undone. */
  onFailed: Mail;
}

interface Queued {
  mail: () => void | Promise<void>;
  /** Tells whoever waits for it that it is not done; left out: nobody waits, so it is done whatever the disk says. */
  refuse?: (error: unknown) => void;
  /** Whoever waits for it is told at once when the disk fails for a mail in front of it. */
  hurries?: boolean;
  /** Whoever waits for it does the same again, and doing it twice changes nothing. */
  isRepeatable?: boolean;
}

const AFTER_FAILURE_MS = 1_000;

/**
 * Handles mails one after another: the order of things in a thread comes from here, not from locks. What a mail changed of
 * the record is on disk before anything that it wants done is done, and before the next mail is looked at.
 */
export class Mailbox {
  readonly #parts: MailboxParts;
  #mails: Queued[] = [];
  /** What Slack has taken and the disk does not know yet: handled also once closed, and before anything else. */
  #posted: Queued[] = [];
  readonly #timers = new Set<Timer>();
  /** What the present mail wants done once its changes are on disk. */
  #effects: (() => void)[] = [];
  #isLoaded = false;
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

  /**
   * A mail whose result somebody outside waits for; they get it once what it changed is on disk. A disk that fails is told
   * to them, and nothing of it was done then: so its work changes nothing but the record, all else in {@link after}.
   */
  ask<T>(work: () => T | Promise<T>, { hurries = false } = {}): Promise<T> {
    if (this.#closed) return Promise.reject(closing());
    return this.#asked(this.#mails, work, { hurries });
  }

  /** As {@link ask}, for what Slack has taken already: it is stored whatever becomes of the thread. */
  posted<T>(work: () => T): Promise<T> {
    return this.#asked(this.#posted, work, { hurries: true, isRepeatable: true });
  }

  /** A mail in which all others wait for something outside. @param work resolves with the result */
  alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(closing());
    return new Promise<T>((resolve, refuse) => {
      this.#push(this.#mails, { mail: () => work().then(resolve), refuse });
    });
  }

  #asked<T>(queue: Queued[], work: () => T | Promise<T>, how: Pick<Queued, 'hurries' | 'isRepeatable'>): Promise<T> {
    return new Promise<T>((resolve, refuse) => {
      const queued: Queued = { mail: () => undefined, refuse, ...how };
      queued.mail = () => {
        const result = work();
        // First of all: what it leads to is not theirs any more.
        this.#effects.unshift(() => {
          resolve(result);
          delete queued.refuse;
        });
      };
      this.#push(queue, queued);
      if (how.hurries) this.#parts.changes.hurry();
    });
  }

  #push(queue: Queued[], queued: Queued): void {
    queue.push(queued);
    if (!this.#draining) this.#drain();
    else this.#servePosted();
  }

  /** Inside a mail that is {@link alone}: waits for something that ends only once all that Slack has taken is stored. */
  async serve<T>(work: Promise<T>): Promise<T> {
    this.#serving = true;
    this.#servePosted();
    try {
      return await work;
    } finally {
      this.#serving = false;
      await this.#served;
    }
  }

  #servePosted(): void {
    if (!this.#serving || this.#served) return;
    const next = this.#posted.shift();
    if (!next) return;
    this.#served = Promise.resolve(this.#handle(next)).then(() => {
      this.#served = null;
      this.#servePosted();
    });
  }

  /** Done once what the present mail changed is on disk; what it changes itself is stored before what comes behind it. */
  after(effect: () => void): void {
    if (this.#draining) this.#effects.push(effect);
    else effect();
  }

  /** Work of the world, begun as {@link after} says: what comes of it is a mail. */
  away<T>(begin: () => Promise<T>, done: (value: T) => void, failed: (error: unknown) => void): void {
    this.after(() => {
      startWork(begin).then(
        (value) => this.post(() => done(value)),
        (error: unknown) => this.post(() => failed(error)),
      );
    });
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

  /** Most mails change nothing that is stored (a word of the answer): they cost no promise. */
  #drain(): void {
    this.#draining = true;
    for (
      let next = this.#posted.shift() ?? this.#mails.shift();
      next;
      next = this.#posted.shift() ?? this.#mails.shift()
    ) {
      const waiting = this.#handle(next);
      if (waiting) return void waiting.then(() => this.#goOn());
      this.#handled();
    }
    this.#draining = false;
  }

  #goOn(): void {
    this.#handled();
    this.#drain();
  }

  /** Never rejects. */
  #handle(queued: Queued): Promise<void> | undefined {
    if (!this.#isLoaded) return this.#loadFor(queued).catch((error: unknown) => this.#failed(queued, error));
    try {
      const working = this.#step(queued);
      return working?.catch((error: unknown) => this.#failed(queued, error));
    } catch (error) {
      this.#failed(queued, error);
      return undefined;
    }
  }

  async #loadFor(queued: Queued): Promise<void> {
    await this.#parts.changes.load();
    this.#isLoaded = true;
    await this.#step(queued);
  }

  #step(queued: Queued): Promise<void> | undefined {
    const working = this.#run(queued);
    return working ? working.then(() => this.#finish(queued)) : this.#finish(queued);
  }

  #run({ mail, refuse }: Queued): void | Promise<void> {
    try {
      return mail();
    } catch (error) {
      if (refuse) throw error;
      // The parts of the thread have noted down already that what they wanted is under way: dropped, nobody would begin it
      // again. So what came before the error is stored and done, as it would be before a crash.
      return this.#takeUpLater(error);
    }
  }

  #finish(queued: Queued): Promise<void> | undefined {
    while (!this.#parts.changes.pending) {
      const effect = this.#effects.shift();
      if (!effect) return undefined;
      try {
        effect();
      } catch (error) {
        // What is wanted done was decided by what is stored now: the rest of it is done all the same.
        this.#takeUpLater(error);
      }
    }
    return this.#commit(queued);
  }

  async #commit(queued: Queued): Promise<void> {
    const once = queued.refuse !== undefined;
    await this.#parts.changes.commit({
      once,
      // What comes after it was answered is not repeated by anybody.
      isRepeatable: once && (queued.isRepeatable ?? false),
      onFailed: (error) => queued.refuse?.(error),
      onHeldUp: (error) => this.#refuseHurried(error),
    });
    return this.#finish(queued);
  }

  /** Those who can try again do not wait for a disk that fails. */
  #refuseHurried(error: unknown): void {
    for (const queue of [this.#posted, this.#mails]) {
      for (const { hurries, refuse } of queue) if (hurries) refuse?.(error);
    }
    this.#posted = [];
    this.#mails = this.#mails.filter(({ hurries }) => !hurries);
  }

  #failed({ refuse }: Queued, error: unknown): void {
    this.#parts.changes.drop();
    this.#effects = [];
    if (refuse) {
      refuse(error);
      return;
    }
    if (!this.#closed) this.#takeUpLater(error);
  }

  #takeUpLater(error: unknown): void {
    this.#parts.log.error({ err: error }, 'a step of the thread failed');
    this.later(AFTER_FAILURE_MS, this.#parts.onFailed);
  }

  #handled(): void {
    if (!this.empty || this.#closed) return;
    try {
      this.#parts.onEmpty();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'could not show a thread');
    }
  }
}

/** An error at once is one of the work, too: whoever noted that it is under way hears that it failed. */
function startWork<T>(begin: () => Promise<T>): Promise<T> {
  try {
    return begin();
  } catch (error) {
    return Promise.reject(error);
  }
}

function closing(): Error {
  return new Error('the thread is closing');
}
