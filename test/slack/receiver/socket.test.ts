import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { systemClock, systemRandom } from '../../../src/clock.ts';
import { createSocketTransport } from '../../../src/slack/receiver/socket.ts';
import type { Envelope } from '../../../src/slack/receiver/transport.ts';
import { createMemoryLog } from '../../support/log.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** As much of Slack as can say something odd. */
async function startOddSlack() {
  const sockets: WebSocket[] = [];
  const said: unknown[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ok: true, url: `ws://127.0.0.1:${port()}/link` }));
  });
  const port = () => (server.address() as AddressInfo).port;
  const wss = new WebSocketServer({ server });
  wss.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('message', (data) => said.push(JSON.parse(String(data))));
    socket.send(JSON.stringify({ type: 'hello', num_connections: 1 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of wss.clients) socket.terminate();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${port()}/api/`, sockets, said, authorizations };
}

test('frames that make no sense are survived, and what follows them is delivered', async () => {
  const slack = await startOddSlack();
  const log = createMemoryLog();
  const transport = createSocketTransport({
    appToken: 'xapp-test',
    slackApiUrl: slack.url,
    clock: systemClock,
    random: systemRandom,
    log,
  });
  closing.push(() => transport.stop());
  const got: Envelope[] = [];
  await transport.start(async (envelope) => {
    got.push(envelope);
    return envelope.kind === 'slash_commands' ? { text: 'hi' } : undefined;
  });
  const [socket] = slack.sockets;
  for (const odd of ['null', '[]', '{', '"x"', '{"type":"events_api"}', '{"type":"events_api","payload":{}}']) {
    socket?.send(odd);
  }
  socket?.send(Buffer.from([1, 2, 3]));
  socket?.send(JSON.stringify({ type: 'invented', envelope_id: 'e0', payload: { a: 1 } }));
  socket?.send(JSON.stringify({ type: 'events_api', envelope_id: 'e1', payload: { event: { type: 'message' } } }));
  socket?.send(JSON.stringify({ type: 'slash_commands', envelope_id: 'e2', payload: { command: '/agent' } }));
  const retried = { retry_attempt: 2, retry_reason: 'timeout', payload: { event: { type: 'message' } } };
  socket?.send(JSON.stringify({ type: 'events_api', envelope_id: 'e3', ...retried }));
  await vi.waitFor(() => expect(slack.said).toHaveLength(4), { timeout: 5_000 });
  expect(slack.said).toEqual([
    { envelope_id: 'e0', payload: {} },
    { envelope_id: 'e1', payload: {} },
    { envelope_id: 'e2', payload: { text: 'hi' } },
    { envelope_id: 'e3', payload: {} },
  ]);
  expect(got.map(({ kind, retryNum, retryReason }) => [kind, retryNum, retryReason])).toEqual([
    ['events_api', 0, null],
    ['slash_commands', 0, null],
    ['events_api', 2, 'timeout'],
  ]);
  expect(slack.authorizations).toEqual(['Bearer xapp-test']);
  expect(JSON.stringify(log.lines)).not.toMatch(/xapp-test|\/link/);
});
