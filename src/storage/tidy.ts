import type { DatabaseSync } from 'node:sqlite';
import type { Clock, Log, Timer } from '../bridge/ports.ts';

/** So long after a write, what it replaced or deleted is gone from the journal, too. */
const AFTER_MS = 5_000;

export interface Tidying {
  /** Something was written. */
  noteWrite(): void;
  /** Stopping twice is fine. */
  stop(): void;
}

/**
 * Empties SQLite's write-ahead log soon after each write: it keeps every earlier form of what was changed, also the text
 * of messages whose turn is over. What was deleted is overwritten in the file itself by `secure_delete`.
 */
export function tidyAfterWrites(database: DatabaseSync, { clock, log }: { clock: Clock; log: Log }): Tidying {
  let timer: Timer | null = null;
  let isStopped = false;

  function emptyLog(): void {
    timer = null;
    if (isStopped || !database.isOpen) return;
    try {
      // Nobody waits for a reader such as doctor: then it is tried again.
      database.exec('PRAGMA busy_timeout = 0');
      const { busy } = (database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get() ?? {}) as { busy?: number };
      if (busy !== 0) noteWrite();
    } catch (error) {
      log.debug({ err: error }, 'the write-ahead log could not be emptied; tried again later');
      noteWrite();
    } finally {
      if (database.isOpen) database.exec('PRAGMA busy_timeout = 1000');
    }
  }

  function noteWrite(): void {
    if (!isStopped) timer ??= clock.after(AFTER_MS, emptyLog);
  }

  // What a killed process left there.
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
