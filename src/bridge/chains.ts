/** Runs jobs of one key one after another, in the order in which they came; jobs of different keys run side by side. */
export class Chains<Key> {
  // The last job of each key; never rejects. A key is removed when its last job ends.
  readonly #tails = new Map<Key, Promise<void>>();

  /** How many keys have jobs that wait or run. */
  get size(): number {
    return this.#tails.size;
  }

  /** Resolves or rejects as the job does; the jobs behind one that throws run all the same. */
  run<T>(key: Key, job: () => Promise<T>): Promise<T> {
    const result = (this.#tails.get(key) ?? Promise.resolve()).then(job);
    const done = () => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    };
    const tail: Promise<void> = result.then(done, done);
    this.#tails.set(key, tail);
    return result;
  }

  /** Resolves when no job waits or runs any more. */
  async whenIdle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
