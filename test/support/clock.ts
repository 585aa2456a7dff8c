import type { Clock, Timer } from '../../src/bridge/ports.ts';

export interface FakeClock extends Clock {
  /** Moves time forward by `ms`: fires the timers that are due, in order, and those that they set. */
  advance(ms: number): Promise<void>;
  /** Lets settled promises continue; no time passes. */
  settle(): Promise<void>;
  /** Sets the wall clock forward or back by `ms`; timers do not notice. */
  stepWallClock(ms: number): void;
  /** How many timers wait. */
  readonly waiting: number;
}

/** A clock that only a test moves. Starts at a fixed moment, so that nothing depends on the day. */
export function createFakeClock(start = Date.UTC(2026, 0, 5, 9, 0, 0)): FakeClock {
  // As in a process that has just begun, so that code which mixes it with the wall clock fails.
  let now = 1_000;
  let wall = start - now;
  let order = 0;
  const timers = new Set<{ at: number; order: number; run: () => void }>();
  const settle = async () => {
    for (let round = 0; round < 3; round += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  const next = (until: number) => {
    let first: { at: number; order: number; run: () => void } | undefined;
    for (const timer of timers) {
      if (timer.at > until) continue;
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer;
    }
    return first;
  };
  return {
    now: () => wall + now,
    monotonic: () => now,
    stepWallClock(ms) {
      wall += ms;
    },
    after(ms, run): Timer {
      const timer = { at: now + Math.max(0, ms), order: order++, run };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    async advance(ms) {
      const until = now + ms;
      await settle();
      for (let timer = next(until); timer; timer = next(until)) {
        timers.delete(timer);
        now = Math.max(now, timer.at);
        timer.run();
        await settle();
      }
      now = until;
      await settle();
    },
    settle,
    get waiting() {
      return timers.size;
    },
  };
}
