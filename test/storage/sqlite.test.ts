import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { Keyv, KeyvBridgeAdapter } from 'keyv';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StorageAdapter } from '../../src/storage/adapter.ts';
import { memoryAdapter } from '../../src/storage/memory.ts';
import { Rows } from '../../src/storage/rows.ts';
import { openDatabase, SqliteAdapter } from '../../src/storage/sqlite.ts';

let folder: string;
let database: DatabaseSync;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bridge-sqlite-'));
  database = openDatabase(join(folder, 'bridge.db'));
});

afterEach(() => {
  if (database.isOpen) database.close();
  rmSync(folder, { recursive: true });
});

const broken = (): StorageAdapter => {
  const adapter = memoryAdapter();
  adapter.get = async () => {
    throw new Error('disk I/O error');
  };
  adapter.set = async () => {
    throw new Error('disk I/O error');
  };
  return adapter;
};

describe('the SQLite adapter', () => {
  it('is used by keyv directly, without its wrapper for expiry', () => {
    const adapter = new SqliteAdapter(database, 'threads');
    const keyv = new Keyv({ store: adapter });
    expect(keyv.store).toBe(adapter);
    expect(keyv.store).not.toBeInstanceOf(KeyvBridgeAdapter);
  });

  it('keeps namespaces apart', async () => {
    const one = new SqliteAdapter(database, 'one');
    const two = new SqliteAdapter(database, 'two');
    await one.set('key', '1');
    await two.set('key', '2');
    expect(await one.get('key')).toBe('1');
    await two.clear();
    expect(await one.get('key')).toBe('1');
    expect(await two.get('key')).toBeUndefined();
  });

  it('answers every call of keyv’s contract', async () => {
    const adapter = new SqliteAdapter(database, 'any');
    expect(await adapter.setMany(['a', 'b', 'c'].map((key) => ({ key, value: key })))).toEqual([true, true, true]);
    expect(await adapter.getMany(['a', 'x'])).toEqual(['a', undefined]);
    expect(await adapter.hasMany(['a', 'x'])).toEqual([true, false]);
    expect(await adapter.has('b')).toBe(true);
    expect(await adapter.delete('b')).toBe(true);
    expect(await adapter.delete('b')).toBe(false);
    expect(await adapter.deleteMany(['a', 'x'])).toEqual([true, false]);
    expect(await adapter.get('c')).toBe('c');
  });

  it('writes a record only over the expected rev', async () => {
    const adapter = new SqliteAdapter(database, 'any');
    const record = (rev: number, by: string) => JSON.stringify({ value: { rev, by } });
    expect(await adapter.replace('a', record(2, 'x'), { expected: 1, next: 2 })).toBe(false);
    expect(await adapter.replace('a', record(1, 'x'), { expected: 0, next: 1 })).toBe(true);
    expect(await adapter.replace('a', record(1, 'y'), { expected: 0, next: 1 })).toBe(false);
    expect(await adapter.replace('a', record(2, 'y'), { expected: 1, next: 2 })).toBe(true);
    expect(await adapter.replace('a', record(2, 'z'), { expected: 1, next: 2 })).toBe(false);
    expect(await adapter.get('a')).toBe(record(2, 'y'));
  });

  it('writes many rows or none', async () => {
    const adapter = new SqliteAdapter(database, 'any');
    const entries = [
      { key: 'a', value: 'a' },
      { key: 'b', value: 5 },
    ];
    await expect(adapter.setMany(entries)).rejects.toThrow('serialised');
    expect(await adapter.get('a')).toBeUndefined();
    await adapter.set('a', 'works again');
  });

  it('lists all rows in pages, even when rows are deleted meanwhile', async () => {
    const adapter = new SqliteAdapter(database, 'any');
    const keys = Array.from({ length: 250 }, (_, n) => `key-${String(n).padStart(3, '0')}`);
    await adapter.setMany(keys.map((key) => ({ key, value: key })));
    const read: string[] = [];
    for await (const [key] of adapter.iterator()) {
      read.push(key);
      await adapter.delete(key);
    }
    expect(read).toEqual(keys);
  });

  it('refuses rows that would expire by the wall clock', async () => {
    const adapter = new SqliteAdapter(database, 'any');
    await expect(adapter.set('key', 'value', 1)).rejects.toThrow('do not expire');
  });

  it('rejects every call once the database is closed', async () => {
    const rows = new Rows('any', new SqliteAdapter(database, 'any'));
    database.close();
    for (const call of [rows.get('key'), rows.set('key', 1), rows.delete('key'), rows.keys()]) {
      await expect(call).rejects.toMatchObject({ code: 'store_failed' });
    }
  });
});

describe('keyv 6, and the rows in front of it', () => {
  it('keyv hides a failing disk once there is an error listener', async () => {
    const keyv = new Keyv({ store: broken() });
    keyv.on('error', () => {});
    expect(await keyv.set('key', 1)).toBe(false);
    expect(await keyv.get('key')).toBeUndefined();
  });

  it('keyv merges two namespaces on one adapter', async () => {
    const adapter = memoryAdapter();
    const one = new Keyv({ store: adapter, namespace: 'one' });
    const two = new Keyv({ store: adapter, namespace: 'two' });
    await one.set('key', 'of one');
    expect(await two.get('key')).toBe('of one');
  });

  it('rows reject instead, and name what failed', async () => {
    const rows = new Rows('threads', broken());
    await expect(rows.get('T:C:1')).rejects.toMatchObject({
      code: 'store_failed',
      message: 'could not read threads/T:C:1',
    });
    await expect(rows.set('T:C:1', 1)).rejects.toMatchObject({ code: 'store_failed', certain: false, retry: true });
  });

  it('rows reject when a store answers false without an error', async () => {
    const adapter = memoryAdapter();
    adapter.set = async () => false;
    await expect(new Rows('threads', adapter).set('key', 1)).rejects.toMatchObject({ code: 'store_failed' });
    const stuck = memoryAdapter();
    const rows = new Rows('threads', stuck);
    await rows.set('key', 1);
    stuck.delete = async () => false;
    await expect(rows.delete('key')).rejects.toMatchObject({ code: 'store_failed' });
    await rows.delete('never there');
  });
});
