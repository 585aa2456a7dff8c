import type { Random } from '../../src/bridge/ports.ts';

/** Random numbers from a seed, the same every time. Each part of the world has its own stream. */
export class Chance implements Random {
  readonly #seed: number;
  #state: number;
  #ids = 0;

  constructor(seed: number) {
    this.#seed = seed >>> 0;
    this.#state = this.#seed;
  }

  /** A new stream that does not depend on how many numbers were drawn from this one. */
  forkStream(name: string): Chance {
    let hash = 0x811c9dc5 ^ this.#seed;
    for (const char of name) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    const fork = new Chance(hash);
    fork.next();
    return fork;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  id(): string {
    this.#ids += 1;
    const part = () => Math.floor(this.next() * 2 ** 32).toString(16);
    return `${part()}${part()}${part()}${part()}`.padEnd(32, '0').slice(0, 32) + this.#ids.toString(16);
  }

  /** 0 ≤ n < `end`, whole. */
  intBelow(end: number): number {
    return Math.floor(this.next() * end);
  }

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  happens(probability: number): boolean {
    return this.next() < probability;
  }

  pickOne<T>(from: readonly T[]): T {
    const picked = from[this.intBelow(from.length)];
    if (picked === undefined) throw new Error('nothing to pick from');
    return picked;
  }
}
