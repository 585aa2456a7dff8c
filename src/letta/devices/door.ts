import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Clock, Log } from '../../bridge/ports.ts';
import { startHeartbeat } from '../link/heartbeat.ts';
import { otherNameText, REFUSALS } from '../words/devices.ts';
import type { DeviceDoor } from './devices.ts';
import { limitRate } from './rate.ts';
import { readDial, readRegistration } from './registration.ts';
import { type Bearer, type DeviceTokens, findBearer, identityOf, leaseOf } from './tokens.ts';

export interface DoorOptions {
  devices: DeviceDoor;
  tokens: DeviceTokens;
  /** The address at which devices reach the bridge, without a slash at its end: `https://bridge.example.com/letta`. */
  publicUrl(): string;
  /** Where the door is on its server, without a slash at its end; `''`: everywhere. */
  path: string;
  /**
   * Whether this process takes devices now; left out: always. A device has one socket, so of several processes only the
   * one that serves the workspace does: the others answer registrations, and send the socket on.
   */
  isServing?: () => boolean;
  clock: Clock;
  log: Log;
}

/** The HTTP side of listening: a registration, and the WebSocket that it names; nothing else. */
export interface Door {
  /** Whether that path belongs to it. */
  owns(path: string): boolean;
  handleRequest(request: IncomingMessage, response: ServerResponse): void;
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Takes no more devices, and ends the sockets of all. */
  stop(): void;
}

const REGISTER = '/v1/environments/register';
const SOCKET = /\/v1\/environments\/(bridge-[0-9a-f]+)\/device$/;

/** A registration has about 3 KiB. */
const BODY_LIMIT = 64 * 1024;
/** A frame can carry a whole file; what is larger ends the socket with 1009. */
const FRAME_LIMIT = 128 * 1024 * 1024;
/** A device that does not read what we send. */
const UNSENT_LIMIT = 64 * 1024 * 1024;
/** How long a client that we refused before it had sent everything may read the answer. */
const UNREAD_MS = 500;
/** Letta Code sends a ping every 30 s and answers ours. */
const HEARTBEAT = { everyMs: 30_000, deadAfterMs: 90_000 } as const;
/**
 * Registrations and sockets of one device. After a socket that had opened, Letta Code dials again without a pause
 * (docs/letta-protocol.md, A device that dials us); refused, it waits longer each time.
 */
const RATE = { most: 20, ms: 60_000 } as const;
const WARNS = { most: 3, ms: 60_000 } as const;

type Refusal = [status: number, message: string];

