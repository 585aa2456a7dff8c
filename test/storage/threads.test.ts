import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { StorageAdapter } from '../../src/storage/adapter.ts';
import { memoryAdapter } from '../../src/storage/memory.ts';
import { assembleStore } from '../../src/storage/open.ts';
import { openDatabase, SqliteAdapter } from '../../src/storage/sqlite.ts';
import { type Medium, threadsContract } from '../contracts/threads.ts';
import { createFakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';
import { threadKeyOf, threadRecord } from '../support/records.ts';

threadsContract('memory', (): Medium => {
  const maps = new Map<string, Map<string, unknown>>();
  return {
    adapter(namespace) {
      const map = maps.get(namespace) ?? new Map<string, unknown>();
      maps.set(namespace, map);
      return memoryAdapter(map);
    },
    reopen() {},
    destroy() {},
  };
});

threadsContract('SQLite', (): Medium => {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-store-'));
  const path = join(folder, 'bridge.db');
  let database: DatabaseSync = openDatabase(path);
  return {
    adapter: (namespace) => new SqliteAdapter(database, namespace),
    reopen() {
      database.close();
      database = openDatabase(path);
    },
    destroy() {
      database.close();
      rmSync(folder, { recursive: true });
    },
  };
});

describe('a store with 10,000 threads', () => {
  const STORED = 10_000;
  const runtimeOf = (n: number) => ({ agentId: 'agent-1', conversationId: `conv-${n}`, deviceId: null });

  /** A store that counts what is read of it: rows by their keys, and lists of keys. */
  function counted() {
    const maps = new Map<string, Map<string, unknown>>();
    const read: string[] = [];
    const adapterFor = (namespace: string): StorageAdapter => {
      const map = maps.get(namespace) ?? new Map<string, unknown>();
      maps.set(namespace, map);
      const inner = memoryAdapter(map);
      return new Proxy(inner, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target);
          if (typeof value !== 'function') return value;
          if (!['get', 'getMany', 'keys', 'iterator'].includes(String(name))) return value.bind(target);
          return (...args: unknown[]) => {
            read.push(`${namespace}.${String(name)}`);
            return value.apply(target, args);
          };
        },
      });
    };
    const start = () =>
      assembleStore(adapterFor, { clock: createFakeClock(), log: createMemoryLog() }, () => {}).threads;
    return { adapterFor, read, start };
  }

  it('finds one by its conversation with three rows read', async () => {
    const { adapterFor, read, start } = counted();
    const threads = start();
    const key = threadKeyOf(0);
    await threads.update(key, () => threadRecord(key, { runtime: runtimeOf(0) }));
    const rows = adapterFor('threads');
    const row = String(await rows.get(key));
    for (let n = 1; n < STORED; n += 1) {
      await rows.set(threadKeyOf(n), row.replaceAll(key, threadKeyOf(n)).replaceAll('conv-0', `conv-${n}`));
    }
    // They are from before the index. The first look-up reads each once.
    await adapterFor('conversations').clear();
    const again = start();
    read.length = 0;
    expect(await again.findByConversation(runtimeOf(9_321))).toBe(threadKeyOf(9_321));
    expect(read.filter((call) => call === 'threads.get')).toHaveLength(STORED + 1);
    expect(read.filter((call) => call === 'threads.keys')).toHaveLength(1);
    const third = start();
    read.length = 0;
    expect(await third.findByConversation(runtimeOf(17))).toBe(threadKeyOf(17));
    expect(read).toEqual(['conversations.get', 'conversations.get', 'threads.get']);
    read.length = 0;
    expect(await third.findByConversation(runtimeOf(STORED))).toBeNull();
    expect(read).toEqual(['conversations.get']);
  });
});
