import { SocketModeClient } from '@slack/socket-mode';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { EnvelopeEntry } from '../../../sandbox/slack/log.ts';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, type Json, own, silentLogger, slackFor, until } from './support.ts';

interface Received {
  ack(payload?: Json): Promise<void>;
  type: string;
  body: Json;
  retry_num?: number;
  retry_reason?: string;
}

/** The real client, connected; what it hears goes to `onEvent`, by default acked. */
async function connect(slack: SmallSlack, onEvent: (event: Received) => unknown = (event) => event.ack()) {
  const client = new SocketModeClient({
    appToken: slack.tokens.app,
    logger: silentLogger,
    clientPingTimeout: 500,
    clientOptions: { slackApiUrl: slack.url, retryConfig: { retries: 0 } },
  });
  client.on('slack_event', onEvent);
  await client.start();
  own({ close: () => client.disconnect() });
  return client;
}

/** A socket without a client's manners. */
async function rawSocket(slack: SmallSlack): Promise<{ ws: WebSocket; frames: Json[]; url: string }> {
  const { body } = await call(slack, 'apps.connections.open', {}, slack.tokens.app);
  const ws = own(new WebSocket(String(body.url)));
  const frames: Json[] = [];
  ws.on('message', (data) => frames.push(JSON.parse(String(data)) as Json));
  await new Promise((resolve, reject) => ws.once('open', resolve).once('error', reject));
  return { ws, frames, url: String(body.url) };
}

const envelopes = (slack: SmallSlack) => slack.control.log({ type: 'envelope' }) as EnvelopeEntry[];
const say = (slack: SmallSlack, text = '@agent hi') =>
  slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text });

describe('Slack’s own Socket Mode client', () => {
  test('connects, and acknowledges a mention’s two events', async () => {
    const slack = await slackFor();
    const heard: Received[] = [];
    await connect(slack, (event) => {
      heard.push(event);
      return event.ack();
    });
    await say(slack);
    await until(() => envelopes(slack).length === 2 && envelopes(slack).every(({ outcome }) => outcome === 'acked'));
    expect(heard.map(({ body }) => (body.event as Json).type).sort()).toEqual(['app_mention', 'message']);
    expect(envelopes(slack).every(({ ackMs, final }) => typeof ackMs === 'number' && final)).toBe(true);
    expect(slack.control.state().connections).toHaveLength(1);
  });

  test('hears an unacknowledged event again under the same event id', async () => {
    const slack = await slackFor({ ackTimeoutMs: 100, retryDelaysMs: Array(20).fill(10) });
    const heard: Received[] = [];
    await connect(slack, (event) => {
      heard.push(event);
      return heard.length >= 3 ? event.ack() : undefined;
    });
    await say(slack, 'no mention');
    await until(() => envelopes(slack).at(-1)?.outcome === 'acked');
    expect(heard.map(({ retry_num }) => retry_num).slice(0, 3)).toEqual([0, 1, 2]);
    expect(heard[1]?.retry_reason).toBe('timeout');
    expect(new Set(heard.map(({ body }) => body.event_id)).size).toBe(1);
    expect(new Set(envelopes(slack).map(({ envelope_id }) => envelope_id)).size).toBe(envelopes(slack).length);
  });

  test('hears an event again after its socket was closed', async () => {
    const slack = await slackFor({ retryDelaysMs: [0, ...Array(20).fill(200)] });
    let acks = false;
    const heard: string[] = [];
    const client = await connect(slack, (event) => {
      heard.push(String((event.body.event as Json).text));
      return acks ? event.ack() : undefined;
    });
    await say(slack, 'before');
    await until(() => heard.length === 1);
    acks = true;
    const back = new Promise((resolve) => client.once('connected', resolve));
    await slack.control.faults({ socket: 'close' });
    await back;
    await until(() => envelopes(slack).at(-1)?.outcome === 'acked');
    expect(heard.at(-1)).toBe('before');
    expect(envelopes(slack)[0]?.outcome).toBe('connection_failed');
  });

  test('reconnects after a disconnect warning', async () => {
    const slack = await slackFor();
    const client = await connect(slack);
    const back = new Promise((resolve) => client.once('connected', resolve));
    await slack.control.faults({ socket: 'disconnect_warning', ms: 20 });
    await back;
    await until(() => slack.control.state().connections.length === 1);
  });

  test('answers a command privately with its acknowledgement', async () => {
    const slack = await slackFor();
    await connect(slack, (event) => event.ack({ text: 'Everything is *fine* & well' }));
    const result = await slack.control.command({
      channel: 'C01GEN',
      user: 'U01ALICE',
      command: '/agent',
      text: 'status',
    });
    expect(result).toMatchObject({ acked: true, response: { text: 'Everything is *fine* & well' } });
    expect(slack.control.messages('C01GEN')).toEqual([]);
    expect(slack.control.messages('C01GEN', { user: 'U02BOB' })).toEqual([]);
    expect(slack.control.messages('C01GEN', { user: 'U01ALICE' })).toMatchObject([
      { text: 'Everything is *fine* &amp; well', ephemeral: 'U01ALICE' },
    ]);
  });
});

