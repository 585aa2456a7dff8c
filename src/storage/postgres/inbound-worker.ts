import { type MessageKey, parseMessageKey } from '../../bridge/ids.ts';
import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import type { StoredDelivery, StoredReply } from '../house.ts';
import type { Statements } from './database.ts';
import { replyToText } from './inbound-replies.ts';
import type { HeldLease } from './lease.ts';
import type { Signals } from './signals.ts';

/** Deliveries under way at the same time: as many as Slack may have under way at a process. */
const AT_ONCE = 20;
/** When the database fails, look again after this time. */
const AGAIN_AFTER_MS = 1_000;
/** A delivery that fails is tried again after 1, 2, 4 … seconds, this often; then it is kept for people to look at. */
const MOST_TRIES = 8;

export interface WorkerParts {
  database: Statements;
  signals: Signals;
  clock: Clock;
  log: Log;
  lease: HeldLease;
  handle: (delivery: StoredDelivery) => Promise<StoredReply>;
}

interface Row {
  id: string;
  token: string;
  delivery: string;
  tries: number;
  asks: boolean;
}

/** Works off the deliveries of one workspace, as the holder of its lease. */
export class InboundWorker {
  readonly #parts: WorkerParts;
  readonly #underWay = new Map<string, Promise<void>>();
  /** Which message they are, or stand for, by the rows of those that are being handled. */
  readonly #about = new Map<string, { channel: string; ts: string }>();
  /** Handled, but their rows are still there. */
  readonly #handled = new Set<string>();
  /** Of those that are being handled: their rows were deleted already. */
  readonly #gone = new Set<string>();
  #isAwake = false;
  #looking: Promise<void> | null = null;
  #deleting: Promise<void> | null = null;
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(parts: WorkerParts) {
    this.#parts = parts;
    parts.lease.lost.addEventListener('abort', () => void this.stop(), { once: true });
  }

  /** There may be something to do. */
  wake(): void {
    this.#isAwake = true;
    if (this.#isStopped) return;
    this.#looking ??= this.#lookAndBegin().finally(() => {
      this.#looking = null;
      if (this.#isAwake && this.#underWay.size < AT_ONCE) this.wake();
    });
  }

