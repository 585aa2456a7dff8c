import type { ScopedClock, VirtualClock } from './clock.ts';

/** One process of the bridge: from its start until it is cut off from the world. */
export class Life {
  readonly number: number;
  /** How much its clock may be too fast or too slow, as a part of the time. */
  readonly drift: number;
  readonly clock: ScopedClock;
  readonly #cuts = new Set<() => void>();
  readonly #world: VirtualClock;
  #held: (() => void)[] = [];
  #isFrozen = false;
  #over = false;

  /** @param options.ownClock the process's, made of one that ends with it; left out: it goes like the world's */
  constructor(
    number: number,
    clock: VirtualClock,
    { drift = 0, ownClock }: { drift?: number; ownClock?: (life: Life, scoped: ScopedClock) => ScopedClock } = {},
  ) {
    this.number = number;
    this.drift = drift;
    this.#world = clock;
    const scoped = clock.scopedClock();
    this.clock = ownClock?.(this, scoped) ?? scoped;
  }

  /** The process was cut off: nothing reaches it, and it reaches nothing. */
  get isOver(): boolean {
    return this.#over;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** Something reaches the process; while it is frozen it waits, and after its end it is lost. */
  enter(run: () => void): void {
    if (this.#over) return;
    if (this.#isFrozen) this.#held.push(run);
    else run();
  }

  /** As SIGSTOP does: it does nothing, and time goes on. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** What has reached it meanwhile is handled now, one after another. */
  thaw(): void {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.#world.after(1, () => this.enter(run));
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
    this.#held = [];
    this.clock.cutOff();
    for (const run of [...this.#cuts]) run();
    this.#cuts.clear();
  }
}
