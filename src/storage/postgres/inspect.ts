import type { Clock } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { StoredChoices } from '../choices.ts';
import { Rows } from '../rows.ts';
import { type Guard, PostgresAdapter } from './adapter.ts';
import { Database, Health, type Run } from './database.ts';
import { LAYOUT, readFacts, readLayout, type ServerFacts, unusableBecause } from './layouts.ts';
import { PROCESS_ROWS } from './process-guard.ts';
import { type PostgresUri, placeOf } from './uri.ts';

/** The first of several, by name. */
export interface Listed {
  count: number;
  first: readonly string[];
}

/** A process that uses the store. */
export interface PostgresProcess {
  /** For people: process id, host, start. */
  name: string;
  /** Connections of Socket Mode that it has to Slack; `null`: it has not told. */
  sockets: number | null;
  serves: Listed;
}

/** What doctor tells of a store on Postgres. */
export interface PostgresReport {
  kind: 'postgres';
  /** Database, host and port. */
  place: string;
  /** Why the bridge cannot use it, with what to do; `null`: it can. */
  unusable: string | null;
  facts: ServerFacts | null;
  /** `null` while there are no tables: the first start makes them. */
  layout: number | null;
  /** ms by which the database's clock is ahead of this machine's; `null`: not known. */
  aheadMs: number | null;
  /** Processes that use it now, at most 20. */
  processes: readonly PostgresProcess[];
  /** Workspaces in which something is under way and which no process serves: the first few, and how many. */
  unserved: Listed;
  /** Deliveries that no process could handle. */
  failedDeliveries: number;
}

type Figures = Pick<PostgresReport, 'layout' | 'aheadMs' | 'processes' | 'unserved' | 'failedDeliveries'>;

const NOTHING: Figures = {
  layout: null,
  aheadMs: null,
  processes: [],
  unserved: { count: 0, first: [] },
  failedDeliveries: 0,
};
const MOST_PROCESSES = 20;
/** Names in a list. */
const MOST_NAMED = 10;
/** A workspace is handed over within a second; one that no process serves for this long waits for something else. */
const HANDED_OVER_WITHIN = "interval '5 seconds'";

/** Reports on the store. Changes nothing, because processes may be using it. Never rejects. */
export async function inspectPostgres(uri: PostgresUri, clock: Clock): Promise<PostgresReport> {
  const report = { kind: 'postgres' as const, place: placeOf(uri), unusable: null, facts: null, ...NOTHING };
  const database = openOne(uri, clock);
  try {
    return { ...report, ...(await database.transaction((run) => inspect(run, clock))) };
  } catch (error) {
    return { ...report, unusable: error instanceof Error ? error.message : String(error) };
  } finally {
    await database.close();
  }
}

/** The choices stored under these names, of the process or of the only workspace that has them. */
export async function readPostgresChoices(
  uri: PostgresUri,
  names: readonly string[],
  clock: Clock,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const database = openOne(uri, clock);
  try {
    const rows = await database.read<{ workspace: string; key: string }>(
      `SELECT workspace, key FROM bridge_rows WHERE namespace = 'choices' AND key = ANY ($1::text[]) ORDER BY workspace`,
      [names],
    );
    const workspaces = new Set(rows.map(({ workspace }) => workspace).filter((workspace) => workspace !== ''));
    for (const { workspace, key } of rows) {
      if (workspaces.size > 1 && workspace !== '') continue;
      const choices = new StoredChoices(
        new Rows('choices', new PostgresAdapter(database, READER, workspace, 'choices')),
      );
      const value = await choices.get(key);
      if (value) found.set(key, value);
    }
  } catch {
    // `inspectPostgres` reports what is wrong with the store.
  } finally {
    await database.close();
  }
  return found;
}

/** Somebody who has no lease reads, and does not write. */
const READER: Guard = {
  workspace: '',
  read: (read) => read(),
  write: () => Promise.reject(new BridgeError('internal', 'only reads')),
};

function openOne(uri: PostgresUri, clock: Clock): Database {
  return new Database({ uri, clock, applicationName: 'letta-slack doctor', connections: 1, health: new Health() });
}

async function inspect(run: Run, clock: Clock): Promise<Omit<PostgresReport, 'kind' | 'place'>> {
  const facts = await readFacts(run);
  const unusable = unusableBecause(facts);
  if (unusable !== null) return { facts, unusable, ...NOTHING };
  const sentAt = clock.now();
  const [time] = await run<{ now: number }>('SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now');
  const aheadMs = time === undefined ? null : Math.round(time.now - (sentAt + clock.now()) / 2);
  const layout = await readLayout(run);
  if (layout === 0) {
    const [may] = await run<{ create: boolean }>(`SELECT has_schema_privilege(current_schema(), 'CREATE') AS create`);
    const why = `the database user ${facts.user} may not create tables in the schema ${facts.schema}: run GRANT CREATE`;
    return { facts, ...NOTHING, aheadMs, unusable: may?.create === true ? null : why };
  }
  if (layout > LAYOUT) return { facts, unusable: null, ...NOTHING, layout, aheadMs };
  const [tables] = await run<{ may: boolean; failed: number }>(
    `SELECT (SELECT bool_and(has_table_privilege(name, 'SELECT, INSERT, UPDATE, DELETE'))
         FROM unnest(ARRAY['bridge_rows', 'bridge_leases', 'bridge_inbound', 'bridge_replicas']) AS name) AS may,
       (SELECT count(*)::int FROM bridge_inbound WHERE failed_at IS NOT NULL) AS failed`,
  );
  if (tables?.may !== true) {
    const why = `the database user ${facts.user} may not write the bridge’s tables`;
    return { facts, unusable: why, ...NOTHING, layout, aheadMs };
  }
  return {
    ...{ facts, unusable: null, layout, aheadMs, failedDeliveries: tables.failed },
    processes: await readProcesses(run),
    unserved: await readUnserved(run),
  };
}

async function readProcesses(run: Run): Promise<PostgresProcess[]> {
  const rows = await run<{ name: string; sockets: number | null; count: number; first: string[] | null }>(
    `SELECT own.process AS name, told.sockets, served.count, served.first
     FROM bridge_leases AS own
     LEFT JOIN bridge_replicas AS told ON told.id = substr(own.workspace, length('${PROCESS_ROWS}') + 1)
     CROSS JOIN LATERAL (
       SELECT count(*)::int AS count, (array_agg(workspace ORDER BY workspace))[1:$1] AS first
       FROM bridge_leases AS lease WHERE lease.process = own.process AND expires_at > clock_timestamp()
         AND workspace NOT LIKE '${PROCESS_ROWS}%') AS served
     WHERE own.workspace LIKE '${PROCESS_ROWS}%' AND own.expires_at > clock_timestamp()
     ORDER BY own.process LIMIT ${MOST_PROCESSES}`,
    [MOST_NAMED],
  );
  return rows.map(({ name, sockets, count, first }) => ({
    // Its last part only tells it from another one of the same second.
    name: name.replace(/ \([0-9a-f-]{36}\)$/, ''),
    sockets,
    serves: { count, first: first ?? [] },
  }));
}

async function readUnserved(run: Run): Promise<Listed> {
  const [row] = await run<{ count: number; first: string[] | null }>(
    `SELECT count(*)::int AS count, (array_agg(workspace ORDER BY workspace))[1:$1] AS first
     FROM bridge_leases WHERE needed AND expires_at < clock_timestamp() - ${HANDED_OVER_WITHIN}`,
    [MOST_NAMED],
  );
  return { count: row?.count ?? 0, first: row?.first ?? [] };
}
