import { type KeyvStorageCapability, keyvStorageCapability } from 'keyv';
import type { MessageKey } from '../../bridge/ids.ts';
import type { Revs, StorageAdapter } from '../adapter.ts';
import { keyFromText, keyToText } from '../keys.ts';
import type { Statements } from './database.ts';

/** Rows of one page of a listing. */
const PAGE = 500;

/** Who may write: the holder of a lease, as long as its row has this fence. */
export interface Guard {
  /** The key of the lease's row. */
  readonly workspace: string;
  /** Reads after all that was written before. */
  read<T>(read: () => Promise<T>): Promise<T>;
  /** @param attempt writes on the condition of the fence; `null`: the row has another one */
  write<T>(attempt: (fence: string) => Promise<T | null>): Promise<T>;
}

/** Deliveries of a workspace that are being handled here. */
export interface UnderWay {
  /** The rows of those that are one of these messages, or stand for one. */
  idsOf(messages: readonly MessageKey[]): string[];
  /** They were deleted together with what was stored. */
  noteGone(ids: readonly string[]): void;
}

/** Holds the lease's row, so that nobody takes the lease before the statement is done. */
const LEASE = `lease AS MATERIALIZED (
  SELECT 1 FROM bridge_leases WHERE workspace = $1 AND fence = $2 FOR KEY SHARE)`;
const RESULT = `SELECT (SELECT count(*) FROM lease)::int AS held, ARRAY(SELECT key FROM done) AS keys`;

// $1 row of the lease, $2 fence, $3 workspace, $4 namespace, $5 keys or key
const SET = `WITH ${LEASE}, done AS (
  INSERT INTO bridge_rows (workspace, namespace, key, value) SELECT $3, $4, $5, $6 FROM lease
  ON CONFLICT (workspace, namespace, key) DO UPDATE SET value = excluded.value, rev = excluded.rev
  RETURNING key) ${RESULT}`;
const SET_MANY = `WITH ${LEASE}, done AS (
  INSERT INTO bridge_rows (workspace, namespace, key, value)
  SELECT $3, $4, row.key, row.value FROM lease, unnest($5::text[], $6::text[]) AS row (key, value)
  ON CONFLICT (workspace, namespace, key) DO UPDATE SET value = excluded.value, rev = excluded.rev
  RETURNING key) ${RESULT}`;
const ADD = `WITH ${LEASE}, done AS (
  INSERT INTO bridge_rows (workspace, namespace, key, value, rev) SELECT $3, $4, $5, $6, $7::bigint FROM lease
  ON CONFLICT (workspace, namespace, key) DO NOTHING RETURNING key) ${RESULT}`;
const REPLACE = `WITH ${LEASE}, done AS (
  UPDATE bridge_rows SET value = $6, rev = $7::bigint
  WHERE workspace = $3 AND namespace = $4 AND key = $5 AND rev = $8::bigint AND EXISTS (SELECT 1 FROM lease)
  RETURNING key) ${RESULT}`;
const SWAP = `WITH ${LEASE}, done AS (
  UPDATE bridge_rows SET value = $6
  WHERE workspace = $3 AND namespace = $4 AND key = $5 AND value = $7 AND EXISTS (SELECT 1 FROM lease)
  RETURNING key) ${RESULT}`;
// The last value: deliveries that are done with it
const SETTLE = (number: number) => `gone AS (
  DELETE FROM bridge_inbound WHERE workspace = $1 AND id = ANY ($${number}::bigint[]) AND EXISTS (SELECT 1 FROM done))
  ${RESULT}`;
const ADD_AND_SETTLE = `${ADD.slice(0, -RESULT.length).trimEnd()}, ${SETTLE(8)}`;
const REPLACE_AND_SETTLE = `${REPLACE.slice(0, -RESULT.length).trimEnd()}, ${SETTLE(9)}`;
const DELETE_IF = `WITH ${LEASE}, done AS (
  DELETE FROM bridge_rows
  WHERE workspace = $3 AND namespace = $4 AND key = $5 AND value = $6 AND EXISTS (SELECT 1 FROM lease)
  RETURNING key) ${RESULT}`;
const DELETE = `WITH ${LEASE}, done AS (
  DELETE FROM bridge_rows
  WHERE workspace = $3 AND namespace = $4 AND key = ANY ($5::text[]) AND EXISTS (SELECT 1 FROM lease)
  RETURNING key) ${RESULT}`;
const CLEAR = `WITH ${LEASE}, done AS (
  DELETE FROM bridge_rows WHERE workspace = $3 AND namespace = $4 AND EXISTS (SELECT 1 FROM lease)
  RETURNING key) ${RESULT}`;

/**
 * A keyv store on Postgres for one namespace of one workspace. Each call is one statement and is committed when it
 * resolves; a write is refused once the lease has another fence. Make one per namespace, as with SQLite.
 */
export class PostgresAdapter implements StorageAdapter {
  readonly #database: Statements;
  readonly #guard: Guard;
  readonly #deliveries: UnderWay | null;
  readonly #scope: [workspace: string, namespace: string];

  /** @param deliveries those under way in the workspace; left out: none can be */
  constructor(database: Statements, guard: Guard, workspace: string, namespace: string, deliveries?: UnderWay) {
    this.#deliveries = deliveries ?? null;
    this.#database = database;
    this.#guard = guard;
    this.#scope = [workspace, namespace];
  }

