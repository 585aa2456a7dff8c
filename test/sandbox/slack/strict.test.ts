import { beforeEach, describe, expect, test } from 'vitest';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, events, type Json, slackFor } from './support.ts';

const CHANNEL = 'C01GEN';
let slack: SmallSlack;
let root: string;

beforeEach(async () => {
  slack = await slackFor({ limits: 'off' });
  root = (await slack.control.message({ channel: CHANNEL, user: 'U01ALICE', text: '@agent go' })).ts;
});

const section = (text: string, more: Json = {}) => ({ type: 'section', text: { type: 'mrkdwn', text }, ...more });
const button = (more: Json = {}) => ({
  type: 'button',
  action_id: 'a',
  text: { type: 'plain_text', text: 'OK' },
  ...more,
});
const actions = (...elements: Json[]) => ({ type: 'actions', elements });
const markdown = (text: string) => ({ type: 'markdown', text });
const TABLE = '| a | b |\n| - | - |\n| 1 | 2 |\n';

async function post(args: Json): Promise<Json> {
  return (await call(slack, 'chat.postMessage', { channel: CHANNEL, thread_ts: root, ...args })).body;
}

describe('tokens and scopes in the small Slack', () => {
  test('a call is refused without the right kind of token', async () => {
    const error = async (method: string, token: string) => (await call(slack, method, {}, token)).body.error;
    expect(await error('auth.test', '')).toBe('not_authed');
    expect(await error('auth.test', 'xoxb-wrong')).toBe('invalid_auth');
    expect(await error('auth.test', slack.tokens.app)).toBe('not_allowed_token_type');
    expect(await error('apps.connections.open', slack.tokens.bot)).toBe('not_allowed_token_type');
    await slack.control.revoke({ error: 'token_revoked' });
    expect(await error('auth.test', slack.tokens.bot)).toBe('token_revoked');
  });

  test('a missing scope is named beside those granted', async () => {
    const poor = await slackFor({ scopes: ['chat:write', 'channels:read'] });
    const { body } = await call(poor, 'users.info', { user: 'U01ALICE' });
    expect(body).toEqual({
      ok: false,
      error: 'missing_scope',
      needed: 'users:read',
      provided: 'chat:write,channels:read',
    });
    expect((await call(poor, 'conversations.history', { channel: CHANNEL })).body.needed).toBe('channels:history');
    expect((await call(slack, 'chat.postMessage', { channel: CHANNEL, text: 'x', username: 'boss' })).body.needed).toBe(
      'chat:write.customize',
    );
  });

  test('an app without the scope does not get the event', async () => {
    const poor = await slackFor({ scopes: ['app_mentions:read'] });
    await poor.control.message({ channel: CHANNEL, user: 'U01ALICE', text: '@agent hi' });
    expect(events(poor).map((event) => event.type)).toEqual(['app_mention']);
  });

  test('an app gets only the events it subscribed to', async () => {
    const narrow = await slackFor({ events: ['message.groups', 'app_mention'] });
    for (const channel of ['C01GEN', 'C02ENG', 'D01ALICE']) {
      await narrow.control.message({ channel, user: 'U01ALICE', text: 'hi' });
    }
    expect(events(narrow).map((event) => event.channel)).toEqual(['C02ENG']);
  });

  test('an unknown method is refused as such', async () => {
    expect((await call(slack, 'chat.shout')).body.error).toBe('unknown_method');
  });
});

