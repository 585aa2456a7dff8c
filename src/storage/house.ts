import type { WorkspaceId } from '../bridge/ids.ts';
import type { Choices } from '../bridge/ports.ts';
import type { Store } from './open.ts';

/**
 * All that one process stores. A store of one process (SQLite, memory) has leases that nobody else wants; several
 * processes on one Postgres share the workspaces by them.
 */
export interface StoreHouse {
  /** Choices of the process, not of a workspace: known devices, the chosen agent. */
  readonly choices: Choices;
  /** Rows that belong to installations of the app, by keys that the caller chooses. */
  readonly installations: KeyedRows;
  /** Left out: no other process shares the store. */
  readonly installationNews?: InstallationNews;
  readonly leases: Leases;
  readonly inbound: InboundTable;
  readonly replicas: Replicas;
  /** The resolved path of a SQLite store; `null`: another kind. */
  readonly path: string | null;
  /**
   * The store of one workspace. Every write is refused (`lease_lost`) once another process has taken the lease. Close it
   * before the lease is released.
   */
  openWorkspace(workspace: WorkspaceId, lease: Lease, options?: WorkspaceOptions): Promise<Store>;
  /**
   * Deletes every row of a workspace, its audit included: the app was uninstalled there. Its store must be closed. The
   * workspace of `SLACK_BOT_TOKEN` cannot be deleted in this way: its rows have no prefix.
   */
  deleteWorkspace(workspace: WorkspaceId, lease: Lease): Promise<void>;
  /** Whether the store answers, by the last calls. The place to ask about a file on disk is `watchStore`. */
  check(): StoreCheck;
  /** Releases what is held, then closes. Closing twice is fine. */
  close(): Promise<void>;
}

export interface WorkspaceOptions {
  /**
   * It is the workspace of `SLACK_BOT_TOKEN`: in a SQLite file its rows have no prefix, as before there were several
   * workspaces.
   */
  isConfigured?: boolean;
}

export interface StoreCheck {
  ok: boolean;
  /** One short line, such as `writable`. */
  state: string;
}

/** What processes tell one another of the installations that they change. It only saves time: a word can get lost. */
export interface InstallationNews {
  /** The app was installed or uninstalled there. */
  tell(workspace: WorkspaceId): void;
  /** Hears also what this process tells. */
  onTold(listener: (workspace: WorkspaceId) => void): void;
}

/** JSON values under keys of at most 400 characters. Failures reject with `store_failed`. */
export interface KeyedRows {
  /** `undefined` when there is no such row. */
  get(key: string): Promise<unknown>;
  /** Resolves when the row is on disk. */
  set(key: string, value: unknown): Promise<void>;
  /**
   * Writes the row, or deletes it (`undefined`), if it still is what `get` gave, compared as JSON; `undefined`: there was
   * none. Resolves with whether it did, so that of two processes that read the same row only one changes it.
   */
  swap(key: string, expected: unknown, value: unknown): Promise<boolean>;
  /** Deleting what is not there is fine. */
  delete(key: string): Promise<void>;
  /** All keys, read in pages: a caller that stops early has not read the rest. */
  keys(): AsyncIterable<string>;
}

/** The right to serve a workspace: at most one process has it. */
export interface Lease {
  readonly workspace: WorkspaceId;
  /** Grows with each owner; every write carries it. A bigint as text. */
  readonly fence: string;
  /** By this process's own clock, counted from before the last renewal was sent: no call may leave once it is `false`. */
  isHeld(): boolean;
  /** Aborts with a `lease_lost` as soon as the lease is lost or may be over, and when it is released. */
  readonly lost: AbortSignal;
  /**
   * Notes on disk whether somebody must serve the workspace at once when this process no longer does, because something
   * in it is under way. It stays noted when the lease is released or lost.
   */
  keepServed(isNeeded: boolean): Promise<void>;
  /** Gives it up, so that another process can take it at once. Releasing twice is fine. */
  release(): Promise<void>;
}

export interface Leases {
  /**
   * Takes the lease when nobody holds it; `null`: another process does. While this process holds it, it gets the same
   * lease again.
   * @throws BridgeError store_failed
   */
  take(workspace: WorkspaceId): Promise<Lease | null>;
  /**
   * Calls back whenever the lease may have become free: its owner released it, or did not renew it in time. It may call
   * back in vain.
   * @returns stops watching
   */
  watch(workspace: WorkspaceId, onMaybeFree: () => void): () => void;
  /**
   * Workspaces that somebody must serve and nobody does: noted by {@link Lease.keepServed}, or with deliveries that wait.
   * At most `limit`.
   * @throws BridgeError store_failed
   */
  listUnserved(limit: number): Promise<WorkspaceId[]>;
  /**
   * Calls back whenever `listUnserved` may have got longer, in vain at times: a lease was released or ran out, a delivery
   * waits for a workspace without an owner.
   * @returns stops watching
   */
  watchUnserved(onMaybeMore: () => void): () => void;
}

/** What a process tells the others that share its store. */
export interface ReplicaNote {
  /** Sockets to Slack that it has, or that Slack may still count as its own. */
  sockets: number;
  /** Workspaces that it serves. */
  workspaces: number;
}

export interface Replica extends ReplicaNote {
  id: string;
  /** ms since it last told, by the store's clock. A process that ended as it should is not listed. */
  silentMs: number;
}

/** The processes that share the store. */
export interface Replicas {
  /** Set when no other process can share the store: a file that is locked, or memory. */
  readonly isAlone?: true;
  /** This process's name among them; another one after a restart. */
  readonly self: string;
  /** Tells the others. The caller repeats it every few seconds. */
  announce(note: ReplicaNote): Promise<void>;
  /** The other processes; those that have been silent for an hour are forgotten. */
  list(): Promise<Replica[]>;
}

/** A delivery of Slack as it is stored: the receiver's envelope, as JSON. */
export interface StoredDelivery {
  kind: 'events_api' | 'interactive' | 'slash_commands';
  body: Record<string, unknown>;
  retryNum: number;
  retryReason: string | null;
  /**
   * The message that it is, or stands for: once a thread has it, the delivery is done. Left out: the delivery is done when
   * it was handled.
   */
  about?: { channel: string; ts: string };
}

/** What Slack gets with its "ok". */
export type StoredReply = Record<string, unknown> | string | undefined;

/** Deliveries that one process received and another one, the owner of the workspace, works off. */
export interface InboundTable {
  /**
   * Without `replyWithinMs`: resolves when the delivery is on disk (in a store of one process: handled). With it:
   * resolves with the owner's reply.
   * @throws BridgeError no_owner (retry): no reply came in time; `certain: false` when the owner had begun it, else it is
   * withdrawn. store_failed.
   */
  put(workspace: WorkspaceId, delivery: StoredDelivery, replyWithinMs?: number): Promise<StoredReply>;
  /**
   * Hands the deliveries of the lease's workspace to `handle`, in their order, several at a time, until it is stopped or
   * the lease is lost. A delivery whose `handle` rejects is handed over again later, a limited number of times; one that
   * was handled may come again after a crash.
   */
  serve(lease: Lease, handle: (delivery: StoredDelivery) => Promise<StoredReply>): InboundServer;
}

export interface InboundServer {
  /** Begins no further delivery; resolves when those under way are done. Stopping twice is fine. */
  stop(): Promise<void>;
}
