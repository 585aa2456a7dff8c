import type { Clock, Timer } from '../../../src/bridge/ports.ts';
import { systemClock } from '../../../src/clock.ts';

export interface FreezableClock extends Clock {
  /** As SIGSTOP does, or a long pause of the machine: no timer runs. @param stopsTime also both clocks stand still */
  freeze(options?: { stopsTime?: boolean }): void;
  /** Timers that came due meanwhile run now. */
  thaw(): void;
  /** Sets the monotonic clock forward; timers do not notice. */
  skip(ms: number): void;
  /** Sets the wall clock; timers do not notice. */
  stepWallClock(ms: number): void;
}

/**
 * The real time of one process, which a test can freeze.
 * @param haste how much sooner timers run than they should, for tests that would have to wait for a timeout
 */
export function createFreezableClock({ haste = 1 } = {}): FreezableClock {
  let frozenAt: number | null = null;
  let monotonicAhead = 0;
  let wallAhead = 0;
  let isFrozen = false;
  const held = new Set<() => void>();
  const stoodStillFor = () => (frozenAt === null ? 0 : systemClock.monotonic() - frozenAt);
  return {
    now: () => Math.round(systemClock.now() + wallAhead - stoodStillFor()),
    monotonic: () => systemClock.monotonic() + monotonicAhead - stoodStillFor(),
    after(ms, run): Timer {
      const fire = () => {
        if (isFrozen) held.add(run);
        else run();
      };
      const timer = systemClock.after(ms / haste, fire);
      return {
        cancel() {
          timer.cancel();
          held.delete(run);
        },
      };
    },
    freeze({ stopsTime = false } = {}) {
      isFrozen = true;
      if (stopsTime) frozenAt = systemClock.monotonic();
    },
    thaw() {
      isFrozen = false;
      monotonicAhead -= stoodStillFor();
      wallAhead -= stoodStillFor();
      frozenAt = null;
      for (const run of [...held]) {
        held.delete(run);
        run();
      }
    },
    skip(ms) {
      monotonicAhead += ms;
    },
    stepWallClock(ms) {
      wallAhead += ms;
    },
  };
}
