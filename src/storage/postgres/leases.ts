import { randomUUID } from 'node:crypto';
import type { WorkspaceId } from '../../bridge/ids.ts';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import type { Leases } from '../house.ts';
import type { Statements } from './database.ts';
import { isDuplicate } from './failures.ts';
import { HeldLease, type LeaseTimes, momentOf, UNBLOCK_AFTER_MS } from './lease.ts';
import type { Signals } from './signals.ts';

/** A watched lease is looked at when it is about to expire, and at least and at most this often. */
const LOOK_AT_LEAST_EVERY_MS = 5_000;
const LOOK_AT_MOST_EVERY_MS = 200;
/** After the database says that a lease is over. */
const LOOK_LATER_BY_MS = 20;

/** Callbacks about unserved workspaces come at most this often. */
const CALL_BACK_AFTER_MS = 100;

/** SQL for the database's clock, ms since 1970. */
const NOW = 'extract(epoch FROM clock_timestamp())::float8 * 1000';

export interface LeasesParts {
  database: Statements;
  signals: Signals;
  clock: Clock;
  log: Log;
  times: LeaseTimes;
  /** Connections for what is stored. */
  connections: number;
  /** Names this process to people: host, pid, start. The same name is in all of its leases. */
  process: string;
  /** A lease of this process alone, which is taken again whenever it has run out: it shows that the process is alive. */
  own: string;
}

/** The leases of one process, in rows that all processes share. */
export class PostgresLeases implements Leases {
  readonly #parts: LeasesParts;
  readonly #held = new Map<WorkspaceId, HeldLease>();
  readonly #taking = new Map<WorkspaceId, Promise<HeldLease | null>>();
  readonly #watches = new Map<WorkspaceId, Set<() => void>>();
  readonly #unservedWatches = new Set<() => void>();
  #unservedTimer: Timer | null = null;
  #heartbeat: Timer | null = null;
  #look: Timer | null = null;
  #lookAt = Number.POSITIVE_INFINITY;
  #isStopped = false;
  /** The database's clock less the monotonic one of this process, ms; `null`: not known yet. */
  #aheadMs: number | null = null;

