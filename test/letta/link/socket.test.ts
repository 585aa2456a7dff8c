import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import type { HeartbeatKind, Lane, LaneLoss } from '../../../src/letta/link/lane.ts';
import { createSocketDialer } from '../../../src/letta/link/socket.ts';
import { createFakeClock } from '../../support/clock.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(() => new Promise((resolve) => server.close(() => resolve())));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function relay(options: { autoPong?: boolean } = {}) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options });
  await new Promise((resolve) => server.once('listening', resolve));
  stops.push(async () => {
    for (const client of server.clients) client.terminate();
    await new Promise((resolve) => server.close(resolve));
  });
  return { server, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

function dial(url: string, heartbeat: HeartbeatKind = 'websocket') {
  const clock = createFakeClock();
  const messages: string[] = [];
  const losses: LaneLoss[] = [];
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<LaneLoss>();
  const lane: Lane = createSocketDialer(clock)(
    { name: 'direct', url, headers: { Authorization: 'Bearer t' }, heartbeat, wantsAcks: false },
    {
      onOpen: () => opened.resolve(),
      onMessage: (text) => void messages.push(text),
      onClose: (loss) => {
        losses.push(loss);
        closed.resolve(loss);
      },
    },
  );
  return { clock, lane, messages, losses, opened: opened.promise, closed: closed.promise };
}

describe('a socket to Letta', () => {
  it('reports a refused connection as unreachable', async () => {
    const gone = createServer();
    const url = await listen(gone);
    await stops.pop()?.();
    expect(await dial(url).closed).toEqual({ kind: 'unreachable', text: 'ECONNREFUSED' });
  });

  it('reports the HTTP status when its upgrade is refused', async () => {
    const url = await listen(
      createServer((socket) => {
        socket.resume();
        socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      }),
    );
    expect(await dial(url).closed).toEqual({ kind: 'refused', status: 401, text: 'Unauthorized' });
  });

  it('gives up on an unanswered upgrade after ten seconds', async () => {
    const url = await listen(createServer((socket) => void stops.push(async () => void socket.destroy())));
    const { clock, closed, losses } = dial(url);
    await clock.advance(9_999);
    expect(losses).toEqual([]);
    await clock.advance(1);
    expect(await closed).toEqual({ kind: 'unreachable', text: 'no answer in time' });
    expect(clock.waiting).toBe(0);
  });

  it('sends text and its header, receives text and binary frames', async () => {
    const { server, url } = await relay();
    const header = new Promise((resolve) => {
      server.once('connection', (socket, request) => {
        socket.on('message', (data) => socket.send(Buffer.from(`${data} back`)));
        resolve(request.headers.authorization);
      });
    });
    const { lane, messages, opened } = dial(url);
    await opened;
    expect(await header).toBe('Bearer t');
    lane.send('there and');
    await expect.poll(() => messages).toEqual(['there and back']);
  });

  it('reports code and reason when the other side closes it', async () => {
    const { server, url } = await relay();
    server.once('connection', (socket) => socket.close(1008, 'lease expired'));
    expect(await dial(url).closed).toEqual({ kind: 'closed', code: 1008, text: 'lease expired' });
  });

  it('is dead after 90 s without a sign from an App Server', async () => {
    const { url } = await relay({ autoPong: false });
    const { clock, opened, closed, losses } = dial(url);
    await opened;
    await clock.advance(89_999);
    expect(losses).toEqual([]);
    await clock.advance(1);
    expect(await closed).toEqual({ kind: 'silent' });
    expect(clock.waiting).toBe(0);
  });

  it('pings a relay in JSON, and waits 15 s for the answer', async () => {
    const { server, url } = await relay();
    const pings: string[] = [];
    server.once('connection', (socket) => socket.on('message', (data) => void pings.push(String(data))));
    const { clock, opened, closed } = dial(url, 'json');
    await opened;
    await clock.advance(30_000);
    await expect.poll(() => pings).toEqual(['{"type":"ping"}']);
    await clock.advance(15_000);
    expect(await closed).toEqual({ kind: 'silent' });
  });

  it('reports nothing after we closed it, at any moment', async () => {
    const { url } = await relay();
    const early = dial(url);
    early.lane.close();
    const late = dial(url);
    await late.opened;
    late.lane.close();
    late.lane.close();
    late.lane.send('too late');
    await late.clock.advance(120_000);
    await early.clock.advance(120_000);
    expect([...early.losses, ...late.losses]).toEqual([]);
    expect(early.clock.waiting + late.clock.waiting).toBe(0);
  });
});
