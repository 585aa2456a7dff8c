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
  /** What waits for the disk; `isNew`: a new file begins with it. */
  texts: { text: string; isNew: boolean }[];
  /** Letters that wait for the disk or are on their way to it. */
  waiting: number;
  hasGap: boolean;
  /** While something is written. */
  writing: Promise<void> | null;
}

export interface FolderRecordings extends Recordings {
  /** Resolves when all that was added is on disk, or could not be written. */
  flush(): Promise<void>;
}

/** Keeps recordings of threads as files of JSON lines in a folder, which only their owner may open. */
export function recordIn(folder: string, log: Log): FolderRecordings {
  const recordings = new Map<ThreadKey, Recording>();
  const made = mkdir(folder, { recursive: true, mode: 0o700 });
  const pathOf = (key: ThreadKey) => join(folder, `${key.replace(/[^\w.-]/g, '_')}.jsonl`);

  /** Writes what waits: a slow disk gets all that came meanwhile at once. */
  const writeTexts = async (path: string, recording: Recording): Promise<void> => {
    const { texts } = recording;
    while (texts.length > 0) {
      const next = texts.findIndex(({ isNew }, at) => at > 0 && isNew);
      const taken = texts.splice(0, next < 0 ? texts.length : next);
      const text = taken.map((each) => each.text).join('');
      try {
        await made;
        const isNew = taken[0]?.isNew === true;
        if (isNew) await rename(path, path.replace(/jsonl$/, 'before.jsonl')).catch(() => rm(path, { force: true }));
        await appendFile(path, text, { mode: 0o600 });
      } catch (error) {
        recording.hasGap = true;
        log.warn({ err: error, path }, 'could not write a recording');
      }
      recording.waiting -= text.length;
    }
    recording.writing = null;
  };

  return {
    add(key, line, begin, isAnew) {
      const known = recordings.get(key);
      if (!known && recordings.size >= MOST_THREADS) return;
      const recording: Recording = known ?? { bytes: 0, texts: [], waiting: 0, hasGap: false, writing: null };
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
      recording.texts.push({ text, isNew: isFull });
      recording.waiting += text.length;
      recording.writing ??= writeTexts(pathOf(key), recording);
    },
    async flush() {
      await Promise.all([...recordings.values()].map(({ writing }) => writing));
    },
  };
}
