import { findPostgres, startCluster } from '../../test/support/postgres/cluster.ts';
import { createSchema } from '../../test/support/postgres/schema.ts';

/** A Postgres on this machine that makes each commit durable, as in use. */
export interface BenchDatabase {
  /** @returns STORE of a bridge that has nothing stored */
  newStore(): Promise<string>;
  close(): Promise<void>;
}

/** `null`: there is no Postgres on this machine. */
export async function startDatabase(): Promise<BenchDatabase | null> {
  const binaries = findPostgres();
  if (binaries === null) return null;
  const cluster = await startCluster(binaries, { settings: { fsync: 'on' } });
  return {
    newStore: async () => (await createSchema(cluster.url)).uri,
    close: () => cluster.destroy(),
  };
}
