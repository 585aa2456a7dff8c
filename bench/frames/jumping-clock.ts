import type { Clock, Timer } from '../../src/bridge/ports.ts';

export interface JumpingClock extends Clock {
  /** Moves the clock forward by `ms`; timers that are then due fire soon. */
  jumpBy(ms: number): void;
}

/** The real time, plus all jumps. */
export function createJumpingClock(): JumpingClock {
  let ahead = 0;
  const waiting = new Set<{ due: number; run(): void; handle: NodeJS.Timeout }>();
  const now = () => Date.now() + ahead;
  const start = (due: number, run: () => void): Timer => {
    const fire = () => {
      waiting.delete(entry);
      run();
    };
    const arm = () => setTimeout(fire, Math.max(0, due - now())).unref();
    const entry = { due, run: fire, handle: arm() };
    waiting.add(entry);
    return {
      cancel() {
        clearTimeout(entry.handle);
        waiting.delete(entry);
      },
    };
  };
  return {
    now,
    monotonic: () => performance.now() + ahead,
    after: (ms, run) => start(now() + ms, run),
    jumpBy(ms) {
      ahead += ms;
      for (const entry of waiting) {
        clearTimeout(entry.handle);
        entry.handle = setTimeout(entry.run, Math.max(0, entry.due - now())).unref();
      }
    },
  };
}
