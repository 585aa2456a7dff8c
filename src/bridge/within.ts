import type { Clock } from './ports.ts';

/** The value of `work`, or `late` when it takes longer than `ms`. Rejects as `work` does. */
export function within<Value>(clock: Clock, ms: number, work: Promise<Value>): Promise<Value | 'late'> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(ms, () => resolve('late'));
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
