import { BridgeError } from '../../errors.ts';
import type { Guard } from './adapter.ts';
import type { HeldLease } from './lease.ts';
import type { PostgresLeases } from './leases.ts';

/** What the rows of `bridge_leases` that stand for processes begin with. */
export const PROCESS_ROWS = 'process/';

/**
 * Guards the rows of the process itself. Nobody else wants its lease, so it is taken again whenever it has run out; like
 * every lease it keeps a write that arrives late from undoing a later one, and it tells that the process is alive.
 */
export class ProcessGuard implements Guard {
  readonly workspace: string;
  readonly #leases: PostgresLeases;

  constructor(leases: PostgresLeases, row: string) {
    this.#leases = leases;
    this.workspace = row;
  }

  async read<T>(read: () => Promise<T>): Promise<T> {
    return this.#asHolder((lease) => lease.read(read));
  }

  async write<T>(attempt: (fence: string) => Promise<T | null>): Promise<T> {
    return this.#asHolder((lease) => lease.write(attempt));
  }

  async #asHolder<T>(work: (lease: HeldLease) => Promise<T>): Promise<T> {
    try {
      return await work(await this.#take());
    } catch (error) {
      // It ran out while the database was away. Nothing was done without it, so all of it can be done again.
      if (!(error instanceof BridgeError && error.code === 'lease_lost')) throw error;
      return work(await this.#take());
    }
  }

  async #take(): Promise<HeldLease> {
    const lease = await this.#leases.take(this.workspace);
    if (lease === null) throw new BridgeError('store_failed', 'the store is closed');
    return lease;
  }
}
