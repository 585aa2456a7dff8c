import { setTimeout as sleep } from 'node:timers/promises';

/** Resolves when `check` is true; for other processes and real time. @param seen text for the error on timeout */
export async function until(check: () => boolean, seen: () => string, timeout = 45_000): Promise<void> {
  const end = Date.now() + timeout;
  while (!check()) {
    if (Date.now() > end) throw new Error(`did not come about: ${check.toString()}\n${seen()}`);
    await sleep(50);
  }
}

/** What an answer to `!status` begins with. */
const STATUS_LINE =
  /\bIdle\b|Working for |A command is running on|Letta is summarising|The conversation is being copied|In the background: /g;

/**
 * Asks a thread for its status until it is idle. Right behind its last word a turn may still be at work, which its messages do
 * not show; then a thread refuses commands that need it at rest.
 */
export async function untilIdle(say: (text: string) => Promise<unknown>, shown: () => string): Promise<void> {
  const answers = () => shown().match(STATUS_LINE) ?? [];
  do {
    const before = answers().length;
    await say('!status');
    await until(() => answers().length > before, shown);
  } while (answers().at(-1) !== 'Idle');
}
