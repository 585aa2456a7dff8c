import { BridgeError } from '../../errors.ts';
import type { Statements } from './database.ts';

/** Statements under way at the same time; what comes meanwhile goes into the next one. */
const AT_ONCE = 2;
const MOST_ROWS = 100;
const MOST_CHARACTERS = 2_000_000;
/** Deliveries that wait for one workspace; then no more are taken in, and Slack keeps them for a while. */
const MOST_FOR_WORKSPACE = 10_000;
/** Deliveries that wait here to be written, of all workspaces and of one. */
const MOST_WAITING = 5_000;
const MOST_WAITING_OF_ONE = 1_000;

export interface NewDelivery {
  token: string;
  workspace: string;
  /** JSON */
  delivery: string;
  /** ms since 1970 by the database's clock; `null`: nobody waits for a reply. */
  replyBy: number | null;
}

interface Waiting extends NewDelivery {
  settle: PromiseWithResolvers<void>;
}

/**
 * Adds deliveries to the table, several in one commit: what arrives while a commit is under way shares the next one, so
 * that many deliveries cost no more commits than the disk can make. Workspaces take turns, so that one with many
 * deliveries does not keep those of others waiting.
 */
export class InboundWriter {
  readonly #database: Statements;
  /** By workspace, in the order in which they take their turn; none is empty. */
  readonly #waiting = new Map<string, Waiting[]>();
  #count = 0;
  readonly #running = new Set<Promise<void>>();

  constructor(database: Statements) {
    this.#database = database;
  }

  /** Resolves when the delivery is committed. @throws BridgeError store_failed */
  add(delivery: NewDelivery): Promise<void> {
    const { workspace } = delivery;
    const waiting = this.#waiting.get(workspace) ?? [];
    if (this.#count >= MOST_WAITING || waiting.length >= MOST_WAITING_OF_ONE) {
      return Promise.reject(
        new BridgeError('store_failed', 'too many deliveries wait for the database', { retry: true }),
      );
    }
    const settle = Promise.withResolvers<void>();
    waiting.push({ ...delivery, settle });
    this.#waiting.set(workspace, waiting);
    this.#count += 1;
    this.#writeNext();
    return settle.promise;
  }

  async waitUntilIdle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #writeNext(): void {
    while (this.#running.size < AT_ONCE && this.#count > 0) {
      const running = this.#write(this.#takeBatch()).finally(() => {
        this.#running.delete(running);
        this.#writeNext();
      });
      this.#running.add(running);
    }
  }

  #takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    let characters = 0;
    // A workspace that is set again while the map is walked comes once more at its end.
    for (const [workspace, waiting] of this.#waiting) {
      const next = waiting[0];
      if (next === undefined) continue;
      characters += next.delivery.length;
      if (batch.length > 0 && (batch.length >= MOST_ROWS || characters > MOST_CHARACTERS)) break;
      batch.push(next);
      waiting.shift();
      this.#waiting.delete(workspace);
      if (waiting.length > 0) this.#waiting.set(workspace, waiting);
    }
    this.#count -= batch.length;
    return batch;
  }

  async #write(batch: Waiting[]): Promise<void> {
    try {
      const rows = await this.#database.run<{ token: string }>(
        // Counted once for each workspace, not for each row.
        `WITH open AS MATERIALIZED (
           SELECT workspace FROM (SELECT DISTINCT unnest($2::text[]) AS workspace) AS new
           WHERE (SELECT count(*) FROM (SELECT 1 FROM bridge_inbound AS old WHERE old.workspace = new.workspace
             LIMIT ${MOST_FOR_WORKSPACE}) AS waiting) < ${MOST_FOR_WORKSPACE})
         INSERT INTO bridge_inbound (token, workspace, delivery, reply_by)
         SELECT token, workspace, delivery, to_timestamp(reply_by / 1000)
         FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[]) WITH ORDINALITY
           AS new (token, workspace, delivery, reply_by, nr)
         WHERE workspace IN (SELECT workspace FROM open)
         ORDER BY nr RETURNING token`,
        [
          batch.map(({ token }) => token),
          batch.map(({ workspace }) => workspace),
          batch.map(({ delivery }) => delivery),
          batch.map(({ replyBy }) => replyBy),
        ],
        { writes: true },
      );
      const stored = new Set(rows.map(({ token }) => token));
      for (const { token, workspace, settle } of batch) {
        if (stored.has(token)) settle.resolve();
        else
          settle.reject(new BridgeError('store_failed', `too many deliveries wait for ${workspace}`, { retry: true }));
      }
    } catch (error) {
      for (const { settle } of batch) settle.reject(error);
    }
  }
}
