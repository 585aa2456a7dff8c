import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BridgeError } from '../../errors.ts';
import type { Door } from './door.ts';

/** Registrations are short. Node checks these times only every `connectionsCheckingInterval`. */
const TIMES = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
} as const;
const CONNECTIONS = 250;

export interface DoorServer {
  /** The port on which it listens; if 0 was configured, the system chose it. */
  port: number;
  /** Resolves when it no longer listens. Stopping twice is fine. */
  stop(): Promise<void>;
}

/**
 * A server of its own for devices (`LETTA_LISTEN=host:port`). Connections and their time are bounded: the port may be
 * open to anybody.
 * @throws BridgeError config_invalid when it cannot listen there.
 */
export function serveDoor(door: Door, { host, port }: { host: string; port: number }): Promise<DoorServer> {
  const server = createServer(TIMES, (request, response) => {
    try {
      door.handleRequest(request, response);
    } catch {
      request.socket.destroy();
    }
  });
  server.maxConnections = CONNECTIONS;
  server.on('upgrade', (request, socket, head) => {
    try {
      door.handleUpgrade(request, socket, head);
    } catch {
      socket.destroy();
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is in use' : `cannot be used: ${cause.code ?? cause.message}`;
      reject(new BridgeError('config_invalid', `LETTA_LISTEN ${host}:${port} ${why}`, { cause }));
    });
    server.listen({ host, port }, () => {
      server.on('error', () => undefined);
      resolve({
        port: (server.address() as AddressInfo).port,
        stop: () =>
          new Promise((stopped) => {
            server.close(() => stopped());
            door.stop();
            server.closeIdleConnections();
          }),
      });
    });
  });
}
