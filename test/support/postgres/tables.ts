import { systemClock } from '../../../src/clock.ts';
import type { Guard } from '../../../src/storage/postgres/adapter.ts';
import { Database, Health } from '../../../src/storage/postgres/database.ts';
import { prepareTables } from '../../../src/storage/postgres/layouts.ts';
import type { HeldLease } from '../../../src/storage/postgres/lease.ts';
import { PostgresLeases } from '../../../src/storage/postgres/leases.ts';
import { Signals } from '../../../src/storage/postgres/signals.ts';
import { parsePostgresUri } from '../../../src/storage/postgres/uri.ts';
import { createMemoryLog } from '../log.ts';
import { createSchema, type Schema } from './schema.ts';

export interface Tables {
  database: Database;
  schema: Schema;
  /** Holds the lease of a workspace, from the first call on. */
  guard(workspace: string): Guard & { release(): Promise<void> };
  close(): Promise<void>;
}

/** The tables of the bridge in a schema of their own, without a house around them. */
export async function openTables(server: string): Promise<Tables> {
  const schema = await createSchema(server);
  const parsed = parsePostgresUri(schema.uri);
  if (!parsed.ok) throw new Error(parsed.problem);
  const clock = systemClock;
  const log = createMemoryLog();
  const database = new Database({
    uri: parsed.uri,
    clock,
    applicationName: 'letta-slack',
    connections: 5,
    health: new Health(),
  });
  await prepareTables(database);
  const leases = new PostgresLeases({
    database,
    signals: new Signals({ database, clock, log }),
    clock,
    log,
    // A busy machine renews late.
    times: { heartbeatMs: 5_000, expiryMs: 60_000 },
    connections: 5,
    process: schema.name,
    own: 'process/test',
  });
  const take = async (workspace: string): Promise<HeldLease> => {
    const lease = await leases.take(workspace);
    if (lease === null) throw new Error(`somebody else serves ${workspace}`);
    return lease;
  };
  return {
    database,
    schema,
    guard: (workspace) => ({
      workspace,
      read: async (read) => (await take(workspace)).read(read),
      write: async (attempt) => (await take(workspace)).write(attempt),
      release: async () => (await take(workspace)).release(),
    }),
    async close() {
      await leases.stop();
      await database.close();
      await schema.drop();
    },
  };
}