describe('the place of a message in the small Slack', () => {
  test.each([
    ['a public channel without the bot', { channel: 'C03OUT' }, 'not_in_channel'],
    ['a channel that is not there', { channel: 'C0NOPE' }, 'channel_not_found'],
    ['something that is no timestamp', { thread_ts: 'abc' }, 'invalid_thread_ts'],
  ])('%s is refused', async (_name, args, error) => {
    expect(await post({ text: 'hi', ...args, ...('channel' in args && { thread_ts: undefined }) })).toMatchObject({
      ok: false,
      error,
    });
  });

  test('in a thread deleted without replies becomes the channel’s top level', async () => {
    await slack.control.deleteMessage({ channel: CHANNEL, messageTs: root });
    const { ts, ok, message } = await post({ text: 'hi' });
    expect(ok).toBe(true);
    expect(message).not.toHaveProperty('thread_ts');
    const { body } = await call(slack, 'conversations.history', { channel: CHANNEL });
    expect((body.messages as Json[]).map((each) => each.ts)).toContain(ts);
    expect((await call(slack, 'conversations.replies', { channel: CHANNEL, ts: root })).body.error).toBe(
      'thread_not_found',
    );
  });

  test('in a thread deleted with replies stays that thread', async () => {
    await post({ text: 'one' });
    await slack.control.deleteMessage({ channel: CHANNEL, messageTs: root });
    expect((await post({ text: 'two' })).message).toMatchObject({ thread_ts: root });
  });

  test('cannot be under a reply', async () => {
    const reply = await post({ text: 'one' });
    expect(await post({ text: 'two', thread_ts: reply.ts })).toMatchObject({ error: 'invalid_thread_ts' });
  });

  test('cannot be a private channel that the bot left', async () => {
    await slack.control.member({ channel: 'C02ENG', user: 'U0BOT', joined: false });
    const { body } = await call(slack, 'chat.postMessage', { channel: 'C02ENG', text: 'hi' });
    expect(body.error).toBe('channel_not_found');
    expect((await call(slack, 'conversations.info', { channel: 'C02ENG' })).body.error).toBe('channel_not_found');
  });

  test('cannot be an archived channel, for edits either', async () => {
    const { ts } = await post({ text: 'hi' });
    await slack.control.archive({ channel: CHANNEL });
    expect(await post({ text: 'more' })).toMatchObject({ error: 'is_archived' });
    expect((await call(slack, 'chat.update', { channel: CHANNEL, ts, text: 'x' })).body.error).toBe('is_inactive');
  });

  test('is the direct message when a user id is given', async () => {
    const { body } = await call(slack, 'chat.postMessage', { channel: 'U02BOB', text: 'psst' });
    expect(body.channel).toBe('D02BOB');
  });
});

