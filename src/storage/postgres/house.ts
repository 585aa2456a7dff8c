import type { WorkspaceId } from '../../bridge/ids.ts';
import type { Clock } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { StoredChoices } from '../choices.ts';
import type { Lease, StoreCheck, StoreHouse } from '../house.ts';
import { assembleStore, type StoreParts } from '../open.ts';
import { Rows } from '../rows.ts';
import { type Guard, PostgresAdapter } from './adapter.ts';
import type { ListeningStatements, Statements } from './database.ts';
import { PostgresInbound } from './inbound.ts';
import { keyedRows } from './keyed-rows.ts';
import { HeldLease, type LeaseTimes } from './lease.ts';
import { PostgresLeases } from './leases.ts';
import { PROCESS_ROWS, ProcessGuard } from './process-guard.ts';
import { PostgresReplicas } from './replicas.ts';
import { Signals } from './signals.ts';

/** The scope of the rows that belong to the process. */
const PROCESS: WorkspaceId = '';

export interface HouseParts extends StoreParts {
  clock: Clock;
  /** Whose tables are there already. */
  database: Statements;
  /** For statements about leases: connections of their own, so that they never wait for other ones. */
  leaseDatabase: ListeningStatements;
  /** Connections of `database`. */
  connections: number;
  times: LeaseTimes;
  /** Another one for each start of a process. */
  id: string;
  /** Names the process to people. */
  process: string;
  /** Whether the database takes writes, by what was last heard of it. */
  check(): StoreCheck;
  /** Ends the connections; called when nothing uses them any more. */
  disconnect(): Promise<void>;
}

/**
 * What one process stores on a database that several share. When it resolves, the process is known there.
 * @throws BridgeError store_failed
 */
export async function assembleHouse(parts: HouseParts): Promise<StoreHouse> {
  const { database, leaseDatabase, clock, log, times, connections, id, process, check, disconnect } = parts;
  const own = `${PROCESS_ROWS}${id}`;
  const signals = new Signals({ database: leaseDatabase, clock, log });
  const closing: (() => Promise<void>)[] = [disconnect, () => signals.stop()];
  let closed: Promise<void> | null = null;
  const close = () => {
    closed ??= (async () => {
      for (const step of closing.toReversed()) await step();
    })();
    return closed;
  };
  try {
    const leases = new PostgresLeases({
      ...{ database: leaseDatabase, signals, clock, log, times, connections, own, process },
    });
    closing.push(() => leases.stop());
    const guard = new ProcessGuard(leases, own);
    // From now on the process can be seen in the table.
    await guard.read(async () => undefined);
    await leaseDatabase.run(
      `DELETE FROM bridge_leases WHERE workspace LIKE '${PROCESS_ROWS}%' AND expires_at < clock_timestamp() - interval '1 day'`,
    );
    await signals.start(await schemaId(database));
    const inbound = new PostgresInbound({ database, signals, clock, log, databaseNow: () => leases.databaseNow() });
    closing.push(() => inbound.stop());
    const replicas = new PostgresReplicas(database, id);
    closing.push(() => replicas.leave().catch(() => undefined));
    const ownAdapter = (namespace: string) => new PostgresAdapter(database, guard, PROCESS, namespace);
    const installations = ownAdapter('installations');
    const opened = new Set<{ close(): Promise<void> }>();
    closing.push(async () => {
      for (const store of opened) await store.close();
    });
    return {
      choices: new StoredChoices(new Rows('choices', ownAdapter('choices'))),
      installations: keyedRows(installations, new Rows('installations', installations)),
      installationNews: {
        tell: (workspace) => void signals.send('installation', workspace),
        onTold: (listener) => signals.on('installation', listener),
      },
      leases,
      inbound,
      replicas,
      path: null,
      async openWorkspace(workspace, lease) {
        const holder = heldLease(lease);
        const assembled = assembleStore(
          (namespace) => new PostgresAdapter(database, holder, workspace, namespace, inbound.underWay(workspace)),
          parts,
          () => void opened.delete(assembled),
        );
        opened.add(assembled);
        return { ...assembled, path: null };
      },
      deleteWorkspace: (workspace, lease) => deleteRows(database, workspace, heldLease(lease)),
      check,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function heldLease(lease: Lease): Guard {
  if (lease instanceof HeldLease) return lease;
  throw new TypeError('this lease is not of this store');
}

async function deleteRows(database: Statements, workspace: WorkspaceId, holder: Guard): Promise<void> {
  await holder.write(async (fence) => {
    const [row] = await database.run<{ held: number }>(
      `WITH lease AS MATERIALIZED (
         SELECT 1 FROM bridge_leases WHERE workspace = $1 AND fence = $2::bigint FOR KEY SHARE),
       rows AS (DELETE FROM bridge_rows WHERE workspace = $1 AND EXISTS (SELECT 1 FROM lease)),
       deliveries AS (DELETE FROM bridge_inbound WHERE workspace = $1 AND EXISTS (SELECT 1 FROM lease))
       SELECT count(*)::int AS held FROM lease`,
      [workspace, fence],
      { writes: true },
    );
    return row === undefined || row.held === 0 ? null : row;
  });
}

async function schemaId(database: Statements): Promise<string> {
  const [row] = await database.run<{ id: string }>('SELECT current_schema()::regnamespace::oid::text AS id');
  if (row === undefined) throw new BridgeError('store_failed', 'the database has no current schema');
  return row.id;
}
