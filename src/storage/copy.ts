import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { WorkspaceId } from '../bridge/ids.ts';
import type { Clock, Log } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { type CopiedRow, configuredWorkspace, placesOf, revOf } from './copy-rows.ts';
import { lockStore } from './lock.ts';
import { Database, Health, type Run } from './postgres/database.ts';
import { LAYOUT, newerLayout, prepareTables, readLayout } from './postgres/layouts.ts';
import { PROCESS_ROWS } from './postgres/process-guard.ts';
import { type PostgresUri, placeOf } from './postgres/uri.ts';
import { openDatabase } from './sqlite.ts';
import type { StoreUri } from './store-uri.ts';

/** Rows of one statement. */
const BATCH = 200;
const MOST_CHARACTERS = 4_000_000;
/** A large store takes a while; the database must not give up on it. */
const COPY_MS = 6 * 3_600_000;
/** For the tables: whoever has them open may not let go. */
const LOCK_TIMEOUT = '10s';

export interface CopyParts {
  clock: Clock;
  log: Log;
  /** The workspace of SLACK_BOT_TOKEN; `null`: the threads tell. */
  workspace: WorkspaceId | null;
  onProgress: (progress: CopyProgress) => void;
}

export interface CopyProgress {
  doing: 'copying' | 'comparing';
  done: number;
  total: number;
}

export interface Copied {
  rows: number;
  workspaces: number;
}

/** A delivery that waits for whoever serves its workspace. */
interface CopiedDelivery {
  token: string;
  workspace: WorkspaceId;
  delivery: string;
}

interface Source {
  total: number;
  rows(): AsyncIterable<CopiedRow>;
  /** Workspaces in which something is under way. */
  needed: WorkspaceId[];
  deliveries(): AsyncIterable<CopiedDelivery>;
}

/**
 * Copies all rows of a store into an empty one on Postgres, in one transaction, and compares each of them before it is
 * committed: when it rejects, the target is as it was. No bridge may use either of them, or begin to, meanwhile.
 * @throws BridgeError config_invalid, store_locked, store_failed, record_newer
 */
