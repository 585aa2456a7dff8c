import { parseThreadKey, type TeamId, type ThreadKey } from './ids.ts';
import type { Choices, Clock, Log } from './ports.ts';

export interface RecentParts {
  choices: Choices;
  clock: Clock;
  log: Log;
  team: TeamId;
  /** Beyond it the least recently used is forgotten. 0: none is kept. */
  most: number;
}

/**
 * The threads in which somebody spoke to the agent last: one small row, whatever number of threads is stored. A thread
 * that is new in it is stored at once, its place in the order later.
 */
export class RecentThreads {
  readonly #parts: RecentParts;
  readonly #name: string;
  /** Oldest first. */
  readonly #threads = new Map<ThreadKey, number>();
  #changed = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: RecentParts) {
    this.#parts = parts;
    this.#name = `recent-threads:${parts.team}`;
  }

  /** Rejects when the disk does. What can not be understood is forgotten. */
  async load(): Promise<void> {
    const stored = readRecent(await this.#parts.choices.get(this.#name));
    const noted = [...this.#threads];
    this.#threads.clear();
    for (const [key, at] of [...stored, ...noted]) this.#set(key, at);
  }

  /** Somebody spoke there. */
  note(key: ThreadKey): void {
    if (this.#parts.most === 0) return;
    const isNew = !this.#threads.has(key);
    this.#set(key, this.#parts.clock.now());
    this.#changed = true;
    if (!isNew) return;
    this.save().catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, 'the recent threads could not be stored');
    });
  }

  /** Newest first, none older than `since` (ms since 1970). */
  since(since: number): ThreadKey[] {
    return [...this.#threads].flatMap(([key, at]) => (at >= since ? [key] : [])).toReversed();
  }

  /** Resolves when what was noted is on disk. */
  save(): Promise<void> {
    const saved = this.#saving.then(async () => {
      if (!this.#changed) return;
      this.#changed = false;
      try {
        await this.#parts.choices.set(this.#name, JSON.stringify([...this.#threads]));
      } catch (error) {
        this.#changed = true;
        throw error;
      }
    });
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  #set(key: ThreadKey, at: number): void {
    this.#threads.delete(key);
    this.#threads.set(key, at);
    for (const oldest of this.#threads.keys()) {
      if (this.#threads.size <= this.#parts.most) break;
      this.#threads.delete(oldest);
    }
  }
}

function readRecent(text: string | null): [ThreadKey, number][] {
  try {
    const rows: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(rows)) return [];
    return rows.flatMap((row: unknown): [ThreadKey, number][] => {
      const [key, at] = Array.isArray(row) ? row : [];
      if (typeof key !== 'string' || typeof at !== 'number') return [];
      parseThreadKey(key as ThreadKey);
      return [[key as ThreadKey, at]];
    });
  } catch {
    return [];
  }
}
