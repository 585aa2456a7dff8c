import { beforeEach, describe, expect, test } from 'vitest';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, type Json, slackFor, until } from './support.ts';

const CHANNEL = 'C01GEN';
let slack: SmallSlack;
let root: string;

beforeEach(async () => {
  slack = await slackFor({ limits: 'off' });
  root = (await slack.control.message({ channel: CHANNEL, user: 'U01ALICE', text: 'hi' })).ts;
});

describe('a reaction of the app in the small Slack', () => {
  const react = async (args: Json) =>
    (await call(slack, 'reactions.add', { channel: CHANNEL, timestamp: root, name: 'eyes', ...args })).body;

  test('is listed with who made it', async () => {
    await react({});
    const { body } = await call(slack, 'reactions.get', { channel: CHANNEL, timestamp: root });
    expect(body).toMatchObject({ ok: true, type: 'message', message: { reactions: [{ name: 'eyes', count: 1 }] } });
  });

  test.each([
    ['a name that is no emoji', { name: 'no_such_emoji' }, 'invalid_name'],
    ['a skin tone that does not exist', { name: '+1::skin-tone-9' }, 'invalid_name'],
    ['a message that is not there', { timestamp: '1.000001' }, 'message_not_found'],
    ['a public channel without the bot', { channel: 'C03OUT' }, 'not_in_channel'],
    ['a channel that is not there', { channel: 'C0NOPE' }, 'channel_not_found'],
  ])('is refused on %s', async (_name, args, error) => {
    expect(await react(args)).toMatchObject({ ok: false, error });
  });

  test('needs its scope', async () => {
    const poor = await slackFor({ scopes: ['chat:write'] });
    const args = { channel: CHANNEL, timestamp: root, name: 'eyes' };
    expect((await call(poor, 'reactions.add', args)).body.needed).toBe('reactions:write');
    expect((await call(poor, 'reactions.get', args)).body.needed).toBe('reactions:read');
  });
});

describe('a file of the app in the small Slack', () => {
  async function upload(more: Json = {}, name = 'chart.png'): Promise<string> {
    const { body } = await call(slack, 'files.getUploadURLExternal', { filename: name, length: 4, alt_txt: 'A chart' });
    await fetch(String(body.upload_url), { method: 'POST', body: 'data' });
    const id = String(body.file_id);
    const done = await call(slack, 'files.completeUploadExternal', { files: [{ id, title: 'Chart' }], ...more });
    expect(done.body.error).toBeUndefined();
    return id;
  }
  const info = async (id: string) => (await call(slack, 'files.info', { file: id })).body.file as Json;

  test('has no shares until Slack has posted its message', async () => {
    const id = await upload({ channel_id: CHANNEL, thread_ts: root });
    expect(await info(id)).toMatchObject({ shares: {} });
    const { ts } = await until(() => slack.control.messages(CHANNEL, { thread_ts: root })[1]);
    expect(await info(id)).toMatchObject({ shares: { public: { [CHANNEL]: [{ ts, thread_ts: root }] } } });
    expect(await info(id)).toMatchObject({ channels: [CHANNEL], groups: [], ims: [], alt_txt: 'A chart' });
  });

  test('shared in a private channel: listed on the private side', async () => {
    const id = await upload({ channel_id: 'C02ENG' });
    await until(() => slack.control.messages('C02ENG')[0]);
    expect(await info(id)).toMatchObject({ channels: [], groups: ['C02ENG'], shares: { private: {} } });
  });

  test('shared nowhere: the app itself still sees it', async () => {
    expect(await info(await upload())).toMatchObject({ shares: {}, channels: [] });
  });

  test('completed twice: the second time Slack knows no such upload', async () => {
    const id = await upload({ channel_id: CHANNEL });
    const again = await call(slack, 'files.completeUploadExternal', { files: [{ id }], channel_id: CHANNEL });
    expect(again.body).toMatchObject({ ok: false, error: 'file_not_found' });
  });

  test('shared where the bot is not: refused', async () => {
    const { body } = await call(slack, 'files.getUploadURLExternal', { filename: 'a.txt', length: 4 });
    await fetch(String(body.upload_url), { method: 'POST', body: 'data' });
    const done = await call(slack, 'files.completeUploadExternal', {
      files: [{ id: body.file_id }],
      channel_id: 'C03OUT',
    });
    expect(done.body.error).toBe('not_in_channel');
  });

  test('of more than a gigabyte: refused', async () => {
    const { body } = await call(slack, 'files.getUploadURLExternal', { filename: 'a.bin', length: 1_000_000_001 });
    expect(body.error).toBe('file_upload_size_restricted');
  });
});
