import type { Clock, Log, Timer } from '../../src/bridge/ports.ts';

/** A clock that jumps from timer to timer, so that a minute takes as long as what is done in it. */
export interface VirtualClock extends Clock {
  /** Resolves at that time. */
  sleepUntil(at: number): Promise<void>;
  /** Fires all timers in order until none is left before `end`. */
  run(end: number): Promise<void>;
}

const WALL = Date.UTC(2026, 0, 5, 9, 0, 0);

export function createVirtualClock(): VirtualClock {
  let now = 0;
  let serial = 0;
  /** In no order: there are only a few at a time. */
  const timers = new Set<{ at: number; serial: number; run(): void }>();

  function after(ms: number, run: () => void): Timer {
    serial += 1;
    const timer = { at: now + Math.max(0, ms), serial, run };
    timers.add(timer);
    return { cancel: () => void timers.delete(timer) };
  }

  function nextTimer() {
    let first: { at: number; serial: number; run(): void } | null = null;
    for (const timer of timers) {
      if (first === null || timer.at < first.at || (timer.at === first.at && timer.serial < first.serial))
        first = timer;
    }
    return first;
  }

  return {
    now: () => WALL + now,
    monotonic: () => now,
    after,
    sleepUntil: (at) => new Promise((resolve) => void after(at - now, resolve)),
    async run(end) {
      await settle();
      for (let timer = nextTimer(); timer !== null && timer.at <= end; timer = nextTimer()) {
        timers.delete(timer);
        now = Math.max(now, timer.at);
        timer.run();
        await settle();
      }
      now = end;
    },
  };
}

/** Lets all promises continue that wait for no timer. */
const settle = () => new Promise<void>((resolve) => void setImmediate(resolve));

export const SILENT: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => SILENT,
};
