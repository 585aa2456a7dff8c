import { beforeEach, describe, expect, test } from 'vitest';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, type Json, payloads, slackFor } from './support.ts';

const CHANNEL = 'C01GEN';
const plain = (text: string) => ({ type: 'plain_text', text });
const button = (action_id: string, text: string, more: Json = {}) => ({
  type: 'button',
  action_id,
  text: plain(text),
  ...more,
});
const input = (block_id: string, label: string, element: Json = {}, more: Json = {}) => ({
  type: 'input',
  block_id,
  label: plain(label),
  element: { type: 'plain_text_input', action_id: `${block_id}-input`, ...element },
  ...more,
});
const modal = (more: Json = {}) => ({
  type: 'modal',
  title: plain('Form'),
  submit: plain('Send'),
  blocks: [],
  ...more,
});

let now: number;
let slack: SmallSlack;

beforeEach(async () => {
  now = Date.now();
  slack = await slackFor({ now: () => now, limits: 'off' });
});

async function card(blocks: Json[]): Promise<string> {
  const { body } = await call(slack, 'chat.postMessage', { channel: CHANNEL, text: 'card', blocks });
  expect(body.ok).toBe(true);
  return String(body.ts);
}

async function trigger(): Promise<string> {
  await slack.control.command({ channel: CHANNEL, user: 'U01ALICE', command: '/agent' });
  return String(payloads(slack).at(-1)?.trigger_id);
}

const open = async (view: Json, trigger_id?: string) =>
  (await call(slack, 'views.open', { trigger_id: trigger_id ?? (await trigger()), view })).body;

describe('a click in the small Slack', () => {
  const click = (more: Json, user = 'U01ALICE') =>
    slack.control.interact({ channel: CHANNEL, messageTs: '', user, action: '', ...more });

  test('finds a button by action_id or label, only while it exists', async () => {
    const messageTs = await card([
      { type: 'actions', elements: [button('yes', 'Approve', { value: 'token' }), button('no', 'Deny')] },
    ]);
    await click({ messageTs, action: 'Approve' });
    expect(payloads(slack).at(-1)).toMatchObject({
      actions: [{ action_id: 'yes', value: 'token' }],
      user: { id: 'U01ALICE' },
    });
    await click({ messageTs, action: 'no' });
    expect(payloads(slack).at(-1)).toMatchObject({ actions: [{ action_id: 'no' }] });
    await expect(click({ messageTs, action: 'Maybe' })).rejects.toThrow('no button');
    await call(slack, 'chat.update', { channel: CHANNEL, ts: messageTs, text: 'done' });
    await expect(click({ messageTs, action: 'Approve' })).rejects.toThrow('no button');
  });

  test('is refused to a person who cannot see the message', async () => {
    const messageTs = await card([{ type: 'actions', elements: [button('yes', 'Yes')] }]);
    await slack.control.member({ channel: CHANNEL, user: 'U02BOB', joined: false });
    await expect(click({ messageTs, action: 'yes' }, 'U02BOB')).rejects.toThrow('not in');
    const blocks = [{ type: 'actions', elements: [button('yes', 'Yes')] }];
    const { body } = await call(slack, 'chat.postEphemeral', { channel: CHANNEL, user: 'U01ALICE', blocks });
    await expect(click({ messageTs: body.message_ts, action: 'yes' }, 'U03CARA')).rejects.toThrow('no message');
  });

  test('needs a value where several buttons share a name', async () => {
    const messageTs = await card([
      { type: 'section', text: plain('1'), accessory: button('pick', 'Pick', { value: '1' }) },
      { type: 'section', text: plain('2'), accessory: button('pick', 'Pick', { value: '2' }) },
    ]);
    await expect(click({ messageTs, action: 'pick' })).rejects.toThrow('2 times');
    await click({ messageTs, action: 'Pick', value: '2' });
    expect(payloads(slack).at(-1)).toMatchObject({ actions: [{ value: '2' }] });
  });

  test('carries the choice in a menu or check box, and the state', async () => {
    const options = ['red', 'blue'].map((value) => ({ text: plain(value.toUpperCase()), value }));
    const messageTs = await card([
      {
        type: 'actions',
        block_id: 'b',
        elements: [
          { type: 'static_select', action_id: 'one', options },
          { type: 'checkboxes', action_id: 'many', options },
        ],
      },
    ]);
    await click({ messageTs, action: 'one', option: 'BLUE' });
    expect(payloads(slack).at(-1)).toMatchObject({
      actions: [{ type: 'static_select', selected_option: { value: 'blue' } }],
      state: { values: { b: { one: { selected_option: { value: 'blue' } } } } },
    });
    await click({ messageTs, action: 'many', option: ['red', 'blue'] });
    expect(payloads(slack).at(-1)).toMatchObject({
      actions: [{ selected_options: [{ value: 'red' }, { value: 'blue' }] }],
    });
    await expect(click({ messageTs, action: 'one', option: 'green' })).rejects.toThrow('no such option');
  });
});

