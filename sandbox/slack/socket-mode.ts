import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { BoundedMap } from '../bounded-map.ts';
import type { Attempt, Transport } from './delivery.ts';
import type { SocketFault } from './faults.ts';
import { isObject } from './model.ts';
import { APP_ID } from './state.ts';

const MAX_CONNECTIONS = 10;
const TICKET_LIFETIME_MS = 30_000;
const MAX_TICKETS = 1_000;
/** Late acks are still noted for this many envelopes. */
const MAX_LATE = 2_000;

interface Connection {
  number: number;
  ws: WebSocket;
  isFrozen: boolean;
  /** Rejects what waits for an ack on this socket. */
  waiting: Map<string, () => void>;
}

export interface SocketModeOptions {
  random: () => number;
  ackTimeoutMs: number;
  pingIntervalMs: number;
  runAfter: (ms: number, run: () => void) => void;
}

/**
 * Socket Mode's server side (docs/slack.md, Socket Mode; Frames): one-use URLs, `hello` first, ten connections, any of
 * them gets an envelope.
 */
export class SocketMode implements Transport {
  readonly name = 'socket';
  readonly #options: SocketModeOptions;
  readonly #server = new WebSocketServer({ noServer: true, maxPayload: 1_000_000 });
  readonly #tickets = new BoundedMap<string, number>(MAX_TICKETS);
  readonly #connections = new Map<number, Connection>();
  /** Envelopes whose ack may still come: envelope id → what to do with it. */
  readonly #acks = new BoundedMap<string, (payload: unknown) => void>(MAX_LATE);
  readonly #faults = { no_hello: { times: 0, until: 0 }, refuse: { times: 0, until: 0 } };
  readonly #pings: NodeJS.Timeout;
  #counter = 0;

  constructor(options: SocketModeOptions) {
    this.#options = options;
    this.#pings = setInterval(() => {
      for (const { ws, isFrozen } of this.#connections.values()) if (!isFrozen) ws.ping('Ping from server');
    }, options.pingIntervalMs);
    this.#pings.unref();
  }

  get connections(): { id: number; frozen: boolean }[] {
    return [...this.#connections.values()].map(({ number, isFrozen }) => ({ id: number, frozen: isFrozen }));
  }

  /** A path that opens one socket, once. */
  makeTicket(): string {
    const ticket = randomUUID();
    this.#tickets.set(ticket, Date.now());
    return `/link/?ticket=${ticket}&app_id=${APP_ID}`;
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const ticket = url.searchParams.get('ticket') ?? '';
    const made = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    const refuse = (status: string) =>
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    if (this.#isHit('refuse')) return void refuse('503 Service Unavailable');
    if (url.pathname !== '/link/' || made === undefined || Date.now() - made > TICKET_LIFETIME_MS) {
      return void refuse('403 Forbidden');
    }
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#addConnection(ws));
  }

  #addConnection(ws: WebSocket): void {
    ws.on('error', () => {});
    if (this.#connections.size >= MAX_CONNECTIONS) {
      ws.send(JSON.stringify({ type: 'disconnect', reason: 'too_many_websockets', debug_info: { host: 'applink-1' } }));
      ws.close(1000);
      return;
    }
    this.#counter += 1;
    const connection: Connection = { number: this.#counter, ws, isFrozen: false, waiting: new Map() };
    ws.on('message', (data) => this.#receiveFrame(data));
    ws.on('close', () => {
      this.#connections.delete(connection.number);
      for (const fail of connection.waiting.values()) fail();
    });
    if (this.#isHit('no_hello')) return;
    this.#connections.set(connection.number, connection);
    ws.send(
      JSON.stringify({
        type: 'hello',
        num_connections: this.#connections.size,
        debug_info: { host: 'applink-1', build_number: 1, approximate_connection_time: 18_060 },
        connection_info: { app_id: APP_ID },
      }),
    );
  }

  #isHit(kind: 'no_hello' | 'refuse'): boolean {
    const fault = this.#faults[kind];
    if (Date.now() < fault.until) return true;
    if (fault.times <= 0) return false;
    fault.times -= 1;
    return true;
  }

  #receiveFrame(data: RawData): void {
    let frame: unknown;
    try {
      frame = JSON.parse(String(data));
    } catch {
      return;
    }
    if (!isObject(frame) || typeof frame.envelope_id !== 'string') return;
    const ack = this.#acks.get(frame.envelope_id);
    this.#acks.delete(frame.envelope_id);
    ack?.(frame.payload);
  }

  attemptDelivery({ outgoing, number, reason, entry }: Attempt): Promise<{ retry: boolean; reason: string }> {
    const ready = [...this.#connections.values()].filter(({ ws }) => ws.readyState === WebSocket.OPEN);
    const connection = ready[Math.floor(this.#options.random() * ready.length)];
    const id = randomUUID();
    entry.envelope_id = id;
    if (!connection) {
      entry.outcome = 'connection_failed';
      return Promise.resolve({ retry: true, reason: 'connection_failed' });
    }
    entry.connection = connection.number;
    const sent = performance.now();
    const frame = {
      envelope_id: id,
      payload: outgoing.payload,
      type: outgoing.kind,
      accepts_response_payload: outgoing.kind !== 'events_api',
      ...(outgoing.kind === 'events_api' && { retry_attempt: number, retry_reason: reason }),
    };
    return new Promise((resolve) => {
      const settle = (outcome: 'acked' | 'timeout' | 'connection_failed') => {
        if (entry.outcome !== 'pending') return;
        entry.outcome = outcome;
        connection.waiting.delete(id);
        resolve({ retry: outcome !== 'acked', reason: outcome });
      };
      this.#acks.set(id, (payload) => {
        entry.ackMs = Math.round((performance.now() - sent) * 100) / 100;
        entry.ackPayload = payload;
        settle('acked');
      });
      connection.waiting.set(id, () => settle('connection_failed'));
      this.#options.runAfter(this.#options.ackTimeoutMs, () => settle('timeout'));
      if (!connection.isFrozen) connection.ws.send(JSON.stringify(frame));
    });
  }

  causeFault({ socket, ms, times }: SocketFault): void {
    const all = [...this.#connections.values()];
    switch (socket) {
      case 'close':
        for (const { ws } of all) ws.terminate();
        return;
      case 'disconnect_warning':
        for (const { ws } of all) {
          ws.send(JSON.stringify({ type: 'disconnect', reason: 'warning', debug_info: { host: 'applink-1' } }));
          this.#options.runAfter(ms ?? 10_000, () => ws.close(1000));
        }
        return;
      case 'freeze':
        for (const connection of all) {
          connection.isFrozen = true;
          connection.ws.pause();
          this.#options.runAfter(ms ?? 60_000, () => this.#thawConnection(connection));
        }
        return;
      case 'no_hello':
      case 'refuse': {
        const fault = this.#faults[socket];
        if (ms === undefined) fault.times = times ?? 1;
        else fault.until = Date.now() + ms;
        return;
      }
    }
  }

  #thawConnection(connection: Connection): void {
    connection.isFrozen = false;
    connection.ws.resume();
  }

  clearFaults(): void {
    for (const fault of Object.values(this.#faults)) Object.assign(fault, { times: 0, until: 0 });
    for (const connection of this.#connections.values()) if (connection.isFrozen) this.#thawConnection(connection);
  }

  close(): void {
    clearInterval(this.#pings);
    for (const ws of this.#server.clients) ws.terminate();
    this.#server.close();
  }
}
