import type { Clock, DetailsStore, Log, Timer } from '../bridge/ports.ts';
import type { DetailsRef } from '../bridge/record/thread-record.ts';
import type { TurnDetails } from '../bridge/turn/steps.ts';
import { readDetails, toRow } from './records.ts';
import type { Rows } from './rows.ts';

/** The first deletion comes soon after the start, so that a bridge that never runs for an hour deletes, too. */
const FIRST_SWEEP_MS = 60_000;
const SWEEP_EVERY_MS = 60 * 60_000;

/**
 * The details of finished turns. Keys begin with the time when the turn ended, so old ones are found without reading
 * them. Any disk failure rejects with store_failed.
 */
export class StoredDetails implements DetailsStore {
  readonly #rows: Rows;
  readonly #parts: { clock: Clock; log: Log };
  #retentionMs = 0;
  #timer: Timer | null = null;

  constructor(rows: Rows, parts: { clock: Clock; log: Log }) {
    this.#rows = rows;
    this.#parts = parts;
  }

  /** From now on details older than `retentionMs` are not returned, and are deleted within an hour. */
  start(retentionMs: number): void {
    this.stop();
    this.#retentionMs = retentionMs;
    this.#timer = this.#parts.clock.after(FIRST_SWEEP_MS, () => void this.#deleteOldAndRepeat());
  }

  /** Stopping twice is fine. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  async put(ref: DetailsRef, details: TurnDetails): Promise<void> {
    await this.#rows.set(keyOf(ref), toRow(details));
  }

  async get(ref: DetailsRef): Promise<TurnDetails | null> {
    if (ref.at <= this.#oldestKept()) return null;
    const key = keyOf(ref);
    const found = await this.#rows.get(key);
    return found === undefined ? null : readDetails(`details/${key}`, found);
  }

  async drop(refs: readonly DetailsRef[]): Promise<void> {
    for (const ref of refs) await this.#rows.delete(keyOf(ref));
  }

  /** Deletes details that are too old. Resolves with their number. */
  async deleteOld(): Promise<number> {
    const oldest = this.#oldestKept();
    return this.#rows.deleteWhere((key) => Number.parseInt(key, 36) <= oldest);
  }

  async #deleteOldAndRepeat(): Promise<void> {
    const { clock, log } = this.#parts;
    const timer = this.#timer;
    try {
      const deleted = await this.deleteOld();
      if (deleted > 0) log.info({ deleted }, 'deleted the details of old turns');
    } catch (error) {
      log.warn({ err: error }, 'could not delete the details of old turns; trying again later');
    }
    if (this.#timer === timer) this.#timer = clock.after(SWEEP_EVERY_MS, () => void this.#deleteOldAndRepeat());
  }

  #oldestKept(): number {
    return this.#parts.clock.now() - this.#retentionMs;
  }
}

function keyOf({ at, token }: DetailsRef): string {
  return `${at.toString(36).padStart(10, '0')}-${token}`;
}
