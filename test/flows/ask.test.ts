import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

const SHORTCUT = 'Ask the agent about this';

async function start({ onTestFinished }: TestContext, policy?: string) {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-ask-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'policy.yml');
  if (policy !== undefined) writeFileSync(file, policy);
  const env = { SLACK_ALLOWED_CHANNELS: 'dm,C01GEN,C03OUT', ...(policy !== undefined && { POLICY: file }) };
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const sees = (channel: string, user = 'U02BOB') => transcript(sandbox.slack, channel, { user, bot: true });
  const shows = (channel: string, words: string, user?: string) =>
    until(
      () => sees(channel, user).includes(words),
      () => sees(channel, user),
    );
  const choose = async (channel: string, messageTs: string, user: string) => {
    expect((await control.shortcut({ user, channel, messageTs, shortcut: SHORTCUT })).acked).toBe(true);
    await until(
      () => control.views(user).modals.length > 0,
      () => 'no dialog',
    );
  };
  return { control, sees, shows, choose };
}

describe('the shortcut in the menu of a message', () => {
  it('begins a thread below the message, with the message as context', async (test) => {
    const { control, choose, shows, sees } = await start(test);
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U02BOB', text: 'deploy failed with E42' });
    await choose('C01GEN', ts, 'U01ALICE');
    expect(JSON.stringify(control.views('U01ALICE').modals)).toContain('“deploy failed with E42”');
    const submitted = await control.viewSubmit({ user: 'U01ALICE', values: { 'What about it?': 'say so' } });
    expect(submitted).toMatchObject({ acked: true, closed: true });
    await shows('C01GEN', '@alice asked about this message: say so');
    const thread = () => control.messages('C01GEN', { thread_ts: ts });
    await until(
      () => thread().length > 2,
      () => sees('C01GEN'),
    );
    expect(thread().every((message) => message.ts === ts || message.thread_ts === ts)).toBe(true);
  });

  it('without a question says what is missing', async (test) => {
    const { control, choose } = await start(test);
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U02BOB', text: 'hm' });
    await choose('C01GEN', ts, 'U01ALICE');
    const submitted = await control.viewSubmit({ user: 'U01ALICE', values: { 'What about it?': '  ' } });
    expect(submitted.closed).toBe(false);
    expect(JSON.stringify(submitted.errors)).toContain('Write what you want to know.');
  });

  it('of a guest opens a window that says why not', async (test) => {
    const { control, choose, sees } = await start(test);
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U02BOB', text: 'hm' });
    await choose('C01GEN', ts, 'U04GUEST');
    expect(JSON.stringify(control.views('U04GUEST').modals)).toContain('Guests can’t use this agent');
    expect(sees('C01GEN')).not.toContain('asked about');
  });

  it('in a channel without the bot asks for an invitation', async (test) => {
    const { control, choose } = await start(test);
    await control.member({ channel: 'C03OUT', user: 'U0BOT', joined: false });
    const { ts } = await control.message({ channel: 'C03OUT', user: 'U02BOB', text: 'hm' });
    await choose('C03OUT', ts, 'U01ALICE');
    const submitted = await control.viewSubmit({ user: 'U01ALICE', values: { 'What about it?': 'why?' } });
    expect(submitted).toMatchObject({ response_action: 'update', closed: false });
    expect(JSON.stringify(control.views('U01ALICE').modals)).toContain('invite me there');
  });

  it('while paused says so, in the menu and in an open dialog', async (test) => {
    const { control, choose, sees } = await start(test);
    const order = (text: string) => control.command({ channel: 'C01GEN', user: 'U03CARA', command: '/agent', text });
    const { ts } = await control.message({ channel: 'C01GEN', user: 'U02BOB', text: 'hm' });
    await choose('C01GEN', ts, 'U01ALICE');
    await order('pause');
    const submitted = await control.viewSubmit({ user: 'U01ALICE', values: { 'What about it?': 'why?' } });
    expect(submitted).toMatchObject({ response_action: 'update', closed: false });
    expect(JSON.stringify(control.views('U01ALICE').modals)).toContain('paused');
    await choose('C01GEN', ts, 'U02BOB');
    expect(JSON.stringify(control.views('U02BOB').modals)).toContain('paused');
    expect(sees('C01GEN')).not.toContain('asked about');
    await order('resume');
    await control.viewClose({ user: 'U02BOB' });
    await choose('C01GEN', ts, 'U02BOB');
    expect(JSON.stringify(control.views('U02BOB').modals)).toContain('What about it?');
  });

  it('beyond the limit of turns: its author alone hears why', async (test) => {
    const policy = 'limits: { user: { turns: 1 per 1h } }\n';
    const { control, choose, shows, sees } = await start(test, policy);
    const asks = async (text: string) => {
      const { ts } = await control.message({ channel: 'C01GEN', user: 'U02BOB', text });
      await choose('C01GEN', ts, 'U01ALICE');
      return control.viewSubmit({ user: 'U01ALICE', values: { 'What about it?': `say ${text}` } });
    };
    expect(await asks('red')).toMatchObject({ closed: true });
    await shows('C01GEN', '    red');
    expect(await asks('blue')).toMatchObject({ response_action: 'update', closed: false });
    expect(JSON.stringify(control.views('U01ALICE').modals)).toContain('I did not ask the agent');
    await shows('C01GEN', 'the limit of 1 turn', 'U01ALICE');
    await shows('C01GEN', 'did not get the question of @alice');
    expect(sees('C01GEN')).not.toContain('the limit of 1 turn');
  });
});