  constructor(parts: LeasesParts) {
    this.#parts = parts;
    parts.signals.on('free', (workspace) => {
      this.#callBack(workspace);
      this.#callBackUnserved();
    });
    parts.signals.on('inbound', (workspace) => this.#held.has(workspace) || this.#callBackUnserved());
    parts.signals.onReconnected(() => this.#scheduleLook(0));
    this.#scheduleHeartbeat(parts.times.heartbeatMs);
  }

  take(workspace: WorkspaceId): Promise<HeldLease | null> {
    const known = this.#held.get(workspace);
    if (known?.isHeld()) return Promise.resolve(known);
    const taking = this.#taking.get(workspace) ?? this.#take(workspace).finally(() => this.#taking.delete(workspace));
    this.#taking.set(workspace, taking);
    return taking;
  }

  watch(workspace: WorkspaceId, onMaybeFree: () => void): () => void {
    const watches = this.#watches.get(workspace) ?? new Set();
    this.#watches.set(workspace, watches);
    const watch = () => onMaybeFree();
    watches.add(watch);
    this.#scheduleLook(0);
    return () => {
      watches.delete(watch);
      if (watches.size === 0 && this.#watches.get(workspace) === watches) this.#watches.delete(workspace);
    };
  }

  async listUnserved(limit: number): Promise<WorkspaceId[]> {
    const rows = await this.#parts.database.read<{ workspace: string }>(
      `WITH RECURSIVE waiting AS (
         (SELECT workspace FROM bridge_inbound ORDER BY workspace LIMIT 1)
         UNION ALL
         SELECT (SELECT workspace FROM bridge_inbound WHERE workspace > waiting.workspace ORDER BY workspace LIMIT 1)
         FROM waiting WHERE waiting.workspace IS NOT NULL)
       SELECT workspace FROM bridge_leases WHERE needed AND expires_at <= clock_timestamp()
       UNION
       SELECT workspace FROM waiting WHERE NOT EXISTS (
           SELECT 1 FROM bridge_leases AS lease
           WHERE lease.workspace = waiting.workspace AND expires_at > clock_timestamp())
         AND EXISTS (
           SELECT 1 FROM bridge_inbound AS one WHERE one.workspace = waiting.workspace AND failed_at IS NULL
             AND begun_by IS NULL AND due_at <= clock_timestamp()
             AND (reply_by IS NULL OR reply_by > clock_timestamp()))
       LIMIT $1`,
      [limit],
    );
    return rows.map(({ workspace }) => workspace);
  }

  watchUnserved(onMaybeMore: () => void): () => void {
    const watch = () => onMaybeMore();
    this.#unservedWatches.add(watch);
    this.#scheduleLook(0);
    return () => void this.#unservedWatches.delete(watch);
  }

  /** The database's clock, ms since 1970, as far as it is known. */
  databaseNow(): number {
    const { clock } = this.#parts;
    return this.#aheadMs === null ? clock.now() : clock.monotonic() + this.#aheadMs;
  }

  /** Gives up all leases. Stopping twice is fine. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#heartbeat?.cancel();
    this.#look?.cancel();
    this.#unservedTimer?.cancel();
    this.#watches.clear();
    this.#unservedWatches.clear();
    await Promise.all([...this.#held.values()].map((lease) => lease.release()));
  }

  async #take(workspace: WorkspaceId): Promise<HeldLease | null> {
    const { database, clock, log, times, process, connections } = this.#parts;
    const holder = randomUUID();
    const sentAt = momentOf(clock);
    // The database's clock decides, first without a lock that writes of a living owner would wait for. A lease that this
    // process lost by its own clock is its own still.
    const taking = database.run<{ fence: string; now: number }>(
      `INSERT INTO bridge_leases AS lease (workspace, holder, process, fence, expires_at)
       SELECT $1, $2, $3, 1, clock_timestamp() + $4 * interval '1 ms'
       WHERE NOT EXISTS (
         SELECT 1 FROM bridge_leases
         WHERE workspace = $1 AND expires_at > clock_timestamp() AND process <> $3)
       ON CONFLICT (workspace) DO UPDATE SET holder = excluded.holder, process = excluded.process,
         fence = lease.fence + 1, taken_at = clock_timestamp(),
         expires_at = clock_timestamp() + $4 * interval '1 ms'
       WHERE lease.expires_at <= clock_timestamp() OR lease.process = excluded.process
       RETURNING fence, ${NOW} AS now`,
      [workspace, holder, process, times.expiryMs],
      { writes: true, isRepeatable: true, unblockAfterMs: UNBLOCK_AFTER_MS },
    );
    const [row] = await taking.catch((error: unknown) => {
      // Another process inserted the lease at the same moment: Postgres found that by its other key first.
      if (isDuplicate(error)) return [];
      throw error;
    });
    if (row === undefined) return null;
    this.#noteDatabaseTime(row.now, sentAt.monotonic);
    const lease = new HeldLease(workspace, {
      database,
      clock,
      times,
      connections,
      holder,
      fence: row.fence,
      sentAt,
      onLost: (lost) => {
        if (this.#held.get(workspace) === lost) this.#held.delete(workspace);
      },
      giveUp: (given) => this.#giveUp(given),
    });
    this.#held.set(workspace, lease);
    if (this.#isStopped) {
      await lease.release();
      return null;
    }
    if (!lease.isHeld()) return null;
    log.debug({ workspace, fence: row.fence }, 'took the lease of a workspace');
    return lease;
  }

  /** The fence moves on, so a write that is still on its way is done before this, or refused. */
  async #giveUp({ workspace, holder }: HeldLease): Promise<void> {
    const { database, signals, log } = this.#parts;
    try {
      await database.run(
        `UPDATE bridge_leases SET holder = '', process = '', fence = fence + 1, expires_at = '-infinity'
         WHERE workspace = $1 AND holder = $2`,
        [workspace, holder],
        { writes: true, isRepeatable: true, unblockAfterMs: UNBLOCK_AFTER_MS },
      );
      await signals.send('free', workspace);
    } catch (error) {
      log.warn({ err: error, workspace }, 'could not give up a lease; it expires by itself');
    }
  }

  #scheduleHeartbeat(ms: number): void {
    if (!this.#isStopped) this.#heartbeat = this.#parts.clock.after(ms, () => void this.#renew());
  }

  /** Renews all leases with one statement. */
  async #renew(): Promise<void> {
    const { database, clock, log, times, own } = this.#parts;
    const leases = [...this.#held.values()].filter((lease) => lease.isHeld());
    const sentAt = momentOf(clock);
    try {
      if (!this.#held.has(own)) await this.take(own);
      if (leases.length > 0) {
        const renewed = await database.run<{ holder: string; now: number }>(
          `UPDATE bridge_leases AS lease SET expires_at = clock_timestamp() + $3 * interval '1 ms'
           FROM unnest($1::text[], $2::text[]) AS mine (workspace, holder)
           WHERE lease.workspace = mine.workspace AND lease.holder = mine.holder
           RETURNING lease.holder, ${NOW} AS now`,
          [leases.map(({ workspace }) => workspace), leases.map(({ holder }) => holder), times.expiryMs],
          { writes: true, isRepeatable: true, withinMs: times.heartbeatMs },
        );
        if (renewed[0]) this.#noteDatabaseTime(renewed[0].now, sentAt.monotonic);
        const holders = new Set(renewed.map(({ holder }) => holder));
        for (const lease of leases) {
          if (holders.has(lease.holder)) lease.noteRenewal(sentAt);
          else lease.loseIt('another process took it');
        }
      }
    } catch (error) {
      log.warn({ err: error, leases: leases.length }, 'could not renew the leases; trying again');
    }
    this.#scheduleHeartbeat(Math.max(0, times.heartbeatMs - (clock.monotonic() - sentAt.monotonic)));
  }

  #noteDatabaseTime(now: number, sentAt: number): void {
    this.#aheadMs = now - (sentAt + this.#parts.clock.monotonic()) / 2;
  }

  #scheduleLook(ms: number): void {
    if (this.#isStopped || (this.#watches.size === 0 && this.#unservedWatches.size === 0)) return;
    const { clock } = this.#parts;
    const at = clock.monotonic() + ms;
    if (at >= this.#lookAt) return;
    this.#look?.cancel();
    this.#lookAt = at;
    this.#look = clock.after(ms, () => void this.#lookForFree());
  }

  async #lookForFree(): Promise<void> {
    this.#lookAt = Number.POSITIVE_INFINITY;
    let next = LOOK_AT_LEAST_EVERY_MS;
    try {
      next = Math.min(next, await this.#lookAtWatched(), await this.#lookAtNeeded());
    } catch (error) {
      this.#parts.log.debug({ err: error }, 'could not look for free leases; trying again');
    }
    this.#scheduleLook(Math.max(LOOK_AT_MOST_EVERY_MS, next + LOOK_LATER_BY_MS));
  }

  /** @returns ms until the first of the watched leases expires, if it is not renewed */
  async #lookAtWatched(): Promise<number> {
    const workspaces = [...this.#watches.keys()];
    if (workspaces.length === 0) return Number.POSITIVE_INFINITY;
    const rows = await this.#parts.database.read<{ workspace: string; left: number }>(
      `SELECT workspace, extract(epoch FROM expires_at - clock_timestamp())::float8 * 1000 AS left
       FROM bridge_leases WHERE workspace = ANY ($1) AND expires_at > clock_timestamp()`,
      [workspaces],
    );
    const left = new Map(rows.map((row) => [row.workspace, row.left]));
    for (const workspace of workspaces) if (!left.has(workspace)) this.#callBack(workspace);
    return Math.min(...left.values());
  }

  /** @returns ms until the first lease expires of a workspace that somebody must serve */
  async #lookAtNeeded(): Promise<number> {
    if (this.#unservedWatches.size === 0) return Number.POSITIVE_INFINITY;
    const [unserved] = await this.listUnserved(1);
    if (unserved !== undefined) this.#callBackUnserved();
    const [row] = await this.#parts.database.read<{ left: number | null }>(
      `SELECT extract(epoch FROM min(expires_at) - clock_timestamp())::float8 * 1000 AS left
       FROM bridge_leases WHERE needed AND expires_at > clock_timestamp() AND process <> $1`,
      [this.#parts.process],
    );
    return row?.left ?? Number.POSITIVE_INFINITY;
  }

  /** At most a few times in a second: many deliveries may come at once. */
  #callBackUnserved(): void {
    if (this.#isStopped || this.#unservedTimer !== null) return;
    this.#unservedTimer = this.#parts.clock.after(CALL_BACK_AFTER_MS, () => {
      this.#unservedTimer = null;
      for (const onMaybeMore of [...this.#unservedWatches]) onMaybeMore();
    });
  }

  #callBack(workspace: WorkspaceId): void {
    for (const onMaybeFree of [...(this.#watches.get(workspace) ?? [])]) onMaybeFree();
  }
}
