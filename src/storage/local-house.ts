import { isDeepStrictEqual } from 'node:util';
import type { WorkspaceId } from '../bridge/ids.ts';
import type { Clock, Timer } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { StoredChoices } from './choices.ts';
import type {
  InboundServer,
  InboundTable,
  KeyedRows,
  Lease,
  Leases,
  StoredDelivery,
  StoredReply,
  StoreHouse,
} from './house.ts';
import { assembleStore, type OpenedFiles, type StoreParts, WORKSPACE_NAMESPACES } from './open.ts';
import { Rows } from './rows.ts';

/** A delivery that nobody takes within this time is refused, so that Slack delivers it again; it waits 3 s for its "ok". */
const HAND_OVER_MS = 2_500;
/** Deliveries that wait for one workspace; more are refused at once. */
const MOST_WAITING = 1_000;

/** The house of a process that has its store alone: a SQLite file or memory. */
export function createLocalHouse(files: OpenedFiles, parts: StoreParts): StoreHouse {
  const leases = new LocalLeases(new Rows('served', files.adapterFor('served')));
  const inbound = new DirectHandover(parts.clock);
  const opened = new Set<{ close(): Promise<void> }>();
  let closing: Promise<void> | null = null;
  return {
    choices: new StoredChoices(new Rows('choices', files.adapterFor('choices'))),
    installations: keyedRows(new Rows('installations', files.adapterFor('installations'))),
    leases,
    inbound,
    replicas: { isAlone: true, self: 'only', announce: async () => undefined, list: async () => [] },
    path: files.path,
    async openWorkspace(workspace, _lease, { isConfigured = false } = {}) {
      const prefix = isConfigured ? '' : `${workspace}/`;
      const assembled = assembleStore(
        (namespace) => files.adapterFor(`${prefix}${namespace}`),
        parts,
        () => void opened.delete(assembled),
      );
      opened.add(assembled);
      return { ...assembled, path: files.path };
    },
    async deleteWorkspace(workspace) {
      for (const namespace of WORKSPACE_NAMESPACES) await files.adapterFor(`${workspace}/${namespace}`).clear();
    },
    check: () => ({ ok: true, state: 'writable' }),
    close() {
      closing ??= (async () => {
        for (const store of opened) await store.close();
        leases.releaseAll();
        files.release();
      })();
      return closing;
    },
  };
}

function keyedRows(rows: Rows): KeyedRows {
  // No other process writes here, so it is enough that our own writes come one after another.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Value>(write: () => Promise<Value>): Promise<Value> => {
    const done = last.then(write, write);
    last = done;
    return done;
  };
  return {
    get: (key) => rows.get(key),
    set: (key, value) => inTurn(() => rows.set(key, value)),
    swap: (key, expected, value) =>
      inTurn(async () => {
        if (!isDeepStrictEqual(await rows.get(key), expected)) return false;
        await (value === undefined ? rows.delete(key) : rows.set(key, value));
        return true;
      }),
    delete: (key) => inTurn(() => rows.delete(key)),
    keys: () => rows.iterateKeys(),
  };
}

class LocalLeases implements Leases {
  /** One row for each workspace that somebody must serve. */
  readonly #served: Rows;
  readonly #held = new Map<WorkspaceId, Lease>();
  readonly #watches = new Map<WorkspaceId, Set<() => void>>();
  #fence = 0;

  constructor(served: Rows) {
    this.#served = served;
  }

