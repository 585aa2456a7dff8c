import { BoundedMap } from '../../bounded-map.ts';
import type { Choices, Clock, Log } from '../ports.ts';

export interface RecentKeysParts<Key extends string> {
  choices: Choices;
  clock: Clock;
  log: Log;
  /** Under which the row is stored. */
  name: string;
  /** Throws when the text is not such a key. */
  parse(key: Key): unknown;
  /** How many keys are kept; the least recently noted is forgotten first. 0: none is kept. */
  limit: number;
}

/** The most recently noted keys, at most `limit`, stored in one small row. */
export class RecentKeys<Key extends string> {
  readonly #parts: RecentKeysParts<Key>;
  /** Oldest first. */
  readonly #keys: BoundedMap<Key, number>;
  #hasUnsaved = false;
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: RecentKeysParts<Key>) {
    this.#parts = parts;
    this.#keys = new BoundedMap(parts.limit);
  }

  /** Rejects when the disk does. Stored keys that cannot be parsed are dropped. */
  async load(): Promise<void> {
    const { choices, name, parse } = this.#parts;
    const stored = readKeys(await choices.get(name), parse);
    const noted = [...this.#keys];
    this.#keys.clear();
    for (const [key, at] of [...stored, ...noted]) this.#keys.set(key, at);
  }

  /** A new key is stored at once in the background; a known one only moves up, which the next save stores. */
  noteKey(key: Key): void {
    if (this.#touchKey(key) === 'known') return;
    this.save().catch((error: unknown) => {
      const { log, name } = this.#parts;
      log.warn({ err: error, name }, 'could not store recent keys');
    });
  }

  /** As {@link noteKey}; resolves when the key is on disk, rejects when it cannot be. */
  async storeKey(key: Key): Promise<void> {
    this.#touchKey(key);
    await this.save();
  }

  has(key: Key): boolean {
    return this.#keys.has(key);
  }

  /** Newest first, none older than `since` (ms since 1970). */
  listSince(since: number): Key[] {
    return [...this.#keys].flatMap(([key, at]) => (at >= since ? [key] : [])).toReversed();
  }

  /** Resolves when all noted keys are on disk. */
  save(): Promise<void> {
    const saved = this.#saving.then(async () => {
      if (!this.#hasUnsaved) return;
      this.#hasUnsaved = false;
      try {
        await this.#parts.choices.set(this.#parts.name, JSON.stringify([...this.#keys]));
      } catch (error) {
        this.#hasUnsaved = true;
        throw error;
      }
    });
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  #touchKey(key: Key): 'new' | 'known' {
    if (this.#parts.limit === 0) return 'known';
    const known = this.#keys.has(key) ? 'known' : 'new';
    this.#keys.set(key, this.#parts.clock.now());
    this.#hasUnsaved = true;
    return known;
  }
}

function readKeys<Key extends string>(text: string | null, parse: (key: Key) => unknown): [Key, number][] {
  try {
    const rows: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(rows)) return [];
    return rows.flatMap((row: unknown): [Key, number][] => {
      const [key, at] = Array.isArray(row) ? row : [];
      if (typeof key !== 'string' || typeof at !== 'number') return [];
      parse(key as Key);
      return [[key as Key, at]];
    });
  } catch {
    return [];
  }
}
