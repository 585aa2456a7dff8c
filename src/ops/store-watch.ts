import type { Choices, Clock, Log, Threads, Timer } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import type { Check } from './health.ts';

/** A store that nobody writes to is tried this often: readiness must not wait for a message to find a full disk. */
const PROBE_EVERY_MS = 15_000;
const PROBE = 'written_at';

export interface StoreWatch {
  /** The same threads, listened to. */
  threads: Threads;
  check(): Check;
  start(): void;
  /** Stopping twice is fine. */
  stop(): void;
}

/** Knows whether the last write went well; a refusal of what was to be written says nothing about the disk. */
export function watchStore(parts: { threads: Threads; choices: Choices; clock: Clock; log: Log }): StoreWatch {
  const { threads, choices, clock, log } = parts;
  let failing = false;
  let writtenAt = clock.monotonic();
  let timer: Timer | null = null;
  let running = false;

  function went(error: unknown): void {
    if (error !== null && !(error instanceof BridgeError && error.code === 'store_failed')) return;
    const now = error !== null;
    if (now !== failing)
      log[now ? 'error' : 'info']({ err: error }, now ? 'the store fails' : 'the store is well again');
    failing = now;
    if (!now) writtenAt = clock.monotonic();
  }

  async function probe(): Promise<void> {
    if (failing || clock.monotonic() - writtenAt >= PROBE_EVERY_MS) {
      await choices.set(PROBE, new Date(clock.now()).toISOString()).then(() => went(null), went);
    }
    if (running) timer = clock.after(PROBE_EVERY_MS, () => void probe());
  }

  return {
    threads: {
      load: (key) => threads.load(key),
      active: () => threads.active(),
      byToken: (token) => threads.byToken(token),
      async update(key, change) {
        try {
          const stored = await threads.update(key, change);
          went(null);
          return stored;
        } catch (error) {
          went(error);
          throw error;
        }
      },
    },
    check: () => ({ name: 'store', ok: !failing, state: failing ? 'failing' : 'writable' }),
    start() {
      if (running) return;
      running = true;
      timer = clock.after(PROBE_EVERY_MS, () => void probe());
    },
    stop() {
      running = false;
      timer?.cancel();
    },
  };
}
