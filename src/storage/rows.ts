import { Keyv } from 'keyv';
import { BridgeError } from '../errors.ts';
import type { StorageAdapter } from './sqlite.ts';
import { NOTICES } from './words/notices.ts';

// Plain JSON instead of keyv's serializer, which treats strings that begin with a colon specially. It reads only
// `value`, so that keyv never expires a row.
const json = {
  stringify: (data: unknown) => JSON.stringify(data),
  parse<T>(text: string): T {
    const data: unknown = JSON.parse(text);
    if (typeof data !== 'object' || data === null || !('value' in data)) throw new Error('the row has no value');
    return { value: data.value } as T;
  },
};

/**
 * One namespace of the store: JSON values under string keys. Every failure rejects with `store_failed`, where keyv
 * would return `false` or `undefined`: otherwise a known thread could look new, or an unsaved message saved.
 */
export class Rows {
  readonly #name: string;
  readonly #keyv: Keyv<unknown>;

  /** @param adapter this namespace's own instance. */
  constructor(name: string, adapter: StorageAdapter) {
    this.#name = name;
    this.#keyv = new Keyv({ store: adapter, serialization: json });
    // keyv swallows the store's errors if anyone listens to 'error'. Nobody does, and with this it throws them anyway.
    this.#keyv.throwOnEmitError = true;
  }

  /** `undefined` when there is no such row. */
  async get(key: string): Promise<unknown> {
    try {
      return await this.#keyv.get(key);
    } catch (error) {
      throw this.#failed('read', key, error);
    }
  }

  /** Resolves when the row is on disk. */
  async set(key: string, value: unknown): Promise<void> {
    let stored: boolean;
    try {
      stored = await this.#keyv.set(key, value);
    } catch (error) {
      throw this.#failed('write', key, error);
    }
    if (stored !== true) throw this.#failed('write', key, undefined);
  }

  /** Resolves when the row is gone; deleting what is not there is fine. */
  async delete(key: string): Promise<void> {
    let deleted: boolean;
    try {
      deleted = await this.#keyv.delete(key);
    } catch (error) {
      throw this.#failed('delete', key, error);
    }
    // `false` also means "was not there", so look.
    if (deleted !== true && (await this.get(key)) !== undefined) throw this.#failed('delete', key, undefined);
  }

  /** Deletes every row whose key matches; resolves with their number. */
  async deleteWhere(isOne: (key: string) => boolean): Promise<number> {
    const keys = await this.keys(isOne);
    for (const key of keys) await this.delete(key);
    return keys.length;
  }

  async keys(wanted: (key: string) => boolean = () => true): Promise<string[]> {
    const keys: string[] = [];
    const iterator: unknown = this.#keyv.store.iterator;
    if (iterator === undefined) throw this.#failed('list', '*', new Error('this store cannot list its rows'));
    try {
      for await (const [key] of this.#keyv.iterator()) {
        if (wanted(key)) keys.push(key);
      }
    } catch (error) {
      throw this.#failed('list', '*', error);
    }
    return keys;
  }

  #failed(what: 'read' | 'write' | 'delete' | 'list', key: string, cause: unknown): BridgeError {
    return new BridgeError('store_failed', `could not ${what} ${this.#name}/${key}`, {
      notice: NOTICES.unreachable,
      certain: what === 'read' || what === 'list',
      retry: true,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
