import { appendFile, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ThreadKey } from '../bridge/ids.ts';
import type { Log, Recordings } from '../bridge/ports.ts';

/** Of one file; then another one begins, and the one before is kept. */
const MOST_BYTES = 8_000_000;
/** Threads that are recorded in the life of a process. */
const MOST_THREADS = 500;
/** Of lines that wait for the disk; then lines are dropped, and the file begins anew. */
const MOST_WAITING = 16_000_000;

interface Recording {
  bytes: number;
  waiting: number;
  hasGap: boolean;
  done: Promise<void>;
}

/** Keeps recordings of threads as files of JSON lines in a folder, which only their owner may open. */
export function recordIn(folder: string, log: Log): Recordings {
  const recordings = new Map<ThreadKey, Recording>();
  const made = mkdir(folder, { recursive: true, mode: 0o700 });
  const pathOf = (key: ThreadKey) => join(folder, `${key.replace(/[^\w.-]/g, '_')}.jsonl`);

  const write = (key: ThreadKey, recording: Recording, text: string, isNew: boolean) => {
    const path = pathOf(key);
    recording.waiting += text.length;
    recording.done = recording.done
      .then(async () => {
        await made;
        if (isNew) await rename(path, path.replace(/jsonl$/, 'before.jsonl')).catch(() => rm(path, { force: true }));
        await appendFile(path, text, { mode: 0o600 });
      })
      .catch((error: unknown) => {
        recording.hasGap = true;
        log.warn({ err: error, path }, 'could not write a recording');
      })
      .finally(() => {
        recording.waiting -= text.length;
      });
  };

  return {
    add(key, line, begin, isAnew) {
      const known = recordings.get(key);
      if (!known && recordings.size >= MOST_THREADS) return;
      const recording = known ?? { bytes: 0, waiting: 0, hasGap: false, done: Promise.resolve() };
      recordings.set(key, recording);
      if (recording.waiting > MOST_WAITING) {
        recording.hasGap = true;
        return;
      }
      const isFull = !known || recording.bytes > MOST_BYTES;
      const begins = isFull || isAnew || recording.hasGap;
      const text = begins ? `${begin()}\n${line}\n` : `${line}\n`;
      recording.bytes = isFull ? text.length : recording.bytes + text.length;
      recording.hasGap = false;
      write(key, recording, text, isFull);
    },
  };
}
