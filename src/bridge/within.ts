import type { Clock } from './ports.ts';

/** Whether `work` has settled in time: its value, or `late`. Rejects as `work` does. @param ms how long is waited */
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
