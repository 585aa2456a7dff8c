import type { Clock, Log, Timer } from '../ports.ts';

/** One event of a thread. It never waits: afterwards its changes are stored, and then its effects begin. */
export type Mail = () => void;

/** The changes that the present mail made to the thread's record. */
export interface Changes {
  /** Reads the record, before the first mail. */
  load(): Promise<void>;
  readonly pending: boolean;
  /** Resolves when they are on disk; rejects when they are not, when that is unknown, or when the thread has closed. */
  commit(options: CommitOptions): Promise<void>;
  drop(): void;
  /** Somebody waits for an answer, so a failed disk access is repeated now. */
  hurry(): void;
}

export interface CommitOptions {
  /** The write is tried once, because whoever asked can ask again; else until it succeeds or the thread closes. */
  once: boolean;
  /** Whoever asked will ask the same again, so the write counts as failed when the disk cannot be read. */
  isRepeatable: boolean;
  onFailed(error: unknown): void;
  /** Called before each pause: the mails behind this one have to wait for the disk. */
  onHeldUp(error: unknown): void;
}

export interface MailboxParts {
  clock: Clock;
  log: Log;
  changes: Changes;
  /** Called when the queue is empty, so once per burst of mails. */
  onEmpty(): void;
  /** Called a second after a mail threw, to do what it left undone. */
  onFailed: Mail;
}

interface Queued {
  mail: () => void | Promise<void>;
  /** Tells whoever waits for this mail that it failed; left out: nobody waits, so writes are repeated. */
  refuse?: (error: unknown) => void;
  /** Whether this mail is refused at once when the disk fails for a mail in front of it. */
  hurries?: boolean;
  /** Whether whoever waits will ask the same again, and doing it twice changes nothing. */
  isRepeatable?: boolean;
}

const AFTER_FAILURE_MS = 1_000;

/**
 * Handles a thread's mails one after another, so that no part of the thread needs a lock. A mail's changes of the
 * record are on disk before its effects begin and before the next mail is handled.
 */
export class Mailbox {
  readonly #parts: MailboxParts;
  #mails: Queued[] = [];
  /** Posts that Slack has and the disk does not: stored before any other mail is handled, even after {@link close}. */
  #posted: Queued[] = [];
  readonly #timers = new Set<Timer>();
  /** Effects of the present mail, which begin once its changes are on disk. */
  #effects: (() => void)[] = [];
  #isLoaded = false;
  #draining = false;
  /** Whether the present mail waits for something that needs mails of {@link posted} to be handled meanwhile. */
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
   * A mail whose result somebody outside waits for; the promise resolves once its changes are on disk. When the disk
   * fails, they are dropped and it rejects, so `work` only takes a step and does all else in {@link after}.
   */
  ask<T>(work: () => T | Promise<T>, { hurries = false } = {}): Promise<T> {
    if (this.#closed) return Promise.reject(closing());
    return this.#asked(this.#mails, work, { hurries });
  }

  /** As {@link ask}, for posts that Slack has already: they are stored even when the thread has closed. */
  posted<T>(work: () => T): Promise<T> {
    return this.#asked(this.#posted, work, { hurries: true, isRepeatable: true });
  }

  /** A mail during which all other mails wait until `work` resolves. */
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
        // Put first, because an error in a later effect must not refuse what is stored already.
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

  /** Inside a mail that is {@link alone}: waits for `work`, during which mails of {@link posted} are handled. */
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

  /** Runs `effect` once the present mail's changes are on disk; what it changes is stored before the next effect. */
  after(effect: () => void): void {
    if (this.#draining) this.#effects.push(effect);
    else effect();
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

  /** Drops waiting mails and those of {@link later}; whoever asked is refused. Closing twice is fine. */
  close(): void {
    this.#closed = true;
    for (const { refuse } of this.#mails.splice(0)) refuse?.(closing());
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** Handles mails without a promise where it can, because most of them (a word of the answer) store nothing. */
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
      // Parts of the thread have noted that their effects are under way, so nothing would begin dropped effects again.
      // What came before the error is therefore stored and done, as it would be before a crash.
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
        // The changes that decided these effects are stored, so the remaining effects run all the same.
        this.#takeUpLater(error);
      }
    }
    return this.#commit(queued);
  }

  async #commit(queued: Queued): Promise<void> {
    const once = queued.refuse !== undefined;
    await this.#parts.changes.commit({
      once,
      // Once it was answered nobody repeats it, so a change of an effect must be stored.
      isRepeatable: once && (queued.isRepeatable ?? false),
      onFailed: (error) => queued.refuse?.(error),
      onHeldUp: (error) => this.#refuseHurried(error),
    });
    return this.#finish(queued);
  }

  /** Refuses the mails whose authors can try again, so that they do not wait for a failing disk. */
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

function closing(): Error {
  return new Error('the thread is closing');
}
