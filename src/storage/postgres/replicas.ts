import type { Replica, ReplicaNote, Replicas } from '../house.ts';
import type { Statements } from './database.ts';

/** A process that was silent for so long is forgotten. */
const FORGOTTEN_AFTER = "interval '1 hour'";

/** The processes that share the store, in a table. */
export class PostgresReplicas implements Replicas {
  readonly self: string;
  readonly #database: Statements;

  constructor(database: Statements, self: string) {
    this.#database = database;
    this.self = self;
  }

  async announce({ sockets, workspaces }: ReplicaNote): Promise<void> {
    await this.#database.run(
      `INSERT INTO bridge_replicas (id, sockets, workspaces) VALUES ($1, $2, $3)
       ON CONFLICT (id) DO UPDATE SET sockets = excluded.sockets, workspaces = excluded.workspaces,
         told_at = clock_timestamp()`,
      [this.self, sockets, workspaces],
      { writes: true },
    );
  }

  async list(): Promise<Replica[]> {
    return this.#database.run<Replica>(
      `WITH forgotten AS (DELETE FROM bridge_replicas WHERE told_at < clock_timestamp() - ${FORGOTTEN_AFTER})
       SELECT id, sockets, workspaces, extract(epoch FROM clock_timestamp() - told_at)::float8 * 1000 AS "silentMs"
       FROM bridge_replicas WHERE id <> $1 AND told_at >= clock_timestamp() - ${FORGOTTEN_AFTER}`,
      [this.self],
    );
  }

  /** Takes this process off the list. */
  async leave(): Promise<void> {
    await this.#database.run('DELETE FROM bridge_replicas WHERE id = $1', [this.self]);
  }
}
