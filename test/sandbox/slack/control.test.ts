import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, events, type Json, payloads, slackFor } from './support.ts';

/** One request with exactly these headers; fetch would not let us lie about them. */
function raw(
  slack: SmallSlack,
  method: string,
  path: string,
  options: { headers?: Record<string, string>; body?: string } = {},
) {
  return new Promise<{ status: number; body: Json }>((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port: slack.port, method, path: `/_control/${path}`, headers: options.headers ?? {} },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += String(chunk);
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Json }));
      },
    );
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}

const JSON_TYPE = { 'content-type': 'application/json' };
const post = (slack: SmallSlack, path: string, body: unknown, headers: Record<string, string> = JSON_TYPE) =>
  raw(slack, 'POST', path, { headers, body: typeof body === 'string' ? body : JSON.stringify(body) });
const MESSAGE = { channel: 'C01GEN', user: 'U01ALICE', text: '@agent hi' };

describe('the control API of the small Slack', () => {
  test('refuses foreign origins, hosts and simple forms', async () => {
    const slack = await slackFor();
    const status = async (headers: Record<string, string>) => (await post(slack, 'message', MESSAGE, headers)).status;
    expect(await status({ ...JSON_TYPE, origin: 'https://evil.example' })).toBe(403);
    expect(await status({ ...JSON_TYPE, origin: 'null' })).toBe(403);
    expect(await status({ ...JSON_TYPE, origin: `http://127.0.0.1:${slack.port + 1}` })).toBe(403);
    expect(await status({ ...JSON_TYPE, host: 'evil.example' })).toBe(403);
    expect(await status({ ...JSON_TYPE, host: `127.0.0.1.evil.example:${slack.port}` })).toBe(403);
    expect(await status({ ...JSON_TYPE, 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(await status({ 'content-type': 'text/plain' })).toBe(415);
    expect(await status({ 'content-type': 'application/x-www-form-urlencoded' })).toBe(415);
    expect(await status({})).toBe(415);
    expect((await raw(slack, 'GET', 'state', { headers: { host: 'evil.example' } })).status).toBe(403);
    expect(slack.control.messages('C01GEN')).toEqual([]);
    expect(await status({ ...JSON_TYPE, host: `localhost:${slack.port}` })).toBe(200);
    expect(await status({ 'content-type': 'application/json; charset=utf-8' })).toBe(200);
  });

  test('answers bad input with JSON that says what is wrong', async () => {
    const slack = await slackFor();
    expect(await post(slack, 'message', '{')).toEqual({
      status: 400,
      body: { ok: false, error: 'the body is not JSON' },
    });
    expect((await post(slack, 'message', { channel: 'C01GEN' })).body).toMatchObject({
      ok: false,
      error: expect.stringContaining('user'),
    });
    expect((await post(slack, 'message', { ...MESSAGE, channel: 'C0NOPE' })).status).toBe(404);
    expect((await post(slack, 'message', { ...MESSAGE, channel: 'C03OUT', user: 'U04GUEST' })).status).toBe(403);
    expect((await post(slack, 'message', { ...MESSAGE, thread_ts: '1.2' })).status).toBe(404);
    expect((await post(slack, 'toString', {})).status).toBe(404);
    expect((await raw(slack, 'PUT', 'message')).status).toBe(405);
    expect((await raw(slack, 'GET', 'nothing')).status).toBe(404);
    expect((await post(slack, 'faults', { kind: 'explode' })).status).toBe(400);
  });

  test('does over HTTP what a person does in Slack', async () => {
    const slack = await slackFor();
    const { body: said } = await post(slack, 'message', {
      ...MESSAGE,
      text: '@agent <b> & `a<b` see #eng https://x.example/?a=1&b=2',
    });
    expect(said).toMatchObject({
      ok: true,
      text: '<@U0BOT> &lt;b&gt; &amp; `a&lt;b` see <#C02ENG> <https://x.example/?a=1&amp;b=2>',
    });
    const messageTs = said.ts;
    await post(slack, 'reaction', { channel: 'C01GEN', messageTs, user: 'U02BOB', name: 'eyes' });
    expect(
      (await post(slack, 'edit-message', { channel: 'C01GEN', messageTs, user: 'U02BOB', text: 'x' })).status,
    ).toBe(403);
    await post(slack, 'edit-message', { channel: 'C01GEN', messageTs, user: 'U01ALICE', text: 'never mind' });
    const { body } = await raw(slack, 'GET', `messages/C01GEN?thread_ts=${messageTs}`);
    expect(body.messages).toMatchObject([{ text: 'never mind', edited: true, reactions: { eyes: ['U02BOB'] } }]);
    await post(slack, 'delete-message', { channel: 'C01GEN', messageTs });
    await post(slack, 'open-home', { user: 'U01ALICE' });
    expect(
      events(slack)
        .map(({ type, subtype }) => subtype ?? type)
        .slice(-4),
    ).toEqual(['reaction_added', 'message_changed', 'message_deleted', 'app_home_opened']);
    expect((await raw(slack, 'GET', 'views/U01ALICE')).body).toEqual({ ok: true, modals: [], home: null });
  });

  test('logs calls and envelopes without the token', async () => {
    const slack = await slackFor();
    await fetch(`${slack.url}chat.postMessage`, {
      method: 'POST',
      body: new URLSearchParams({ token: slack.tokens.bot, channel: 'C01GEN', text: 'hi' }),
    });
    const { body } = await raw(slack, 'GET', 'log');
    expect(body.entries).toMatchObject([
      { type: 'envelope', kind: 'events_api', outcome: 'connection_failed' },
      {
        type: 'call',
        method: 'chat.postMessage',
        args: { text: 'hi', token: '[redacted]' },
        status: 200,
        answer: { ok: true },
      },
    ]);
    expect(JSON.stringify(body)).not.toContain(slack.tokens.bot);
  });

  test('takes faults as documented, and clears them on DELETE', async () => {
    const slack = await slackFor();
    expect(
      (await post(slack, 'faults', { method: 'auth.test', kind: 'ratelimited', retryAfter: 3, times: 2 })).status,
    ).toBe(200);
    expect((await post(slack, 'faults', { socket: 'freeze', ms: 10 })).status).toBe(200);
    expect((await call(slack, 'auth.test')).retryAfter).toBe('3');
    expect((await raw(slack, 'GET', 'state')).body.faults).toEqual([
      { method: 'auth.test', kind: 'ratelimited', retryAfter: 3, times: 1 },
    ]);
    await raw(slack, 'DELETE', 'faults');
    expect((await call(slack, 'auth.test')).body.ok).toBe(true);
  });

  test('forgets everything on a reset, but reuses no id or timestamp', async () => {
    const slack = await slackFor({ now: () => 1_790_000_000_000, random: () => 0 });
    const before = await slack.control.message(MESSAGE);
    const ids = payloads(slack).map(({ event_id }) => event_id);
    await post(slack, 'reset', {});
    expect(slack.control.messages('C01GEN')).toEqual([]);
    expect(slack.control.log()).toEqual([]);
    const after = await slack.control.message(MESSAGE);
    expect(after.ts > before.ts).toBe(true);
    expect(payloads(slack).some(({ event_id }) => ids.includes(event_id))).toBe(false);
  });

  test('changes the id of a channel', async () => {
    const slack = await slackFor();
    await slack.control.message({ ...MESSAGE, channel: 'C02ENG' });
    await slack.control.changeChannelId({ channel: 'C02ENG', newId: 'C09ENG' });
    expect(events(slack).at(-1)).toMatchObject({
      type: 'channel_id_changed',
      old_channel_id: 'C02ENG',
      new_channel_id: 'C09ENG',
    });
    expect(slack.control.messages('C09ENG')).toHaveLength(1);
    expect((await call(slack, 'chat.postMessage', { channel: 'C02ENG', text: 'x' })).body.error).toBe(
      'channel_not_found',
    );
  });

  test('speaks as another bot or a person of another workspace', async () => {
    const slack = await slackFor();
    await slack.control.message({ ...MESSAGE, text: 'beep', subtype: 'bot_message' });
    expect(events(slack)[0]).toMatchObject({ subtype: 'bot_message', bot_id: 'B0OTHER', text: 'beep' });
    expect(events(slack)[0]).not.toHaveProperty('user');
    await slack.control.message({ ...MESSAGE, user: 'U05EXT' });
    expect(events(slack, 'app_mention')[0]).toMatchObject({ user: 'U05EXT', team: 'T05EXT', user_team: 'T05EXT' });
  });
});
