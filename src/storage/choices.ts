import type { Choices } from '../bridge/ports.ts';
import { readChoice, toRow } from './records.ts';
import type { Rows } from './rows.ts';

/** Choices by name, such as the chosen agent. Any disk failure rejects with store_failed. */
export class StoredChoices implements Choices {
  readonly #rows: Rows;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  async get(name: string): Promise<string | null> {
    const found = await this.#rows.get(name);
    return found === undefined ? null : readChoice(`choices/${name}`, found);
  }

  async set(name: string, value: string): Promise<void> {
    await this.#rows.set(name, toRow({ value }));
  }
}
