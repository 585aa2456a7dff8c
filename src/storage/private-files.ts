import { chmodSync, closeSync, lstatSync, openSync, rmSync, writeFileSync } from 'node:fs';
import type { Log } from '../bridge/ports.ts';

/** Only the owner may open these files: they hold what people wrote, or guard the store. */
const PRIVATE = 0o600;
const OTHERS = 0o077;
/** Suffixes of the files that belong to a SQLite store. */
const BESIDE = ['', '-wal', '-shm', '-journal', '.lock', '.lock-journal', '.owner', '.sock'];

export interface LooseFile {
  path: string;
  /** Its permissions as `chmod` has them: `0644`. */
  mode: string;
}

/** Finds files of the store at `path` that other users may open. Changes nothing. */
export function findLooseFiles(path: string): LooseFile[] {
  // Windows has no such modes: files inherit the rights of their folder.
  if (process.platform === 'win32') return [];
  return BESIDE.flatMap((suffix) => {
    const file = `${path}${suffix}`;
    const found = lstatSync(file, { throwIfNoEntry: false });
    if (!found || found.isSymbolicLink() || found.isDirectory() || (found.mode & OTHERS) === 0) return [];
    return [{ path: file, mode: `0${(found.mode & 0o777).toString(8)}` }];
  });
}

/** Sets mode 0600 on the files of the store at `path` that other users may open, and logs it. */
export function restrictFiles(path: string, log: Log): void {
  for (const { path: file, mode } of findLooseFiles(path)) {
    try {
      // chmod by name: opening the lock file a second time and closing it would release the lock.
      chmodSync(file, PRIVATE);
      log.warn(
        { path: file, was: mode, now: '0600' },
        'other users could read this file of the store; now only its owner can',
      );
    } catch (error) {
      log.warn(
        { path: file, mode, err: error },
        'other users can read this file of the store, and the bridge cannot change its mode: run chmod 600 on it as its owner',
      );
    }
  }
}

/** Creates an empty file that only its owner may open, unless the file exists. */
export function createPrivately(path: string): void {
  try {
    // Open it only if it is new, because closing any handle of a locked file releases its lock.
    closeSync(openSync(path, 'wx', PRIVATE));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

/** Writes a file that only its owner may open; replaces an existing one. */
export function writePrivately(path: string, text: string): void {
  rmSync(path, { force: true });
  writeFileSync(path, text, { mode: PRIVATE, flag: 'wx' });
}
