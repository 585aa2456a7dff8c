import { type Backoff, backoffMs } from '../backoff.ts';
import { BoundedMap } from '../bounded-map.ts';
import type { WorkspaceId } from '../bridge/ids.ts';
import type { Clock, Log, Random, Timer } from '../bridge/ports.ts';
import type { LeftOpen } from '../bridge/thread/workers.ts';
import { asBridgeError, BridgeError } from '../errors.ts';
import type { Installation, Installations } from '../slack/installations/installations.ts';
import type { Lease, StoreHouse } from '../storage/house.ts';
import type { Store } from '../storage/open.ts';
import { Seat } from './seat.ts';
import type { Workspace } from './workspace.ts';

export interface KeeperParts {
  house: Pick<StoreHouse, 'leases' | 'inbound' | 'openWorkspace' | 'deleteWorkspace'>;
  installations: Pick<Installations, 'get' | 'static' | 'onChanged'>;
  /** Whether the app was uninstalled there, so that its rows are to be deleted; left out: it never is. */
  isRemoved?: ((id: WorkspaceId) => Promise<boolean>) | undefined;
  /** Wires a workspace; as {@link Seat} says. */
  open(installation: Installation, lease: Lease, store: Store, signal: AbortSignal): Promise<Workspace>;
  /** Called when a workspace begins to be served here, before its first delivery. */
  onServing(workspace: Workspace): void;
  /** Called as soon as one is no longer served here. */
  onLeaving?: (() => void) | undefined;
  /** How many workspaces the process serves at most. */
  most: number;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface Keeper {
  /**
   * Takes the lease of the workspace of `SLACK_BOT_TOKEN`, if nobody has it, and opens it; begins to look for others.
   * Rejects when that workspace cannot be served.
   */
  start(): Promise<void>;
  /** The workspace, if this process serves it now. */
  find(id: WorkspaceId): Workspace | null;
  /** Whether this process has the workspace's lease, also while it opens or closes it. */
  isHeld(id: WorkspaceId): boolean;
  /** Somebody has something for the workspace: it is served here if nobody else does. */
  want(id: WorkspaceId): void;
  /** All that are served here. */
  list(): Workspace[];
  /** Takes nothing more; each workspace is given up as soon as its turns have ended, at the latest after `ms`. */
  drain(ms: number): Promise<LeftOpen>;
  /** Takes nothing more and gives everything up. Stopping twice is fine. */
  stop(): Promise<void>;
}

/** How often the store is asked which workspaces nobody serves: it tells by itself, but its word can be lost. */
const LOOK_EVERY_MS = 1_000;
/** Most workspaces that are opened at once because nobody serves them. */
const TAKEN_AT_ONCE = 20;
/** Replicas that hear of the same workspace take it at different times: those that serve few are the first. */
const SPREAD_MS = 50;
const PER_SERVED_MS = 10;
const LONGEST_SPREAD_MS = 500;
/** A workspace in which nothing happens for so long is let go; it is opened again when somebody writes. */
const IDLE_MS = 5 * 60_000;
const IDLE_LOOK_MS = 60_000;
/** After a workspace could not be opened. */
const AGAIN: Backoff = { firstMs: 2_000, longestMs: 5 * 60_000 };
const FAILED_KEPT = 1_000;

/** Holds leases of workspaces and serves those that it has. */
export function createKeeper(parts: KeeperParts): Keeper {
  const { house, installations, most, clock, random, log } = parts;
  const seats = new Map<WorkspaceId, Seat>();
  const taking = new Set<WorkspaceId>();
  /** Workspaces that could not be opened, and until when nobody tries again. */
  const failed = new BoundedMap<WorkspaceId, { failures: number; until: number }>(FAILED_KEPT);
  const stops: (() => void)[] = [];
  let lookTimer: Timer | null = null;
  let idleTimer: Timer | null = null;
  let isLooking = false;
  let isRunning = true;

  /** @returns the seat; `null` when another process has the lease, or nothing may be taken now. */
  async function take(id: WorkspaceId): Promise<Seat | null> {
    if (!isRunning || seats.has(id) || taking.has(id) || !hasRoom()) return null;
    taking.add(id);
    try {
      const lease = await house.leases.take(id);
      if (!lease) return null;
      if (!isRunning) {
        await lease.release();
        return null;
      }
      return sit(id, lease);
    } finally {
      taking.delete(id);
    }
  }

  function sit(id: WorkspaceId, lease: Lease): Seat {
    const seat: Seat = new Seat(lease, {
      ...{
        house,
        clock,
        log,
        onServing: parts.onServing,
        onLeaving: () => parts.onLeaving?.(),
        isConfigured: id === installations.static?.workspace,
      },
      async open(held, store, signal) {
        const installation = await installations.get(id);
        if (installation) return parts.open(installation, held, store, signal);
        // Only what is known to be uninstalled is deleted: the token may have been another one for a while.
        const isRemoved = (await parts.isRemoved?.(id)) ?? false;
        if (!isRemoved) noteFailure(seat, new BridgeError('internal', 'there is no token for this workspace'));
        seat.leave(isRemoved ? 'removed' : 'unknown');
        throw signal.reason;
      },
    });
    seats.set(id, seat);
    seat.opened.then(
      () => failed.delete(id),
      (error) => noteFailure(seat, error),
    );
    void seat.gone.then((reason) => {
      seats.delete(id);
      log.info({ workspace: id, reason }, 'a workspace is no longer served here');
      lookSoon();
    });
    return seat;
  }

  function noteFailure(seat: Seat, error: BridgeError): void {
    // A seat that is left while it is being opened has not failed.
    if (seat.lease.lost.aborted || !isRunning || asBridgeError(error).code === 'lease_lost') return;
    const failures = (failed.get(seat.id)?.failures ?? 0) + 1;
    const waitMs = backoffMs(AGAIN, failures, random.next());
    failed.set(seat.id, { failures, until: clock.monotonic() + waitMs });
    log.error(
      { workspace: seat.id, err: asBridgeError(error), waitMs: Math.round(waitMs) },
      'could not open a workspace',
    );
  }

  const mayTry = (id: WorkspaceId) => (failed.get(id)?.until ?? 0) <= clock.monotonic();

  /** Lets the workspace go that has been idle longest when there is no room for another one. */
  function hasRoom(): boolean {
    if (seats.size < most) return true;
    const idle = [...seats.values()].filter((seat) => isLeavable(seat) && seat.idleMs() > 0);
    idle.sort((one, other) => other.idleMs() - one.idleMs());
    idle[0]?.leave('idle');
    return false;
  }

  const isLeavable = ({ id, isLeaving }: Seat) => !isLeaving && id !== installations.static?.workspace;

  function leaveIdle(): void {
    for (const seat of seats.values()) if (isLeavable(seat) && seat.idleMs() >= IDLE_MS) seat.leave('idle');
    if (isRunning) idleTimer = clock.after(IDLE_LOOK_MS, leaveIdle);
  }

  async function takeInBackground(id: WorkspaceId): Promise<void> {
    if (!mayTry(id)) return;
    try {
      await take(id);
    } catch (error) {
      log.warn({ workspace: id, error: asBridgeError(error).message }, 'could not ask for the lease of a workspace');
    }
  }

  async function takeUnserved(): Promise<void> {
    if (isLooking || !isRunning) return;
    isLooking = true;
    try {
      const unserved = await house.leases.listUnserved(TAKEN_AT_ONCE);
      await Promise.all(unserved.filter((id) => !seats.has(id)).map(takeInBackground));
    } catch (error) {
      log.debug({ error: asBridgeError(error).message }, 'could not ask which workspaces have no owner');
    } finally {
      isLooking = false;
    }
  }

  function lookIn(ms: number): void {
    if (!isRunning) return;
    lookTimer?.cancel();
    lookTimer = clock.after(ms, () => void takeUnserved().then(() => lookIn(LOOK_EVERY_MS)));
  }

  function lookSoon(): void {
    lookIn(Math.min(LONGEST_SPREAD_MS, random.next() * SPREAD_MS + seats.size * PER_SERVED_MS));
  }

  function halt(): void {
    isRunning = false;
    lookTimer?.cancel();
    idleTimer?.cancel();
    for (const stopPart of stops.splice(0)) stopPart();
  }

  return {
    async start() {
      stops.push(
        installations.onChanged(({ kind, workspace }) => {
          failed.delete(workspace);
          if (kind === 'removed') seats.get(workspace)?.leave('removed');
        }),
        house.leases.watchUnserved(lookSoon),
      );
      const configured = installations.static;
      if (configured) {
        const seat = await take(configured.workspace);
        await seat?.opened;
        if (!seat) log.info({ workspace: configured.workspace }, 'another process serves the workspace; standing by');
      }
      lookIn(0);
      leaveIdle();
    },
    find(id) {
      const seat = seats.get(id);
      const workspace = seat?.workspace ?? null;
      if (workspace) seat?.noteUse();
      return workspace;
    },
    isHeld: (id) => seats.has(id),
    want(id) {
      if (!seats.has(id)) void takeInBackground(id);
    },
    list: () => [...seats.values()].flatMap(({ workspace }) => workspace ?? []),
    async drain(ms) {
      halt();
      const left: LeftOpen = { running: 0, waitingForPeople: 0, waitingForLetta: 0, waitingMessages: 0 };
      await Promise.all(
        [...seats.values()].map(async (seat) => {
          const own = await seat.drain(ms);
          for (const key of Object.keys(left) as (keyof LeftOpen)[]) left[key] += own?.[key] ?? 0;
          seat.leave('handed_over');
          await seat.gone;
        }),
      );
      return left;
    },
    async stop() {
      halt();
      for (const seat of seats.values()) seat.leave('handed_over');
      await Promise.all([...seats.values()].map(({ gone }) => gone));
    },
  };
}
