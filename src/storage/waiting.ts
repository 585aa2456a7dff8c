import { Chains } from '../bridge/chains.ts';
import type { ThreadKey, UserId } from '../bridge/ids.ts';
import { WAITING_KEPT } from '../bridge/record/waiting.ts';
import { readWaiting, toRow } from './records.ts';
import type { Rows } from './rows.ts';

/**
 * For each person the threads where something may wait for them, the newest last. A thread is added before its record
 * says so and removed after it no longer does, so a crash leaves too many, never too few; the record decides.
 */
export class WaitingIndex {
  readonly #rows: Rows;
  readonly #chains = new Chains<UserId>();

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** The newest first. */
  async list(user: UserId): Promise<ThreadKey[]> {
    return (await this.#read(user)).toReversed();
  }

  add(user: UserId, thread: ThreadKey): Promise<void> {
    return this.#chains.run(user, async () => {
      const before = await this.#read(user);
      if (before.at(-1) === thread) return;
      const threads = [...before.filter((each) => each !== thread), thread].slice(-WAITING_KEPT);
      await this.#rows.set(user, toRow({ threads }));
    });
  }

  remove(user: UserId, thread: ThreadKey): Promise<void> {
    return this.#chains.run(user, async () => {
      const before = await this.#read(user);
      if (!before.includes(thread)) return;
      const threads = before.filter((each) => each !== thread);
      if (threads.length === 0) await this.#rows.delete(user);
      else await this.#rows.set(user, toRow({ threads }));
    });
  }

  async #read(user: UserId): Promise<ThreadKey[]> {
    const found = await this.#rows.get(user);
    return found === undefined ? [] : readWaiting(`waiting/${user}`, found);
  }
}
