import { describe, expect, test } from 'vitest';
import type { FileInput } from '../../../sandbox/slack/control/api.ts';
import type { SmallSlack } from '../../../sandbox/slack/server.ts';
import { call, events, type Json, slackFor } from './support.ts';

const CHANNEL = 'C01GEN';

async function upload(slack: SmallSlack, file: FileInput, channel = CHANNEL) {
  const { ts } = await slack.control.message({ channel, user: 'U01ALICE', text: 'look', files: [file] });
  const [shown] = slack.control.messages(channel).at(-1)?.files ?? [];
  return { ts, id: String(shown?.id), shown: shown ?? {} };
}

const download = (slack: SmallSlack, url: unknown, token = slack.tokens.bot) =>
  fetch(String(url), { headers: { authorization: `Bearer ${token}` }, redirect: 'manual' });

const info = async (slack: SmallSlack, file: string) => (await call(slack, 'files.info', { file })).body;

describe('files of people in the small Slack', () => {
  test('a big file is served whole without being kept', async () => {
    const slack = await slackFor();
    const { shown } = await upload(slack, { name: 'video.mov', padding: 3_000_001 });
    expect(shown).toMatchObject({ size: 3_000_001, mimetype: 'video/quicktime' });
    const bytes = await (await download(slack, shown.url_private_download)).arrayBuffer();
    expect(bytes.byteLength).toBe(3_000_001);
    expect(slack.control.log({ type: 'download' })).toMatchObject([{ hasToken: true }]);
  });

  test('without the scope: a login page with status 200', async () => {
    const slack = await slackFor({ scopes: ['channels:history'] });
    const { id, shown } = await upload(slack, { name: 'a.txt', content: 'secret' });
    const answer = await download(slack, shown.url_private);
    expect([answer.status, await answer.text()]).toEqual([200, expect.not.stringContaining('secret')]);
    expect(await info(slack, id)).toMatchObject({ ok: false, error: 'missing_scope' });
  });

  test('a file of Slack Connect: only files.info tells about it', async () => {
    const slack = await slackFor();
    const { id, shown } = await upload(slack, { name: 'a.txt', content: 'abc', access: 'check_file_info' });
    expect(shown).toEqual({ id, mode: 'file_access', file_access: 'check_file_info' });
    expect(await info(slack, id)).toMatchObject({ ok: true, file: { name: 'a.txt', size: 3, mode: 'hosted' } });
  });

  test('a deleted file: its message changes without the mark of an edit', async () => {
    const slack = await slackFor();
    const { id, shown } = await upload(slack, { name: 'a.txt', content: 'abc' });
    await slack.control.restrictFile({ file: id, access: 'tombstone' });
    const changed = events(slack).at(-1) as { subtype: string; message: Json };
    expect(changed).toMatchObject({ subtype: 'message_changed', message: { files: [{ id, mode: 'tombstone' }] } });
    expect(changed.message).not.toHaveProperty('edited');
    expect(await info(slack, id)).toMatchObject({ ok: false, error: 'file_deleted' });
    expect((await download(slack, shown.url_private)).status).toBe(404);
  });

  test('an external file: Slack has only its address', async () => {
    const slack = await slackFor();
    const url = 'https://docs.example.com/d/1';
    const { shown } = await upload(slack, { name: 'Plan', mode: 'external', url });
    expect(shown).toMatchObject({ mode: 'external', is_external: true, url_private: url, size: 0 });
  });

  test('a voice clip: carries what Slack understood', async () => {
    const slack = await slackFor();
    const { shown } = await upload(slack, { name: 'clip.mp4', content: '.', clip: 'audio', transcript: 'Hello there' });
    expect(shown).toMatchObject({ subtype: 'slack_audio', transcription: { preview: { content: 'Hello there' } } });
  });

  test('a file that is finished late: its message changes', async () => {
    const slack = await slackFor();
    const { channel, ts } = await slack.control.message({ channel: CHANNEL, user: 'U01ALICE', text: 'look' });
    const files = [{ name: 'a.txt', content: 'abc' }];
    await slack.control.addFiles({ channel, messageTs: ts, user: 'U01ALICE', files });
    expect(events(slack).at(-1)).toMatchObject({ subtype: 'message_changed', message: { files: [{ name: 'a.txt' }] } });
    await expect(slack.control.addFiles({ channel, messageTs: ts, user: 'U02BOB', files })).rejects.toThrow(
      'their own',
    );
  });

  test('a file of a channel without the app: unknown to it', async () => {
    const slack = await slackFor();
    const { id } = await upload(slack, { name: 'a.txt', content: 'abc' }, 'C03OUT');
    expect(await info(slack, id)).toMatchObject({ ok: false, error: 'file_not_found' });
  });

  test('a fault of downloads: Web API calls do not use it up', async () => {
    const slack = await slackFor();
    const { id, shown } = await upload(slack, { name: 'a.txt', content: 'abc' });
    await slack.control.faults({ method: 'url_private', kind: 'redirect', to: 'http://127.0.0.1:1/login' });
    expect(await info(slack, id)).toMatchObject({ ok: true });
    const redirected = await download(slack, shown.url_private);
    expect([redirected.status, redirected.headers.get('location')]).toEqual([302, 'http://127.0.0.1:1/login']);
    expect(await (await download(slack, shown.url_private)).text()).toBe('abc');
  });
});
