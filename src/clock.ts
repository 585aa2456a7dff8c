import { randomBytes } from 'node:crypto';
import type { Clock, Random } from './bridge/ports.ts';

/** Node fires a longer timer at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** The real time. Its timers never keep the process alive; {@link stayAlive} does. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const until = performance.now() + ms;
    const step = (left: number): NodeJS.Timeout =>
      setTimeout(
        left > LONGEST_MS
          ? () => {
              timer = step(until - performance.now());
            }
          : run,
        Math.min(left, LONGEST_MS),
      ).unref();
    let timer = step(ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

export const systemRandom: Random = {
  next: () => Math.random(),
  id: () => randomBytes(16).toString('hex'),
};

/**
 * Keeps the process alive until `letGo`: the clock's timers do not, and between two sockets there may be nothing else.
 * Letting go twice is fine.
 */
export function stayAlive(): { letGo(): void } {
  const handle = setInterval(() => undefined, 60_000);
  return { letGo: () => clearInterval(handle) };
}