  /** The rows of those that are one of these messages, or stand for one. */
  idsOf(messages: readonly MessageKey[]): string[] {
    if (this.#about.size === 0) return [];
    const places = messages.map(parseMessageKey);
    const isOne = (about: { channel: string; ts: string }) =>
      places.some(({ channel, ts }) => channel === about.channel && ts === about.ts);
    return [...this.#about].flatMap(([id, about]) => (isOne(about) ? id : []));
  }

  /** Their rows were deleted together with what was stored. */
  noteGone(ids: readonly string[]): void {
    for (const id of ids) this.#about.delete(id);
    for (const id of ids) this.#gone.add(id);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#looking;
    await Promise.all(this.#underWay.values());
    await this.#deleting;
  }

  async #lookAndBegin(): Promise<void> {
    const { database, lease, log } = this.#parts;
    try {
      if (this.#handled.size > 0) await this.#deleteHandled();
      while (this.#isAwake && !this.#isStopped && this.#underWay.size < AT_ONCE) {
        this.#isAwake = false;
        const rows = await lease.read(() =>
          database.run<Row>(
            `SELECT id, token, delivery, tries, reply_by IS NOT NULL AS asks FROM bridge_inbound
             WHERE workspace = $1 AND due_at <= clock_timestamp() AND failed_at IS NULL AND begun_by IS NULL
               AND id <> ALL ($2::bigint[]) ORDER BY id LIMIT $3`,
            [lease.workspace, [...this.#underWay.keys(), ...this.#handled], AT_ONCE],
          ),
        );
        if (rows.length === AT_ONCE) this.#isAwake = true;
        for (const row of rows) {
          // The row may have been handled and deleted since it was read.
          if (!this.#isStopped && this.#underWay.size < AT_ONCE && !this.#underWay.has(row.id)) this.#begin(row);
          else this.#isAwake = true;
        }
      }
    } catch (error) {
      this.#isAwake = false;
      if (isLeaseLost(error)) return;
      log.warn({ err: error, workspace: lease.workspace }, 'could not read deliveries; trying again');
      this.#wakeIn(AGAIN_AFTER_MS);
    }
  }

  #begin(row: Row): void {
    const done = this.#work(row).finally(() => {
      this.#underWay.delete(row.id);
      this.#gone.delete(row.id);
      if (this.#isAwake) this.wake();
    });
    this.#underWay.set(row.id, done);
  }

  /** Never rejects. */
  async #work(row: Row): Promise<void> {
    const { log, lease } = this.#parts;
    try {
      await (row.asks ? this.#reply(row) : this.#handle(row));
    } catch (error) {
      // The row is still there: the next owner finds it, or this one a bit later.
      if (isLeaseLost(error)) return;
      log.warn(
        { err: error, workspace: lease.workspace, delivery: row.id },
        'could not finish a delivery; trying again',
      );
      this.#wakeIn(AGAIN_AFTER_MS);
    }
  }

  async #handle(row: Row): Promise<void> {
    const delivery = JSON.parse(row.delivery) as StoredDelivery;
    if (delivery.about) this.#about.set(row.id, delivery.about);
    try {
      await this.#parts.handle(delivery);
    } catch (error) {
      if (isLeaseLost(error)) throw error;
      return this.#postpone(row, error);
    } finally {
      this.#about.delete(row.id);
    }
    if (this.#gone.has(row.id)) return;
    this.#handled.add(row.id);
    await this.#deleteHandled();
  }

  /** Deletes what was handled; what is handled meanwhile goes with the next statement. */
  #deleteHandled(): Promise<void> {
    this.#deleting ??= (async () => {
      // What is handled in this turn of the event loop goes along.
      await Promise.resolve();
      while (this.#handled.size > 0) {
        const ids = [...this.#handled];
        await this.#write(
          'DELETE FROM bridge_inbound WHERE id = ANY ($3::bigint[]) AND EXISTS (SELECT 1 FROM lease) RETURNING id',
          [ids],
        );
        for (const id of ids) this.#handled.delete(id);
      }
    })().finally(() => {
      this.#deleting = null;
    });
    return this.#deleting;
  }

  async #postpone(row: Row, cause: unknown): Promise<void> {
    const { log, lease } = this.#parts;
    const isLast = row.tries + 1 >= MOST_TRIES;
    const ms = 1_000 * 2 ** row.tries;
    await this.#write(
      `UPDATE bridge_inbound SET tries = tries + 1, due_at = clock_timestamp() + $4 * interval '1 ms',
         failed_at = CASE WHEN $5 THEN clock_timestamp() END
       WHERE id = $3 AND EXISTS (SELECT 1 FROM lease) RETURNING id`,
      [row.id, ms, isLast],
    );
    const fields = { err: cause, workspace: lease.workspace, delivery: row.id, tries: row.tries + 1 };
    if (isLast) log.error(fields, 'gave up a delivery of Slack; it stays in bridge_inbound for a day');
    else log.warn(fields, 'could not handle a delivery of Slack; trying again');
    if (!isLast) this.#wakeIn(ms);
  }

  /** Somebody waits for the reply, so it is begun before their time is over or not at all, and at most once. */
  async #reply(row: Row): Promise<void> {
    const { lease, signals, handle } = this.#parts;
    const begun = await this.#write(
      `UPDATE bridge_inbound SET begun_by = $2::bigint WHERE id = $3 AND begun_by IS NULL
         AND reply_by > clock_timestamp() AND EXISTS (SELECT 1 FROM lease) RETURNING id`,
      [row.id],
    );
    if (begun.length === 0) {
      // Withdrawn, or too late. Who asked has told the person to try again.
      await this.#write('DELETE FROM bridge_inbound WHERE id = $3 AND EXISTS (SELECT 1 FROM lease) RETURNING id', [
        row.id,
      ]);
      return;
    }
    const answer = await handle(JSON.parse(row.delivery) as StoredDelivery).then(
      (reply) => ({ reply }),
      (error: unknown) => ({ error }),
    );
    if ('error' in answer && isLeaseLost(answer.error)) throw answer.error;
    await this.#write(
      'UPDATE bridge_inbound SET reply = $4 WHERE id = $3 AND EXISTS (SELECT 1 FROM lease) RETURNING id',
      [row.id, replyToText(answer)],
    );
    void signals.send('reply', lease.workspace, row.token);
  }

  /** @param statement changes rows on the condition of `lease`, and returns their ids; $1 and $2 are the lease's */
  #write(statement: string, values: unknown[]): Promise<string[]> {
    const { database, lease } = this.#parts;
    return lease.write(async (fence) => {
      const [row] = await database.run<{ held: number; ids: string[] }>(
        `WITH lease AS MATERIALIZED (
           SELECT 1 FROM bridge_leases WHERE workspace = $1 AND fence = $2::bigint FOR KEY SHARE),
         done AS (${statement})
         SELECT (SELECT count(*) FROM lease)::int AS held, ARRAY(SELECT id::text FROM done) AS ids`,
        [lease.workspace, fence, ...values],
        { writes: true },
      );
      return row === undefined || row.held === 0 ? null : row.ids;
    });
  }

  #wakeIn(ms: number): void {
    if (this.#isStopped) return;
    this.#timer?.cancel();
    this.#timer = this.#parts.clock.after(ms, () => this.wake());
  }
}

function isLeaseLost(error: unknown): boolean {
  return error instanceof BridgeError && error.code === 'lease_lost';
}
