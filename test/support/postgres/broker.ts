import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Cluster, findPostgres, startCluster } from './cluster.ts';

/*
 * A global setup: the test files of one run share one throw-away Postgres, which is started when the first of them asks.
 */

const MISSING =
  'there is no Postgres on this machine: the tests on it were skipped (install Debian’s postgresql, or set PG_URL)';

export default async function setUp(): Promise<() => Promise<void>> {
  let cluster: Promise<Cluster> | null = null;
  let isMissed = false;
  const binaries = findPostgres();
  const server = createServer(async (_request, response) => {
    if (binaries === null) {
      isMissed = true;
      response.writeHead(404).end();
      return;
    }
    try {
      cluster ??= startCluster(binaries);
      response.end((await cluster).url);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.env.POSTGRES_BROKER = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return async () => {
    server.close();
    server.closeAllConnections();
    if (isMissed) process.stderr.write(`${MISSING}\n`);
    await (await cluster)?.destroy();
  };
}
