import { WebClient } from '@slack/web-api';
import { beforeEach, describe, expect, test } from 'vitest';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, events, type Json, silentLogger, slackFor } from './support.ts';

const DM = 'D01ALICE';
const MINUTE = 60_000;
let slack: SmallSlack;
let now: number;
let root: string;

const said = (text: string) => ({ type: 'markdown_text', text });
const blocks = (count: number) => Array.from({ length: count }, () => ({ type: 'divider' }));

async function startSmallSlack(options: Parameters<typeof slackFor>[0] = {}): Promise<void> {
  now = Date.UTC(2026, 10, 22, 9);
  slack = await slackFor({ limits: 'off', now: () => now, ...options });
  root = (await slack.control.message({ channel: DM, user: 'U01ALICE', text: 'go' })).ts;
}

async function start(args: Json = {}): Promise<Json> {
  return (await call(slack, 'chat.startStream', { channel: DM, thread_ts: root, ...args })).body;
}
async function startedWith(args: Json): Promise<string> {
  return String((await start(args)).ts);
}
async function append(ts: string, args: Json): Promise<Json> {
  return (await call(slack, 'chat.appendStream', { channel: DM, ts, ...args })).body;
}
async function stop(ts: string, args: Json = {}): Promise<Json> {
  return (await call(slack, 'chat.stopStream', { channel: DM, ts, ...args })).body;
}
const seen = (ts: string) => slack.control.messages(DM).find((message) => message.ts === ts);
const textOf = (ts: string) => seen(ts)?.blocks.map((block) => block.text ?? block.type);

beforeEach(() => startSmallSlack());

describe('a native stream in the small Slack', () => {
  test('grows by what is appended and ends with blocks and metadata', async () => {
    const ts = await startedWith({ markdown_text: 'one **tw' });
    expect(seen(ts)).toMatchObject({ thread_ts: root, stream: 'in_progress', metadata: null });
    expect(await append(ts, { markdown_text: 'o**' })).toMatchObject({ ok: true, ts });
    const metadata = { event_type: 'mine', event_payload: { part: '0.0' } };
    const ended = await stop(ts, { markdown_text: ' three', blocks: blocks(1), metadata });
    expect(ended).toMatchObject({ ok: true, message: { streaming_state: 'completed' } });
    expect(textOf(ts)).toEqual(['one **two** three', 'divider']);
    expect(seen(ts)).toMatchObject({ stream: 'completed', metadata, edited: false });
  });

  test('tells apps of its begin and of its end only', async () => {
    const ts = await startedWith({ markdown_text: 'one' });
    await append(ts, { markdown_text: ' two' });
    await stop(ts);
    const about = events(slack, 'message').filter(({ bot_id, subtype }) => bot_id || subtype);
    expect(about.map(({ subtype }) => subtype)).toEqual([undefined, 'message_changed']);
  });

  test('is what the SDK streams', async () => {
    const client = new WebClient(slack.tokens.bot, { slackApiUrl: slack.url, logger: silentLogger });
    const streamer = client.chatStream({ channel: DM, thread_ts: root, buffer_size: 4 });
    for (const markdown_text of ['one ', 'two ', 'three']) await streamer.append({ markdown_text });
    await streamer.stop();
    expect(textOf(String(streamer.ts))).toEqual(['one two three']);
  });

  test('cannot be edited while it grows, and can afterwards', async () => {
    const ts = await startedWith({ markdown_text: 'one' });
    const edit = () => call(slack, 'chat.update', { channel: DM, ts, text: 'x', blocks: blocks(1) });
    expect((await edit()).body).toMatchObject({ ok: false, error: 'streaming_state_conflict' });
    expect(await append(ts, { markdown_text: ' two' })).toMatchObject({ ok: true });
    await stop(ts);
    expect((await edit()).body).toMatchObject({ ok: true });
  });
});

