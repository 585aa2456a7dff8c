import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

const CHANNEL = 'C01GEN';

async function start({ onTestFinished }: TestContext, bots: string) {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-bots-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const POLICY = join(folder, 'policy.yml');
  writeFileSync(POLICY, bots);
  const sandbox = await startSandbox({
    ...{ port: 0, limits: 'on', letta: 'app-server', env: { POLICY, ADMINS: 'U03CARA' }, log: () => undefined },
  });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const sees = () => transcript(sandbox.slack, CHANNEL, { user: 'U02BOB', bot: true });
  const shows = (words: string) => until(() => sees().includes(words), sees);
  /** All that Slack delivers has been handled, and no turn is at work: closing then cuts off no call of the bridge. */
  const settle = async () => {
    await until(
      () => control.state().pending === 0 && control.state().statuses.length === 0,
      () => 'deliveries are pending, or a turn is at work',
    );
    await new Promise((done) => setTimeout(done, 400));
  };
  onTestFinished(settle);
  return { control, sees, shows, settle };
}

describe('a reminder that Slackbot says in a channel', () => {
  it('reaches the agent where allowed, and admins decide for it', async (test) => {
    const { control, shows } = await start(test, 'bots: { allow: [USLACKBOT] }\n');
    await control.remind({ channel: CHANNEL, text: '@agent say good morning' });
    await shows('You wrote: “Reminder: @agent say good morning.”');
    const { ts } = await control.remind({ channel: CHANNEL, text: '@agent is the nightly build green?' });
    await shows('[Approve]');
    const card = () =>
      control.messages(CHANNEL, { thread_ts: ts }).findLast(({ blocks }) => JSON.stringify(blocks).includes('Approve'));
    await control.interact({ channel: CHANNEL, messageTs: card()?.ts, user: 'U02BOB', action: 'Approve' });
    await until(
      () => JSON.stringify(control.messages(CHANNEL, { user: 'U02BOB' })).includes('Only admins can decide this'),
      () => 'Bob was not told',
    );
    await control.interact({ channel: CHANNEL, messageTs: card()?.ts, user: 'U03CARA', action: 'Approve' });
    await shows('Approved · ./ci status --last · cara');
  });

  it('is ignored without a word elsewhere', async (test) => {
    const { control, settle } = await start(test, 'bots: { allow: [B0OTHER] }\n');
    await control.remind({ channel: CHANNEL, text: '@agent say good morning' });
    await settle();
    expect(control.messages(CHANNEL)).toHaveLength(1);
  });
});

describe('two bots that answer each other', () => {
  it('come to an end, also when each message begins a thread', async (test) => {
    const { control, settle, shows } = await start(test, 'bots: { allow: [B0OTHER], turns: 3 per 1h }\n');
    const echo = () =>
      control.message({ channel: CHANNEL, user: 'B0OTHER', subtype: 'bot_message', text: '@agent say ping' });
    for (let n = 0; n < 6; n += 1) {
      await echo();
      await settle();
    }
    await shows('I worked on 3 messages of bots in this channel in 1 h, so I’ll ignore bots here until');
    const answers = control.messages(CHANNEL).filter(({ user, thread_ts }) => user === 'U0BOT' && thread_ts !== null);
    expect(new Set(answers.map((message) => message.thread_ts)).size).toBe(4);
  });
});
