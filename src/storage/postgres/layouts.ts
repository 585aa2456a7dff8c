import { BridgeError } from '../../errors.ts';
import type { Database, Run } from './database.ts';
import { LAYOUT_1 } from './layout-1.ts';

/** The statements that lead from each layout to the next one, the first from an empty schema. */
const LAYOUTS: readonly string[] = [LAYOUT_1];
export const LAYOUT = LAYOUTS.length;
/** With a large table, a layout can take a while; meanwhile the other processes wait. */
const MIGRATE_MS = 10 * 60_000;
/** Below it, something that the statements use is missing. */
const LEAST_VERSION = 13;

/** What a server is, as far as it matters. */
export interface ServerFacts {
  /** `15.4` */
  version: string;
  encoding: string;
  /** Whether it only follows another server. */
  isReplica: boolean;
  /** `on`, `local`, `remote_write`, `remote_apply`; with `off` a commit can be lost. */
  synchronousCommit: string;
  fsync: string;
  /** Where the tables are or will be; `null`: the search_path names no schema that exists. */
  schema: string | null;
  user: string;
  database: string;
  isEncrypted: boolean;
}

export async function readFacts(run: Run): Promise<ServerFacts> {
  const [row] = await run<Record<string, string | boolean | null>>(`
    SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS encoding,
      pg_is_in_recovery() AS is_replica, current_setting('synchronous_commit') AS synchronous_commit,
      current_setting('fsync') AS fsync, current_schema()::text AS schema, current_user::text AS "user",
      current_database()::text AS database,
      coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS is_encrypted`);
  const text = (name: string) => String(row?.[name] ?? '');
  return {
    version: text('version'),
    encoding: text('encoding'),
    isReplica: row?.is_replica === true,
    synchronousCommit: text('synchronous_commit'),
    fsync: text('fsync'),
    schema: typeof row?.schema === 'string' ? row.schema : null,
    user: text('user'),
    database: text('database'),
    isEncrypted: row?.is_encrypted === true,
  };
}

/** The layout of the tables; 0: there are none yet. */
export async function readLayout(run: Run): Promise<number> {
  const [found] = await run<{ exists: boolean }>(
    `SELECT to_regclass(quote_ident(current_schema()) || '.bridge_layouts') IS NOT NULL AS exists`,
  );
  if (found?.exists !== true) return 0;
  const [row] = await run<{ layout: number | null }>('SELECT max(layout) AS layout FROM bridge_layouts');
  return row?.layout ?? 0;
}

/**
 * Checks that the server can keep what Slack is told is kept, and makes or changes the tables. Of several processes that
 * start at once, one does it.
 * @throws BridgeError config_invalid, record_newer, store_failed
 */
export async function prepareTables(database: Database): Promise<ServerFacts> {
  return database.transaction(async (run) => {
    await run(`SET LOCAL statement_timeout = ${MIGRATE_MS}`);
    const facts = await readFacts(run);
    refuseServer(facts);
    const before = await readLayout(run);
    if (before < LAYOUT) await migrate(run);
    if (before > LAYOUT) throw newerLayout(before);
    return facts;
  }, MIGRATE_MS);
}

async function migrate(run: Run): Promise<void> {
  await run(`SELECT pg_advisory_xact_lock(hashtext('letta-slack-bridge'), hashtext(current_schema()::text))`);
  await run(`CREATE TABLE IF NOT EXISTS bridge_layouts (
    layout integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())`);
  // Another process may have been first.
  const layout = await readLayout(run);
  if (layout > LAYOUT) throw newerLayout(layout);
  for (let next = layout; next < LAYOUT; next += 1) {
    await run(LAYOUTS[next] ?? '');
    await run('INSERT INTO bridge_layouts (layout) VALUES ($1)', [next + 1]);
  }
}

export function newerLayout(layout: number): BridgeError {
  return new BridgeError(
    'record_newer',
    `the database was written by a newer version of the bridge (layout ${layout}, this one knows ${LAYOUT})`,
  );
}

/** Why the bridge must not use the server, with what to do; `null`: it may. */
export function unusableBecause(facts: ServerFacts): string | null {
  const { version, encoding, isReplica, synchronousCommit, schema, user } = facts;
  if (Number.parseInt(version, 10) < LEAST_VERSION) {
    return `the database is Postgres ${version}, and the bridge needs ${LEAST_VERSION} or later`;
  }
  if (encoding !== 'UTF8') {
    return `the database has the encoding ${encoding}, so it cannot store every text. Create one with createdb --encoding=UTF8`;
  }
  if (synchronousCommit === 'off') {
    return `the database has synchronous_commit off, so it can lose what it has committed. Run ALTER ROLE "${user}" SET synchronous_commit = on`;
  }
  if (schema === null) return 'the search_path names no schema that exists. Create one with CREATE SCHEMA';
  return isReplica ? 'the database is a replica, which is read-only: STORE must lead to the primary' : null;
}

function refuseServer(facts: ServerFacts): void {
  const why = unusableBecause(facts);
  if (why === null) return;
  // A failover may be under way, and end.
  if (facts.isReplica) throw new BridgeError('store_failed', why, { retry: true });
  throw new BridgeError('config_invalid', `STORE cannot be used: ${why}`);
}
