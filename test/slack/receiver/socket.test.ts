import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { systemClock, systemRandom } from '../../../src/clock.ts';
import type { BridgeError } from '../../../src/errors.ts';
import { createMemoryMetrics } from '../../../src/ops/metrics.ts';
import { slackCheck } from '../../../src/ops/slack-check.ts';
import { createSocketTransport } from '../../../src/slack/receiver/socket.ts';
import type { Envelope } from '../../../src/slack/receiver/transport.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** As much of Slack as can say something odd. */
async function startOddSlack() {
  /** What `apps.connections.open` answers instead, while set. */
  const odd: { refusal: string | null; status: number; connections: number } = {
    refusal: null,
    status: 200,
    connections: 1,
  };
  const sockets: WebSocket[] = [];
  const said: unknown[] = [];
  const authorizations: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    response.setHeader('content-type', 'application/json');
    response.statusCode = odd.status;
    const ticket = authorizations.length;
    response.end(
      JSON.stringify(
        odd.refusal === null
          ? { ok: true, url: `ws://127.0.0.1:${port()}/link?ticket=${ticket}` }
          : { ok: false, error: odd.refusal },
      ),
    );
  });
  const port = () => (server.address() as AddressInfo).port;
  const wss = new WebSocketServer({ server });
  wss.on('connection', (socket) => {
    sockets.push(socket);
    socket.on('message', (data) => said.push(JSON.parse(String(data))));
    socket.send(JSON.stringify({ type: 'hello', num_connections: odd.connections }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of wss.clients) socket.terminate();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${port()}/api/`, sockets, said, authorizations, odd };
}

describe('the Socket Mode transport', () => {
  test('survives malformed frames and delivers the frames after them', async () => {
    const slack = await startOddSlack();
    const log = createMemoryLog();
    const transport = createSocketTransport({
      appToken: 'xapp-test',
      slackApiUrl: slack.url,
      clock: systemClock,
      random: systemRandom,
      log,
      metrics: createMemoryMetrics(),
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

  const until = (check: () => void) => vi.waitFor(check, { timeout: 8_000, interval: 5 });

  /** A transport on a clock that only the test moves; the sockets are real. */
  async function startDeafStory() {
    const slack = await startOddSlack();
    const clock = createFakeClock();
    const log = createMemoryLog();
    const metrics = createMemoryMetrics();
    const refusals: BridgeError[] = [];
    const transport = createSocketTransport({
      appToken: 'xapp-test',
      slackApiUrl: slack.url,
      clock,
      random: { next: () => 0.5, id: () => 'r' },
      log,
      metrics,
      onRefused: (error) => void refusals.push(error),
    });
    closing.push(async () => {
      const stopped = transport.stop();
      await clock.advance(60_000);
      await stopped;
    });
    const got: Envelope[] = [];
    await transport.start(async (envelope) => void got.push(envelope));
    const deliver = (at: number, id: string) =>
      slack.sockets[at]?.send(
        JSON.stringify({ type: 'events_api', envelope_id: id, payload: { event: { type: 'x' } } }),
      );
    /** Time in which Slack pings, as it does. */
    const live = async (at: number, ms: number) => {
      await clock.advance(ms);
      slack.sockets[at]?.ping('x');
      // The answer to our own ping or Slack's: either is heard, and only then time goes on.
      await new Promise((resolve) => slack.sockets[at]?.once('pong', resolve));
      await clock.settle();
    };
    return { slack, clock, log, metrics, transport, refusals, got, deliver, live };
  }

  test('replaces a socket that answers no ping, within seconds', async () => {
    const { slack, clock, log, metrics, transport, got, deliver, live } = await startDeafStory();
    await live(0, 1_000);
    const lastHeard = clock.monotonic();
    // The network is gone without a word: both ends keep their sockets, nothing gets through.
    slack.sockets[0]?.pause();
    slack.odd.status = 503;
    await clock.advance(20_000);
    await until(() => expect(transport.state().isConnected).toBe(false));
    // Red within half a minute of the last sign of life.
    expect(slackCheck(transport.state(), lastHeard + 30_000)).toMatchObject({ ok: false });
    expect(slackCheck(transport.state(), lastHeard + 20_000)).toMatchObject({ ok: true, state: 'not connected' });
    expect(log.lines.map((line) => line.message)).toContain('the Slack socket is deaf; opening another');
    expect(metrics.value('socket_reconnects', { why: 'deaf' })).toBe(1);
    // Slack comes back after a quarter of an hour: it is still being dialled.
    for (let minute = 0; minute < 15; minute += 1) await clock.advance(60_000);
    slack.odd.status = 200;
    for (let round = 0; round < 50 && !transport.state().isConnected; round += 1) {
      await clock.advance(5_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(transport.state().isConnected).toBe(true);
    deliver(slack.sockets.length - 1, 'e1');
    await until(() => expect(got).toHaveLength(1));
    // Its library would wait 30 s for the answer to its close frame.
    slack.sockets[0]?.resume();
    await until(() => expect(slack.sockets[0]?.readyState).toBe(WebSocket.CLOSED));
  });

  test('keeps a quiet socket that answers pings', async () => {
    const { slack, log, transport, live } = await startDeafStory();
    for (let round = 0; round < 10; round += 1) await live(0, 6_000);
    expect(transport.state().isConnected).toBe(true);
    expect(slack.sockets).toHaveLength(1);
    expect(log.lines.filter((line) => line.level === 'warn')).toEqual([]);
  });

  test('uses the old socket until the renewed one is ready', async () => {
    const { slack, clock, metrics, transport, got, deliver, live } = await startDeafStory();
    for (let round = 0; round < 3; round += 1) await live(0, 5_000);
    const states: boolean[] = [];
    slack.odd.status = 503;
    slack.sockets[0]?.send(JSON.stringify({ type: 'disconnect', reason: 'warning' }));
    await until(() => expect(slack.authorizations).toHaveLength(2));
    states.push(transport.state().isConnected);
    // The new one cannot be had yet; the old one still delivers and hears its acknowledgement.
    deliver(0, 'e1');
    await until(() => expect(slack.said).toContainEqual({ envelope_id: 'e1', payload: {} }));
    slack.odd.status = 200;
    for (let round = 0; round < 20 && slack.sockets.length < 2; round += 1) {
      await clock.advance(1_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await until(() => expect(slack.sockets).toHaveLength(2));
    deliver(1, 'e2');
    await until(() => expect(slack.said).toContainEqual({ envelope_id: 'e2', payload: {} }));
    const closed = new Promise((resolve) => slack.sockets[0]?.once('close', resolve));
    await clock.advance(5_000);
    await closed;
    states.push(transport.state().isConnected);
    expect(states).toEqual([true, true]);
    expect(got).toHaveLength(2);
    expect(metrics.value('socket_reconnects', { why: 'renewed' })).toBe(1);
    expect(metrics.value('socket_reconnects', { why: 'lost' })).toBe(0);
  });

  test('reports a revoked app token once, after Slack refused it several times', async () => {
    const { slack, clock, refusals, transport } = await startDeafStory();
    slack.odd.refusal = 'token_revoked';
    slack.sockets[0]?.terminate();
    await until(() => expect(transport.state().isConnected).toBe(false));
    for (let round = 0; round < 40 && refusals.length === 0; round += 1) {
      await clock.advance(2_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(refusals.map(({ code, message }) => [code, message])).toEqual([
      ['config_invalid', 'SLACK_APP_TOKEN was refused by Slack: token_revoked'],
    ]);
    const asked = slack.authorizations.length;
    expect(asked).toBe(4);
    await clock.advance(10 * 60_000);
    expect(slack.authorizations).toHaveLength(asked);
  });

  test('reports no refusal after a single invalid_auth or a long outage', async () => {
    const { slack, clock, refusals, transport } = await startDeafStory();
    slack.odd.refusal = 'internal_error';
    slack.sockets[0]?.terminate();
    await until(() => expect(transport.state().isConnected).toBe(false));
    const asks = async (count: number) => {
      const before = slack.authorizations.length;
      for (let round = 0; round < 60 && slack.authorizations.length < before + count; round += 1) {
        await clock.advance(31_000);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    await asks(5);
    slack.odd.refusal = 'invalid_auth';
    await asks(1);
    slack.odd.refusal = 'fatal_error';
    await asks(5);
    expect(refusals).toEqual([]);
    slack.odd.refusal = null;
    await asks(1);
    await until(() => expect(transport.state().isConnected).toBe(true));
  });

  test('reports another process on our app token, in log and metric', async () => {
    const { slack, log, metrics, transport, live } = await startDeafStory();
    expect(metrics.value('socket_foreign_connections')).toBe(0);
    for (let round = 0; round < 3; round += 1) await live(0, 5_000);
    slack.odd.connections = 3;
    slack.sockets[0]?.send(JSON.stringify({ type: 'disconnect', reason: 'refresh_requested' }));
    // Ours are two while one replaces the other.
    await until(() => expect(metrics.value('socket_foreign_connections')).toBe(1));
    const loud = log.lines.filter((line) => line.level === 'error');
    expect(loud).toHaveLength(1);
    expect(loud[0]?.fields).toEqual({ connections: 3, own: 2 });
    await until(() => expect(transport.state().isConnected).toBe(true));
  });

  test('notices within minutes another process on our app token, and its leaving', async () => {
    const { slack, clock, log, metrics, transport } = await startDeafStory();
    const open = () => slack.sockets.filter((socket) => socket.readyState === socket.OPEN);
    /** Slack counts truly, and pings as it does; `others` are connected besides us. */
    const minutes = async (count: number, others: number) => {
      for (let step = 0; step < count * 12; step += 1) {
        slack.odd.connections = open().length + 1 + others;
        await clock.advance(5_000);
        // The socket that replaces ours opens in real time.
        await until(() => expect(transport.state().isConnected && open().length > 0).toBe(true));
        await Promise.all(open().map((socket) => heardBy(socket)));
        await clock.settle();
      }
    };
    await minutes(10, 0);
    expect(metrics.value('socket_reconnects', { why: 'counted' })).toBe(2);
    expect(metrics.value('socket_reconnects', { why: 'deaf' })).toBe(0);
    expect(open()).toHaveLength(1);
    expect(transport.state()).toMatchObject({ isConnected: true, foreignConnections: 0 });
    expect(slackCheck(transport.state(), clock.monotonic())).toEqual({ name: 'slack', ok: true, state: 'connected' });

    await minutes(5, 1);
    expect(metrics.value('socket_foreign_connections')).toBe(1);
    expect(log.lines.some(({ level, message }) => level === 'error' && message.includes('ANOTHER PROCESS'))).toBe(true);
    expect(slackCheck(transport.state(), clock.monotonic())).toMatchObject({
      ok: false,
      state: 'connected, and 1 other connection(s) use this app token',
      foreign: 1,
    });

    await minutes(2, 0);
    expect(metrics.value('socket_foreign_connections')).toBe(0);
    expect(slackCheck(transport.state(), clock.monotonic()).ok).toBe(true);
  }, 30_000);
});

function heardBy(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    const heard = () => {
      socket.off('pong', heard).off('close', heard);
      resolve();
    };
    socket.on('pong', heard).on('close', heard).ping('x');
  });
}
