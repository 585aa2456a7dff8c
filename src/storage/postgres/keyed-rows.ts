import { isDeepStrictEqual } from 'node:util';
import type { KeyedRows } from '../house.ts';
import type { Rows } from '../rows.ts';
import type { PostgresAdapter } from './adapter.ts';

/**
 * One namespace as rows by key. A row is swapped on the condition that its text is the one that was compared, so that of
 * two processes only one changes it.
 */
export function keyedRows(adapter: PostgresAdapter, rows: Rows): KeyedRows {
  return {
    get: (key) => rows.get(key),
    set: (key, value) => rows.set(key, value),
    async swap(key, expected, value) {
      const before = await adapter.get<never>(key);
      const found = before === undefined ? undefined : (JSON.parse(before) as { value: unknown }).value;
      if (!isDeepStrictEqual(found, expected)) return false;
      return adapter.swap(key, before, value === undefined ? undefined : JSON.stringify({ value }));
    },
    delete: (key) => rows.delete(key),
    keys: () => rows.iterateKeys(),
  };
}
