import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { MessageChannel } from 'node:worker_threads';
import type { Clock, Log } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { createPrivately, writePrivately } from './private-files.ts';

const WAIT_MS = 30_000;
const LOOK_EVERY_MS = 250;

export interface Lock {
  /** Releasing twice does nothing. */
  release(): void;
}

/**
 * Makes this process the only owner of the database at `path`; waits up to 30 s for another owner to end.
 *
 * The lock is SQLite's exclusive lock on `<path>.lock`, which the kernel frees however the process ends. A pid in a
 * file would not do: in a container every process is pid 1. Nothing else may open that file, because closing any handle
 * of it drops the process's POSIX locks. `<path>.owner` names the owner, for people only.
 * @param parts.signal ends the waiting; its reason is thrown.
 * @param parts.waitMs how long to wait for another owner; default 30 s
 * @throws BridgeError store_locked, naming the owner; store_failed where the file system cannot lock.
 */
export async function lockStore(
  path: string,
  { clock, log, signal, waitMs = WAIT_MS }: { clock: Clock; log: Log; signal?: AbortSignal; waitMs?: number },
): Promise<Lock> {
  const until = clock.monotonic() + waitMs;
  let hasWarned = false;
  // The clock's timers do not keep a process alive, and at this point nothing else may do so.
  const { port1: keepAlive } = new MessageChannel();
  keepAlive.ref();
  try {
    for (;;) {
      signal?.throwIfAborted();
      const held = tryLock(path);
      if (held) return writeOwner(path, held, clock);
      if (clock.monotonic() >= until) {
        throw new BridgeError(
          'store_locked',
          `${path} is in use by another bridge (${ownerOf(path)}); stop that bridge, or set STORE to another file`,
        );
      }
      if (!hasWarned)
        log.warn({ path, owner: ownerOf(path) }, 'the store is in use by another bridge; waiting for it to stop');
      hasWarned = true;
      await new Promise<void>((resolve) => clock.after(LOOK_EVERY_MS, resolve));
    }
  } finally {
    keepAlive.close();
  }
}

function tryLock(path: string): DatabaseSync | null {
  let database: DatabaseSync | undefined;
  try {
    createPrivately(`${path}.lock`);
    database = new DatabaseSync(`${path}.lock`, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    if (isBusy(error)) return null;
    throw new BridgeError('store_failed', `could not lock ${path}`, { cause: error });
  }
}

/** SQLITE_BUSY (5) or SQLITE_LOCKED (6); the upper bits only refine it. */
function isBusy(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error)) return false;
  const code = Number(error.errcode) & 0xff;
  return code === 5 || code === 6;
}

function writeOwner(path: string, held: DatabaseSync, clock: Clock): Lock {
  const file = `${path}.owner`;
  const started = new Date(clock.now()).toISOString();
  try {
    writePrivately(`${file}.new`, `pid ${process.pid} on ${hostname()}, started ${started}\n`);
    renameSync(`${file}.new`, file);
  } catch (error) {
    held.close();
    throw new BridgeError('store_failed', `could not write ${file}`, { cause: error });
  }
  let isReleased = false;
  return {
    release() {
      if (isReleased) return;
      isReleased = true;
      rmSync(file, { force: true });
      held.close();
    },
  };
}

/**
 * The owner of the database at `path`, as text for people; `null`: nobody. To find out, it takes the lock for a moment.
 */
export function holderOf(path: string): string | null {
  if (!existsSync(`${path}.lock`)) return null;
  const held = tryLock(path);
  held?.close();
  return held === null ? ownerOf(path) : null;
}

function ownerOf(path: string): string {
  try {
    return readFileSync(`${path}.owner`, 'utf8').trim().slice(0, 200) || 'unknown owner';
  } catch {
    return 'unknown owner';
  }
}
