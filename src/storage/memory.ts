import { KeyvMemoryAdapter } from 'keyv';
import type { Revs, StorageAdapter } from './adapter.ts';

class MemoryAdapter extends KeyvMemoryAdapter {
  async *keys(): AsyncGenerator<string, void> {
    for await (const entry of this.iterator()) yield String((entry as [unknown])[0]);
  }

  async replace(key: string, value: string, { expected }: Revs): Promise<boolean> {
    const found: unknown = await this.get(key);
    if ((found === undefined ? 0 : revOf(String(found))) !== expected) return false;
    return this.set(key, value);
  }
}

function revOf(text: string): unknown {
  const { value } = JSON.parse(text) as { value?: { rev?: unknown } };
  return value?.rev;
}

/**
 * keyv's in-memory adapter, one per namespace. Rows still serialises the values, so nobody can change a stored one.
 * @param rows outlives the adapter
 */
export function memoryAdapter(rows = new Map<string, unknown>()): StorageAdapter {
  return new MemoryAdapter(rows) as unknown as StorageAdapter;
}
