import { keyvStorageCapability } from 'keyv';
import type { Revs, StorageAdapter } from '../../src/storage/adapter.ts';
import type { VirtualClock } from './clock.ts';
import type { Life } from './life.ts';
import type { Chance } from './random.ts';
import { parseRow } from './stored-row.ts';
import type { Story } from './story.ts';

export interface DiskFaults {
  /** Chance that a write fails, half of the time after it was done. */
  fails: number;
  /** Chance that a read fails. */
  unreadable: number;
  /** Chance that an operation takes seconds. */
  slow: number;
}

/**
 * The disk, which survives a crash. It never loses a confirmed write; a write under way at a crash may or may not be
 * there.
 */
export class SimDisk {
  readonly namespaces = new Map<string, Map<string, string>>();
  readonly #clock: VirtualClock;
  readonly #chance: Chance;
  readonly #story: Story;
  faults: DiskFaults = { fails: 0, unreadable: 0, slow: 0 };
  /** No room is left: every write fails until then. */
  fullUntil = 0;
  /** Answers at once, like a file in memory, to find code that is safe only because disks are slow. */
  isInstant = false;
  /** How many operations have failed so far. */
  failedCount = 0;
  /** Called with every row that was written. */
  onWrite: (namespace: string, key: string, value: string) => void = () => undefined;

  constructor(clock: VirtualClock, chance: Chance, story: Story) {
    this.#clock = clock;
    this.#chance = chance;
    this.#story = story;
  }

  rowsOf(namespace: string): Map<string, string> {
    const known = this.namespaces.get(namespace) ?? new Map<string, string>();
    this.namespaces.set(namespace, known);
    return known;
  }

  /** As another version of the bridge would have written them. */
  changeRows(namespace: string, change: (value: string) => string): void {
    const rows = this.rowsOf(namespace);
    for (const [key, value] of rows) rows.set(key, change(value));
  }

  /** keyv's storage for one process: after the process's end it answers nothing. */
  adapterFor(life: Life): (namespace: string) => StorageAdapter {
    return (namespace) => new SimAdapter(this, life, namespace);
  }

  readRow<T>(life: Life, what: string, read: () => T): Promise<T> {
    if (this.isInstant || isOfConversationIndex(what))
      return life.isOver ? new Promise(() => undefined) : Promise.resolve(read());
    const chance = this.#chance;
    return new Promise((resolve, reject) => {
      const fails = chance.happens(this.faults.unreadable);
      this.#clock.after(this.#latency(), () => {
        if (life.isOver) return;
        if (!fails) return resolve(read());
        this.failedCount += 1;
        this.#story.addLine('disk', `cannot read ${what}`);
        reject(new Error('disk: EIO'));
      });
    });
  }

  writeRow<T>(life: Life, what: string, write: () => T): Promise<T> {
    const isFull = this.#clock.now() < this.fullUntil;
    if (this.isInstant && isFull && !life.isOver) return Promise.reject(this.#noRoom(what, 'before'));
    if (this.isInstant || isOfConversationIndex(what)) {
      return life.isOver ? new Promise(() => undefined) : Promise.resolve(write());
    }
    const chance = this.#chance;
    return new Promise((resolve, reject) => {
      const fails = chance.happens(this.faults.fails) || isFull;
      const after = chance.happens(0.5) && !isFull;
      let done = false;
      const apply = () => {
        done = true;
        return write();
      };
      const atCrash = () => {
        if (!done && chance.happens(0.5) && !isFull) apply();
      };
      life.onCut(atCrash);
      this.#clock.after(this.#latency(), () => {
        if (life.isOver) return;
        life.offCut(atCrash);
        if (fails) {
          if (after) apply();
          reject(this.#noRoom(what, after ? 'after' : 'before'));
        } else resolve(apply());
      });
    });
  }

  #noRoom(what: string, when: 'before' | 'after'): Error {
    this.failedCount += 1;
    this.#story.addLine('disk', `fails ${when} writing ${what}`);
    return new Error('disk: ENOSPC');
  }

  #latency(): number {
    const chance = this.#chance;
    return chance.happens(this.faults.slow) ? chance.between(100, 3_000) : chance.between(0, 4);
  }
}

class SimAdapter implements StorageAdapter {
  readonly #disk: SimDisk;
  readonly #life: Life;
  readonly #namespace: string;

  constructor(disk: SimDisk, life: Life, namespace: string) {
    this.#disk = disk;
    this.#life = life;
    this.#namespace = namespace;
  }

  get capabilities() {
    return keyvStorageCapability(this);
  }

  get #rows(): Map<string, string> {
    return this.#disk.rowsOf(this.#namespace);
  }

  /** keyv takes rows that are parsed already. */
  async get<Value>(key: string): Promise<Value | undefined> {
    return this.#disk.readRow(this.#life, `${this.#namespace}/${key}`, () => {
      const text = this.#rows.get(key);
      return text === undefined ? undefined : (parseRow(text) as Value);
    });
  }

  async set(key: string, value: unknown): Promise<boolean> {
    if (typeof value !== 'string') throw new TypeError('only serialised values are stored');
    return this.#disk.writeRow(this.#life, `${this.#namespace}/${key}`, () => {
      this.#rows.set(key, value);
      this.#disk.onWrite(this.#namespace, key, value);
      return true;
    });
  }

  async replace(key: string, value: string, { expected }: Revs): Promise<boolean> {
    // A store finds the row before it writes it; either can fail.
    await this.get(key);
    return this.#disk.writeRow(this.#life, `${this.#namespace}/${key}`, () => {
      const text = this.#rows.get(key);
      if ((text === undefined ? 0 : parseRow(text).value.rev) !== expected) return false;
      this.#rows.set(key, value);
      this.#disk.onWrite(this.#namespace, key, value);
      return true;
    });
  }

  async has(key: string): Promise<boolean> {
    return (await this.get(key)) !== undefined;
  }

  async delete(key: string): Promise<boolean> {
    return this.#disk.writeRow(this.#life, `${this.#namespace}/${key} (gone)`, () => this.#rows.delete(key));
  }

  async clear(): Promise<void> {
    await this.#disk.writeRow(this.#life, this.#namespace, () => this.#rows.clear());
  }

  getMany<Value>(keys: string[]): Promise<(Value | string | undefined)[]> {
    return Promise.all(keys.map((key) => this.get<Value>(key)));
  }

  hasMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.has(key)));
  }

  setMany(entries: { key: string; value: unknown }[]): Promise<boolean[]> {
    return Promise.all(entries.map(({ key, value }) => this.set(key, value)));
  }

  deleteMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.delete(key)));
  }

  async *iterator(): AsyncGenerator<[string, string], void> {
    const rows = await this.#disk.readRow(this.#life, `${this.#namespace}/*`, () => [...this.#rows]);
    yield* rows;
  }

  async *keys(): AsyncGenerator<string, void> {
    const name = this.#namespace === 'threads' ? KEYS_OF_THREADS : `${this.#namespace}/*`;
    yield* await this.#disk.readRow(this.#life, name, () => [...this.#rows.keys()]);
  }
}

const KEYS_OF_THREADS = 'threads/* (keys)';

/**
 * The index by conversation is written once for each thread and read by `!attach` alone, so its rows are always there at
 * once: with the chances of the other rows every recorded seed would tell another story. `test/contracts/threads.ts` lets
 * each of its writes fail.
 */
function isOfConversationIndex(what: string): boolean {
  return what.startsWith('conversations/') || what === KEYS_OF_THREADS;
}
