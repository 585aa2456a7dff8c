import { randomBytes } from 'node:crypto';
import type { Clock, Random } from './bridge/ports.ts';

/** The real time. Its timers never keep the process alive: open sockets and servers do. */
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
