import type { WorkspaceId } from '../../src/bridge/ids.ts';
import type { Clock, Log, Timer } from '../../src/bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../src/errors.ts';
import type { StorageAdapter } from '../../src/storage/adapter.ts';
import { StoredChoices } from '../../src/storage/choices.ts';
import type {
  InboundServer,
  KeyedRows,
  Lease,
  ReplicaNote,
  StoredDelivery,
  StoredReply,
  StoreHouse,
} from '../../src/storage/house.ts';
import { memoryAdapter } from '../../src/storage/memory.ts';
import { assembleStore } from '../../src/storage/open.ts';
import { Rows } from '../../src/storage/rows.ts';

interface LeaseRow {
  owner: string;
  fence: number;
  /** By the database's clock. */
  until: number;
  isServed: boolean;
}

interface InboundRow {
  id: number;
  workspace: WorkspaceId;
  delivery: StoredDelivery;
  /** Somebody waits for the reply. */
  asks: boolean;
  state: 'waiting' | 'begun' | 'done';
  tries: number;
  dueAt: number;
  reply: PromiseWithResolvers<StoredReply>;
}

/** How long a lease holds, and how often it is renewed, in ms. */
export interface LeaseTimes {
  expiryMs: number;
  heartbeatMs: number;
}

const TIMES: LeaseTimes = { expiryMs: 15_000, heartbeatMs: 5_000 };
const MOST_TRIES = 8;

const lostError = (why: string) => new BridgeError('lease_lost', `the lease is over: ${why}`, { retry: true });
const away = () => new BridgeError('store_failed', 'the database does not answer', { retry: true });

/** One database that several replicas share, in memory, with the promises of the Postgres one. */
export class SharedDatabase {
  readonly clock: Clock;
  readonly times: LeaseTimes;
  readonly namespaces = new Map<string, Map<string, unknown>>();
  readonly leases = new Map<WorkspaceId, LeaseRow>();
  readonly inbound: InboundRow[] = [];
  readonly replicas = new Map<string, ReplicaNote & { at: number }>();
  readonly #heard = new Set<() => void>();
  /** Processes that hear of installations. */
  readonly hearInstallations = new Set<(workspace: WorkspaceId) => void>();
  #ids = 0;

