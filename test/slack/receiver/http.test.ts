import { createHmac } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { startSlack } from '../../../sandbox/slack/server.ts';
import type { Clock } from '../../../src/bridge/ports.ts';
import { systemClock, systemRandom } from '../../../src/clock.ts';
import { noMetrics } from '../../../src/ops/metrics.ts';
import { createSlackApi } from '../../../src/slack/api/web-api.ts';
import { createSlackInbound } from '../../../src/slack/inbound/inbound.ts';
import { createHttpTransport } from '../../../src/slack/receiver/http.ts';
import type { Accept, Envelope } from '../../../src/slack/receiver/transport.ts';
import { statusOf } from '../../support/http.ts';
import { RecordingIntake } from '../../support/intake.ts';
import { createMemoryLog } from '../../support/log.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const NOW = Date.UTC(2026, 0, 5, 9);
const UPTIME = 5_000;
const stillClock: Clock = { ...systemClock, now: () => NOW, monotonic: () => UPTIME };
const signingSecret = 'shhh';
const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';

async function start(accept: Accept = async () => undefined) {
  const got: Envelope[] = [];
  const transport = createHttpTransport({
    signingSecret,
    port: 0,
    host: '127.0.0.1',
    clock: stillClock,
    log: createMemoryLog(),
    routes: { '/healthz': (_request, response) => void response.end('fine') },
  });
  await transport.start(async (envelope) => {
    got.push(envelope);
    return accept(envelope);
  });
  closing.push(() => transport.stop());
  const url = `http://127.0.0.1:${transport.port()}`;

  function post(body: string, type: string, options: { at?: number; secret?: string; headers?: object } = {}) {
    const at = String(Math.round((options.at ?? NOW) / 1_000));
    const secret = options.secret ?? signingSecret;
    const signature = `v0=${createHmac('sha256', secret).update(`v0:${at}:${body}`).digest('hex')}`;
    const signed = { 'x-slack-request-timestamp': at, 'x-slack-signature': signature };
    const headers = { 'content-type': type, ...signed, ...options.headers };
    return fetch(`${url}/slack/events`, { method: 'POST', headers, body });
  }
  return { transport, url, got, post };
}

const event = JSON.stringify({ type: 'event_callback', event: { type: 'message', text: 'ü' } });

describe('a signature on an HTTP delivery', () => {
  test('valid: the delivery is accepted with its body and retry headers', async () => {
    const { post, got, transport } = await start();
    const headers = { 'x-slack-retry-num': '2', 'x-slack-retry-reason': 'http_timeout' };
    expect((await post(event, JSON_TYPE, { headers })).status).toBe(200);
    expect(got).toEqual([{ kind: 'events_api', body: JSON.parse(event), retryNum: 2, retryReason: 'http_timeout' }]);
    expect(transport.state()).toMatchObject({ isConnected: true, since: UPTIME });
  });

  test.each([
    ['made with another secret', { secret: 'guess' }],
    ['too old', { at: NOW - 6 * 60_000 }],
    ['from the future', { at: NOW + 6 * 60_000 }],
    ['missing', { headers: { 'x-slack-signature': '' } }],
    ['of another length', { headers: { 'x-slack-signature': 'v0=1' } }],
    ['with a timestamp that is no number', { headers: { 'x-slack-request-timestamp': 'NaN' } }],
  ])('%s gets a 401', async (_name, options) => {
    const { post, got } = await start();
    expect((await post(event, JSON_TYPE, options)).status).toBe(401);
    expect(got).toEqual([]);
  });
});

describe('the body of an HTTP delivery', () => {
  test('is read by content type, with or without a charset', async () => {
    const { post, got } = await start();
    const payload = `payload=${encodeURIComponent('{"type":"block_actions","user":{"id":"U1"}}')}`;
    expect((await post(event, `${JSON_TYPE}; charset=utf-8`)).status).toBe(200);
    expect((await post(payload, `${FORM};charset=UTF-8`)).status).toBe(200);
    expect((await post('command=%2Fagent&text=a+b%26c', FORM)).status).toBe(200);
    expect(got.map(({ kind, body }) => [kind, body])).toEqual([
      ['events_api', JSON.parse(event)],
      ['interactive', { type: 'block_actions', user: { id: 'U1' } }],
      ['slash_commands', { command: '/agent', text: 'a b&c' }],
    ]);
  });

  test('is answered at once for url_verification and ssl_check', async () => {
    const { post, got } = await start();
    const verification = await post('{"type":"url_verification","challenge":"c1"}', JSON_TYPE);
    expect(await verification.json()).toEqual({ challenge: 'c1' });
    expect((await post('ssl_check=1&token=x', FORM)).status).toBe(200);
    expect(got).toEqual([]);
  });

  test.each([
    ['{', JSON_TYPE],
    ['[]', JSON_TYPE],
    ['payload={', FORM],
    ['a=b', FORM],
    ['x', 'text/plain'],
  ])('of %s as %s gets a 400', async (body, type) => {
    const { post } = await start();
    expect((await post(body, type)).status).toBe(400);
  });

  test('larger than Slack ever sends gets a 413', async () => {
    const { post, got } = await start();
    expect((await post('x'.repeat(4 * 1024 * 1024 + 1), JSON_TYPE)).status).toBe(413);
    expect(got).toEqual([]);
  });
});

