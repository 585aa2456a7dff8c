import type { WorkspaceId } from '../bridge/ids.ts';
import type { Clock, Log } from '../bridge/ports.ts';
import type { LeftOpen } from '../bridge/thread/workers.ts';
import { asBridgeError, BridgeError } from '../errors.ts';
import type { InboundServer, Lease, StoreHouse } from '../storage/house.ts';
import type { Store } from '../storage/open.ts';
import type { Workspace } from './workspace.ts';

/** Why a workspace is no longer served here. */
export type Reason =
  /** The lease is lost, or may be: nothing may leave any more. */
  | 'lost'
  /** Nothing is under way in it. */
  | 'idle'
  /** This process ends, or could not open it: somebody else may have it. */
  | 'handed_over'
  /** The app was uninstalled there: its rows are deleted. */
  | 'removed'
  /** There is no token for it: its rows stay, for a token that comes back. */
  | 'unknown';

export interface SeatParts {
  house: Pick<StoreHouse, 'openWorkspace' | 'deleteWorkspace' | 'inbound'>;
  /** It is the workspace of `SLACK_BOT_TOKEN`. */
  isConfigured: boolean;
  /**
   * Wires the workspace, on its store and behind a gate that closes with the lease. Rejects when it cannot be served, or
   * the signal aborts.
   */
  open(lease: Lease, store: Store, signal: AbortSignal): Promise<Workspace>;
  /** Called once, before the first delivery is handed over. */
  onServing(workspace: Workspace): void;
  /** Called once, as soon as it accepts no deliveries any more, if it ever did. */
  onLeaving(): void;
  clock: Clock;
  log: Log;
}

/** A part that does not end for this long is left behind: its calls are stopped by the gate, its writes by the fence. */
const CLOSES_WITHIN_MS = 20_000;

/** A workspace that this process has the lease of, from taking it to giving it up. */
export class Seat {
  readonly id: WorkspaceId;
  readonly lease: Lease;
  /** Resolves when the workspace accepts deliveries; rejects when it is left before that. */
  readonly opened: Promise<Workspace>;
  /** Resolves when all of it is closed and the lease is given up. */
  readonly gone: Promise<Reason>;
  readonly #parts: SeatParts;
  readonly #leaving = new AbortController();
  readonly #gone = Promise.withResolvers<Reason>();
  #reason: Reason | null = null;
  #store: Store | null = null;
  #workspace: Workspace | null = null;
  #server: InboundServer | null = null;
  #isServing = false;
  #isReleasing = false;
  /** When a delivery last came, by the monotonic clock. */
  #usedAt: number;

  /** Begins to open the workspace. Leaves it by itself when the lease is lost, or it cannot be opened. */
  constructor(lease: Lease, parts: SeatParts) {
    this.id = lease.workspace;
    this.lease = lease;
    this.#parts = parts;
    this.#usedAt = parts.clock.monotonic();
    this.gone = this.#gone.promise;
    this.opened = this.#open();
    this.opened.catch(() => this.leave('handed_over'));
    if (lease.lost.aborted) this.leave('lost');
    else lease.lost.addEventListener('abort', () => this.leave('lost'), { once: true });
  }

  /** `null`: it does not accept deliveries yet, or no longer. */
  get workspace(): Workspace | null {
    return this.#isServing && this.lease.isHeld() ? this.#workspace : null;
  }

  /** Also while it is opened or left. */
  get isLeaving(): boolean {
    return this.#reason !== null;
  }

  noteUse(): void {
    this.#usedAt = this.#parts.clock.monotonic();
  }

  /** For how many ms nothing has been under way in it; 0: something is. */
  idleMs(): number {
    if (!this.#workspace || !this.#isServing || this.#workspace.load().live > 0) return 0;
    return this.#parts.clock.monotonic() - this.#usedAt;
  }

  /** Begins no turn any more; resolves when running turns have ended, at the latest after `ms`. */
  async drain(ms: number): Promise<LeftOpen | null> {
    return (await this.#workspace?.drain(ms)) ?? null;
  }

  /** The first reason counts, but for a lost lease, which ends everything at once. */
  leave(reason: Reason): void {
    const isFirst = this.#reason === null;
    // To give a lease up is no loss.
    if (this.#isReleasing || (!isFirst && reason !== 'lost')) return;
    const wasServing = this.#isServing;
    this.#isServing = false;
    if (reason === 'lost') {
      this.#reason = 'lost';
      void this.#workspace?.freeze();
    } else this.#reason = reason;
    if (wasServing) this.#parts.onLeaving();
    if (!isFirst) return;
    this.#leaving.abort(new BridgeError('lease_lost', `${this.id} is no longer served here`, { retry: true }));
    void this.#close();
  }

  async #open(): Promise<Workspace> {
    const { house, isConfigured, open, onServing, log } = this.#parts;
    const { signal } = this.#leaving;
    this.#store = await house.openWorkspace(this.id, this.lease, { isConfigured });
    signal.throwIfAborted();
    // Before anything is under way: so a crash leaves nothing behind that nobody takes up.
    await this.lease.keepServed(true);
    signal.throwIfAborted();
    const workspace = await open(this.lease, this.#store, signal);
    this.#workspace = workspace;
    if (this.#reason === 'lost') void workspace.freeze();
    signal.throwIfAborted();
    await workspace.start();
    signal.throwIfAborted();
    this.#isServing = true;
    onServing(workspace);
    this.#server = house.inbound.serve(this.lease, (delivery) => {
      this.noteUse();
      return workspace.accept(delivery);
    });
    log.debug({ workspace: this.id, fence: this.lease.fence }, 'serving a workspace');
    return workspace;
  }

  async #close(): Promise<void> {
    // What is being opened ends first, so that nothing begins behind the back of what closes.
    await this.#within(this.opened.catch(() => undefined));
    await this.#within(this.#server?.stop());
    await this.#within(this.#reason === 'lost' ? this.#workspace?.freeze() : this.#workspace?.stop());
    const isQuiet = await this.#isQuiet().catch(() => false);
    await this.#within(this.#store?.close());
    try {
      if (this.#reason === 'removed') await this.#parts.house.deleteWorkspace(this.id, this.lease);
      if (this.#reason === 'removed' || this.#reason === 'unknown' || isQuiet) await this.lease.keepServed(false);
      this.#isReleasing = true;
      await this.lease.release();
    } catch (error) {
      this.#parts.log.warn({ workspace: this.id, error: asBridgeError(error).message }, 'could not give a lease up');
    }
    this.#gone.resolve(this.#reason ?? 'handed_over');
  }

  /** Whether nobody need serve it until somebody writes: a delivery may have come while it was being left. */
  async #isQuiet(): Promise<boolean> {
    if (this.#parts.isConfigured || this.#reason === 'lost' || !this.#workspace || !this.#store) return false;
    return (await this.#store.threads.listActive()).length === 0;
  }

  async #within(closing: Promise<unknown> | undefined): Promise<void> {
    if (!closing) return;
    const { clock, log } = this.#parts;
    const late = Promise.withResolvers<'late'>();
    const timer = clock.after(CLOSES_WITHIN_MS, () => late.resolve('late'));
    try {
      if ((await Promise.race([closing, late.promise])) === 'late') {
        log.warn({ workspace: this.id }, 'a part of a workspace does not end; leaving it behind');
      }
    } catch (error) {
      log.warn({ workspace: this.id, err: error }, 'closing a workspace failed');
    } finally {
      timer.cancel();
    }
  }
}
