import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { KeyvMemoryAdapter } from 'keyv';
import { openDatabase, SqliteAdapter, type StorageAdapter } from '../../src/storage/sqlite.ts';
import { type Medium, threadsContract } from '../contracts/threads.ts';

threadsContract('memory', (): Medium => {
  const maps = new Map<string, Map<string, unknown>>();
  return {
    adapter(namespace) {
      const map = maps.get(namespace) ?? new Map<string, unknown>();
      maps.set(namespace, map);
      // As src/storage/open.ts does, over a map that outlives the adapter and holds bare text.
      const inner = new KeyvMemoryAdapter(map);
      return inner as unknown as StorageAdapter;
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
