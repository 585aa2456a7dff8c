import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { Keyv, KeyvBridgeAdapter } from 'keyv';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { StorageAdapter } from '../../../src/storage/adapter.ts';
import { keyFromText, keyToText } from '../../../src/storage/keys.ts';
import { memoryAdapter } from '../../../src/storage/memory.ts';
import { PostgresAdapter } from '../../../src/storage/postgres/adapter.ts';
import { Rows } from '../../../src/storage/rows.ts';
import { openDatabase, SqliteAdapter } from '../../../src/storage/sqlite.ts';
import { openReplica, takeLease } from '../../support/postgres/replica.ts';
import { findServer } from '../../support/postgres/schema.ts';
import { openTables, type Tables } from '../../support/postgres/tables.ts';
import { runs } from '../../support/runs.ts';

const server = await findServer();

/** Any text at all: NUL, halves of pairs, escapes of ours, quotes, signs of SQL. */
const wild = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom('\u0000', '\\', '0', 'u', 'd800', '\ud800', '\udc00', "'", '"', '{', ',', 'é', '𝒳'),
    maxLength: 12,
  }),
);

describe('keys as text in a database', () => {
  it('come back as they were, and different ones stay different', () => {
    fc.assert(
      fc.property(wild, wild, (one, other) => {
        expect(keyFromText(keyToText(one))).toBe(one);
        expect(keyToText(one).isWellFormed()).toBe(true);
        expect(keyToText(one)).not.toContain('\u0000');
        expect(keyToText(one) === keyToText(other)).toBe(one === other);
      }),
      { numRuns: runs(2_000) },
    );
  });

  it('are readable where they are ordinary', () => {
    expect(keyToText('T01:C01:1700000000.000100')).toBe('T01:C01:1700000000.000100');
  });
});