  /** @param clock the database's own */
  constructor(clock: Clock, times: LeaseTimes = TIMES) {
    this.clock = clock;
    this.times = times;
  }

  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** Wakes everybody, as NOTIFY does. */
  notify(): void {
    for (const hear of [...this.#heard]) queueMicrotask(hear);
  }

  onNotify(hear: () => void): () => void {
    const own = () => hear();
    this.#heard.add(own);
    return () => void this.#heard.delete(own);
  }

  rowsOf(namespace: string): Map<string, unknown> {
    const rows = this.namespaces.get(namespace) ?? new Map<string, unknown>();
    this.namespaces.set(namespace, rows);
    return rows;
  }

  owner(workspace: WorkspaceId): string | null {
    const row = this.leases.get(workspace);
    return row && row.until > this.clock.monotonic() ? row.owner : null;
  }
}

export interface SharedReplica {
  house: StoreHouse;
  /** Nothing reaches the database any more, and nothing comes back. */
  cut(): void;
  heal(): void;
  /** As a process that was killed: it renews nothing, and gives nothing up. */
  kill(): void;
}

/** The view that one process has of the database. @param clock the process's own */
export function connectReplica(database: SharedDatabase, self: string, { clock, log }: { clock: Clock; log: Log }) {
  const held = new Map<WorkspaceId, { lease: Lease; lose(why: string): void }>();
  const stops: (() => void)[] = [];
  let isCut = false;
  let isDead = false;

  async function ask<Value>(work: () => Value | Promise<Value>): Promise<Value> {
    await Promise.resolve();
    if (isCut || isDead) throw away();
    const value = await work();
    if (isCut || isDead) throw away();
    return value;
  }

  const rowOf = (workspace: WorkspaceId, fence: number) => {
    const row = database.leases.get(workspace);
    return row?.owner === self && row.fence === fence ? row : null;
  };

  async function take(workspace: WorkspaceId): Promise<Lease | null> {
    const known = held.get(workspace);
    if (known?.lease.isHeld()) return known.lease;
    const askedAt = clock.monotonic();
    const row = await ask(() => {
      const before = database.leases.get(workspace);
      const now = database.clock.monotonic();
      if (before && before.until > now && before.owner !== self) return null;
      const next: LeaseRow = {
        ...{ owner: self, fence: (before?.fence ?? 0) + 1, isServed: before?.isServed ?? false },
        until: now + database.times.expiryMs,
      };
      database.leases.set(workspace, next);
      return next;
    });
    return row && hold(workspace, row.fence, askedAt);
  }

  function hold(workspace: WorkspaceId, fence: number, askedAt: number): Lease {
    const { expiryMs, heartbeatMs } = database.times;
    const losing = new AbortController();
    let deadline = askedAt + expiryMs;
    let watching: Timer | null = null;
    let renewing: Timer | null = null;
    const lose = (why: string) => {
      if (losing.signal.aborted) return;
      watching?.cancel();
      renewing?.cancel();
      held.delete(workspace);
      losing.abort(lostError(why));
    };
    const watch = () => {
      if (losing.signal.aborted || isDead) return;
      const left = deadline - clock.monotonic();
      if (left <= 0) lose('it was not renewed in time');
      else watching = clock.after(left, watch);
    };
    const renew = () => {
      if (losing.signal.aborted || isDead) return;
      const sentAt = clock.monotonic();
      ask(() => {
        const row = rowOf(workspace, fence);
        if (row) row.until = database.clock.monotonic() + expiryMs;
        return row !== null;
      }).then(
        (isRenewed) => {
          if (isRenewed) deadline = sentAt + expiryMs;
          else lose('another process has it');
        },
        () => undefined,
      );
      renewing = clock.after(heartbeatMs, renew);
    };
    const lease: Lease = {
      workspace,
      fence: String(fence),
      isHeld: () => !losing.signal.aborted && clock.monotonic() < deadline,
      lost: losing.signal,
      keepServed: (isNeeded) =>
        ask(() => {
          const row = rowOf(workspace, fence);
          if (!row) throw lostError('another process has it');
          row.isServed = isNeeded;
        }),
      release: async () => {
        lose('it was released');
        await ask(() => {
          const row = rowOf(workspace, fence);
          if (row) row.until = 0;
          database.notify();
        }).catch(() => undefined);
      },
    };
    held.set(workspace, { lease, lose });
    renewing = clock.after(heartbeatMs, renew);
    watch();
    return lease;
  }

  /** A storage adapter whose writes are refused once the lease has another fence. */
  function fenced(namespace: string, lease: Lease | null): StorageAdapter {
    const inner = memoryAdapter(database.rowsOf(namespace));
    const guard = (isWrite: boolean) => {
      if (!lease || !isWrite) return;
      if (rowOf(lease.workspace, Number(lease.fence))) return;
      held.get(lease.workspace)?.lose('another process has it');
      throw lostError('another process has it');
    };
    const reads = new Set<PropertyKey>(['get', 'getMany', 'has', 'hasMany']);
    return new Proxy(inner, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function' || name === 'iterator' || name === 'keys') return value;
        const call = value.bind(target) as (...args: unknown[]) => unknown;
        return (...args: unknown[]) =>
          ask(() => {
            guard(!reads.has(name));
            return call(...args);
          });
      },
    });
  }

