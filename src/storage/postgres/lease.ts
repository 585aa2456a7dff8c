import type { WorkspaceId } from '../../bridge/ids.ts';
import type { Clock, Timer } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import type { Lease } from '../house.ts';
import type { Statements } from './database.ts';
import { Share } from './share.ts';

/** How often a write is sent again because the fence had moved on under the same holder. */
const ATTEMPTS = 5;
/** A change of the fence waits for writes with the old one; one that takes longer is of a connection that is dead. */
export const UNBLOCK_AFTER_MS = 1_000;

export interface LeaseTimes {
  /** ms between two renewals. */
  heartbeatMs: number;
  /** ms after its last renewal from which another process may take a lease. */
  expiryMs: number;
}

export interface LeaseParts {
  database: Statements;
  clock: Clock;
  times: LeaseTimes;
  /** Connections for what is stored, which all leases of the process share. */
  connections: number;
  /** Names this take of the lease: nobody else writes it into the row. */
  holder: string;
  fence: string;
  /** When the statement that took it was sent. */
  sentAt: Moment;
  onLost: (lease: HeldLease) => void;
  /** Gives the lease back in the database. */
  giveUp: (lease: HeldLease) => Promise<void>;
}

/** A moment by both clocks. The monotonic one stands still while the machine sleeps, the other one may be set. */
export interface Moment {
  monotonic: number;
  wall: number;
}

export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonic(), wall: clock.now() };
}

/**
 * A lease as its holder sees it. It is over a while before another process may take it, by the clocks of this process
 * alone, counted from before the last successful renewal was sent: the database counts from later.
 */
export class HeldLease implements Lease {
  readonly workspace: WorkspaceId;
  readonly holder: string;
  readonly #parts: LeaseParts;
  readonly #lost = new AbortController();
  readonly #share: Share;
  #fence: string;
  #renewedAt: Moment;
  #timer: Timer | null = null;
  /** An earlier write may still be on its way: nothing may be read or written before the fence has moved on. */
  #isUnsettled = false;
  #settling: Promise<void> | null = null;
  #releasing: Promise<void> | null = null;

  constructor(workspace: WorkspaceId, parts: LeaseParts) {
    this.workspace = workspace;
    this.holder = parts.holder;
    this.#parts = parts;
    this.#fence = parts.fence;
    this.#share = new Share(parts.connections);
    this.#renewedAt = parts.sentAt;
    this.#watchExpiry();
  }

  get fence(): string {
    return this.#fence;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  isHeld(): boolean {
    if (this.#lost.signal.aborted) return false;
    if (this.#leftMs() > 0) return true;
    this.loseIt('it was not renewed in time');
    return false;
  }

  async keepServed(isNeeded: boolean): Promise<void> {
    await this.write(async (fence) => {
      const rows = await this.#parts.database.run(
        'UPDATE bridge_leases SET needed = $3 WHERE workspace = $1 AND fence = $2 RETURNING 1 AS one',
        [this.workspace, fence, isNeeded],
        { writes: true },
      );
      return rows.length === 0 ? null : rows;
    });
  }

  release(): Promise<void> {
    this.#releasing ??= (async () => {
      const wasHeld = !this.#lost.signal.aborted;
      this.loseIt('it was released');
      if (wasHeld) await this.#parts.giveUp(this);
    })();
    return this.#releasing;
  }

  /** A renewal that was sent at that moment has succeeded. */
  noteRenewal(sentAt: Moment): void {
    if (!this.isHeld()) return;
    this.#renewedAt = sentAt;
    this.#watchExpiry();
  }

  /** Another process has it, or may have. */
  loseIt(why: string): void {
    if (this.#lost.signal.aborted) return;
    this.#timer?.cancel();
    this.#lost.abort(lostError(this.workspace, why));
    this.#parts.onLost(this);
  }

  /**
   * Reads after what was written before, even if the outcome of a write is unknown. Without the lease nothing is read:
   * what another process wrote must not look as if this one had.
   * @throws lease_lost, store_failed
   */
  read<T>(read: () => Promise<T>): Promise<T> {
    return this.#share.use(() => this.#read(read));
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    await this.#settle();
    if (!this.isHeld()) throw this.#lost.signal.reason;
    const result = await read();
    if (!this.isHeld()) throw this.#lost.signal.reason;
    return result;
  }

  /**
   * Writes as the holder of the lease.
   * @param attempt writes if the row of the lease has this fence; `null`: it has not
   * @throws lease_lost; store_failed, not `certain` when the write may have been done
   */
  write<T>(attempt: (fence: string) => Promise<T | null>): Promise<T> {
    return this.#share.use(() => this.#write(attempt));
  }

  async #write<T>(attempt: (fence: string) => Promise<T | null>): Promise<T> {
    for (let count = 0; count < ATTEMPTS; count += 1) {
      await this.#settle();
      if (!this.isHeld()) throw this.#lost.signal.reason;
      const fence = this.#fence;
      try {
        const result = await attempt(fence);
        if (result !== null) return result;
      } catch (error) {
        if (error instanceof BridgeError && !error.certain) this.#isUnsettled = true;
        throw error;
      }
      // Refused for certain: the fence has moved on. If this process did that, the write can be sent again.
      if (fence === this.#fence) this.#isUnsettled = true;
    }
    throw new BridgeError('store_failed', `the fence of ${this.workspace} does not stay`, { retry: true });
  }

  /**
   * Moves the fence on after a write of unknown outcome, so that from now on that write is either done, or refused when
   * it arrives late.
   */
  async #settle(): Promise<void> {
    while (this.#isUnsettled) {
      this.#settling ??= this.#moveFence().finally(() => {
        this.#settling = null;
      });
      await this.#settling;
    }
  }

  async #moveFence(): Promise<void> {
    if (!this.isHeld()) throw this.#lost.signal.reason;
    const { database, clock, times } = this.#parts;
    const sentAt = momentOf(clock);
    const [row] = await database.run<{ fence: string }>(
      `UPDATE bridge_leases SET fence = fence + 1, expires_at = clock_timestamp() + $3 * interval '1 ms'
       WHERE workspace = $1 AND holder = $2 RETURNING fence`,
      [this.workspace, this.holder, times.expiryMs],
      { writes: true, isRepeatable: true, unblockAfterMs: UNBLOCK_AFTER_MS },
    );
    if (row === undefined) {
      this.loseIt('another process took it');
      throw this.#lost.signal.reason;
    }
    this.#fence = row.fence;
    this.#isUnsettled = false;
    this.noteRenewal(sentAt);
  }

  /** ms for which this process may still act. */
  #leftMs(): number {
    const { clock, times } = this.#parts;
    const { monotonic, wall } = this.#renewedAt;
    // The later clock counts: a machine that slept must not go on with a lease of before.
    const gone = Math.max(clock.monotonic() - monotonic, clock.now() - wall);
    return times.expiryMs - marginMs(times) - gone;
  }

  #watchExpiry(): void {
    this.#timer?.cancel();
    if (this.#lost.signal.aborted) return;
    this.#timer = this.#parts.clock.after(Math.max(0, this.#leftMs()), () => {
      if (this.isHeld()) this.#watchExpiry();
    });
  }
}

/** How much earlier the holder stops: for calls that have just left, and clocks that do not run alike. */
function marginMs({ expiryMs }: LeaseTimes): number {
  return Math.min(1_000, expiryMs / 10);
}

function lostError(workspace: WorkspaceId, why: string): BridgeError {
  return new BridgeError('lease_lost', `the lease of ${workspace} is over: ${why}`, { retry: true });
}
