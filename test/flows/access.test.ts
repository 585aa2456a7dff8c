import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

/** The bridge under a policy file, between a small Slack and a scripted Letta. */
async function start({ onTestFinished }: TestContext, policy: string) {
  const folder = mkdtempSync(join(tmpdir(), 'policy-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const POLICY = join(folder, 'policy.yml');
  writeFileSync(POLICY, policy);
  const env = { POLICY, SLACK_ALLOWED_USERS: '', SLACK_ALLOWED_CHANNELS: '', ADMINS: '' };
  const sandbox = await startSandbox({
    port: 0,
    limits: 'on',
    letta: 'app-server',
    pace: 2,
    env,
    log: () => undefined,
  });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  /** What `user` sees of a channel. */
  const sees = (user: string, channel = 'C02ENG') => transcript(sandbox.slack, channel, { user, bot: true });
  const told = (user: string, channel: string, words: string) =>
    until(
      () => sees(user, channel).includes(words),
      () => sees(user, channel),
    );
  return { control, sees, told };
}

const GROUP = 'users: [S01ONCALL]\nadmins: [U03CARA]\nchannels: ["*"]\n';

describe.concurrent('a policy file', () => {
  it('lets in members of a user group; tells others whom to ask', async (context) => {
    const { control, sees, told } = await start(
      context,
      'users: [S01ONCALL]\nadmins: [U01ALICE]\nchannels: [C02ENG]\n',
    );
    await control.message({ channel: 'C02ENG', user: 'U02BOB', text: '@agent slow 1 words' });
    await told('U02BOB', 'C02ENG', 'word1');
    await control.message({ channel: 'C02ENG', user: 'U03CARA', text: '@agent slow 2 words' });
    await told('U03CARA', 'C02ENG', 'You can’t use this agent yet.');
    context.expect(sees('U03CARA')).toContain('Ask @alice');
    context.expect(sees('U02BOB')).not.toContain('You can’t use this agent yet.');
    context.expect(sees('U02BOB')).not.toContain('word2');
  });

  it('channels: "*" leaves out a shared channel, for messages and commands', async (context) => {
    const { control, told } = await start(context, GROUP);
    const shared = 'shared with another organisation';
    await control.message({ channel: 'C01GEN', user: 'U01ALICE', text: '@agent slow 1 words' });
    await told('U01ALICE', 'C01GEN', shared);
    const answer = await control.command({ channel: 'C01GEN', user: 'U02BOB', command: '/agent', text: 'status' });
    context.expect(JSON.stringify(answer)).toContain(shared);
    await control.message({ channel: 'C02ENG', user: 'U01ALICE', text: '@agent slow 1 words' });
    await told('U01ALICE', 'C02ENG', 'word1');
  });

  it('answers a named bot and ignores others', async (context) => {
    const named = await start(context, `${GROUP}bots: { allow: [B0OTHER] }\n`);
    const say = { channel: 'C02ENG', user: 'U02BOB', text: '<@U0BOT> slow 1 words', subtype: 'bot_message' } as const;
    await named.control.message(say);
    await named.told('U01ALICE', 'C02ENG', 'word1');
    const unnamed = await start(context, GROUP);
    await unnamed.control.message(say);
    // Nor an app that posts with the token of somebody who may.
    await unnamed.control.message({ channel: 'C02ENG', user: 'U02BOB', text: '@agent slow 1 words', by_app: true });
    await unnamed.control.message({ channel: 'C02ENG', user: 'U02BOB', text: '@agent slow 3 words' });
    await unnamed.told('U01ALICE', 'C02ENG', 'word3');
    context.expect(unnamed.sees('U01ALICE').split('word1')).toHaveLength(2);
  });

  it('dm: people in a group direct message need no mention', async (context) => {
    const policy = 'users: [members]\nadmins: [U03CARA]\nchannels:\n  dm: { approvers: [U02BOB] }\n';
    const { control, sees, told } = await start(context, policy);
    const { channel } = await control.openGroup({ users: ['U01ALICE', 'U02BOB'] });
    const first = await control.message({ channel, user: 'U01ALICE', text: 'slow 1 words' });
    await told('U02BOB', channel, 'word1');
    await control.message({ channel, user: 'U02BOB', text: 'slow 2 words', thread_ts: first.ts });
    await told('U01ALICE', channel, 'word2');
    // A mention comes twice, and one of the two does not say where it is.
    await control.message({ channel, user: 'U01ALICE', text: '@agent slow 3 words' });
    await told('U02BOB', channel, 'word3');
    context.expect(sees('U01ALICE', channel).split('word3')).toHaveLength(2);
    const answer = await control.command({ channel, user: 'U01ALICE', command: '/agent', text: 'status' });
    context.expect(JSON.stringify(answer)).not.toContain('not allowed');
    await control.message({ channel: 'C02ENG', user: 'U01ALICE', text: '@agent slow 4 words' });
    await told('U01ALICE', 'C02ENG', 'not allowed to work in this channel');
  });
});