  async take(workspace: WorkspaceId): Promise<Lease> {
    const known = this.#held.get(workspace);
    if (known) return known;
    const lost = new AbortController();
    this.#fence += 1;
    const lease: Lease = {
      workspace,
      fence: String(this.#fence),
      isHeld: () => !lost.signal.aborted,
      lost: lost.signal,
      keepServed: (isNeeded) => (isNeeded ? this.#served.set(workspace, {}) : this.#served.delete(workspace)),
      release: async () => {
        if (this.#held.get(workspace) !== lease) return;
        this.#held.delete(workspace);
        lost.abort(new BridgeError('lease_lost', `the lease of ${workspace} was released`, { retry: true }));
        for (const onMaybeFree of this.#watches.get(workspace) ?? []) queueMicrotask(onMaybeFree);
      },
    };
    this.#held.set(workspace, lease);
    return lease;
  }

  watch(workspace: WorkspaceId, onMaybeFree: () => void): () => void {
    const watches = this.#watches.get(workspace) ?? new Set();
    this.#watches.set(workspace, watches);
    const watch = () => onMaybeFree();
    watches.add(watch);
    return () => {
      watches.delete(watch);
      if (watches.size === 0 && this.#watches.get(workspace) === watches) this.#watches.delete(workspace);
    };
  }

  async listUnserved(limit: number): Promise<WorkspaceId[]> {
    const unserved: WorkspaceId[] = [];
    for await (const workspace of this.#served.iterateKeys()) {
      if (unserved.length >= limit) break;
      if (!this.#held.has(workspace)) unserved.push(workspace);
    }
    return unserved;
  }

  /** Only this process releases, and it knows when it does. */
  watchUnserved(): () => void {
    return () => undefined;
  }

  releaseAll(): void {
    for (const lease of this.#held.values()) void lease.release();
  }
}

interface Waiting {
  delivery: StoredDelivery;
  settle: PromiseWithResolvers<StoredReply>;
  timer: Timer;
}

/**
 * Hands a delivery to the workspace of the same process, and stores nothing: whoever serves the workspace stores it
 * before Slack hears the "ok".
 */
class DirectHandover implements InboundTable {
  readonly #clock: Clock;
  readonly #servers = new Map<WorkspaceId, (delivery: StoredDelivery) => Promise<StoredReply>>();
  readonly #waiting = new Map<WorkspaceId, Set<Waiting>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async put(workspace: WorkspaceId, delivery: StoredDelivery, replyWithinMs = HAND_OVER_MS): Promise<StoredReply> {
    const handle = this.#servers.get(workspace);
    if (handle) return handle(delivery);
    const queue = this.#waiting.get(workspace) ?? new Set<Waiting>();
    if (queue.size >= MOST_WAITING) throw noOwner(workspace);
    this.#waiting.set(workspace, queue);
    const settle = Promise.withResolvers<StoredReply>();
    const timer = this.#clock.after(replyWithinMs, () => {
      this.#forget(workspace, waiting);
      settle.reject(noOwner(workspace));
    });
    const waiting: Waiting = { delivery, settle, timer };
    queue.add(waiting);
    return settle.promise;
  }

  serve(lease: Lease, handle: (delivery: StoredDelivery) => Promise<StoredReply>): InboundServer {
    const { workspace } = lease;
    const underWay = new Set<Promise<unknown>>();
    const run = (delivery: StoredDelivery) => {
      const handled = handle(delivery);
      const done = handled.then(
        () => undefined,
        () => undefined,
      );
      underWay.add(done);
      void done.then(() => underWay.delete(done));
      return handled;
    };
    this.#servers.set(workspace, run);
    for (const waiting of this.#waiting.get(workspace) ?? []) {
      this.#forget(workspace, waiting);
      run(waiting.delivery).then(waiting.settle.resolve, waiting.settle.reject);
    }
    return {
      stop: async () => {
        if (this.#servers.get(workspace) === run) this.#servers.delete(workspace);
        await Promise.all(underWay);
      },
    };
  }

  #forget(workspace: WorkspaceId, waiting: Waiting): void {
    waiting.timer.cancel();
    const queue = this.#waiting.get(workspace);
    queue?.delete(waiting);
    if (queue?.size === 0) this.#waiting.delete(workspace);
  }
}

function noOwner(workspace: WorkspaceId): BridgeError {
  return new BridgeError('no_owner', `nothing serves the workspace ${workspace} now`, { retry: true });
}