describe('the HTTP receiver', () => {
  test('answers with the handler’s reply, and with 500 when it fails', async () => {
    const { post } = await start(async ({ kind }) => {
      if (kind === 'events_api') throw new Error('disk full');
      return { response_action: 'errors', errors: { a: 'b' } };
    });
    expect((await post(event, JSON_TYPE)).status).toBe(500);
    const reply = await post('payload={"type":"view_submission"}', FORM);
    expect(await reply.json()).toEqual({ response_action: 'errors', errors: { a: 'b' } });
  });

  test('serves only health on other paths', async () => {
    const { url } = await start();
    expect(await (await fetch(`${url}/healthz?full=1`)).text()).toBe('fine');
    expect(await statusOf(`${url}/healthz`, { method: 'POST' })).toBe(404);
    expect(await statusOf(`${url}/constructor`)).toBe(404);
    expect(await statusOf(`${url}/slack/events`)).toBe(405);
  });

  test('answers 503 while it stops, so that Slack delivers again', async () => {
    const { post, transport, got } = await start();
    transport.pause();
    expect((await post(event, JSON_TYPE)).status).toBe(503);
    expect(got).toEqual([]);
  });

  test('fails to start on a used port with an error naming PORT', async () => {
    const { transport } = await start();
    const port = transport.port();
    const second = createHttpTransport({
      signingSecret,
      port,
      host: '127.0.0.1',
      clock: stillClock,
      log: createMemoryLog(),
    });
    await expect(second.start(async () => undefined)).rejects.toMatchObject({
      code: 'config_invalid',
      message: `PORT ${port} is in use`,
    });
  });

  test('gets a message again after storing failed, and stores it once', async () => {
    const intake = new RecordingIntake();
    const world = { clock: systemClock, random: systemRandom, log: createMemoryLog() };
    const identity = { teamId: 'T01SANDBOX', botUserId: 'U0BOT', botId: 'B0BOT', enterpriseId: null, url: null };
    let api = createSlackApi({ token: 'xoxb-none', ...world });
    const inbound = createSlackInbound({
      mode: { http: { signingSecret, port: 0, host: '127.0.0.1' } },
      api: { call: (...args) => api.call(...args) },
      identity,
      intake,
      metrics: noMetrics,
      ...world,
    });
    await inbound.start();
    closing.push(() => inbound.stop());
    const http = `http://127.0.0.1:${inbound.port()}/slack/events`;
    const slack = await startSlack({ limits: 'off', delivery: { http, signingSecret } });
    closing.push(() => slack.close());
    api = createSlackApi({ token: slack.tokens.bot, slackApiUrl: slack.url, ...world });

    intake.failing = 1;
    await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: 'hello' });
    const envelopes = () => slack.control.log({ type: 'envelope' });
    await vi.waitFor(() => expect(envelopes().at(-1)).toMatchObject({ outcome: 'acked', retry_attempt: 1 }), 5_000);
    expect(envelopes()[0]).toMatchObject({ outcome: 'http_error' });
    expect(intake.deliveries).toHaveLength(2);
    expect(intake.stored.size).toBe(1);

    const command = { channel: 'C01GEN', user: 'U01ALICE', command: '/agent', text: 'help' };
    expect(await slack.control.command(command)).toMatchObject({
      acked: true,
      response: { response_type: 'ephemeral' },
    });
    await slack.control.openHome({ user: 'U01ALICE', tab: 'home' });
    await vi.waitFor(() => expect(slack.control.views('U01ALICE').home).not.toBeNull(), 5_000);
  });
});

describe('a guest on the port', () => {
  test('gets what is below its path, and holds up no stop', async () => {
    const seen: string[] = [];
    const transport = createHttpTransport({
      signingSecret,
      port: 0,
      host: '127.0.0.1',
      clock: systemClock,
      log: createMemoryLog(),
      guest: {
        owns: (path) => path.startsWith('/devices/'),
        handleRequest(request, response) {
          seen.push(`${request.method} ${request.url}`);
          response.end('guest');
        },
        handleUpgrade(request, socket) {
          seen.push(`upgrade ${request.url}`);
          socket.on('error', () => undefined);
          socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
          closing.push(() => socket.destroy());
        },
      },
    });
    await transport.start(async () => undefined);
    const port = transport.port();
    expect(await (await fetch(`http://127.0.0.1:${port}/devices/x`, { method: 'POST', body: 'x' })).text()).toBe(
      'guest',
    );
    expect((await fetch(`http://127.0.0.1:${port}/elsewhere`)).status).toBe(404);
    const socket = connect(port, '127.0.0.1');
    closing.push(() => socket.destroy());
    socket.write('GET /devices/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toContain('101');
    expect(seen).toEqual(['POST /devices/x', 'upgrade /devices/ws']);
    await transport.stop();
  });
});
