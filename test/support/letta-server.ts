import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { createFakeLetta, type FakeLetta } from './letta.ts';

export interface LettaServer {
  letta: FakeLetta;
  /** `http://127.0.0.1:port` */
  url: string;
  token: string;
  deviceId: string;
  /** `null` while the device is offline; a new one each time its lease rotates. */
  connectionId: string | null;
  /** The acks that each socket received. */
  acks: number[][];
  /** Sends a frame to all sockets, as Letta does by itself. */
  pushFrame(frame: Record<string, unknown>): void;
  /** Dials a bridge as a device does, and again whenever its socket ends. */
  dialBridge(url: string): Promise<void>;
  /** Cuts all sockets without a close frame. */
  cutSockets(): void;
  stop(): Promise<void>;
}

/** A {@link FakeLetta} behind real sockets on loopback: an App Server at `/ws`, or the hosted API and relay. */
export async function startLettaServer(kind: 'app-server' | 'cloud'): Promise<LettaServer> {
  const letta = createFakeLetta();
  const sockets = new Map<WebSocket, { seq: number; acks: number[] }>();
  const isHosted = kind === 'cloud';

  const answerRest = (method: string, url: URL): [number, unknown] => {
    const row = {
      id: 'env-1',
      deviceId: world.deviceId,
      connectionId: world.connectionId,
      connectionName: 'build-box',
      lastHeartbeat: Date.now(),
    };
    const online = world.connectionId === null ? [] : [row];
    if (url.pathname === '/v1/environments') return [200, { connections: online, hasNextPage: false }];
    if (url.pathname === `/v1/environments/${world.deviceId}`) return [200, row];
    if (url.pathname === '/v1/agents/') return [200, letta.agents];
    if (method === 'POST' && url.pathname === '/v1/conversations/') {
      const id = `conv-${letta.conversations.length + 1}`;
      letta.conversations.push(id);
      return [200, { id, agent_id: url.searchParams.get('agent_id') }];
    }
    return [404, { message: 'Not found' }];
  };

  /** The HTTP status that an upgrade is refused with, or `null`. */
  const refusalOf = (request: IncomingMessage, url: URL): number | null => {
    if (request.headers.authorization !== `Bearer ${world.token}`) return 401;
    const { searchParams: query } = url;
    if (!isHosted) return query.has('channel') ? 426 : url.pathname === '/ws' ? null : 404;
    if (url.pathname !== `/v1/environments/${world.connectionId}/status/ws`) return 404;
    return query.get('agentId') && query.get('conversationId') && query.has('channel') ? null : 400;
  };

  const push = (frame: Record<string, unknown>) => {
    for (const [socket, state] of sockets) {
      if (!isHosted || frame.type === 'pong') socket.send(JSON.stringify(frame));
      else {
        state.seq += 1;
        socket.send(JSON.stringify({ ...frame, seq: state.seq }));
      }
    }
  };

  const dialBridge = async (base: string) => {
    const headers = { authorization: `Bearer ${world.token}` };
    const body = JSON.stringify({
      deviceId: world.deviceId,
      connectionName: 'build-box',
      metadata: { environmentMessageProtocol: 'v2-input' },
    });
    const answer = await fetch(`${base}/v1/environments/register`, { method: 'POST', headers, body });
    const { wsUrl } = (await answer.json()) as { wsUrl: string };
    const dial = () => {
      const socket = new WebSocket(`${wsUrl}?deviceId=${world.deviceId}&connectionName=build-box`, { headers });
      socket.on('error', () => undefined);
      socket.on('open', () => addSocket(socket));
      socket.on('close', () => isStopped || dial());
    };
    dial();
  };
  let isStopped = false;

  const addSocket = (ws: WebSocket) => {
    const state = { seq: 0, acks: [] as number[] };
    sockets.set(ws, state);
    world.acks.push(state.acks);
    ws.on('close', () => sockets.delete(ws));
    ws.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Record<string, unknown>;
      if (frame.type === 'ack') state.acks.push(Number(frame.seq));
      for (const answer of letta.answerFrame(frame)) push(answer);
    });
  };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    const authorized = request.headers.authorization === `Bearer ${world.token}`;
    const [status, body] = authorized ? answerRest(request.method ?? 'GET', url) : [401, {}];
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  const upgrades = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    const status = refusalOf(request, new URL(request.url ?? '/', 'http://x'));
    if (status !== null) {
      socket.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    upgrades.handleUpgrade(request, socket, head, addSocket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const world: LettaServer = {
    letta,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: 'test-token',
    deviceId: 'device-1',
    connectionId: 'conn-1',
    acks: [],
    pushFrame: push,
    dialBridge,
    cutSockets: () => {
      for (const socket of sockets.keys()) socket.terminate();
    },
    async stop() {
      isStopped = true;
      for (const socket of sockets.keys()) socket.terminate();
      for (const socket of upgrades.clients) socket.terminate();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return world;
}
