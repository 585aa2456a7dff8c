import { Client, Pool, type PoolClient, type QueryResultRow } from 'pg';
import type { Clock } from '../../bridge/ports.ts';
import type { StoreCheck } from '../house.ts';
import { type ConnectionSettings, connectionSettings, wantsEncryption } from './connection.ts';
import { ConnectionFailure, databaseError, isConnectionLost, isOfServer } from './failures.ts';
import type { PostgresUri } from './uri.ts';

/** A statement that takes longer is given up, by the server first. Slack waits 3 s for its "ok". */
const STATEMENT_MS = 5_000;
const GIVE_UP_MS = STATEMENT_MS + 1_000;
/** Calls that wait for a connection; more are refused at once. */
const MOST_WAITING = 5_000;

export interface DatabaseParts {
  uri: PostgresUri;
  clock: Clock;
  /** Shown in pg_stat_activity, unless the URI names another one. */
  applicationName: string;
  /** Most connections of the pool. */
  connections: number;
  health: Health;
}

/** Whether the database takes writes, by what was last heard of it. Pools of one database share it. */
export class Health {
  #state: StoreCheck = { ok: true, state: 'writable' };

  check(): StoreCheck {
    return this.#state;
  }

  noteFailure<Failure extends Error>(failure: Failure): Failure {
    this.#state = { ok: false, state: failure.message };
    return failure;
  }

  noteWrite(): void {
    this.#state = { ok: true, state: 'writable' };
  }
}

export interface RunOptions {
  /** ms after which the answer is no longer waited for. */
  withinMs?: number;
  /** The statement writes: if it succeeds, the database works. */
  writes?: boolean;
  /**
   * Running it twice, and late, does no harm: so it is run again, on another connection, when the first one turns out to
   * be dead.
   */
  isRepeatable?: boolean;
  /**
   * ms after which connections that keep the statement waiting for a lock are ended. Only for statements that wait for
   * others of this bridge, which take milliseconds: one that does not end is of a process that is gone, in the middle of
   * what it sent.
   */
  unblockAfterMs?: number;
}

/** What runs statements; each is a transaction of its own, committed when it resolves. Failures are `store_failed`. */
export interface Statements {
  run<Row extends QueryResultRow>(text: string, values?: readonly unknown[], options?: RunOptions): Promise<Row[]>;
  /** Runs a statement that only reads. */
  read<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** A connection for LISTEN, as far as it is used. */
export type Listener = Pick<Client, 'on' | 'once' | 'removeAllListeners' | 'query' | 'end'>;

/** What signals need of a database. */
export interface ListeningStatements extends Statements {
  /** @throws BridgeError store_failed */
  connect(): Promise<Listener>;
}

/** Runs one statement, with its values apart from its text. */
export type Run = <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;

/** A bounded pool of connections. Every failure is a BridgeError `store_failed`, and every call ends in time. */
export class Database implements ListeningStatements {
  readonly #parts: DatabaseParts;
  readonly #pool: Pool;
  /** `null`: the server has to be asked again. */
  #isEncrypted: boolean | null = null;

  constructor(parts: DatabaseParts) {
    this.#parts = parts;
    this.#pool = new Pool({ ...this.#settings(false), max: parts.connections, idleTimeoutMillis: 60_000 });
    // A connection that breaks is reported by the call that uses it, and an idle one is replaced.
    const ignore = () => undefined;
    this.#pool.on('error', ignore);
    this.#pool.on('connect', (client) => void client.on('error', ignore));
  }

  /** Runs one statement as a transaction of its own; when it resolves, it is committed. */
  async run<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
    options: RunOptions = {},
  ): Promise<Row[]> {
    try {
      return await this.#runOnce<Row>(text, values, options);
    } catch (error) {
      if (!(options.isRepeatable && isConnectionLost(error))) throw error;
      return this.#runOnce<Row>(text, values, options);
    }
  }

  async #runOnce<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[],
    { withinMs = GIVE_UP_MS, writes = false, unblockAfterMs }: RunOptions,
  ): Promise<Row[]> {
    const { rows } = await this.#withClient(withinMs, async (client) => {
      const timer =
        unblockAfterMs === undefined
          ? null
          : this.#parts.clock.after(unblockAfterMs, () => void this.#unblock(client).catch(() => undefined));
      try {
        return await client.query<Row>(text, [...values]);
      } finally {
        timer?.cancel();
      }
    });
    if (writes) this.#parts.health.noteWrite();
    return rows;
  }

  /** Runs a statement that only reads. */
  read<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.run<Row>(text, values, { isRepeatable: true });
  }

  /** Runs statements in one transaction. What `work` throws rolls it back. */
  async transaction<T>(work: (run: Run) => Promise<T>, withinMs = GIVE_UP_MS): Promise<T> {
    return this.#withClient(withinMs, async (client) => {
      await client.query('BEGIN');
      try {
        const result = await work(async (text, values = []) => (await client.query(text, [...values])).rows);
        await client.query('COMMIT');
        return result;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    });
  }

  /**
   * A connection apart from the pool, for LISTEN. The caller listens for 'error' and 'end', and ends it.
   * @throws BridgeError store_failed
   */
  async connect(): Promise<Client> {
    const client = new Client(this.#settings(await this.#encryption()));
    try {
      client.on('error', () => undefined);
      await client.connect();
      return client;
    } catch (error) {
      this.#isEncrypted = null;
      throw databaseError(error, false);
    }
  }

  /** Waits for calls under way. Closing twice is fine. */
  async close(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end();
  }

  async #withClient<T>(withinMs: number, work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#acquire();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = this.#parts.clock.after(withinMs, () =>
      reject(new ConnectionFailure('the database does not answer', 'ETIMEDOUT')),
    );
    try {
      const result = await Promise.race([work(client), late]);
      client.release();
      return result;
    } catch (error) {
      // After an error of its own the server goes on with the connection; else nobody knows what comes next on it.
      client.release(isOfServer(error) ? undefined : asError(error));
      throw this.#parts.health.noteFailure(databaseError(error, true));
    } finally {
      timer.cancel();
    }
  }

  /** Ends the connections for which another one waits, where they are of the same user. */
  async #unblock(client: PoolClient): Promise<void> {
    await this.run(
      `SELECT pg_terminate_backend(blocking.pid) FROM pg_stat_activity AS blocking
       WHERE blocking.pid = ANY (pg_blocking_pids($1)) AND blocking.usename = current_user`,
      [backendOf(client)],
    );
  }

  async #acquire(): Promise<PoolClient> {
    try {
      if (this.#pool.waitingCount >= MOST_WAITING) throw new ConnectionFailure('too many calls wait for the database');
      const isEncrypted = await this.#encryption();
      Object.assign(this.#pool.options, { ssl: this.#settings(isEncrypted).ssl });
      return await this.#pool.connect();
    } catch (error) {
      this.#isEncrypted = null;
      throw this.#parts.health.noteFailure(databaseError(error, false));
    }
  }

  async #encryption(): Promise<boolean> {
    this.#isEncrypted ??= await wantsEncryption(this.#parts.uri, this.#parts.clock);
    return this.#isEncrypted;
  }

  #settings(isEncrypted: boolean): ConnectionSettings {
    const { uri, applicationName } = this.#parts;
    return connectionSettings(uri, { isEncrypted, applicationName, statementMs: STATEMENT_MS });
  }
}

/** The server's number of the process behind a connection, which the types of `pg` leave out. */
function backendOf(client: PoolClient): number {
  return 'processID' in client && typeof client.processID === 'number' ? client.processID : 0;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
