import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What happens to bytes: they go through; they wait; they vanish, as behind a firewall that has forgotten the connection. */
type Way = 'pass' | 'hold' | 'drop';

export interface BadNetwork {
  /** The same database, by way of the proxy. */
  uri: string;
  /** From now on, for connections of now and later. */
  set(ways: { toServer?: Way; toClient?: Way }): void;
  /** Delivers what was held back, also of connections whose client has gone, and lets all pass. */
  release(): void;
  /** Cuts every connection. @param how `reset`: both sides see it; `half`: only what the server says ends */
  cut(how?: 'reset' | 'half'): void;
  /** New connections are refused, or taken again. */
  refuse(isRefusing: boolean): void;
  /** Bytes that wait for the server now. */
  heldBytes(): number;
  close(): Promise<void>;
}

interface Pair {
  client: Socket;
  server: Socket;
  toServer: Buffer[];
  toClient: Buffer[];
}

/** A network between the bridge and its database. */
export async function startProxy(uri: string): Promise<BadNetwork> {
  const url = new URL(uri);
  const target = { host: url.hostname, port: Number(url.port || 5432) };
  const pairs = new Set<Pair>();
  const ways: { toServer: Way; toClient: Way } = { toServer: 'pass', toClient: 'pass' };
  let isRefusing = false;

  const listener = createServer({ allowHalfOpen: true }, (client) => {
    if (isRefusing) {
      client.destroy();
      return;
    }
    const server = connect({ ...target, allowHalfOpen: true });
    const pair: Pair = { client, server, toServer: [], toClient: [] };
    pairs.add(pair);
    client.setNoDelay(true);
    server.setNoDelay(true);
    client.on('data', (chunk) => {
      if (ways.toServer === 'pass') server.write(chunk);
      else if (ways.toServer === 'hold') pair.toServer.push(chunk);
    });
    server.on('data', (chunk) => {
      if (ways.toClient === 'pass') client.write(chunk);
      else if (ways.toClient === 'hold') pair.toClient.push(chunk);
    });
    client.on('end', () => pair.toServer.length === 0 && ways.toServer === 'pass' && server.end());
    server.on('end', () => ways.toClient === 'pass' && client.end());
    client.on('error', () => undefined);
    server.on('error', () => undefined);
    client.on('close', () => {
      // What the network still carries reaches the server although the client has gone.
      if (pair.toServer.length === 0 && ways.toServer === 'pass') server.destroy();
    });
    server.on('close', () => {
      client.destroy();
      pairs.delete(pair);
    });
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  url.hostname = '127.0.0.1';
  url.port = String((listener.address() as AddressInfo).port);

  return {
    uri: url.href,
    set: (next) => void Object.assign(ways, next),
    release() {
      Object.assign(ways, { toServer: 'pass', toClient: 'pass' });
      for (const { client, server, toServer, toClient } of pairs) {
        for (const chunk of toServer.splice(0)) server.write(chunk);
        for (const chunk of toClient.splice(0)) client.write(chunk);
        if (client.destroyed || client.readableEnded) server.end();
      }
    },
    cut(how = 'reset') {
      for (const { client, server } of pairs) {
        if (how === 'half') client.end();
        else {
          client.resetAndDestroy();
          server.resetAndDestroy();
        }
      }
    },
    refuse: (next) => {
      isRefusing = next;
    },
    heldBytes: () => [...pairs].reduce((sum, { toServer }) => sum + Buffer.concat(toServer).length, 0),
    async close() {
      listener.close();
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      await once(listener, 'close');
    },
  };
}
