import { describe, expect, it, type TestContext } from 'vitest';
import { type SandboxOptions, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until, untilIdle } from '../support/until.ts';

/** A thread that alice began, in a bridge between both doubles. */
async function story(letta: SandboxOptions['letta'], { onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  const env = { ADMINS: 'U03CARA' };
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta, env, pace: 1, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = 'C01GEN';
  const { ts: thread } = await control.message({ channel, user: 'U01ALICE', text: '@agent say: hello there' });
  const sees = (user: string) => transcript(sandbox.slack, channel, { user, thread, bot: true });
  const shows = (words: string, user = 'U01ALICE') =>
    until(
      () => sees(user).includes(words),
      () => sees(user),
    );
  const say = (text: string, user = 'U01ALICE') => control.message({ channel, user, text, thread_ts: thread });
  await shows('hello there');
  const isIdle = () => untilIdle(say, () => sees('U01ALICE'));
  await isIdle();
  return { ...sandbox, say, sees, shows, isIdle };
}

describe('the model of a conversation', () => {
  it.for(['app-server', 'pair', 'listen'] as const)(
    'is shown, chosen by an admin, and said aloud (%s)',
    async (letta, context) => {
      const { say, shows, sees } = await story(letta, context);
      await say('!model');
      await shows('This conversation uses `lmstudio/scripted`');
      await shows('`lmstudio/scripted-two` · none, minimal, low, medium, high');
      await say('!model lmstudio/scripted-two high');
      await shows('Only admins can choose the model here. Ask @cara.');
      await say('!model lmstudio/scripted-two high', 'U03CARA');
      await shows('cara chose the model `lmstudio/scripted-two`, effort high');
      await say('!status');
      await shows('model `lmstudio/scripted-two`, effort high');
      await say('@agent say: still here');
      await shows('still here');
      expect(sees('U01ALICE').match(/chose the model/g)).toHaveLength(1);
    },
  );

  it('is always one that Letta lists', async (context) => {
    const { say, shows, sees, letta } = await story('app-server', context);
    await say('!model nope/none', 'U03CARA');
    await shows('No model has `nope/none` in its name', 'U03CARA');
    await say('!model lmstudio/scripted-text high', 'U03CARA');
    await shows('`lmstudio/scripted-text` has no efforts', 'U03CARA');
    await say('!model lmstudio/scripted-two', 'U03CARA');
    await shows('With which effort?', 'U03CARA');
    await say('!model text', 'U03CARA');
    await shows('- `lmstudio/scripted-text`', 'U03CARA');
    expect(sees('U03CARA')).not.toContain('chose the model');
    expect(JSON.stringify(letta?.state())).not.toContain('nope/none');
  });

  it('is nearly full: said once, and what Letta summarised', async (context) => {
    const { say, shows, sees, isIdle } = await story('listen', context);
    await say('@agent context 80640');
    await shows('now 80640 tokens');
    await isIdle();
    await shows('context 63 %');
    await say('@agent context 110000');
    await shows('This conversation fills 86 % of the model’s context.');
    await say('@agent context 115000');
    await shows('now 115000 tokens');
    await say('@agent context 150000');
    await shows('Letta summarised the earlier messages of this conversation');
    await say('@agent context 120000');
    await shows('fills 94 %');
    expect(sees('U01ALICE').match(/This conversation fills/g)).toHaveLength(2);
    expect(sees('U01ALICE').match(/Letta summarised the earlier messages of/g)).toHaveLength(1);
  });

  it('its tokens are in the status, and counted for admins', async (context) => {
    const { say, shows, sees } = await story('app-server', context);
    await shows('last turn 100 tokens in, 10 out');
    await say('!usage 7d');
    await shows('Only admins can do this.');
    await say('!usage', 'U03CARA');
    await shows('The last 7 days (UTC): 1 turn, 100 tokens in, 10 out.', 'U03CARA');
    await shows('- `lmstudio/scripted`: 1 turn', 'U03CARA');
    expect(sees('U01ALICE')).not.toContain('The last 7 days');
  });

  it('is given room by !compact; a message meanwhile is answered afterwards', async (context) => {
    const { say, shows, isIdle } = await story('listen', context);
    await say('@agent say: second');
    await shows('second');
    await isIdle();
    await say('!compact');
    await shows('I’m asking Letta to summarise');
    await say('@agent say: after all');
    await shows('alice had Letta summarise the earlier messages');
    await shows('after all');
  });

  it('outlives a restart of the bridge, which asks Letta for it', async (context) => {
    const { say, shows, stopBridge, startBridge } = await story('app-server', context);
    await say('!model lmstudio/scripted-text', 'U03CARA');
    await shows('cara chose the model `lmstudio/scripted-text`');
    await stopBridge();
    await startBridge();
    await say('!model');
    await shows('This conversation uses `lmstudio/scripted-text`.');
  });
});