describe('an overflow menu in the small Slack', () => {
  const options = (count: number) =>
    Array.from({ length: count }, (_, at) => ({ text: plain(`Choice ${at}`), value: `v${at}` }));
  const posted = async (menu: Json) => {
    const blocks = [{ type: 'actions', elements: [{ type: 'overflow', action_id: 'more', ...menu }] }];
    return (await call(slack, 'chat.postMessage', { channel: CHANNEL, text: 'card', blocks })).body;
  };

  test('a click on an option’s words → selected_option without a value', async () => {
    const messageTs = await card([
      { type: 'actions', elements: [{ type: 'overflow', action_id: 'more', options: options(2) }] },
    ]);
    await slack.control.interact({ channel: CHANNEL, messageTs, user: 'U01ALICE', action: 'Choice 1' });
    const actions = payloads(slack).at(-1)?.actions;
    expect(actions).toEqual([
      {
        type: 'overflow',
        action_id: 'more',
        block_id: expect.any(String),
        selected_option: { text: { ...plain('Choice 1'), emoji: true }, value: 'v1' },
        action_ts: expect.any(String),
      },
    ]);
    await slack.control.interact({ channel: CHANNEL, messageTs, user: 'U01ALICE', action: 'more', option: 'v0' });
    expect(payloads(slack).at(-1)).toMatchObject({ actions: [{ selected_option: { value: 'v0' } }] });
    const unknown = slack.control.interact({ channel: CHANNEL, messageTs, user: 'U01ALICE', action: 'Choice 2' });
    await expect(unknown).rejects.toThrow('no button or menu');
  });

  test('two to five options of 75 characters → accepted, others refused', async () => {
    for (const count of [2, 5]) expect(await posted({ options: options(count) })).toMatchObject({ ok: true });
    for (const count of [0, 1, 6]) expect(await posted({ options: options(count) })).toMatchObject({ ok: false });
    const long = { text: plain('x'.repeat(76)), value: 'long' };
    expect(await posted({ options: [...options(2), long] })).toMatchObject({ ok: false, error: 'invalid_blocks' });
    expect(await posted({ options: options(2), placeholder: plain('More') })).toMatchObject({ ok: false });
    expect(await posted({ options: options(2), accessibility_label: 'More' })).toMatchObject({ ok: false });
  });
});

