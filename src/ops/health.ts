import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';

/** One part that must work for the bridge to hear and answer. */
export interface Check {
  name: string;
  ok: boolean;
  /** A word or two on its state: no secrets, no addresses. */
  state: string;
  /** For Slack: connections of other processes, which receive a part of our messages. */
  foreign?: number | undefined;
}

/** Makes the text that Prometheus reads. */
export type Scrape = () => Promise<{ contentType: string; text: string }>;

/** Answers the request and returns true, or returns false: it is for another handler. */
export type HealthRoutes = (request: IncomingMessage, response: ServerResponse) => boolean;

/** The port may be open to anybody, and a process may serve a thousand: the answer stays short. */
const MOST_LISTED = 100;

/**
 * `GET /healthz`: the process responds (always 200). `GET /readyz`: 200 when every check is ok, else 503; both as JSON.
 * `GET /metrics`: the metrics, if there is a `scrape`.
 * @param checks called at each request, so it must be cheap; when it throws, the bridge is not ready.
 * @param served ids of the workspaces that this process serves now, of which `/readyz` names at most 100 beside their
 * number; `null`: it does not say.
 */
export function healthRoutes(
  checks: () => readonly Check[],
  scrape: Scrape | null = null,
  served: (() => readonly string[]) | null = null,
): HealthRoutes {
  return (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0];
    if (path !== '/healthz' && path !== '/readyz' && (path !== '/metrics' || scrape === null)) return false;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendJson(response, 405, { ok: false }, { allow: 'GET, HEAD' });
      return true;
    }
    if (path === '/healthz') sendJson(response, 200, { ok: true });
    else if (path === '/metrics' && scrape !== null) void answerMetrics(response, scrape);
    else {
      const list = runChecks(checks);
      const ok = list.every((check) => check.ok);
      sendJson(response, ok ? 200 : 503, { ok, checks: list, ...(served && { serves: listServed(served()) }) });
    }
    return true;
  };
}

async function answerMetrics(response: ServerResponse, scrape: Scrape): Promise<void> {
  try {
    const { contentType, text } = await scrape();
    response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' }).end(text);
  } catch {
    sendJson(response, 500, { ok: false });
  }
}

function runChecks(checks: () => readonly Check[]): readonly Check[] {
  try {
    return checks();
  } catch {
    return [{ name: 'checks', ok: false, state: 'failed' }];
  }
}

const listServed = (ids: readonly string[]) => ({
  count: ids.length,
  workspaces: ids.toSorted().slice(0, MOST_LISTED),
});

function sendJson(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(`${JSON.stringify(body)}\n`);
}

const pathOf = ({ url = '/' }: IncomingMessage) => url.split('?', 1)[0] ?? '/';

const hasBody = ({ headers }: IncomingMessage) =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** A monitor needs one or two connections; each device behind a guest needs one. */
const CONNECTIONS = { alone: 50, withGuest: 250 } as const;
/** Requests are short. Node checks these times only every `connectionsCheckingInterval`. */
const TIMES = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
} as const;
/** An idle connection is closed after this. */
const IDLE_MS = 10_000;
/** How long a client whose body we do not read may take to read the answer. */
const UNREAD_MS = 500;

/** Another part of the bridge that answers on the same port. */
export interface HttpGuest {
  owns(path: string): boolean;
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface HealthOptions {
  port: number;
  host?: string;
  clock: Clock;
  guest?: HttpGuest | undefined;
}

export interface HealthServer {
  /** The port on which it listens; if 0 was configured, the system chose it. */
  port: number;
  /** Resolves when it no longer listens. Stopping twice is fine. */
  stop(): Promise<void>;
}

/**
 * A server for nothing but health: for Socket Mode, where no other HTTP server runs. Connections, their time and what
 * they send are bounded: the port may be open to anybody.
 * @throws BridgeError config_invalid when it cannot listen on the port.
 */
export function serveHealth(routes: HealthRoutes, options: HealthOptions): Promise<HealthServer> {
  const { guest } = options;
  const server = createServer(TIMES, (request, response) => {
    try {
      if (guest?.owns(pathOf(request))) return guest.handleRequest(request, response);
      if (hasBody(request)) {
        // No route reads a body: answer at once and do not wait for the rest.
        response.on('finish', () => void options.clock.after(UNREAD_MS, () => request.socket.destroy()));
        sendJson(response, 413, { ok: false }, { connection: 'close' });
        return;
      }
      if (!routes(request, response)) sendJson(response, 404, { ok: false });
    } catch {
      // A single request must never end the bridge.
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { ok: false });
    }
  });
  server.on('upgrade', (request, socket, head) => {
    if (guest?.owns(pathOf(request))) guest.handleUpgrade(request, socket, head);
    else socket.destroy();
  });
  server.maxConnections = guest ? CONNECTIONS.withGuest : CONNECTIONS.alone;
  server.timeout = IDLE_MS;
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is in use' : `cannot be used: ${cause.code ?? cause.message}`;
      reject(new BridgeError('config_invalid', `PORT ${options.port} ${why}`, { cause }));
    });
    server.listen({ port: options.port, host: options.host }, () => {
      server.on('error', () => undefined);
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : options.port,
        stop: () =>
          new Promise((stopped) => {
            server.close(() => stopped());
            server.closeAllConnections();
            // The sockets that the guest took over end with the guest, which may be stopped later.
            if (guest) stopped();
          }),
      });
    });
  });
}
