import { describe, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

const ALICE = 'U01ALICE';
/** Administers. */
const BOB = 'U02BOB';

async function start({ onTestFinished }: TestContext, text: string) {
  const sandbox = await startSandbox({
    port: 0,
    limits: 'off',
    letta: 'app-server',
    pace: 1,
    env: { ADMINS: BOB },
    log: () => undefined,
  });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = 'C01GEN';
  const root = (await control.message({ channel, user: ALICE, text: `@agent ${text}` })).ts;
  const shown = (user = ALICE) => transcript(sandbox.slack, channel, { thread: root, user, bot: true });
  const seen = (pattern: RegExp, user = ALICE) =>
    until(
      () => pattern.test(shown(user)),
      () => shown(user),
      30_000,
    );
  const say = (words: string, user = ALICE) => control.message({ channel, user, text: words, thread_ts: root });
  const click = async (label: string, user: string) => {
    const newest = () =>
      control
        .messages(channel, { thread_ts: root, user })
        .findLast(({ blocks }) => JSON.stringify(blocks).includes(`"text":${JSON.stringify(label)}`));
    await until(() => newest() !== undefined, shown);
    await control.interact({ channel, messageTs: newest()?.ts ?? '', user, action: label });
  };
  return { sandbox, shown, seen, say, click };
}

const agent = (prompt: string) =>
  `call Agent ${JSON.stringify({ subagent_type: 'general-purpose', description: 'sleeper', prompt })}`;
const command = (words: string) => `call Bash ${JSON.stringify({ command: words, run_in_background: true })}`;

describe.concurrent('a background task', () => {
  it('subagent: started by an admin, shown, ended by a stop word', async (context) => {
    const { shown, seen, say, click } = await start(context, agent('run bash sleep 60'));
    await seen(/never asks for approval/);
    await click('Approve', ALICE);
    await seen(/Only .*admin/);
    await click('Approve', BOB);
    await seen(/Still running in the background:\s+.*subagent/);
    await say('!status');
    await seen(/In the background: subagent/);
    await say('*STOP!!!*', BOB);
    await seen(/I’m ending the background tasks: subagent/, BOB);
    await seen(/Ended in the background/);
    context.expect(shown()).not.toContain('could not stop this');
  });

  it('command: still known after a restart, ended by its button', async (context) => {
    const { sandbox, seen, say, click } = await start(context, command('sleep 60'));
    await click('Approve', ALICE);
    await seen(/Still running in the background:\s+.*sleep 60/);
    await sandbox.killBridge();
    await sandbox.startBridge();
    await say('!status');
    await seen(/In the background: command/);
    await click('Stop', ALICE);
    await seen(/Ended in the background/);
  });
});