describe('a response_url of the small Slack', () => {
  async function responseUrl(): Promise<{ url: string; ts: string }> {
    const ts = await card([{ type: 'actions', elements: [button('yes', 'Yes')] }]);
    await slack.control.interact({ channel: CHANNEL, messageTs: ts, user: 'U01ALICE', action: 'yes' });
    return { url: String(payloads(slack).at(-1)?.response_url), ts };
  }
  const send = async (url: string, body: Json) => {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
    return `${response.status} ${await response.text()}`;
  };

  test('posts privately by default, five times at most', async () => {
    const { url } = await responseUrl();
    for (let n = 0; n < 5; n += 1) expect(await send(url, { text: `${n}` })).toBe('200 ok');
    expect(await send(url, { text: 'too much' })).toBe('404 used_url');
    expect(slack.control.messages(CHANNEL)).toHaveLength(1);
    expect(slack.control.messages(CHANNEL, { user: 'U01ALICE' })).toHaveLength(6);
  });

  test('expires after thirty minutes', async () => {
    const { url } = await responseUrl();
    now += 30 * 60_000 + 1;
    expect(await send(url, { text: 'late' })).toBe('404 expired_url');
  });

  test('posts in the channel or replaces the message when told to', async () => {
    const { url, ts } = await responseUrl();
    await send(url, { text: 'all hear', response_type: 'in_channel' });
    await send(url, { text: 'instead', replace_original: true });
    expect(slack.control.messages(CHANNEL)).toMatchObject([
      { ts, text: 'instead' },
      { text: 'all hear', ephemeral: null },
    ]);
  });
});