describe('the content of a message in the small Slack', () => {
  const long = (length: number) => 'x'.repeat(length);

  test.each<[string, Json, string]>([
    ['nothing', {}, 'no_text'],
    ['empty blocks', { blocks: [] }, 'no_text'],
    ['markdown_text beside text', { text: 'a', markdown_text: 'b' }, 'markdown_text_conflict'],
    ['markdown_text over 12,000', { markdown_text: long(12_001) }, 'msg_too_long'],
    ['blocks that are no JSON', { blocks: '[{' }, 'invalid_blocks_format'],
    ['markdown over 12,000 in all', { blocks: [markdown(long(7000)), markdown(long(5001))] }, 'msg_blocks_too_long'],
    ['blocks over 13,200 in all', { blocks: [markdown(long(11_000)), section(long(2300))] }, 'msg_blocks_too_long'],
    ['two tables in one markdown block', { blocks: [markdown(`${TABLE}\ntext\n\n${TABLE}`)] }, 'invalid_attachments'],
    ['two tables in two blocks', { blocks: [markdown(TABLE), markdown(TABLE)] }, 'invalid_attachments'],
    ['101 attachments', { attachments: Array.from({ length: 101 }, () => ({ text: 'x' })) }, 'too_many_attachments'],
    ['metadata without a type', { text: 'x', metadata: { event_payload: {} } }, 'invalid_metadata_format'],
    [
      'big metadata',
      { text: 'x', metadata: { event_type: 't', event_payload: { a: long(9000) } } },
      'metadata_too_large',
    ],
  ])('%s is refused', async (_name, args, error) => {
    expect(await post(args)).toMatchObject({ ok: false, error });
  });

  test.each<[string, unknown[], string]>([
    [
      '51 blocks',
      Array.from({ length: 51 }, () => ({ type: 'divider' })),
      '[ERROR] no more than 50 items allowed [json-pointer:/blocks]',
    ],
    [
      'a long section',
      [section(long(3001))],
      '[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]',
    ],
    ['an empty section', [section('')], '[ERROR] must be more than 0 characters [json-pointer:/blocks/0/text/text]'],
    [
      'a long markdown block',
      [markdown(long(12_001))],
      '[ERROR] must be less than 12001 characters [json-pointer:/blocks/0/text]',
    ],
    [
      'a long header',
      [{ type: 'header', text: { type: 'plain_text', text: long(151) } }],
      '[ERROR] must be less than 151 characters [json-pointer:/blocks/0/text/text]',
    ],
    [
      'a long button text',
      [actions(button({ text: { type: 'plain_text', text: long(76) } }))],
      '[ERROR] must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]',
    ],
    [
      'a long button value',
      [actions(button({ value: long(2001) }))],
      '[ERROR] must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]',
    ],
    [
      'mrkdwn on a button',
      [actions(button({ text: { type: 'mrkdwn', text: 'x' } }))],
      '[ERROR] unsupported type: mrkdwn [json-pointer:/blocks/0/elements/0/text/type]',
    ],
    [
      '26 buttons',
      [actions(...Array.from({ length: 26 }, (_v, n) => button({ action_id: `a${n}` })))],
      '[ERROR] no more than 25 items allowed [json-pointer:/blocks/0/elements]',
    ],
    [
      'doubled action ids',
      [actions(button(), button())],
      '[ERROR] action_id `a` already exists [json-pointer:/blocks/0/elements/1/action_id]',
    ],
    [
      'doubled block ids',
      [section('x', { block_id: 'b' }), section('y', { block_id: 'b' })],
      '[ERROR] block_id `b` already exists [json-pointer:/blocks/1/block_id]',
    ],
    [
      '11 context elements',
      [{ type: 'context', elements: Array.from({ length: 11 }, () => ({ type: 'mrkdwn', text: 'x' })) }],
      '[ERROR] no more than 10 items allowed [json-pointer:/blocks/0/elements]',
    ],
    ['an unknown block', [{ type: 'marquee' }], '[ERROR] unsupported type: marquee [json-pointer:/blocks/0/type]'],
    [
      'an unknown key',
      [{ type: 'divider', colour: 'red' }],
      '[ERROR] invalid additional property: colour [json-pointer:/blocks/0]',
    ],
    [
      'a long confirm text',
      [
        actions(
          button({
            confirm: {
              title: { type: 'plain_text', text: 't' },
              text: { type: 'plain_text', text: long(301) },
              confirm: { type: 'plain_text', text: 'y' },
              deny: { type: 'plain_text', text: 'n' },
            },
          }),
        ),
      ],
      '[ERROR] must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]',
    ],
    [
      'an input that allows too much',
      [
        {
          type: 'input',
          label: { type: 'plain_text', text: 'l' },
          element: { type: 'plain_text_input', action_id: 'a', max_length: 3001 },
        },
      ],
      '[ERROR] must be between 1 and 3000 [json-pointer:/blocks/0/element/max_length]',
    ],
  ])('%s is refused as invalid_blocks with a reason', async (_name, blocks, message) => {
    const body = await post({ text: 'x', blocks });
    expect(body).toMatchObject({ ok: false, error: 'invalid_blocks', response_metadata: { messages: [message] } });
  });

  test('is accepted at the largest sizes', async () => {
    expect(await post({ blocks: [markdown(long(12_000)), section(long(1200))] })).toMatchObject({ ok: true });
    expect(await post({ blocks: [markdown(`${TABLE}\n\`\`\`\n${TABLE}\`\`\``)] })).toMatchObject({ ok: true });
  });

  test('over 40,000 characters is cut with a warning', async () => {
    const body = await post({ text: long(40_001) });
    expect(body).toMatchObject({ ok: true, warning: 'message_truncated' });
  });

  test('is checked the same by blocks.validate, without a token', async () => {
    expect((await call(slack, 'blocks.validate', { blocks: [section('x')] }, '')).body).toEqual({ ok: true });
    expect((await call(slack, 'blocks.validate', { blocks: [section('')] }, '')).body.error).toBe('invalid_blocks');
  });
});

