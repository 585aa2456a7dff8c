import type { ScopedClock, VirtualClock } from './clock.ts';

/** One process of the bridge: from its start until it is cut off from the world. */
export class Life {
  readonly number: number;
  readonly clock: ScopedClock;
  readonly #cuts = new Set<() => void>();
  #over = false;

  constructor(number: number, clock: VirtualClock) {
    this.number = number;
    this.clock = clock.scopedClock();
  }

  /** The process was cut off: nothing reaches it, and it reaches nothing. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Registers what happens to something under way when the process ends. */
  onCut(run: () => void): void {
    this.#cuts.add(run);
  }

  offCut(run: () => void): void {
    this.#cuts.delete(run);
  }

  cutOff(): void {
    if (this.#over) return;
    this.#over = true;
    this.clock.cutOff();
    for (const run of [...this.#cuts]) run();
    this.#cuts.clear();
  }
}
