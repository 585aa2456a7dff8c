import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { type KeyvStorageCapability, keyvStorageCapability } from 'keyv';
import { BridgeError } from '../errors.ts';
import type { Revs, StorageAdapter } from './adapter.ts';
import { keyFromText, keyToText } from './keys.ts';
import { createPrivately } from './private-files.ts';

export const LAYOUT = 1;
/** "LSBr" in SQLite's application_id, so that the bridge recognises its own file. */
export const APPLICATION = 0x4c534272;

/** Opens or creates the database file. Rejects files of another program and of a newer bridge. */
export function openDatabase(path: string): DatabaseSync {
  // Create the file with mode 0600, because it holds what people wrote; SQLite gives its side files the same mode.
  createPrivately(path);
  const database = new DatabaseSync(path, { timeout: 1_000 });
  try {
    // FULL: in WAL mode NORMAL does not sync at commit, so a power cut would lose messages that Slack heard "ok" for.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    // Overwrite deleted rows, so that what people wrote does not stay in the file.
    database.exec('PRAGMA secure_delete = ON');
    const layout = pragma(database, 'user_version');
    const application = pragma(database, 'application_id');
    if (layout === 0 && application === 0 && pragma(database, 'schema_version') === 0) {
      database.exec(
        `BEGIN IMMEDIATE;
         CREATE TABLE rows (namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (namespace, key)) WITHOUT ROWID;
         PRAGMA application_id = ${APPLICATION};
         PRAGMA user_version = ${LAYOUT};
         COMMIT`,
      );
      return database;
    }
    if (application !== APPLICATION) throw new BridgeError('store_failed', `${path} is not a store of this bridge`);
    if (layout > LAYOUT) {
      throw new BridgeError('record_newer', `${path} was written by a newer version of the bridge (layout ${layout})`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** One number of the file's header. */
export function pragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0] ?? 0);
}

/**
 * A keyv store on `node:sqlite` for one namespace. Each call is one transaction and is on disk when it returns.
 * Make one per namespace: keyv writes its own namespace into the store it gets, so a shared one would collapse two
 * namespaces into one.
 */
export class SqliteAdapter implements StorageAdapter {
  readonly #namespace: string;
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #set: StatementSync;
  readonly #add: StatementSync;
  readonly #replace: StatementSync;
  readonly #delete: StatementSync;
  readonly #clear: StatementSync;
  readonly #selectAfter: StatementSync;
  readonly #selectKeysAfter: StatementSync;
  readonly #onWritten: () => void;

  /** @param onWritten called after each write; if it throws, the write counts as failed */
  constructor(database: DatabaseSync, namespace: string, onWritten: () => void = () => undefined) {
    this.#onWritten = onWritten;
    this.#database = database;
    this.#namespace = namespace;
    this.#get = database.prepare('SELECT value FROM rows WHERE namespace = ? AND key = ?');
    this.#set = database.prepare(
      'INSERT INTO rows (namespace, key, value) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    );
    this.#add = database.prepare('INSERT INTO rows (namespace, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
    this.#replace = database.prepare(
      "UPDATE rows SET value = ? WHERE namespace = ? AND key = ? AND json_extract(value, '$.value.rev') = ?",
    );
    this.#delete = database.prepare('DELETE FROM rows WHERE namespace = ? AND key = ?');
    this.#clear = database.prepare('DELETE FROM rows WHERE namespace = ?');
    this.#selectAfter = database.prepare(
      'SELECT key, value FROM rows WHERE namespace = ? AND key > ? ORDER BY key LIMIT 100',
    );
    this.#selectKeysAfter = database.prepare(
      'SELECT key FROM rows WHERE namespace = ? AND key > ? ORDER BY key LIMIT 1000',
    );
  }

  /** Declares keyv 6's contract, so that keyv uses this adapter without wrapping it. */
  get capabilities(): KeyvStorageCapability {
    return keyvStorageCapability(this);
  }

  // The methods are async although SQLite answers at once, because keyv distinguishes kinds of stores by that.
  async get<Value>(key: string): Promise<Value | string | undefined> {
    return this.#read(key);
  }

  async set(key: string, value: unknown, expires?: number): Promise<boolean> {
    this.#write(key, value, expires);
    this.#onWritten();
    return true;
  }

  async replace(key: string, value: string, { expected }: Revs): Promise<boolean> {
    const { changes } =
      expected === 0
        ? this.#add.run(this.#namespace, keyToText(key), value)
        : this.#replace.run(value, this.#namespace, keyToText(key), expected);
    this.#onWritten();
    return changes > 0;
  }

  async has(key: string): Promise<boolean> {
    return this.#read(key) !== undefined;
  }

  async delete(key: string): Promise<boolean> {
    const { changes } = this.#delete.run(this.#namespace, keyToText(key));
    this.#onWritten();
    return changes > 0;
  }

  async clear(): Promise<void> {
    this.#clear.run(this.#namespace);
    this.#onWritten();
  }

  async getMany<Value>(keys: string[]): Promise<(Value | string | undefined)[]> {
    return keys.map((key) => this.#read(key));
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    return keys.map((key) => this.#read(key) !== undefined);
  }

  async setMany(entries: { key: string; value: unknown; expires?: number }[]): Promise<boolean[]> {
    this.#runTransaction(() => {
      for (const { key, value, expires } of entries) this.#write(key, value, expires);
    });
    return entries.map(() => true);
  }

  async deleteMany(keys: string[]): Promise<boolean[]> {
    return this.#runTransaction(() => keys.map((key) => this.#delete.run(this.#namespace, keyToText(key)).changes > 0));
  }

  /** All rows of the namespace by key. Reads in pages, so that nothing is locked while the caller works. */
  async *iterator(): AsyncGenerator<[string, string], void> {
    let last = '';
    for (;;) {
      const page = this.#selectAfter.all(this.#namespace, last);
      for (const row of page) {
        last = String(row.key);
        yield [keyFromText(last), String(row.value)];
      }
      if (page.length === 0) return;
    }
  }

  async *keys(): AsyncGenerator<string, void> {
    let last = '';
    for (;;) {
      const page = this.#selectKeysAfter.all(this.#namespace, last);
      for (const row of page) {
        last = String(row.key);
        yield keyFromText(last);
      }
      if (page.length === 0) return;
    }
  }

  #read(key: string): string | undefined {
    const row = this.#get.get(this.#namespace, keyToText(key));
    return row === undefined ? undefined : String(row.value);
  }

  #write(key: string, value: unknown, expires: number | undefined): void {
    // Rows must not expire: when a row vanishes, a known thread looks new.
    if (expires !== undefined) throw new TypeError('rows do not expire: expiry is a field of the record');
    if (typeof value !== 'string') throw new TypeError('only serialised values are stored');
    this.#set.run(this.#namespace, keyToText(key), value);
  }

  #runTransaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      this.#onWritten();
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}
