import { Keyv } from 'keyv';
import { BridgeError } from '../errors.ts';
import type { StorageAdapter } from './sqlite.ts';

// keyv's own serializer gives strings that begin with a colon a meaning; ours is JSON and nothing else. Only `value` is
// taken from a row, so no row can ever expire by keyv's clock.
const json = {
  stringify: (data: unknown) => JSON.stringify(data),
  parse<T>(text: string): T {
    const data: unknown = JSON.parse(text);
    if (typeof data !== 'object' || data === null || !('value' in data)) throw new Error('the row has no value');
    return { value: data.value } as T;
  },
};

/**
 * One namespace of the store: JSON values under string keys. It makes every failure reject with `store_failed`, where
 * keyv would answer `false` or `undefined`: a known thread must not look new, nor an unsaved message saved.
 */
export class Rows {
  readonly #name: string;
  readonly #keyv: Keyv<unknown>;

  /** @param adapter this namespace's own instance. */
  constructor(name: string, adapter: StorageAdapter) {
    this.#name = name;
    this.#keyv = new Keyv({ store: adapter, serialization: json });
    // With a listener for 'error' keyv swallows what the store throws. Nobody listens, and this makes it certain.
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
    // `false` also means "was not there": only a look tells.
    if (deleted !== true && (await this.get(key)) !== undefined) throw this.#failed('delete', key, undefined);
  }

  /** Deletes every row whose key is one of those; resolves with how many. */
  async deleteWhere(isOne: (key: string) => boolean): Promise<number> {
    const keys = await this.keys(isOne);
    for (const key of keys) await this.delete(key);
    return keys.length;
  }

  async keys(wanted: (key: string) => boolean = () => true): Promise<string[]> {
    const keys: string[] = [];
    const iterator: unknown = this.#keyv.store.iterator;
    if (iterator === undefined) throw this.#failed('list', '*', new Error('this store can not list its rows'));
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
      notice: 'The bridge can not reach its storage right now.',
      certain: what === 'read' || what === 'list',
      retry: true,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
