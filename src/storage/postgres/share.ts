import { BridgeError } from '../../errors.ts';

/** Calls of one workspace that wait for their turn; more are refused at once. */
const MOST_WAITING = 2_000;

/**
 * How much of the pool one workspace uses at most. What is beyond waits in a queue of the workspace's own and not in the
 * pool's, so that a busy workspace does not keep others from the database.
 */
export class Share {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #used = 0;

  /** @param connections of the pool; some are always left to others */
  constructor(connections: number) {
    this.#most = Math.max(1, connections - Math.max(1, Math.floor(connections / 4)));
  }

  /** @throws BridgeError store_failed when too many wait */
  async use<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#used -= 1;
    }
  }

  async #enter(): Promise<void> {
    if (this.#used < this.#most) {
      this.#used += 1;
      return;
    }
    if (this.#waiting.length >= MOST_WAITING) {
      throw new BridgeError('store_failed', 'too many calls of this workspace wait for the database', { retry: true });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    await promise;
  }
}
