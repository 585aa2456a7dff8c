import type { Choices, Clock, Log, Threads, Timer } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import type { Check } from './health.ts';

/**
 * If nothing was written for this long, a test write is made, so that `/readyz` shows a full disk before a message
 * meets it.
 */
const PROBE_EVERY_MS = 15_000;
const PROBE = 'written_at';

type StoreState = 'writable' | 'failing' | 'file is gone';

const SAYS: Readonly<Record<StoreState, string>> = {
  writable: 'the store works again',
  failing: 'the store fails',
  'file is gone':
    'someone deleted, moved or replaced the file of the store, so the bridge accepts no messages: they would be lost. Put the file back, or restart the bridge: it then uses the file that is there, or creates an empty one',
};

export interface StoreWatch {
  /** The same threads; the outcome of each write is noted here. */
  watchThreads(threads: Threads): Threads;
  check(): Check;
  start(): void;
  /** Stopping twice is fine. */
  stop(): void;
}

function isGone(error: unknown): boolean {
  return error instanceof BridgeError && error.cause instanceof BridgeError && error.cause.code === 'store_gone';
}

/** Knows whether the last write succeeded. Errors other than `store_failed` tell nothing about the disk. */
export function watchStore({ choices, clock, log }: { choices: Choices; clock: Clock; log: Log }): StoreWatch {
  let state: StoreState = 'writable';
  let writtenAt = clock.monotonic();
  let timer: Timer | null = null;
  let isRunning = false;

  function noteOutcome(error: unknown): void {
    if (error !== null && !(error instanceof BridgeError && error.code === 'store_failed')) return;
    const now = error === null ? 'writable' : isGone(error) ? 'file is gone' : 'failing';
    if (now !== state) log[now === 'writable' ? 'info' : 'error']({ err: error }, SAYS[now]);
    state = now;
    if (now === 'writable') writtenAt = clock.monotonic();
  }

  async function tryWrite(): Promise<void> {
    if (state !== 'writable' || clock.monotonic() - writtenAt >= PROBE_EVERY_MS) {
      await choices.set(PROBE, new Date(clock.now()).toISOString()).then(() => noteOutcome(null), noteOutcome);
    }
    if (isRunning) timer = clock.after(PROBE_EVERY_MS, () => void tryWrite());
  }

  return {
    watchThreads: (inner) => ({
      load: (key) => inner.load(key),
      listActive: () => inner.listActive(),
      findByToken: (token) => inner.findByToken(token),
      loadWaiting: (user) => inner.loadWaiting(user),
      async update(key, change) {
        try {
          const stored = await inner.update(key, change);
          noteOutcome(null);
          return stored;
        } catch (error) {
          noteOutcome(error);
          throw error;
        }
      },
    }),
    check: () => ({ name: 'store', ok: state === 'writable', state }),
    start() {
      if (isRunning) return;
      isRunning = true;
      timer = clock.after(PROBE_EVERY_MS, () => void tryWrite());
    },
    stop() {
      isRunning = false;
      timer?.cancel();
    },
  };
}
