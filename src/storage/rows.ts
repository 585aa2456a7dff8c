import { Keyv } from 'keyv';
import type { MessageKey } from '../bridge/ids.ts';
import { BridgeError } from '../errors.ts';
import type { Revs, StorageAdapter } from './adapter.ts';
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

/** Characters of a key: an index of Postgres holds entries of up to 2,700 bytes. Our own keys are far shorter. */
const KEY_MAX = 400;

/**
 * One namespace of the store: JSON values under string keys. Every failure rejects with `store_failed`, where keyv
 * would return `false` or `undefined`: otherwise a known thread could look new, or an unsaved message saved.
 */
export class Rows {
  readonly #name: string;
  readonly #adapter: StorageAdapter;
  readonly #keyv: Keyv<unknown>;

  /** @param adapter this namespace's own instance. */
  constructor(name: string, adapter: StorageAdapter) {
    this.#name = name;
    this.#adapter = adapter;
    this.#keyv = new Keyv({ store: adapter, serialization: json });
    // keyv swallows the store's errors if anyone listens to 'error'. Nobody does, and with this it throws them anyway.
    this.#keyv.throwOnEmitError = true;
  }

  /** `undefined` when there is no such row. */
  async get(key: string): Promise<unknown> {
    if (key.length > KEY_MAX) return undefined;
    try {
      return await this.#keyv.get(key);
    } catch (error) {
      throw this.#failed('read', key, error);
    }
  }

  /** Resolves when the row is on disk. */
  async set(key: string, value: unknown): Promise<void> {
    if (key.length > KEY_MAX) throw this.#failed('write', `${key.slice(0, 40)}…`, tooLong());
    let stored: boolean;
    try {
      stored = await this.#keyv.set(key, value);
    } catch (error) {
      throw this.#failed('write', key, error);
    }
    if (stored !== true) throw this.#failed('write', key, undefined);
  }

  /**
   * Writes a record if the stored one has the expected rev. Resolves when it is on disk, with `false` when another rev
   * is there.
   * @param has as {@link StorageAdapter} says
   */
  async replace(key: string, value: unknown, revs: Revs, has: readonly MessageKey[] = []): Promise<boolean> {
    if (key.length > KEY_MAX) throw this.#failed('write', `${key.slice(0, 40)}…`, tooLong());
    let written: unknown;
    try {
      // Not by keyv, which cannot write on a condition; the text is the one that keyv would store.
      written = await this.#adapter.replace(key, json.stringify({ value }), revs, has);
    } catch (error) {
      throw this.#failed('write', key, error);
    }
    if (typeof written !== 'boolean') throw this.#failed('write', key, undefined);
    return written;
  }

  /** Resolves when the row is gone; deleting what is not there is fine. */
  async delete(key: string): Promise<void> {
    if (key.length > KEY_MAX) return;
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
    for await (const key of this.iterateKeys()) {
      if (wanted(key)) keys.push(key);
    }
    return keys;
  }

  /** All keys, in pages as the store reads them. */
  async *iterateKeys(): AsyncGenerator<string, void> {
    try {
      // Not by keyv, whose iterator reads the values, too.
      yield* this.#adapter.keys();
    } catch (error) {
      throw this.#failed('list', '*', error);
    }
  }

  #failed(what: 'read' | 'write' | 'delete' | 'list', key: string, cause: unknown): BridgeError {
    if (cause instanceof BridgeError && cause.code === 'lease_lost') return cause;
    const isKnown = cause instanceof BridgeError && cause.certain;
    return new BridgeError('store_failed', `could not ${what} ${this.#name}/${key}`, {
      notice: NOTICES.unreachable,
      certain: what === 'read' || what === 'list' || isKnown,
      retry: true,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

function tooLong(): BridgeError {
  return new BridgeError('store_failed', `the key is longer than ${KEY_MAX} characters`);
}