describe('a socket of the small Slack', () => {
  test('opens once per URL, and begins with hello', async () => {
    const slack = await slackFor();
    const { frames, url } = await rawSocket(slack);
    await until(() => frames.length > 0);
    expect(frames[0]).toMatchObject({ type: 'hello', num_connections: 1, connection_info: { app_id: 'A0SANDBOX' } });
    const again = new WebSocket(url);
    const error = await new Promise<Error>((resolve) => again.once('error', resolve));
    expect(error.message).toContain('403');
  });

  test('is turned away when ten are open', async () => {
    const slack = await slackFor();
    for (let n = 0; n < 10; n += 1) await rawSocket(slack);
    const { frames } = await rawSocket(slack);
    await until(() => frames.length > 0);
    expect(frames).toMatchObject([{ type: 'disconnect', reason: 'too_many_websockets' }]);
    expect(slack.control.state().connections).toHaveLength(10);
  });

  test('shares envelopes with others: each goes to one', async () => {
    const slack = await slackFor();
    const sockets = [await rawSocket(slack), await rawSocket(slack)];
    for (let n = 0; n < 20; n += 1) await say(slack, `${n}`);
    const count = () => sockets.map(({ frames }) => frames.filter(({ type }) => type === 'events_api').length);
    await until(() => count().reduce((a, b) => a + b) === 20);
    expect(count().every((n) => n > 0)).toBe(true);
  });

  test('gets pings and pongs, and neither while frozen', async () => {
    const slack = await slackFor({ pingIntervalMs: 20, ackTimeoutMs: 100 });
    const { ws, frames } = await rawSocket(slack);
    await new Promise((resolve) => ws.once('ping', resolve));
    ws.ping();
    await new Promise((resolve) => ws.once('pong', resolve));
    await slack.control.faults({ socket: 'freeze' });
    const before = frames.length;
    let pongs = 0;
    ws.on('pong', () => {
      pongs += 1;
    });
    ws.ping();
    await say(slack, 'into the void');
    await until(() => envelopes(slack).at(-1)?.outcome === 'timeout');
    expect([pongs, frames.length]).toEqual([0, before]);
    await slack.control.faults({ kind: 'clear' });
    await until(() => pongs === 1);
  });

  test('can lack its hello or be refused by a fault', async () => {
    const slack = await slackFor();
    await slack.control.faults({ socket: 'no_hello' });
    const silent = await rawSocket(slack);
    await slack.control.faults({ socket: 'refuse' });
    await expect(rawSocket(slack)).rejects.toThrow('503');
    const fine = await rawSocket(slack);
    await until(() => fine.frames.length > 0);
    expect(silent.frames).toEqual([]);
    expect(slack.control.state().connections).toHaveLength(1);
  });

  test('acknowledging too late changes nothing', async () => {
    const slack = await slackFor({ ackTimeoutMs: 30 });
    const { ws, frames } = await rawSocket(slack);
    await say(slack, 'slow');
    await until(() => envelopes(slack)[0]?.outcome === 'timeout');
    ws.send(JSON.stringify({ envelope_id: frames.at(-1)?.envelope_id }));
    await until(() => envelopes(slack)[0]?.ackMs !== null);
    expect(envelopes(slack)[0]).toMatchObject({ outcome: 'timeout', final: true });
  });
});
