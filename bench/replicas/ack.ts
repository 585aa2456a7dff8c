import { join } from 'node:path';
import { runAcks } from '../ack.ts';
import { median, percentile, type Row, row } from '../row.ts';
import type { BenchDatabase } from './database.ts';

const RUNS = 2;
/** Slack waits 3 s; people wait for the first sign of their agent. */
const GOAL_MS = 250;

/** The time to an acknowledgement, with each kind of store in turn. */
export async function ackRows(database: BenchDatabase, folder: string): Promise<Row[]> {
  const sqlite: number[][] = [];
  const postgres: number[][] = [];
  for (let run = 0; run < RUNS; run += 1) {
    sqlite.push(await runAcks(join(folder, `ack-replicas-${run}.db`)));
    postgres.push(await runAcks(await database.newStore()));
  }
  const of = (runs: number[][], share: number) => median(runs.map((times) => percentile(times, share)));
  return [
    row('ack_sqlite_p50', of(sqlite, 0.5), 'ms'),
    row('ack_sqlite_p99', of(sqlite, 0.99), 'ms'),
    row('ack_postgres_p50', of(postgres, 0.5), 'ms'),
    row('ack_postgres_p99', of(postgres, 0.99), 'ms', GOAL_MS),
  ];
}
