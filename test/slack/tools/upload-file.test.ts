import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { countCalls, HOME, toolStage } from './stage.ts';

const PNG = Buffer.concat([
  Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]),
  Buffer.from('IHDR'),
  Buffer.alloc(60, 1),
]);

async function uploads(stage: Awaited<ReturnType<typeof toolStage>>) {
  const { slack, root } = stage;
  for (let tries = 0; tries < 200; tries += 1) {
    const found = slack.control.messages(HOME, { thread_ts: root }).filter(({ files }) => files.length > 0);
    if (found.length > 0) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return [];
}

describe('a file that the agent uploads', () => {
  it('below the working directory: uploaded into its thread without a card', async () => {
    const stage = await toolStage();
    const bytes = randomBytes(300_000);
    stage.files.set('/work/app/out/report.pdf', bytes);
    const { plan, text } = await stage.use('slack_upload_file', {
      path: 'out/report.pdf',
      title: 'The report',
      comment: '**Done** for <@U01ALICE>, not <@U02BOB> or @here',
    });
    expect(plan.may).toBe('run');
    expect(text).toBe('Uploaded report.pdf (300 kB) into this thread.');
    const [message] = await uploads(stage);
    expect(message).toMatchObject({ thread_ts: stage.root, files: [{ name: 'report.pdf', title: 'The report' }] });
    expect(message?.text).toContain('*Done*');
    expect(message?.pings).toEqual(['U01ALICE']);
    expect(stage.slack.control.file(String(message?.files[0]?.id))?.content.equals(bytes)).toBe(true);
  });

  it.each([
    ['outside of the working directory', '/etc/hosts'],
    ['that looks secret', '/work/app/.env'],
    ['behind a folder that may lead elsewhere', '/work/app/../other/a.txt'],
  ])('%s: needs a card with its path and size', async (_name, path) => {
    const stage = await toolStage();
    stage.files.set(path, Buffer.from('content'));
    const plan = await stage.handlerOf('slack_upload_file').prepare(stage.callOf('slack_upload_file', { path }));
    expect(plan).toMatchObject({ may: 'ask', facts: [path, '7 B, into this thread'] });
    // The card stands in the thread that would get the file: it shows nothing of what is in it.
    expect(JSON.stringify(plan)).not.toContain('content');
  });

  it('changed since it was approved: not uploaded', async () => {
    const stage = await toolStage();
    stage.files.set('/work/app/a.txt', Buffer.from('one'));
    const call = stage.callOf('slack_upload_file', { path: 'a.txt' });
    const handler = stage.handlerOf('slack_upload_file');
    const plan = await handler.prepare(call);
    stage.files.set('/work/app/a.txt', Buffer.from('two'));
    if (plan.may === 'no') throw new Error(plan.why);
    expect(await handler.run(call, plan)).toMatchObject({ isError: true });
    expect(countCalls(stage.slack, 'files.getUploadURLExternal')).toBe(0);
  });

  it('an image: has an alternative text', async () => {
    const stage = await toolStage();
    stage.files.set('/work/app/chart.png', PNG);
    await stage.use('slack_upload_file', { path: 'chart.png', title: 'Sales by month' });
    const [message] = await uploads(stage);
    expect(message?.files[0]).toMatchObject({ alt_txt: 'Sales by month' });
  });

  it('with a name that hides something: shown without it', async () => {
    const stage = await toolStage();
    stage.files.set('/work/app/a\u202Etxt.exe', Buffer.from('x'));
    await stage.use('slack_upload_file', { path: '/work/app/a\u202Etxt.exe', title: 'a\u202Eb\nc' });
    const [message] = await uploads(stage);
    expect(message?.files[0]).toMatchObject({ name: 'atxt.exe', title: 'ab c' });
  });

  it.each([
    ['missing', { path: 'nothing.txt' }, 'There is no such file'],
    ['empty', { path: 'empty.txt' }, 'The file is empty'],
    ['below the home folder', { path: '~/a.txt' }, '~ is not understood'],
  ])('%s: refused with what to do', async (_name, input, words) => {
    const stage = await toolStage();
    stage.files.set('/work/app/empty.txt', new Uint8Array());
    const { plan, text } = await stage.use('slack_upload_file', input);
    expect(plan.may).toBe('no');
    expect(text).toContain(words);
  });

  it('too large for its machine: refused with what to do', async () => {
    const stage = await toolStage();
    const device = { ...stage.device, readBytes: async () => ({ refused: 'too_large' as const, most: 6_291_456 }) };
    const { text } = await stage.use('slack_upload_file', { path: 'a.zip' }, { device });
    expect(text).toContain('6 MiB is the limit here. Compress it (zip), or split it into parts.');
  });

  it('without the scope: told which one', async () => {
    const stage = await toolStage({ slack: { scopes: ['chat:write', 'users:read', 'channels:read'] } });
    stage.files.set('/work/app/a.txt', Buffer.from('x'));
    expect((await stage.use('slack_upload_file', { path: 'a.txt' })).text).toContain('files:write');
  });

  it('after a lost confirmation: found, and shared once', async () => {
    const stage = await toolStage();
    stage.files.set('/work/app/a.txt', Buffer.from('x'));
    await stage.slack.control.faults({ method: 'files.completeUploadExternal', kind: 'reset_after' });
    const { result, text } = await stage.use('slack_upload_file', { path: 'a.txt' });
    expect(text).toContain('Uploaded a.txt');
    expect(result?.isError).toBeUndefined();
    expect(countCalls(stage.slack, 'files.completeUploadExternal')).toBe(1);
    expect(await uploads(stage)).toHaveLength(1);
  });

  it('lost before Slack got it: told as unknown, not repeated', async () => {
    const stage = await toolStage();
    stage.files.set('/work/app/a.txt', Buffer.from('x'));
    await stage.slack.control.faults({ method: 'files.completeUploadExternal', kind: 'reset_before' });
    const { result, text } = await stage.use('slack_upload_file', { path: 'a.txt' });
    expect(result?.isError).toBe(true);
    expect(text).toContain('did not confirm');
    expect(countCalls(stage.slack, 'files.completeUploadExternal')).toBe(1);
  });

  it('after a restart in the middle: looked for in the thread', async () => {
    const stage = await toolStage();
    stage.files.set('/work/app/a.txt', Buffer.from('x'));
    const handler = stage.handlerOf('slack_upload_file');
    const before = await handler.recall?.(stage.callOf('slack_upload_file', { path: 'a.txt' }));
    expect(before).toMatchObject({ isError: true });
    const { call } = await stage.use('slack_upload_file', { path: 'a.txt' });
    await uploads(stage);
    expect((await handler.recall?.(call))?.isError).toBeUndefined();
    // Without the file nothing can be looked for, and that it is missing does not say that it was not uploaded.
    stage.files.clear();
    expect(await handler.recall?.(call)).toBeNull();
  });
});
