import { randomBytes } from 'node:crypto';
import type { Clock, Random } from './bridge/ports.ts';

/** The real time. Its timers never keep the process alive: {@link stayAlive} does. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export const systemRandom: Random = {
  next: () => Math.random(),
  id: () => randomBytes(16).toString('hex'),
};

/**
 * Keeps the process alive until it is let go: no timer of the clock does, and between two sockets there may be
 * nothing else. Letting go twice is fine.
 */
export function stayAlive(): { letGo(): void } {
  const handle = setInterval(() => undefined, 60_000);
  return { letGo: () => clearInterval(handle) };
}
