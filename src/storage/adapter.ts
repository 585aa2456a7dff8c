import type { KeyvStorageAdapter } from 'keyv';
import type { MessageKey } from '../bridge/ids.ts';

/** The rev that the stored record must have, 0 for none at all, and the rev of the record that takes its place. */
export interface Revs {
  expected: number;
  next: number;
}

/**
 * The methods that keyv calls on a store, and what keyv has no call for. The event emitter in keyv's type is left out,
 * because our stores emit nothing.
 */
export type StorageAdapter = Pick<
  KeyvStorageAdapter,
  'get' | 'set' | 'setMany' | 'delete' | 'deleteMany' | 'clear' | 'has' | 'hasMany' | 'getMany' | 'capabilities'
> & {
  iterator(): AsyncGenerator<[string, string], void>;
  /** All keys, without the values. */
  keys(): AsyncGenerator<string, void>;
  /**
   * Writes a record if the stored one has the expected rev: one step of the store itself, so that nothing can come in
   * between.
   * @param has messages that the record has from now on: deliveries of them are done in the same step, where the store
   * holds deliveries
   * @returns whether it was written
   */
  replace(key: string, value: string, revs: Revs, has?: readonly MessageKey[]): Promise<boolean>;
};