describe('an edit in the small Slack', () => {
  const update = async (ts: unknown, args: Json) =>
    (await call(slack, 'chat.update', { channel: CHANNEL, ts, ...args })).body;
  const seen = (ts: unknown) => slack.control.messages(CHANNEL).find((message) => message.ts === ts);

  test('is refused over 4,000 characters of text, with blocks too', async () => {
    const { ts } = await post({ text: 'x' });
    expect(await update(ts, { text: 'y'.repeat(4001) })).toMatchObject({ error: 'msg_too_long' });
    expect(await update(ts, { text: 'y'.repeat(4001), blocks: [section('x')] })).toMatchObject({
      error: 'msg_too_long',
    });
    expect(await update(ts, { text: 'y'.repeat(4000) })).toMatchObject({ ok: true });
  });

  test('is refused for other people’s, missing and private messages', async () => {
    expect(await update(root, { text: 'mine now' })).toMatchObject({ error: 'cant_update_message' });
    expect((await call(slack, 'chat.delete', { channel: CHANNEL, ts: root })).body.error).toBe('cant_delete_message');
    expect(await update('1700000000.000001', { text: 'x' })).toMatchObject({ error: 'message_not_found' });
    const ephemeral = await call(slack, 'chat.postEphemeral', { channel: CHANNEL, user: 'U01ALICE', text: 'psst' });
    expect(await update(ephemeral.body.message_ts, { text: 'x' })).toMatchObject({ error: 'message_not_found' });
  });

  test('marks a message as edited by text, not by blocks', async () => {
    const { ts } = await post({ text: 'x', blocks: [section('one')] });
    await update(ts, { text: 'x', blocks: [section('two')] });
    expect(seen(ts)).toMatchObject({ edited: false, revisions: 2 });
    await update(ts, { text: 'only text' });
    expect(seen(ts)).toMatchObject({ edited: true, text: 'only text' });
    expect(seen(ts)?.blocks.map((block) => block.type)).toEqual(['rich_text']);
    await update(ts, { text: 'x', blocks: [section('three')] });
    expect(seen(ts)?.edited).toBe(false);
  });

  test('keeps the metadata that it leaves out', async () => {
    const metadata = { event_type: 'part', event_payload: { part: '0.0' } };
    const { ts } = await post({ text: 'x', metadata });
    await update(ts, { text: 'y' });
    expect(seen(ts)?.metadata).toEqual(metadata);
    const replies = await call(slack, 'conversations.replies', {
      channel: CHANNEL,
      ts: root,
      include_all_metadata: true,
    });
    expect((replies.body.messages as Json[]).at(-1)?.metadata).toEqual(metadata);
  });

  test('can follow in a thread whose root became a placeholder', async () => {
    await post({ text: 'reply' });
    await slack.control.deleteMessage({ channel: CHANNEL, messageTs: root });
    expect(seen(root)).toMatchObject({ deleted: true });
    expect(await post({ text: 'another' })).toMatchObject({ ok: true });
  });
});

describe('history in the small Slack', () => {
  test('pages replies with their root, without private messages', async () => {
    for (const text of ['one', 'two', 'three']) await post({ text });
    await call(slack, 'chat.postEphemeral', { channel: CHANNEL, user: 'U01ALICE', text: 'psst', thread_ts: root });
    const texts: unknown[] = [];
    let cursor = '';
    do {
      const { body } = await call(slack, 'conversations.replies', { channel: CHANNEL, ts: root, limit: 3, cursor });
      texts.push(...(body.messages as Json[]).map((message) => message.text));
      cursor = String((body.response_metadata as Json | undefined)?.next_cursor ?? '');
    } while (cursor !== '');
    expect(texts).toEqual(['<@U0BOT> go', 'one', 'two', 'three']);
    const { body } = await call(slack, 'conversations.history', { channel: CHANNEL });
    expect((body.messages as Json[]).map((message) => message.text)).toEqual(['<@U0BOT> go']);
    expect((body.messages as Json[])[0]).toMatchObject({ reply_count: 3, thread_ts: root });
  });

  test('has timestamps that only grow', async () => {
    const all: string[] = [];
    for (let n = 0; n < 30; n += 1) all.push(String((await post({ text: `${n}` })).ts));
    expect(all).toEqual([...new Set(all)].sort());
    expect(all.every((ts) => /^\d{10}\.\d{6}$/.test(ts))).toBe(true);
  });
});

