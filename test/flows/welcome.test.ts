import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

const BOT = 'U0BOT';

async function start({ onTestFinished }: TestContext, channels: string) {
  const folder = mkdtempSync(join(tmpdir(), 'welcome-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const POLICY = join(folder, 'policy.yml');
  writeFileSync(POLICY, `users: [members]\nadmins: [U03CARA]\nchannels: ${channels}\nprompts: [Is the build green?]\n`);
  const env = { POLICY, SLACK_ALLOWED_USERS: '', SLACK_ALLOWED_CHANNELS: '', ADMINS: '' };
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const sees = (user: string, channel: string) => transcript(sandbox.slack, channel, { user, bot: true });
  const told = (user: string, channel: string, words: string) =>
    until(
      () => sees(user, channel).includes(words),
      () => sees(user, channel),
    );
  const invite = async (channel: string) => {
    await control.member({ channel, user: BOT, joined: false });
    await control.member({ channel, user: BOT, joined: true, inviter: 'U01ALICE' });
  };
  return { sandbox, control, sees, told, invite };
}

describe('the bot, invited to a channel', () => {
  it('allowed to work there: says once how to begin', async (test) => {
    const { invite, told, sees } = await start(test, '[C03OUT, C02ENG]');
    await invite('C03OUT');
    await told('U02BOB', 'C03OUT', 'Mention @agent with a task');
    expect(sees('U02BOB', 'C03OUT')).toContain('For example: Is the build green?');
    await invite('C03OUT');
    await invite('C02ENG');
    await told('U02BOB', 'C02ENG', 'Hello!');
    expect(sees('U02BOB', 'C03OUT').match(/Hello!/g)).toHaveLength(1);
  });

  it('not allowed to work there: tells its inviter how to allow it', async (test) => {
    const { invite, told, sees } = await start(test, '[C02ENG]');
    await invite('C03OUT');
    await told('U01ALICE', 'C03OUT', 'add `C03OUT` to `channels`');
    expect(sees('U01ALICE', 'C03OUT')).toContain('Ask @cara for access');
    expect(sees('U02BOB', 'C03OUT')).not.toContain('C03OUT`');
  });
});