describe('a modal of the small Slack', () => {
  test('opens once per trigger, within three seconds', async () => {
    const id = await trigger();
    expect(await open(modal(), id)).toMatchObject({ ok: true });
    expect(await open(modal(), id)).toMatchObject({ error: 'exchanged_trigger_id' });
    const late = await trigger();
    now += 3001;
    expect(await open(modal(), late)).toMatchObject({ error: 'expired_trigger_id' });
    expect(await open(modal(), 'made-up')).toMatchObject({ error: 'invalid_trigger_id' });
  });

  test.each<[string, Json, string]>([
    [
      'a long title',
      { title: plain('x'.repeat(25)) },
      'must be less than 25 characters [json-pointer:/view/title/text]',
    ],
    [
      'a long submit label',
      { submit: plain('x'.repeat(25)) },
      'must be less than 25 characters [json-pointer:/view/submit/text]',
    ],
    [
      'much private metadata',
      { private_metadata: 'x'.repeat(3001) },
      'must be less than 3001 characters [json-pointer:/view/private_metadata]',
    ],
    [
      '101 blocks',
      { blocks: Array.from({ length: 101 }, () => ({ type: 'divider' })) },
      'no more than 100 items allowed [json-pointer:/view/blocks]',
    ],
    [
      'markdown blocks',
      { blocks: [{ type: 'markdown', text: 'x' }] },
      'unsupported type: markdown [json-pointer:/view/blocks/0/type]',
    ],
    [
      'inputs without submit',
      { submit: undefined, blocks: [input('a', 'A')] },
      'missing required field: submit [json-pointer:/view]',
    ],
  ])('with %s is refused with the reason', async (_name, more, message) => {
    expect(await open(modal(more))).toMatchObject({
      error: 'invalid_arguments',
      response_metadata: { messages: [`[ERROR] ${message}`] },
    });
  });

  test('over 250 KB is refused as too large', async () => {
    const blocks = Array.from({ length: 90 }, () => ({ type: 'section', text: plain('x'.repeat(2900)) }));
    expect(await open(modal({ blocks }))).toMatchObject({ error: 'view_too_large' });
  });

  test('checks required inputs and lengths before sending', async () => {
    await open(
      modal({ blocks: [input('reason', 'Reason', { max_length: 5 }), input('note', 'Note', {}, { optional: true })] }),
    );
    const empty = await slack.control.viewSubmit({ user: 'U01ALICE' });
    expect(empty.errors).toEqual({ reason: 'Please complete this required field.' });
    const long = await slack.control.viewSubmit({ user: 'U01ALICE', values: { Reason: 'too long' } });
    expect(long.errors).toEqual({ reason: 'Must be at most 5 characters.' });
    expect(payloads(slack).filter(({ type }) => type === 'view_submission')).toEqual([]);
  });

  test('stays open when its submission is not acknowledged', async () => {
    await open(modal({ blocks: [input('reason', 'Reason')] }));
    const result = await slack.control.viewSubmit({ user: 'U01ALICE', values: { reason: 'because' } });
    expect(result).toMatchObject({ acked: false, closed: false });
    expect(payloads(slack).at(-1)).toMatchObject({
      view: { state: { values: { reason: { 'reason-input': { value: 'because' } } } } },
    });
    expect(slack.control.views('U01ALICE').modals).toHaveLength(1);
  });

  test('is updated with its current hash only, while it is open', async () => {
    const { view } = (await open(modal())) as { view: Json };
    const update = async (hash: unknown) =>
      (await call(slack, 'views.update', { view_id: view.id, hash, view: modal({ title: plain('Two') }) })).body;
    expect(await update(view.hash)).toMatchObject({ ok: true });
    expect(await update(view.hash)).toMatchObject({ error: 'hash_conflict' });
    await slack.control.viewClose({ user: 'U01ALICE' });
    expect(await update(undefined)).toMatchObject({ error: 'not_found' });
  });

  test('can have two more views on top of it, not three', async () => {
    const blocks = [{ type: 'actions', elements: [button('deeper', 'Deeper')] }];
    await open(modal({ blocks }));
    const results: unknown[] = [];
    for (let n = 0; n < 3; n += 1) {
      await slack.control.interact({ user: 'U01ALICE', view: 'modal', action: 'deeper' });
      const trigger_id = payloads(slack).at(-1)?.trigger_id;
      results.push((await call(slack, 'views.push', { trigger_id, view: modal({ blocks }) })).body.error);
    }
    expect(results).toEqual([undefined, undefined, 'push_limit_reached']);
    expect(slack.control.views('U01ALICE').modals).toHaveLength(3);
  });

  test('tells the app of its closing only when asked to', async () => {
    await open(modal());
    await slack.control.viewClose({ user: 'U01ALICE' });
    await open(modal({ notify_on_close: true, callback_id: 'mine' }));
    await slack.control.viewClose({ user: 'U01ALICE' });
    const closed = payloads(slack).filter(({ type }) => type === 'view_closed');
    expect(closed).toMatchObject([{ view: { callback_id: 'mine' }, is_cleared: false }]);
  });

  describe('the Home tab of the small Slack', () => {
    test('shows the published view, and its buttons work', async () => {
      const blocks = [{ type: 'actions', elements: [button('refresh', 'Refresh')] }];
      expect(
        (await call(slack, 'views.publish', { user_id: 'U01ALICE', view: { type: 'home', blocks } })).body.ok,
      ).toBe(true);
      await slack.control.openHome({ user: 'U01ALICE' });
      expect(payloads(slack).at(-1)).toMatchObject({
        event: { type: 'app_home_opened', tab: 'home', view: { type: 'home' } },
      });
      await slack.control.interact({ user: 'U01ALICE', view: 'home', action: 'Refresh' });
      expect(payloads(slack).at(-1)).toMatchObject({
        container: { type: 'view' },
        actions: [{ action_id: 'refresh' }],
      });
    });
  });
});

describe('a command in the small Slack', () => {
  const command = (more: Json = {}) =>
    slack.control.command({ channel: CHANNEL, user: 'U01ALICE', command: '/agent', ...more });

  test('is refused in threads, unregistered, or from another workspace', async () => {
    await expect(command({ thread_ts: '1.2' })).rejects.toThrow('threads');
    await expect(command({ command: '/other' })).rejects.toThrow('not a valid command');
    await expect(command({ user: 'U05EXT' })).rejects.toThrow('installing workspace');
  });

  test('without an answer reports so', async () => {
    expect(await command({ text: 'status' })).toEqual({ acked: false, ackMs: null, response: null });
  });
});