export async function copyStore(from: StoreUri, to: StoreUri, parts: CopyParts): Promise<Copied> {
  if (to.kind !== 'postgres') throw refuse('the target is not on Postgres: only postgres:// can be copied to');
  const target = openOne(to.postgres, parts.clock);
  try {
    await prepareTables(target);
    return await target.transaction(async (run) => {
      await run(`SET LOCAL statement_timeout = 0`);
      await run(`SET LOCAL idle_in_transaction_session_timeout = 0`);
      await refuseIfUsed(run, `the target (${placeOf(to.postgres)})`);
      await run(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
      // Nobody else reads or writes until the end. A bridge that starts meanwhile waits, and then finds all of it.
      await run('LOCK TABLE bridge_rows, bridge_leases, bridge_inbound IN ACCESS EXCLUSIVE MODE');
      await refuseIfUsed(run, `the target (${placeOf(to.postgres)})`);
      await refuseIfFull(run);
      return await withSource(from, parts, (source) => copy(source, run, parts));
    }, COPY_MS);
  } finally {
    await target.close();
  }
}

async function copy(source: Source, run: Run, { onProgress }: CopyParts): Promise<Copied> {
  const workspaces = new Set<WorkspaceId>();
  let copied = 0;
  for await (const rows of batches(source)) {
    await run(
      `INSERT INTO bridge_rows (workspace, namespace, key, value, rev)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])`,
      columnsOf(rows),
    );
    for (const { workspace } of rows) if (workspace !== '') workspaces.add(workspace);
    copied += rows.length;
    onProgress({ doing: 'copying', done: copied, total: source.total });
  }
  let compared = 0;
  for await (const rows of batches(source)) {
    const [workspace, namespace, key, value, rev] = columnsOf(rows);
    const [found] = await run<{ same: number }>(
      `SELECT count(*)::int AS same FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
         AS source (workspace, namespace, key, value, rev)
       JOIN bridge_rows AS target USING (workspace, namespace, key, value, rev)`,
      [workspace, namespace, key, value, rev],
    );
    if (found?.same !== rows.length) {
      throw new BridgeError(
        'store_failed',
        `${rows.length - (found?.same ?? 0)} rows differ after copying: nothing was kept`,
      );
    }
    compared += rows.length;
    onProgress({ doing: 'comparing', done: compared, total: source.total });
  }
  const [counted] = await run<{ rows: string }>('SELECT count(*) AS rows FROM bridge_rows');
  if (Number(counted?.rows) !== copied || compared !== copied) {
    throw new BridgeError('store_failed', `${counted?.rows} rows are there after copying ${copied}: nothing was kept`);
  }
  await run(
    `INSERT INTO bridge_leases (workspace, holder, process, fence, needed, expires_at)
     SELECT workspace, '', '', 1, true, '-infinity' FROM unnest($1::text[]) AS workspace
     ON CONFLICT (workspace) DO UPDATE SET needed = true`,
    [source.needed],
  );
  for await (const { token, workspace, delivery } of source.deliveries()) {
    await run('INSERT INTO bridge_inbound (token, workspace, delivery) VALUES ($1, $2, $3)', [
      token,
      workspace,
      delivery,
    ]);
  }
  return { rows: copied, workspaces: workspaces.size };
}

function columnsOf(rows: CopiedRow[]): [string[], string[], string[], string[], number[]] {
  return [
    rows.map(({ workspace }) => workspace),
    rows.map(({ namespace }) => namespace),
    rows.map(({ key }) => key),
    rows.map(({ value }) => value),
    rows.map(({ rev }) => rev),
  ];
}

async function* batches(source: Source): AsyncGenerator<CopiedRow[], void> {
  let rows: CopiedRow[] = [];
  let characters = 0;
  for await (const row of source.rows()) {
    rows.push(row);
    characters += row.value.length;
    if (rows.length < BATCH && characters < MOST_CHARACTERS) continue;
    yield rows;
    [rows, characters] = [[], 0];
  }
  if (rows.length > 0) yield rows;
}

function withSource<T>(from: StoreUri, parts: CopyParts, work: (source: Source) => Promise<T>): Promise<T> {
  switch (from.kind) {
    case 'memory':
      return Promise.reject(refuse('the source is memory://, which has nothing'));
    case 'sqlite':
      return withFile(from.path, parts, work);
    case 'postgres':
      return withDatabase(from.postgres, parts, work);
  }
}

async function withFile<T>(given: string, parts: CopyParts, work: (source: Source) => Promise<T>): Promise<T> {
  const path = resolve(given);
  if (!existsSync(path)) throw refuse(`there is no store at ${path}`);
  const lock = await lockStore(path, { ...parts, waitMs: 0 });
  try {
    const database = openDatabase(path);
    try {
      return await work(fileSource(database, parts.workspace));
    } finally {
      database.close();
    }
  } finally {
    lock.release();
  }
}

function fileSource(database: DatabaseSync, given: WorkspaceId | null): Source {
  const threads = database.prepare(`SELECT key FROM rows WHERE namespace = 'threads'`).iterate();
  const configured = given ?? configuredWorkspace(keysOf(threads));
  const needed = [...keysOf(database.prepare(`SELECT key FROM rows WHERE namespace = 'served'`).iterate())];
  const counts = database
    .prepare("SELECT namespace, count(*) AS count FROM rows WHERE namespace <> 'served' GROUP BY namespace")
    .all();
  let total = 0;
  for (const { namespace, count } of counts) {
    const places = placesOf(String(namespace), configured).length;
    if (places === 0) {
      throw refuse(`the rows in ${namespace} do not tell their workspace: name that of SLACK_BOT_TOKEN by --workspace`);
    }
    total += places * Number(count);
  }
  return {
    total,
    needed,
    async *deliveries() {},
    async *rows() {
      for (const row of database
        .prepare(`SELECT namespace, key, value FROM rows WHERE namespace <> 'served'`)
        .iterate()) {
        const [key, value] = [String(row.key), String(row.value)];
        for (const place of placesOf(String(row.namespace), configured)) {
          yield { ...place, key, value, rev: revOf(place.namespace, value) };
        }
      }
    },
  };
}

function* keysOf(rows: Iterable<Record<string, unknown>>): Generator<string, void> {
  for (const { key } of rows) yield String(key);
}

async function withDatabase<T>(uri: PostgresUri, parts: CopyParts, work: (source: Source) => Promise<T>): Promise<T> {
  const database = openOne(uri, parts.clock);
  try {
    return await database.transaction(async (run) => {
      await run('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
      await run('SET LOCAL statement_timeout = 0');
      await run('SET LOCAL idle_in_transaction_session_timeout = 0');
      const layout = await readLayout(run);
      if (layout === 0) throw refuse(`the source (${placeOf(uri)}) has no store of a bridge`);
      if (layout > LAYOUT) throw newerLayout(layout);
      await run(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
      await run('LOCK TABLE bridge_rows, bridge_leases, bridge_inbound IN SHARE MODE');
      await refuseIfUsed(run, `the source (${placeOf(uri)})`);
      const [counted] = await run<{ total: string }>('SELECT count(*) AS total FROM bridge_rows');
      const needed = await run<{ workspace: string }>('SELECT workspace FROM bridge_leases WHERE needed');
      return work({
        total: Number(counted?.total),
        needed: needed.map(({ workspace }) => workspace),
        rows: () => databaseRows(run),
        deliveries: () => databaseDeliveries(run),
      });
    }, COPY_MS);
  } finally {
    await database.close();
  }
}

async function* databaseRows(run: Run): AsyncGenerator<CopiedRow, void> {
  let last: [string, string, string] = ['', '', ''];
  for (;;) {
    const page = await run<Omit<CopiedRow, 'rev'> & { rev: string }>(
      `SELECT workspace, namespace, key, value, rev FROM bridge_rows
       WHERE (workspace, namespace, key) > ($1 COLLATE "C", $2 COLLATE "C", $3 COLLATE "C")
       ORDER BY workspace, namespace, key LIMIT ${BATCH}`,
      last,
    );
    for (const row of page) {
      last = [row.workspace, row.namespace, row.key];
      yield { ...row, rev: Number(row.rev) };
    }
    if (page.length < BATCH) return;
  }
}

async function* databaseDeliveries(run: Run): AsyncGenerator<CopiedDelivery, void> {
  let last = '0';
  for (;;) {
    const page = await run<CopiedDelivery & { id: string }>(
      `SELECT id, token, workspace, delivery FROM bridge_inbound
       WHERE id > $1 AND failed_at IS NULL AND reply_by IS NULL ORDER BY id LIMIT ${BATCH}`,
      [last],
    );
    for (const row of page) {
      last = row.id;
      yield row;
    }
    if (page.length < BATCH) return;
  }
}

async function refuseIfUsed(run: Run, which: string): Promise<void> {
  const [used] = await run<{ process: string }>(
    `SELECT process FROM bridge_leases WHERE workspace LIKE '${PROCESS_ROWS}%' AND expires_at > clock_timestamp() LIMIT 1`,
  );
  if (used === undefined) return;
  throw new BridgeError('store_locked', `${which} is in use by a bridge (${used.process}): stop it first`);
}

async function refuseIfFull(run: Run): Promise<void> {
  const [row] = await run<{ full: boolean }>(
    'SELECT EXISTS (SELECT 1 FROM bridge_rows) OR EXISTS (SELECT 1 FROM bridge_inbound) AS full',
  );
  if (row?.full === true) {
    throw refuse(
      'the target has rows already: name another database, or a schema of its own (options=-csearch_path%3D…)',
    );
  }
}

function openOne(uri: PostgresUri, clock: Clock): Database {
  return new Database({ uri, clock, applicationName: 'letta-slack store copy', connections: 1, health: new Health() });
}

function refuse(why: string): BridgeError {
  return new BridgeError('config_invalid', why);
}
