/** Runs jobs of one key one after another, in the order they came; different keys do not wait for each other. */
export class Chains<Key> {
  // The last job of each key that has any; never rejects. A key is forgotten when its last job ends.
  readonly #tails = new Map<Key, Promise<void>>();

  /** How many keys have work under way. */
  get size(): number {
    return this.#tails.size;
  }

  /** The job's own result; a job that throws does not hurt those behind it. */
  run<T>(key: Key, job: () => Promise<T>): Promise<T> {
    const result = (this.#tails.get(key) ?? Promise.resolve()).then(job);
    const done = () => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    };
    const tail: Promise<void> = result.then(done, done);
    this.#tails.set(key, tail);
    return result;
  }

  /** Resolves when nothing is under way any more. */
  async whenIdle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