/** Everything here may be called by anybody who reaches the port: only who brings a token gets as far as a body. */
export function createDoor(options: DoorOptions): Door {
  const { devices, tokens, isServing = () => true, clock, log } = options;
  const mayRegister = limitRate(clock, RATE.most, RATE.ms);
  const mayDial = limitRate(clock, RATE.most, RATE.ms);
  const mayWarn = limitRate(clock, WARNS.most, WARNS.ms);
  const sockets = new WebSocketServer({ noServer: true, maxPayload: FRAME_LIMIT, perMessageDeflate: false });
  let isStopped = false;

  const warn = (status: number, message: string) => {
    if (mayWarn(message)) log.warn({ status, why: message }, 'refused a device');
  };

  /** Refuses a request without reading its body to the end, and closes the connection, which cannot be reused then. */
  const refuse = (request: IncomingMessage, response: ServerResponse, [status, message]: Refusal) => {
    warn(status, message);
    response.setHeader('connection', 'close');
    if (status === 429 || status === 503) response.setHeader('retry-after', '30');
    sendJson(response, status, { message });
    clock.after(UNREAD_MS, () => request.socket.destroy());
  };

  const register = async (request: IncomingMessage, response: ServerResponse, bearer: Bearer) => {
    const body = await readBody(request);
    if (body === null) return refuse(request, response, [413, REFUSALS.tooLarge]);
    const device = readRegistration(body);
    if ('refusal' in device) return refuse(request, response, [400, device.refusal]);
    const wrongName = nameRefusal(bearer, device.name);
    if (wrongName) return refuse(request, response, wrongName);
    const identity = identityOf(bearer, device.deviceId);
    if (!mayRegister(identity)) return refuse(request, response, [429, REFUSALS.tooOften]);
    if (isServing()) {
      if (!devices.hasRoomFor(identity)) return refuse(request, response, [503, REFUSALS.tooMany]);
      devices.noteRegistration({ id: identity, name: device.name, version: device.version });
    }
    // It follows from the token and the id alone, so any process can tell it.
    const connectionId = leaseOf(bearer, device.deviceId);
    // Without any `supports…` field the device opens one socket.
    sendJson(response, 200, {
      connectionId,
      wsUrl: `${webSocketBase(options.publicUrl())}/v1/environments/${connectionId}/device`,
    });
  };

  /** Why this socket may not be opened; else whose it is. */
  const judgeUpgrade = (request: IncomingMessage): Refusal | { id: string; name: string } => {
    if (isStopped) return [503, REFUSALS.stopping];
    const bearer = findBearer(tokens, request.headers.authorization);
    if (bearer === null) return [401, REFUSALS.unknownToken];
    const { pathname, searchParams } = addressOf(request);
    const dial = readDial(searchParams);
    const lease = SOCKET.exec(pathname)?.[1];
    // A device whose lease is not ours any more registers anew after a while.
    if (dial === null || lease !== leaseOf(bearer, dial.deviceId)) return [404, REFUSALS.noLease];
    const wrongName = nameRefusal(bearer, dial.name);
    if (wrongName) return wrongName;
    // Letta Code dials again after 1, 2, 4 … 30 s, until it comes to the process that takes it.
    if (!isServing()) return [503, REFUSALS.elsewhere];
    const id = identityOf(bearer, dial.deviceId);
    if (!mayDial(id)) return [503, REFUSALS.tooOften];
    if (!devices.hasRoomFor(id)) return [503, REFUSALS.tooMany];
    return { id, name: dial.name };
  };

  const join = (ws: WebSocket, device: { id: string; name: string }) => {
    let lastError = '';
    const heartbeat = startHeartbeat({
      clock,
      ...HEARTBEAT,
      sendPing: () => ws.ping(),
      onDead: () => ws.terminate(),
    });
    const accepted = devices.accept(device, {
      send(text) {
        if (ws.bufferedAmount > UNSENT_LIMIT) ws.terminate();
        else if (ws.readyState === ws.OPEN) ws.send(text);
      },
      close: (code, reason) => closeSoon(ws, code, reason, clock),
    });
    ws.on('ping', heartbeat.noteSignOfLife);
    ws.on('pong', heartbeat.noteSignOfLife);
    ws.on('message', (data) => {
      heartbeat.noteSignOfLife();
      accepted.onMessage((data as Buffer).toString('utf8'));
    });
    // `ws` throws an error that has no listener. `close` always follows.
    ws.on('error', (error: NodeJS.ErrnoException) => {
      lastError = error.code ?? error.message;
    });
    ws.on('close', (code, reason) => {
      heartbeat.stop();
      accepted.onClose({ kind: 'closed', code, text: lastError || reason.toString('utf8') });
    });
  };

  return {
    owns: (path) => path === options.path || path.startsWith(`${options.path}/`),
    handleRequest(request, response) {
      const { pathname } = addressOf(request);
      const bearer = findBearer(tokens, request.headers.authorization);
      if (bearer === null) return refuse(request, response, [401, REFUSALS.unknownToken]);
      if (isStopped) return refuse(request, response, [503, REFUSALS.stopping]);
      if (request.method === 'POST' && pathname.endsWith(REGISTER)) {
        register(request, response, bearer).catch(() => request.socket.destroy());
      } else if (/\/v1\/(agents|conversations)\b/.test(pathname)) refuse(request, response, [404, REFUSALS.notLocal]);
      else refuse(request, response, [404, REFUSALS.notFound]);
    },
    handleUpgrade(request, socket, head) {
      socket.on('error', () => socket.destroy());
      const device = judgeUpgrade(request);
      if (Array.isArray(device)) {
        const [status, message] = device;
        warn(status, message);
        socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
        clock.after(UNREAD_MS, () => socket.destroy());
        return;
      }
      sockets.handleUpgrade(request, socket, head, (ws) => join(ws, device));
    },
    stop() {
      if (isStopped) return;
      isStopped = true;
      devices.closeAll(1001, 'The bridge is stopping');
      sockets.close();
    },
  };
}

/** A token of its own admits one name only, so that no machine takes the place of another. */
function nameRefusal({ name }: Bearer, given: string): Refusal | null {
  if (name === null || name === given) return null;
  return [403, otherNameText(name)];
}

const CLOSES_WITHIN_MS = 2_000;

function closeSoon(ws: WebSocket, code: number, reason: string, clock: Clock): void {
  ws.close(code, reason);
  const timer = clock.after(CLOSES_WITHIN_MS, () => ws.terminate());
  ws.once('close', () => timer.cancel());
}

/** Without host: that of the request is not to be trusted. */
function addressOf({ url = '/' }: IncomingMessage): URL {
  return URL.parse(url, 'http://localhost') ?? new URL('http://localhost/');
}

const webSocketBase = (publicUrl: string) => publicUrl.replace(/^http/, 'ws');

/** The body as text; `null` when it is too large. Its time is the server's to bound. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop must not destroy the request, or the answer would be lost with the connection.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