describe('the small Slack refuses a stream', () => {
  test.each([
    ['at the top of a direct message', { thread_ts: undefined }, 'invalid_thread_ts'],
    ['with an empty thread', { thread_ts: '' }, 'invalid_arguments'],
    ['in a thread that is gone', { thread_ts: '1.000001' }, 'invalid_thread_ts'],
    [
      'with two kinds of content',
      { markdown_text: 'a', chunks: [said('b')] },
      'cannot_provide_both_markdown_text_and_chunks',
    ],
    ['without a single chunk', { chunks: [] }, 'invalid_chunks'],
    ['with a chunk that it does not know', { chunks: [{ type: 'song' }] }, 'invalid_chunks'],
    ['with too long a text', { markdown_text: 'x'.repeat(12_001) }, 'msg_too_long'],
    ['with a file in it', { chunks: [{ type: 'blocks', blocks: [{ type: 'file' }] }] }, 'internal_error'],
    ['for nobody it knows', { recipient_user_id: 'U0NOPE', recipient_team_id: 'T01SANDBOX' }, 'user_not_found'],
  ])('%s', async (_, args, error) => {
    expect(await start(args)).toMatchObject({ ok: false, error });
  });

  test('in a channel without a recipient and their team', async () => {
    const { ts } = await slack.control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent go' });
    const inChannel = (args: Json) => start({ channel: 'C01GEN', thread_ts: ts, ...args });
    expect(await inChannel({})).toMatchObject({ error: 'missing_recipient_user_id' });
    expect(await inChannel({ recipient_user_id: 'U01ALICE' })).toMatchObject({ error: 'missing_recipient_team_id' });
    const both = { recipient_user_id: 'U01ALICE', recipient_team_id: 'T01SANDBOX' };
    expect(await inChannel(both)).toMatchObject({ ok: true });
  });

  test('of one kind of content the other kind', async () => {
    const ts = await startedWith({ markdown_text: 'one' });
    expect(await append(ts, { chunks: [said('two')] })).toMatchObject({ error: 'streaming_mode_mismatch' });
    expect(await stop(ts, { chunks: [said('two')] })).toMatchObject({ error: 'streaming_mode_mismatch' });
    expect(await append(ts, {})).toMatchObject({ error: 'no_text' });
    expect(textOf(ts)).toEqual(['one']);
  });

  test('beyond 12,000 characters, and keeps what it has', async () => {
    const ts = await startedWith({ markdown_text: 'x'.repeat(11_000) });
    expect(await append(ts, { markdown_text: 'y'.repeat(1_001) })).toMatchObject({ error: 'msg_too_long' });
    expect(await stop(ts, { markdown_text: 'y'.repeat(1_001) })).toMatchObject({ error: 'msg_too_long' });
    expect(seen(ts)?.stream).toBe('in_progress');
    expect(await stop(ts, { markdown_text: 'y'.repeat(900) })).toMatchObject({ ok: true });
  });

  test('of 51 blocks at its end', async () => {
    const ts = await startedWith({ markdown_text: 'one' });
    expect(await stop(ts, { blocks: blocks(51) })).toMatchObject({ error: 'msg_blocks_too_many' });
    expect(await stop(ts, { session_status: 'asleep' })).toMatchObject({ error: 'invalid_arguments' });
    expect(await stop(ts, { blocks: [{ type: 'song' }] })).toMatchObject({ error: 'invalid_blocks' });
  });

  test('begun by another app, or not at all', async () => {
    expect(await append(root, { markdown_text: 'x' })).toMatchObject({ error: 'message_not_owned_by_app' });
    const { ts } = (await call(slack, 'chat.postMessage', { channel: DM, thread_ts: root, text: 'x' })).body;
    expect(await append(String(ts), { markdown_text: 'x' })).toMatchObject({ error: 'message_not_in_streaming_state' });
    expect(await append('1.000001', { markdown_text: 'x' })).toMatchObject({ error: 'message_not_found' });
  });

  test('more often than the tiers allow', async () => {
    await startSmallSlack({ limits: 'on' });
    const started: string[] = [];
    for (let n = 0; n < 20; n += 1) started.push(await startedWith({ markdown_text: 'one' }));
    expect((await call(slack, 'chat.startStream', { channel: DM, thread_ts: root })).status).toBe(429);
    const appends: number[] = [];
    for (let n = 0; n < 101; n += 1) {
      appends.push(
        (await call(slack, 'chat.appendStream', { channel: DM, ts: started[0], markdown_text: '.' })).status,
      );
    }
    expect(appends.filter((status) => status === 200)).toHaveLength(100);
    for (const ts of started) expect(await stop(ts)).toMatchObject({ ok: true });
  });
});

describe('the end of a native stream in the small Slack', () => {
  test('comes five minutes after its start, whatever is appended', async () => {
    const ts = await startedWith({ markdown_text: 'one' });
    now += 4 * MINUTE;
    expect(await append(ts, { markdown_text: ' two' })).toMatchObject({ ok: true });
    now += MINUTE;
    expect(seen(ts)?.stream).toBe('dead');
    expect(await append(ts, { markdown_text: ' three' })).toMatchObject({ error: 'message_not_in_streaming_state' });
    expect(await stop(ts)).toMatchObject({ error: 'message_not_in_streaming_state' });
    const edit = await call(slack, 'chat.update', {
      channel: DM,
      ts,
      text: 'all',
      blocks: [{ type: 'markdown', text: 'all' }],
    });
    expect(edit.body).toMatchObject({ ok: true });
    expect(textOf(ts)).toEqual(['all']);
  });

  test('comes once: a second stop is refused', async () => {
    const ts = await startedWith({ markdown_text: 'one' });
    expect(await stop(ts)).toMatchObject({ ok: true });
    expect(await stop(ts)).toMatchObject({ error: 'message_not_in_streaming_state' });
  });

  test('comes when a person presses Slack’s Stop, which names the stream', async () => {
    await startSmallSlack({ agent: true });
    const ts = await startedWith({ markdown_text: 'one' });
    expect(slack.control.state().sessions).toMatchObject([{ thread_ts: root, status: 'processing' }]);
    await slack.control.stopSession({ channel: DM, user: 'U01ALICE', thread_ts: root });
    expect(events(slack, 'agent_session_stopped')).toMatchObject([{ streaming_message_ts: [ts] }]);
    expect(await append(ts, { markdown_text: ' two' })).toMatchObject({ error: 'stopped_by_user' });
  });

  test('releases the session of an agent app, or leaves it at work', async () => {
    await startSmallSlack({ agent: true });
    const statuses = () => slack.control.state().sessions.map(({ status }) => status);
    await stop(await startedWith({ markdown_text: 'one' }), { session_status: 'processing' });
    expect(statuses()).toEqual(['processing']);
    await stop(await startedWith({ markdown_text: 'two' }));
    expect(statuses()).toEqual(['active']);
  });
});
