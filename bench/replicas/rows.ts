import type { Row } from '../row.ts';
import { ackRows } from './ack.ts';
import { startDatabase } from './database.ts';
import { inboundRows } from './inbound.ts';
import { startRows } from './start.ts';
import { workspaceCosts } from './workspaces.ts';

/** Several workspaces and processes on a Postgres of this machine; without one there are no rows. */
export async function replicaRows(folder: string): Promise<Row[]> {
  const database = await startDatabase();
  if (database === null) {
    process.stderr.write('replicas: no Postgres on this machine, so nothing was measured\n');
    return [];
  }
  try {
    const rows: Row[] = [];
    for (const measure of [ackRows, inboundRows, startRows, workspaceCosts]) {
      rows.push(...(await measure(database, folder)));
    }
    return rows;
  } finally {
    await database.close();
  }
}