  /** Declares keyv 6's contract, so that keyv uses this adapter without wrapping it. */
  get capabilities(): KeyvStorageCapability {
    return keyvStorageCapability(this);
  }

  async get<Value>(key: string): Promise<Value | string | undefined> {
    const [value] = await this.getMany<Value>([key]);
    return value;
  }

  async getMany<Value>(keys: string[]): Promise<(Value | string | undefined)[]> {
    const rows = await this.#guard.read(() =>
      this.#database.read<{ key: string; value: string }>(
        'SELECT key, value FROM bridge_rows WHERE workspace = $1 AND namespace = $2 AND key = ANY ($3::text[])',
        [...this.#scope, keys.map(keyToText)],
      ),
    );
    const values = new Map(rows.map(({ key, value }) => [keyFromText(key), value]));
    return keys.map((key) => values.get(key));
  }

  async set(key: string, value: unknown, expires?: number): Promise<boolean> {
    await this.#write(SET, [keyToText(key), textOf(value, expires)]);
    return true;
  }

  async setMany(entries: { key: string; value: unknown; expires?: number }[]): Promise<boolean[]> {
    // The last one counts; one statement must not write a row twice.
    const rows = new Map(entries.map(({ key, value, expires }) => [keyToText(key), textOf(value, expires)]));
    await this.#write(SET_MANY, [[...rows.keys()], [...rows.values()]]);
    return entries.map(() => true);
  }

  async replace(
    key: string,
    value: string,
    { expected, next }: Revs,
    has: readonly MessageKey[] = [],
  ): Promise<boolean> {
    const values = [keyToText(key), value, next, ...(expected === 0 ? [] : [expected])];
    const ids = has.length === 0 ? [] : (this.#deliveries?.idsOf(has) ?? []);
    if (ids.length === 0) return (await this.#write(expected === 0 ? ADD : REPLACE, values)).length > 0;
    const written = await this.#write(expected === 0 ? ADD_AND_SETTLE : REPLACE_AND_SETTLE, [...values, ids]);
    if (written.length > 0) this.#deliveries?.noteGone(ids);
    return written.length > 0;
  }

  /**
   * Changes a row if it has exactly this text, in one step; `undefined`: there is none, or it is to be deleted.
   * @returns whether it was done
   */
  async swap(key: string, before: string | undefined, after: string | undefined): Promise<boolean> {
    const text = keyToText(key);
    if (before === undefined) {
      return after === undefined || (await this.#write(ADD, [text, after, 0])).length > 0;
    }
    const written = await (after === undefined
      ? this.#write(DELETE_IF, [text, before])
      : this.#write(SWAP, [text, after, before]));
    return written.length > 0;
  }

  async has(key: string): Promise<boolean> {
    return (await this.get(key)) !== undefined;
  }

  async hasMany(keys: string[]): Promise<boolean[]> {
    return (await this.getMany(keys)).map((value) => value !== undefined);
  }

  async delete(key: string): Promise<boolean> {
    const [deleted = false] = await this.deleteMany([key]);
    return deleted;
  }

  async deleteMany(keys: string[]): Promise<boolean[]> {
    const deleted = new Set(await this.#write(DELETE, [keys.map(keyToText)]));
    return keys.map((key) => deleted.has(keyToText(key)));
  }

  async clear(): Promise<void> {
    await this.#write(CLEAR, []);
  }

  async *iterator(): AsyncGenerator<[string, string], void> {
    for await (const { key, value } of this.#pages<{ key: string; value: string }>('key, value')) yield [key, value];
  }

  async *keys(): AsyncGenerator<string, void> {
    for await (const { key } of this.#pages<{ key: string }>('key')) yield key;
  }

  /** All rows by key, in pages, so that nothing is held while the caller works. */
  async *#pages<Row extends { key: string }>(columns: 'key' | 'key, value'): AsyncGenerator<Row, void> {
    let last: string | null = null;
    for (;;) {
      const after: string | null = last;
      const page: Row[] = await this.#guard.read(() =>
        this.#database.read<Row>(
          `SELECT ${columns} FROM bridge_rows
           WHERE workspace = $1 AND namespace = $2 AND ($3::text IS NULL OR key > $3 COLLATE "C")
           ORDER BY key LIMIT ${PAGE}`,
          [...this.#scope, after],
        ),
      );
      for (const row of page) {
        last = row.key;
        yield { ...row, key: keyFromText(row.key) };
      }
      if (page.length < PAGE) return;
    }
  }

  /** @returns the keys that were written or deleted, as they are in the table */
  #write(text: string, values: unknown[]): Promise<string[]> {
    return this.#guard.write(async (fence) => {
      const [row] = await this.#database.run<{ held: number; keys: string[] }>(
        text,
        [this.#guard.workspace, fence, ...this.#scope, ...values],
        { writes: true },
      );
      return row === undefined || row.held === 0 ? null : row.keys;
    });
  }
}

function textOf(value: unknown, expires: number | undefined): string {
  // Rows must not expire: when a row vanishes, a known thread looks new.
  if (expires !== undefined) throw new TypeError('rows do not expire: expiry is a field of the record');
  if (typeof value !== 'string') throw new TypeError('only serialised values are stored');
  return value;
}
