import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves when `check` is true; for other processes and real time. @param seen text for the error on timeout */
export async function until(check: () => boolean, seen: () => string, timeout = 45_000): Promise<void> {
  const end = Date.now() + timeout;
  while (!check()) {
    if (Date.now() > end) throw new Error(`did not come about: ${check.toString()}\n${seen()}`);
    await sleep(50);
  }
}