describe('agent features of the small Slack', () => {
  test('a status lives two minutes, or until the app posts', async () => {
    let now = Date.now();
    slack = await slackFor({ limits: 'off', now: () => now });
    root = (await slack.control.message({ channel: CHANNEL, user: 'U01ALICE', text: '@agent go' })).ts;
    const set = () =>
      call(slack, 'assistant.threads.setStatus', { channel_id: CHANNEL, thread_ts: root, status: 'is thinking…' });
    const live = () => slack.control.state().statuses.map(({ status }) => status);
    await set();
    expect(live()).toEqual(['is thinking…']);
    await post({ text: 'here' });
    expect(live()).toEqual([]);
    await set();
    now += 120_000;
    expect(live()).toEqual([]);
  });

  test('sessions are refused for apps not declared as agents', async () => {
    const args = { channel_id: CHANNEL, thread_ts: root, status: 'processing' };
    expect((await call(slack, 'agents.sessions.setStatus', args)).body.error).toBe('not_authorized');
    const agent = await slackFor({ agent: true });
    const { ts } = await agent.control.message({ channel: CHANNEL, user: 'U01ALICE', text: 'hi' });
    expect((await call(agent, 'agents.sessions.setStatus', { ...args, thread_ts: ts })).body).toMatchObject({
      ok: true,
    });
    expect((await call(agent, 'agents.sessions.setStatus', { ...args, thread_ts: '' })).body.error).toBe(
      'thread_ts_required',
    );
    await agent.control.stopSession({ channel: CHANNEL, user: 'U01ALICE', thread_ts: ts });
    expect(events(agent, 'agent_session_stopped')).toMatchObject([
      { channel: CHANNEL, user: 'U01ALICE', thread_ts: ts },
    ]);
  });
});

describe('people and membership in the small Slack', () => {
  test('guests and external people are marked like in real Slack', async () => {
    const user = async (id: string) => (await call(slack, 'users.info', { user: id })).body.user;
    expect(await user('U04GUEST')).toMatchObject({ is_restricted: true, team_id: 'T01SANDBOX' });
    expect(await user('U05EXT')).toMatchObject({ is_stranger: true, team_id: 'T05EXT' });
    expect(await user('U01ALICE')).toMatchObject({ is_restricted: false, is_bot: false });
  });

  test('the bot hears nothing from channels it is not in', async () => {
    await slack.control.message({ channel: 'C03OUT', user: 'U01ALICE', text: '@agent are you there' });
    expect(events(slack).filter((event) => event.channel === 'C03OUT')).toEqual([]);
    expect((await call(slack, 'conversations.join', { channel: 'C03OUT' })).body.error).toBe('missing_scope');
  });
});

describe('showing a reply in the channel, too', () => {
  const share = async (ts: unknown, args: Json = {}) =>
    (await call(slack, 'chat.update', { channel: CHANNEL, ts, reply_broadcast: true, ...args })).body;
  const shown = () => slack.control.messages(CHANNEL).filter(({ subtype }) => subtype === 'thread_broadcast').length;

  test('works again without effect, and never together with content', async () => {
    const { ts } = await post({ text: 'done' });
    expect((await share(ts, { text: 'done' })).error).toBe('no_dual_broadcast_content_update');
    expect(shown()).toBe(0);
    expect((await share(ts)).ok).toBe(true);
    expect((await share(ts)).ok).toBe(true);
    expect(shown()).toBe(1);
  });

  test('is refused for what is in no thread', async () => {
    const { ts } = (await call(slack, 'chat.postMessage', { channel: CHANNEL, text: 'top' })).body;
    expect((await share(ts)).error).toBe('cant_broadcast_message');
  });
});