  async function put(workspace: WorkspaceId, delivery: StoredDelivery, replyWithinMs?: number): Promise<StoredReply> {
    const row: InboundRow = {
      ...{ id: database.nextId(), workspace, delivery, asks: replyWithinMs !== undefined },
      ...{ state: 'waiting', tries: 0, dueAt: 0, reply: Promise.withResolvers<StoredReply>() },
    };
    row.reply.promise.catch(() => undefined);
    await ask(() => {
      database.inbound.push(row);
      database.notify();
    });
    if (replyWithinMs === undefined) return undefined;
    const late = Promise.withResolvers<never>();
    const timer = clock.after(replyWithinMs, () => {
      const certain = row.state === 'waiting';
      if (certain) forget(row);
      late.reject(new BridgeError('no_owner', 'no reply came in time', { certain, retry: true }));
    });
    try {
      return await Promise.race([row.reply.promise, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  function forget(row: InboundRow): void {
    const index = database.inbound.indexOf(row);
    if (index >= 0) database.inbound.splice(index, 1);
  }

  function serve(lease: Lease, handle: (delivery: StoredDelivery) => Promise<StoredReply>): InboundServer {
    const underWay = new Map<InboundRow, Promise<void>>();
    let isStopped = false;
    const look = () => {
      if (isStopped || isCut || isDead || !lease.isHeld()) return;
      const now = database.clock.monotonic();
      for (const row of [...database.inbound]) {
        if (row.workspace !== lease.workspace || underWay.has(row) || row.state === 'done' || row.dueAt > now) continue;
        // Whoever asked has been told that nobody knows: a reply would reach nobody.
        if (row.asks && row.state === 'begun') {
          forget(row);
          continue;
        }
        underWay.set(
          row,
          work(row).finally(() => underWay.delete(row)),
        );
      }
    };
    const work = async (row: InboundRow) => {
      row.state = 'begun';
      const outcome = await handle(row.delivery).then(
        (reply) => ({ reply }),
        (error: unknown) => ({ error }),
      );
      if ('error' in outcome && !lease.isHeld()) return;
      // Cut off, it cannot tell: whoever asked is told that nobody knows, and an event is handed over again.
      await ask(() => settle(row, outcome)).catch(() => clock.after(1_000, look));
    };
    const settle = (row: InboundRow, outcome: { reply: StoredReply } | { error: unknown }) => {
      if ('reply' in outcome) {
        row.state = 'done';
        forget(row);
        row.reply.resolve(outcome.reply);
        return;
      }
      row.tries += 1;
      if (row.asks) {
        const { message, certain } = asBridgeError(outcome.error);
        row.reply.reject(new BridgeError('no_owner', message, { certain, retry: true }));
        forget(row);
      } else if (row.tries >= MOST_TRIES) {
        log.error({ err: outcome.error }, 'a delivery failed too often');
        forget(row);
      } else {
        row.dueAt = database.clock.monotonic() + 1_000 * 2 ** (row.tries - 1);
        clock.after(1_000 * 2 ** (row.tries - 1), look);
      }
    };
    const stopHearing = database.onNotify(look);
    stops.push(stopHearing);
    look();
    return {
      async stop() {
        isStopped = true;
        stopHearing();
        await Promise.all(underWay.values());
      },
    };
  }

  const plainRows = (namespace: string) => new Rows(namespace, fenced(`/${namespace}`, null));
  const installations = plainRows('installations');
  const keyed: KeyedRows = {
    get: (key) => installations.get(key),
    set: (key, value) => installations.set(key, value),
    async swap(key, expected, value) {
      if (JSON.stringify(await installations.get(key)) !== JSON.stringify(expected)) return false;
      await (value === undefined ? installations.delete(key) : installations.set(key, value));
      return true;
    },
    delete: (key) => installations.delete(key),
    keys: () => installations.iterateKeys(),
  };

  const house: StoreHouse = {
    choices: new StoredChoices(plainRows('choices')),
    installations: keyed,
    installationNews: {
      // As NOTIFY: it reaches also the process that tells, and nobody from one that is cut off.
      tell: (workspace) =>
        void ask(() => {
          for (const hear of database.hearInstallations) queueMicrotask(() => hear(workspace));
        }).catch(() => undefined),
      onTold(listener) {
        const hear = (workspace: WorkspaceId) => isCut || isDead || listener(workspace);
        database.hearInstallations.add(hear);
        stops.push(() => database.hearInstallations.delete(hear));
      },
    },
    leases: {
      take,
      watch: (_, onMaybeFree) => database.onNotify(onMaybeFree),
      listUnserved: (limit) =>
        ask(() => {
          const now = database.clock.monotonic();
          const isFree = (id: WorkspaceId) => (database.leases.get(id)?.until ?? 0) <= now;
          const marked = [...database.leases].flatMap(([id, { isServed }]) => (isServed ? [id] : []));
          const all = new Set([...marked, ...database.inbound.map(({ workspace }) => workspace)]);
          return [...all].filter(isFree).slice(0, limit);
        }),
      watchUnserved: (onMaybeMore) => database.onNotify(onMaybeMore),
    },
    inbound: { put, serve },
    replicas: {
      self,
      announce: (note) => ask(() => void database.replicas.set(self, { ...note, at: database.clock.monotonic() })),
      list: () =>
        ask(() =>
          [...database.replicas]
            .filter(([id]) => id !== self)
            .map(([id, { at, ...note }]) => ({ id, ...note, silentMs: database.clock.monotonic() - at })),
        ),
    },
    path: null,
    async openWorkspace(workspace, lease) {
      const opened = assembleStore(
        (namespace) => fenced(`${workspace}/${namespace}`, lease),
        { clock, log },
        () => undefined,
      );
      return { ...opened, path: null };
    },
    deleteWorkspace: (workspace) =>
      ask(() => {
        for (const name of database.namespaces.keys()) {
          if (name.startsWith(`${workspace}/`)) database.namespaces.delete(name);
        }
      }),
    check: () => ({ ok: !isCut, state: isCut ? 'the database does not answer' : 'writable' }),
    async close() {
      await Promise.all([...held.values()].map(({ lease }) => lease.release()));
      if (!isCut && !isDead) database.replicas.delete(self);
      for (const stop of stops.splice(0)) stop();
    },
  };
  return {
    house,
    cut() {
      isCut = true;
    },
    heal() {
      isCut = false;
      database.notify();
    },
    kill() {
      isDead = true;
      for (const stop of stops.splice(0)) stop();
    },
  } satisfies SharedReplica;
}