describe.skipIf(server === null)('rows on Postgres', () => {
  let tables: Tables;
  let workspaces = 0;
  beforeAll(async () => {
    tables = await openTables(server ?? '');
  });
  afterAll(() => tables.close());
  const newAdapter = (namespace = 'any') => {
    workspaces += 1;
    return new PostgresAdapter(tables.database, tables.guard(`T${workspaces}`), `T${workspaces}`, namespace);
  };

  it('are used by keyv directly, without its wrapper for expiry', () => {
    const adapter = newAdapter();
    const keyv = new Keyv({ store: adapter });
    expect(keyv.store).toBe(adapter);
    expect(keyv.store).not.toBeInstanceOf(KeyvBridgeAdapter);
  });

  it('refuse an expiry and what is not serialised', async () => {
    const adapter = newAdapter();
    await expect(adapter.set('key', 'value', 1)).rejects.toThrow('do not expire');
    await expect(adapter.set('key', { a: 1 })).rejects.toThrow('serialised');
  });

  it('give back every value as it was, up to a megabyte', async () => {
    const rows = new Rows('any', newAdapter());
    const values = [
      '\u0000',
      '\ud800 and \udc00',
      "'; DROP TABLE bridge_rows; --",
      '\\u0000',
      '{"a":[1,"\\"]}',
      'é𝒳'.repeat(250_000),
    ];
    for (const value of values) {
      await rows.set('key', { value });
      expect(await rows.get('key')).toEqual({ value });
    }
  });

  it('refuse a key that is too long, on every kind of store', async () => {
    for (const adapter of [newAdapter(), memoryAdapter()]) {
      const rows = new Rows('any', adapter);
      const [longest, longer] = ['\ud800'.repeat(400), 'k'.repeat(401)];
      await rows.set(longest, 1);
      expect(await rows.get(longest)).toBe(1);
      await expect(rows.set(longer, 1)).rejects.toMatchObject({ code: 'store_failed', certain: true });
      expect(await rows.get(longer)).toBeUndefined();
      await rows.delete(longer);
      expect(await rows.keys()).toEqual([longest]);
    }
  });

  it('list all keys in pages, even when rows are deleted meanwhile', async () => {
    const adapter = newAdapter();
    const keys = Array.from({ length: 1_200 }, (_, n) => `key-${String(n).padStart(4, '0')}`);
    await adapter.setMany(keys.map((key) => ({ key, value: key })));
    const read: string[] = [];
    for await (const [key, value] of adapter.iterator()) {
      expect(value).toBe(key);
      read.push(key);
      if (read.length % 100 === 0) await adapter.delete(key);
    }
    expect(read).toEqual(keys);
    expect((await new Rows('any', adapter).keys()).length).toBe(1_188);
  });

  it('of one workspace are apart from those of another', async () => {
    const [one, other] = [newAdapter(), newAdapter()];
    await one.set('key', '1');
    await other.set('key', '2');
    await other.clear();
    expect(await one.get('key')).toBe('1');
    expect(await other.get('key')).toBeUndefined();
  });

  it('of installations are swapped by one process only', async () => {
    const [one, two] = await Promise.all([openReplica(tables.schema.uri), openReplica(tables.schema.uri)]);
    const { installations } = one;
    expect(await installations.swap('T1', undefined, { token: 0 })).toBe(true);
    expect(await installations.swap('T1', undefined, { token: 9 })).toBe(false);
    for (let token = 0; token < 10; token += 1) {
      const swaps = [one, two, one, two].map((each) => each.installations.swap('T1', { token }, { token: token + 1 }));
      expect((await Promise.all(swaps)).filter(Boolean)).toHaveLength(1);
    }
    expect(await two.installations.swap('T1', { token: 9 }, undefined)).toBe(false);
    expect(await two.installations.swap('T1', { token: 10 }, undefined)).toBe(true);
    expect(await one.installations.get('T1')).toBeUndefined();
    expect(await one.installations.swap('T1', undefined, undefined)).toBe(true);
  });

  it('of an uninstalled workspace are all deleted, and no others', async () => {
    const house = await openReplica(tables.schema.uri);
    const [gone, other] = [await takeLease(house, 'T-gone'), await takeLease(house, 'T-other')];
    for (const lease of [gone, other]) {
      const store = await house.openWorkspace(lease.workspace, lease);
      await store.choices.set('agent', 'agent-1');
      await store.close();
      await house.inbound.put(lease.workspace, { kind: 'events_api', body: {}, retryNum: 0, retryReason: null });
    }
    await house.deleteWorkspace('T-gone', gone);
    for (const table of ['bridge_rows', 'bridge_inbound']) {
      const left = await tables.schema.run<{ workspace: string }>(
        `SELECT DISTINCT workspace FROM ${table} WHERE workspace LIKE 'T-%'`,
      );
      expect(left).toEqual([{ workspace: 'T-other' }]);
    }
  });

  it('behave like those of SQLite and memory, in random order of calls', async () => {
    const key = fc.oneof(
      fc.constantFrom('a', 'b', 'c'),
      wild.filter((text) => text !== ''),
    );
    const value = wild.map((text) => JSON.stringify({ value: text }));
    const rev = fc.integer({ min: 0, max: 3 });
    const command = fc.oneof(
      fc.record({ call: fc.constant('set' as const), key, value }),
      fc.record({ call: fc.constant('delete' as const), key }),
      fc.record({ call: fc.constant('get' as const), key }),
      fc.record({ call: fc.constant('has' as const), key }),
      fc.record({ call: fc.constant('replace' as const), key, rev, text: wild }),
      fc.record({
        call: fc.constant('setMany' as const),
        entries: fc.array(fc.record({ key, value }), { maxLength: 4 }),
      }),
      fc.record({ call: fc.constant('deleteMany' as const), keys: fc.uniqueArray(key, { maxLength: 4 }) }),
      fc.record({ call: fc.constant('getMany' as const), keys: fc.array(key, { maxLength: 4 }) }),
      fc.record({ call: fc.constant('list' as const) }),
      fc.record({ call: fc.constant('clear' as const) }),
    );
    type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;
    const run = async (plain: StorageAdapter, records: StorageAdapter, one: Command): Promise<unknown> => {
      switch (one.call) {
        case 'set':
          return plain.set(one.key, one.value);
        case 'delete':
          return plain.delete(one.key);
        case 'get':
          return [await plain.get(one.key), await records.get(one.key)];
        case 'has':
          return plain.has(one.key);
        case 'replace': {
          const next = JSON.stringify({ value: { rev: one.rev + 1, text: one.text } });
          return records.replace(one.key, next, { expected: one.rev, next: one.rev + 1 });
        }
        case 'setMany':
          return plain.setMany(one.entries);
        case 'deleteMany':
          return plain.deleteMany(one.keys);
        case 'getMany':
          return plain.getMany(one.keys);
        case 'list': {
          const keys: string[] = [];
          for await (const each of plain.keys()) keys.push(each);
          return keys.sort();
        }
        case 'clear':
          return plain.clear();
      }
    };
    const folder = mkdtempSync(join(tmpdir(), 'bridge-rows-'));
    const database = openDatabase(join(folder, 'bridge.db'));
    onTestFinished(() => {
      database.close();
      rmSync(folder, { recursive: true });
    });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 30 }), async (commands) => {
        round += 1;
        const stores = [
          [newAdapter(), newAdapter('records')],
          [new SqliteAdapter(database, `plain-${round}`), new SqliteAdapter(database, `records-${round}`)],
          [memoryAdapter(), memoryAdapter()],
        ] as const;
        for (const one of commands) {
          const [postgres, sqlite, memory] = await Promise.all(
            stores.map(([plain, records]) => run(plain, records, one)),
          );
          expect(postgres).toEqual(sqlite);
          // keyv's own adapter in memory has its own mind about some answers.
          if (['get', 'replace', 'list', 'has'].includes(one.call)) expect(memory).toEqual(sqlite);
        }
      }),
      { numRuns: runs(80) },
    );
  });
});
