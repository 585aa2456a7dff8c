import { ErrorCode, WebClient } from '@slack/web-api';
import { beforeEach, describe, expect, test } from 'vitest';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, events, silentLogger, slackFor, until } from './support.ts';

const CHANNEL = 'C01GEN';
let slack: SmallSlack;
let client: WebClient;

const clientFor = (target: SmallSlack, options = {}) =>
  new WebClient(target.tokens.bot, {
    slackApiUrl: target.url,
    logger: silentLogger,
    retryConfig: { retries: 0 },
    rejectRateLimitedCalls: true,
    allowAbsoluteUrls: false,
    ...options,
  });

beforeEach(async () => {
  slack = await slackFor();
  client = clientFor(slack);
});

describe('Slack’s own Web API client', () => {
  test('gets its identity and scopes', async () => {
    const me = await client.auth.test();
    expect(me).toMatchObject({ ok: true, team_id: 'T01SANDBOX', user_id: 'U0BOT', bot_id: 'B0BOT' });
    expect(me.response_metadata?.scopes).toContain('chat:write');
  });

  test('posts, edits and deletes, and each gives an event', async () => {
    const blocks = [{ type: 'markdown' as const, text: '**Hello** <https://example.com|you>' }];
    const { ts } = await client.chat.postMessage({ channel: CHANNEL, text: 'Hello', blocks });
    await client.chat.update({
      channel: CHANNEL,
      ts: ts ?? '',
      text: 'Hello',
      blocks: [{ type: 'markdown', text: 'Bye' }],
    });
    await client.chat.delete({ channel: CHANNEL, ts: ts ?? '' });
    expect(events(slack).map((event) => event.subtype)).toEqual([undefined, 'message_changed', 'message_deleted']);
    expect(events(slack)[0]).toMatchObject({ bot_id: 'B0BOT', app_id: 'A0SANDBOX', user: 'U0BOT', ts });
    expect(events(slack)[1]).toMatchObject({ hidden: true, message: { ts }, previous_message: { ts } });
    expect(slack.control.messages(CHANNEL)).toEqual([]);
  });

  test('reads the workspace', async () => {
    expect((await client.users.list({})).members?.map((user) => user.id)).toContain('U05EXT');
    expect((await client.conversations.members({ channel: CHANNEL })).members).toContain('U0BOT');
    expect((await client.conversations.info({ channel: 'C02ENG' })).channel).toMatchObject({ is_private: true });
    expect((await client.usergroups.list({ include_users: true })).usergroups?.[0]?.handle).toBe('oncall');
    expect((await client.usergroups.users.list({ usergroup: 'S01ONCALL' })).users).toEqual(['U01ALICE', 'U02BOB']);
    expect((await client.team.info()).team?.name).toBe('Sandbox');
    expect((await client.bots.info({ bot: 'B0BOT' })).bot?.app_id).toBe('A0SANDBOX');
    const { channel } = await client.conversations.open({ users: 'U02BOB' });
    const { ts } = await client.chat.postMessage({ channel: channel?.id ?? '', text: 'hi' });
    const link = await client.chat.getPermalink({ channel: channel?.id ?? '', message_ts: ts ?? '' });
    expect(link.permalink).toContain(`/archives/D02BOB/p${ts?.replace('.', '')}`);
  });

  test('adds and removes a reaction only once', async () => {
    const { ts } = await slack.control.message({ channel: CHANNEL, user: 'U01ALICE', text: 'hi' });
    const args = { channel: CHANNEL, timestamp: ts, name: 'eyes' };
    await client.reactions.add(args);
    await expect(client.reactions.add(args)).rejects.toMatchObject({ data: { error: 'already_reacted' } });
    await client.reactions.remove(args);
    await expect(client.reactions.remove(args)).rejects.toMatchObject({ data: { error: 'no_reaction' } });
    expect(events(slack).map((event) => event.type)).toEqual(['message', 'reaction_added', 'reaction_removed']);
  });

  test('uploads a file that needs the token to be fetched', async () => {
    const { ts } = await slack.control.message({ channel: CHANNEL, user: 'U01ALICE', text: 'hi' });
    await client.filesUploadV2({
      channel_id: CHANNEL,
      thread_ts: ts,
      initial_comment: 'The log',
      filename: 'log.txt',
      file: Buffer.from('line & line'),
    });
    const share = await until(() => slack.control.messages(CHANNEL, { thread_ts: ts })[1]);
    expect(share).toMatchObject({ subtype: 'file_share', text: 'The log', files: [{ name: 'log.txt', size: 11 }] });
    const url = String(share.files[0]?.url_private);
    const with_ = await fetch(url, { headers: { authorization: `Bearer ${slack.tokens.bot}` } });
    expect(await with_.text()).toBe('line & line');
    const without = await fetch(url);
    expect([without.status, without.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const info = await client.files.info({ file: String(share.files[0]?.id) });
    expect(JSON.stringify(info.file?.shares)).toContain(share.ts);
  });

  test('gets a person’s file with its message', async () => {
    await slack.control.message({
      channel: CHANNEL,
      user: 'U01ALICE',
      text: '',
      files: [{ name: 'a.md', content: '# A' }],
    });
    const [event] = events(slack, 'message');
    expect(event).toMatchObject({
      subtype: 'file_share',
      files: [{ name: 'a.md', mimetype: 'text/markdown', size: 3 }],
    });
  });
});

describe('a fault of the small Slack', () => {
  const posts = () => slack.control.messages(CHANNEL).map(({ text }) => text);
  const post = (text: string) => client.chat.postMessage({ channel: CHANNEL, text });

  test('reset_after leaves a post the client does not know of', async () => {
    await slack.control.faults({ method: 'chat.postMessage', kind: 'reset_after' });
    await expect(post('sent')).rejects.toMatchObject({ code: ErrorCode.RequestError });
    expect(posts()).toEqual(['sent']);
  });

  test('reset_before leaves no post', async () => {
    await slack.control.faults({ kind: 'reset_before' });
    await expect(post('lost')).rejects.toMatchObject({ code: ErrorCode.RequestError });
    expect(posts()).toEqual([]);
  });

  test('answers its error as many times as asked', async () => {
    await slack.control.faults({ method: 'chat.postMessage', kind: 'ratelimited', retryAfter: 7, times: 2 });
    await slack.control.faults({ method: 'chat.postMessage', kind: 'ok_false', error: 'fatal_error' });
    await slack.control.faults({ method: 'chat.postMessage', kind: 'http_500' });
    await slack.control.faults({ method: 'chat.postMessage', kind: 'html' });
    await client.auth.test();
    for (let n = 0; n < 2; n += 1) {
      await expect(post('x')).rejects.toMatchObject({ code: ErrorCode.RateLimitedError, retryAfter: 7 });
    }
    await expect(post('x')).rejects.toMatchObject({ data: { error: 'fatal_error' } });
    await expect(post('x')).rejects.toMatchObject({ code: ErrorCode.HTTPError, statusCode: 500 });
    await expect(post('x')).rejects.toThrow();
    await post('through');
    expect(posts()).toEqual(['through']);
    expect(slack.control.state().ratelimited).toEqual({ 'chat.postMessage': 2 });
  });

  test('latency applies the call halfway and reports it then', async () => {
    const told: { method: string; bytes: number; messages: number; answered: boolean }[] = [];
    let answered = false;
    const slow = await slackFor({
      latencyMs: 40,
      onCall({ method, bytes }) {
        told.push({ method, bytes, messages: slow.control.messages('C01GEN').length, answered });
      },
    });
    await call(slow, 'chat.postMessage', { channel: 'C01GEN', text: 'hi' });
    answered = true;
    expect(told).toEqual([{ method: 'chat.postMessage', bytes: 32, messages: 1, answered: false }]);
  });

  test('delay answers late; clear removes the faults not yet used', async () => {
    const quick = clientFor(slack, { timeout: 50 });
    await slack.control.faults({ kind: 'delay', ms: 200 });
    await expect(quick.chat.postMessage({ channel: CHANNEL, text: 'late' })).rejects.toMatchObject({
      code: ErrorCode.RequestError,
    });
    await until(() => posts().length === 1);
    await slack.control.faults({ kind: 'http_500', times: 5 });
    await slack.control.faults({ kind: 'clear' });
    await post('fine');
  });
});
