import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { asBridgeError, BridgeError } from '../../errors.ts';
import type { StoreHouse } from '../house.ts';
import type { StoreParts } from '../open.ts';
import { Database, Health } from './database.ts';
import { assembleHouse } from './house.ts';
import { prepareTables, type ServerFacts } from './layouts.ts';
import type { LeaseTimes } from './lease.ts';
import { type PostgresUri, placeOf } from './uri.ts';

const CONNECTIONS = 10;
const TIMES: LeaseTimes = { heartbeatMs: 5_000, expiryMs: 15_000 };
/** Statements about leases have connections of their own, so that they never wait for other ones. */
const LEASE_CONNECTIONS = 2;
/** How long a start waits for a database that is not there yet. */
const WAIT_MS = 30_000;
const TRY_EVERY_MS = 1_000;

export interface PostgresParts extends StoreParts {
  postgres?: { connections?: number } & Partial<LeaseTimes>;
}

/**
 * Opens a store on Postgres that several processes share.
 * @throws BridgeError config_invalid, record_newer; store_failed when the database is not there within 30 s.
 */
export async function openPostgres(uri: PostgresUri, parts: PostgresParts): Promise<StoreHouse> {
  const { clock, log, postgres: { connections = CONNECTIONS, ...times } = {} } = parts;
  const id = randomUUID();
  const applicationName = 'letta-slack';
  const health = new Health();
  const common = { uri, clock, applicationName, health };
  const database = new Database({ ...common, connections });
  const leaseDatabase = new Database({ ...common, connections: LEASE_CONNECTIONS });
  const disconnect = async () => {
    await leaseDatabase.close();
    await database.close();
  };
  try {
    const facts = await waitForDatabase(database, parts);
    warnOf(facts, parts);
    log.info({ store: placeOf(uri), isEncrypted: facts.isEncrypted }, 'connected to the database of the store');
  } catch (error) {
    await disconnect();
    throw error;
  }
  return assembleHouse({
    ...parts,
    ...{ database, leaseDatabase, disconnect, connections, id, times: { ...TIMES, ...times } },
    check: () => health.check(),
    process: `pid ${process.pid} on ${hostname()}, started ${new Date(clock.now()).toISOString()} (${id})`,
  });
}

/** Waits for a database that is starting, as it may when all services of a machine start at once. */
async function waitForDatabase(database: Database, { clock, log, signal }: PostgresParts): Promise<ServerFacts> {
  const until = clock.monotonic() + WAIT_MS;
  let hasWarned = false;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await prepareTables(database);
    } catch (error) {
      const failure = asBridgeError(error);
      if (failure.code === 'store_failed' && !failure.retry) {
        throw new BridgeError('config_invalid', `STORE cannot be used: ${failure.message}`, { cause: failure.cause });
      }
      if (!failure.retry || clock.monotonic() >= until) throw failure;
      if (!hasWarned) log.warn({ err: failure }, 'the database of the store is not there yet; waiting for it');
      hasWarned = true;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = clock.after(TRY_EVERY_MS, resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      timer.cancel();
    }
  }
}

function warnOf({ fsync }: ServerFacts, { log }: PostgresParts): void {
  if (fsync === 'off') log.warn({}, 'the database has fsync off, so it can lose what it has committed');
}
