import type { DatabaseSync } from 'node:sqlite';
import type { Clock, Log, Timer } from '../bridge/ports.ts';

/** How long after a write the write-ahead log is emptied. */
const AFTER_MS = 5_000;

export interface Tidying {
  /** Call it after each write. */
  noteWrite(): void;
  /** Stopping twice is fine. */
  stop(): void;
}

/**
 * Empties SQLite's write-ahead log soon after each write, because the log keeps old versions of rows, even the text of
 * messages whose turn is over. In the database file itself `secure_delete` overwrites deleted rows.
 */
export function tidyAfterWrites(database: DatabaseSync, { clock, log }: { clock: Clock; log: Log }): Tidying {
  let timer: Timer | null = null;
  let isStopped = false;

  function emptyLog(): void {
    timer = null;
    if (isStopped || !database.isOpen) return;
    try {
      // Do not wait for a reader such as doctor; try again later.
      database.exec('PRAGMA busy_timeout = 0');
      const { busy } = (database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() ?? {}) as { busy?: number };
      if (busy !== 0) noteWrite();
    } catch (error) {
      log.debug({ err: error }, 'could not empty the write-ahead log; trying again later');
      noteWrite();
    } finally {
      if (database.isOpen) database.exec('PRAGMA busy_timeout = 1000');
    }
  }

  function noteWrite(): void {
    if (!isStopped) timer ??= clock.after(AFTER_MS, emptyLog);
  }

  // Empty what a killed process left in the log.
  emptyLog();
  return {
    noteWrite,
    stop() {
      isStopped = true;
      timer?.cancel();
      timer = null;
    },
  };
}
