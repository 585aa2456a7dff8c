import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock, Log } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import { parseBody } from './http-body.ts';
import { headerFault, signatureFault } from './signature.ts';
import { type Accept, createStateKeeper, type Reply, type Transport, type TransportState } from './transport.ts';

const BODY_LIMIT = 4 * 1024 * 1024;
const CLOSE_MS = 2_000;
/** For all requests together: a few thousand usual events, or four of the largest size. */
const BUFFERED_LIMIT = 4 * BODY_LIMIT;
/** Slack opens some dozens at most. */
const CONNECTIONS = 250;
/** Slack gives up after three seconds. Node checks these times every `connectionsCheckingInterval`. */
const TIMES = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
} as const;
/** How long a client that we refused before it had sent everything may read the answer. */
const REFUSED_MS = 500;

export type HttpRoute = (request: IncomingMessage, response: ServerResponse) => void;

/** Another part of the bridge that answers on the same port. */
interface HttpGuest {
  owns(path: string): boolean;
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

export interface HttpOptions {
  signingSecret: string;
  /** 0: any free port. */
  port: number;
  /** Default: all interfaces. */
  host?: string | undefined;
  /** Where Slack delivers events, interactions and commands alike. */
  path?: string | undefined;
  /** Further paths answered on GET: health, metrics. */
  routes?: Readonly<Record<string, HttpRoute>> | undefined;
  guest?: HttpGuest | undefined;
  clock: Clock;
  log: Log;
  onState?: ((state: TransportState) => void) | undefined;
}

export interface HttpTransport extends Transport {
  /**
   * Opens the port early, before `start`. Until `start`, further paths and Slack's challenge are answered, and
   * deliveries are refused with 503, so that Slack sends them again.
   */
  listen(): Promise<void>;
  port(): number;
}

/**
 * Receives Slack's HTTP deliveries and answers when `accept` has settled. It is a server of our own, because Bolt's
 * receiver acknowledges events before they are stored (docs/slack.md, Hazards: Acks).
 */
export function createHttpTransport(options: HttpOptions): HttpTransport {
  const { signingSecret, clock, log, routes = {}, path = '/slack/events', guest } = options;
  const state = createStateKeeper(clock.monotonic, options.onState);
  let accept: Accept | null = null;
  let isPaused = false;
  let isStopped = false;

  async function handleSlackRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const signed = {
      signingSecret,
      timestamp: header(request, 'x-slack-request-timestamp'),
      signature: header(request, 'x-slack-signature'),
      now: clock.now(),
    };
    const unsigned = headerFault(signed);
    if (unsigned) return refuseUnread(request, response, 401, unsigned);
    if (Number(header(request, 'content-length') ?? 0) > BODY_LIMIT)
      return refuseUnread(request, response, 413, 'too large');
    const body = await readBody(request);
    if (typeof body === 'number') return refuseUnread(request, response, body, body === 413 ? 'too large' : 'too many');
    const fault = signatureFault({ ...signed, body });
    if (fault) {
      log.warn({ fault }, 'refused a Slack request: its signature is wrong');
      return sendAnswer(response, 401);
    }
    const parsed = parseBody(header(request, 'content-type'), body.toString('utf8'));
    if (parsed.kind === 'malformed') return sendAnswer(response, 400);
    if (parsed.kind === 'ssl_check') return sendAnswer(response, 200);
    if (parsed.kind === 'challenge') return sendAnswer(response, 200, { challenge: parsed.challenge });
    if (isPaused || !accept) return sendAnswer(response, 503);
    const retry = Number(header(request, 'x-slack-retry-num') ?? 0);
    const reply = await accept({
      ...parsed.envelope,
      retryNum: Number.isSafeInteger(retry) ? retry : 0,
      retryReason: header(request, 'x-slack-retry-reason') ?? null,
    });
    sendAnswer(response, 200, reply);
  }

  /** Refuses a request without reading its body to the end, and closes the connection, which cannot be reused then. */
  function refuseUnread(request: IncomingMessage, response: ServerResponse, status: number, fault: string): void {
    log.warn({ fault }, 'refused a Slack request before reading it');
    response.setHeader('connection', 'close');
    sendAnswer(response, status);
    clock.after(REFUSED_MS, () => request.socket.destroy());
  }

  let bufferedBytes = 0;

  /** The whole body; 413 when it is larger than any of Slack's; 503 when all bodies in work together are too large. */
  async function readBody(request: IncomingMessage): Promise<Buffer | 413 | 503> {
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      // Leaving the loop must not destroy the request, or the answer would be lost with the connection.
      for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        size += chunk.length;
        bufferedBytes += chunk.length;
        if (size > BODY_LIMIT) return 413;
        if (bufferedBytes > BUFFERED_LIMIT) return 503;
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    } finally {
      bufferedBytes -= size;
    }
  }

  function handleRequest(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
    if (guest?.owns(pathname)) guest.handleRequest(request, response);
    else if (pathname === path && request.method === 'POST') {
      handleSlackRequest(request, response).catch((error) => {
        // It may not be stored: the error status makes Slack deliver it again (docs/slack.md, HTTP delivery).
        log.warn({ error: asBridgeError(error).message }, 'did not acknowledge a Slack request');
        sendAnswer(response, 500);
      });
    } else if (pathname === path) sendAnswer(response, 405);
    else if (route && (request.method === 'GET' || request.method === 'HEAD')) route(request, response);
    else sendAnswer(response, 404);
  }

  const server: Server = createServer(TIMES, (request, response) => {
    try {
      handleRequest(request, response);
    } catch (error) {
      log.warn({ error: asBridgeError(error).message }, 'an HTTP request failed');
      sendAnswer(response, 500);
    }
  });

  server.on('upgrade', (request, socket, head) => {
    const { pathname } = URL.parse(request.url ?? '/', 'http://localhost') ?? { pathname: '/' };
    if (guest?.owns(pathname)) guest.handleUpgrade(request, socket, head);
    else socket.destroy();
  });
  server.maxConnections = CONNECTIONS;
  let listening: Promise<void> | null = null;
  function listen(): Promise<void> {
    listening ??= new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'EADDRINUSE' ? 'is in use' : `cannot be used: ${error.code ?? error.message}`;
        reject(new BridgeError('config_invalid', `PORT ${options.port} ${why}`, { cause: error }));
      });
      server.listen(options.port, options.host, () => {
        server.on('error', (error) => log.error({ error: error.message }, 'the HTTP server failed'));
        resolve();
      });
    });
    return listening;
  }

  return {
    listen,
    async start(use) {
      accept = use;
      await listen();
      state.setConnected(true);
    },
    pause() {
      isPaused = true;
    },
    async stop() {
      isPaused = true;
      if (isStopped || !server.listening) return;
      isStopped = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const late = Promise.withResolvers<void>();
      const timer = clock.after(CLOSE_MS, () => {
        server.closeAllConnections();
        // The sockets that the guest took over end with the guest, which may be stopped later.
        if (guest) late.resolve();
      });
      await Promise.race([closed, late.promise]);
      timer.cancel();
      state.setConnected(false);
    },
    state: state.get,
    port: () => (server.address() as AddressInfo | null)?.port ?? 0,
  };
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function sendAnswer(response: ServerResponse, status: number, reply?: Reply): void {
  if (response.headersSent || response.destroyed) return;
  if (reply === undefined || reply === '') {
    response.writeHead(status).end();
  } else if (typeof reply === 'string') {
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(reply);
  } else {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(reply));
  }
}
