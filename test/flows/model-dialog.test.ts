import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, type TestContext } from 'vitest';
import { type SandboxOptions, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until, untilIdle } from '../support/until.ts';

const CHANNEL = 'C01GEN';
const CARA = 'U03CARA';

/** A thread that alice began, in a bridge between both doubles; cara is an admin. */
async function story(letta: SandboxOptions['letta'], { onTestFinished }: Pick<TestContext, 'onTestFinished'>) {
  const env = { ADMINS: CARA };
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta, env, pace: 1, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const begin = async (text: string, user = 'U01ALICE') => (await control.message({ channel: CHANNEL, user, text })).ts;
  const thread = await begin('@agent say: hello there');
  const sees = (user: string, where = thread) =>
    transcript(sandbox.slack, CHANNEL, { user, bot: true, ...(where !== '' && { thread: where }) });
  const shows = (words: string, user = 'U01ALICE', where = thread) =>
    until(
      () => sees(user, where).includes(words),
      () => sees(user, where),
    );
  const say = (text: string, user = 'U01ALICE') => control.message({ channel: CHANNEL, user, text, thread_ts: thread });
  const modal = (user: string) => JSON.stringify(control.views(user).modals.at(-1) ?? {});
  const window = (words: string, user = CARA) =>
    until(
      () => modal(user).includes(words),
      () => modal(user),
    );
  const lacks = (words: string, user = CARA) =>
    until(
      () => !modal(user).includes(words),
      () => modal(user),
    );
  /** Clicks the newest private button of that name. */
  const click = async (user: string, action: string, where: string | undefined = thread) => {
    const seen = control.messages(CHANNEL, { user, ...(where !== undefined && { thread_ts: where }) });
    const found = seen.findLast(
      ({ blocks, ephemeral }) => ephemeral === user && JSON.stringify(blocks).includes(action),
    );
    return control.interact({ channel: CHANNEL, user, messageTs: found?.ts ?? '', action });
  };
  const pick = (option: string, user = CARA) =>
    control.interact({ user, view: 'modal', action: 'bridge_model', option });
  const submit = (values: Record<string, string>, user = CARA) => control.viewSubmit({ user, values });
  await shows('hello there');
  await untilIdle(say, () => sees('U01ALICE'));
  return { ...sandbox, begin, say, sees, shows, modal, window, lacks, click, pick, submit };
}

describe('the dialog of models', () => {
  it.for(['app-server', 'single', 'listen'] as const)(
    'from !model: a model and an effort for this conversation (%s)',
    async (letta, context) => {
      const { say, shows, window, click, pick, submit, modal } = await story(letta, context);
      await say('!model', CARA);
      await shows('This conversation uses', CARA);
      await click(CARA, 'Choose model…');
      await window('lmstudio/scripted-two');
      expect(modal(CARA)).toContain('"text":"lmstudio"');
      await pick('lmstudio/scripted-two');
      await window('bridge_effort');
      expect(await submit({ Effort: 'high', For: 'This conversation, from the next answer on' })).toMatchObject({
        closed: true,
      });
      await shows('cara chose the model `lmstudio/scripted-two`, effort high: from the next answer on');
      await say('!status');
      await shows('model `lmstudio/scripted-two`, effort high');
    },
  );

  it('from !status: tools for this conversation', async (context) => {
    const { say, shows, window, click, submit, letta } = await story('app-server', context);
    await say('!status', CARA);
    await shows('Idle', CARA);
    await click(CARA, 'Choose model…');
    await window('Toolset');
    expect((await submit({ Effort: 'none', Toolset: 'None', For: 'conversation' })).closed).toBe(true);
    await shows('cara chose the toolset None: from the next answer on');
    await say('!status');
    await shows('toolset None');
    await say('@agent run bash pwd');
    await shows('Tool not found: Bash');
    expect(JSON.stringify(letta?.state())).toBeTruthy();
  });

  it('from Home: a model for one of your threads', async (context) => {
    const { begin, shows, window, pick, submit, slack } = await story('app-server', context);
    const { control } = slack;
    const home = (user: string) => JSON.stringify(control.views(user).home ?? {});
    const homeShows = async (words: string, user = CARA) => {
      // It is drawn anew each time it is opened.
      for (const end = Date.now() + 60_000; !home(user).includes(words); await sleep(100)) {
        if (Date.now() > end) throw new Error(`Home lacks ${words}: ${home(user)}`);
        await control.openHome({ user, tab: 'home' });
      }
    };
    const mine = await begin('@agent run bash touch mine.txt', CARA);
    await shows('[Approve]', CARA, mine);
    await homeShows('Choose model…');
    await homeShows('model lmstudio/scripted"');
    expect((await control.interact({ user: CARA, view: 'home', action: 'Choose model…' })).acked).toBe(true);
    await window('lmstudio/scripted-two');
    await pick('lmstudio/scripted-two');
    await window('bridge_effort');
    const chosen = { Effort: 'high', For: 'This conversation, from the next answer on' };
    expect(await submit(chosen)).toMatchObject({ closed: true });
    await shows('cara chose the model `lmstudio/scripted-two`, effort high: from the next answer on', CARA, mine);
    await homeShows('model lmstudio/scripted-two');
    await control.message({ channel: CHANNEL, user: CARA, text: '!status', thread_ts: mine });
    await shows('model `lmstudio/scripted-two`, effort high', CARA, mine);
    // Whoever may not choose has no such button, though the thread is theirs.
    const theirs = await begin('@agent run bash touch theirs.txt');
    await shows('[Approve]', 'U01ALICE', theirs);
    await homeShows('theirs.txt', 'U01ALICE');
    await homeShows('model lmstudio/scripted', 'U01ALICE');
    expect(home('U01ALICE')).not.toContain('Choose model…');
  });

  it('people who may not choose get no button', async (context) => {
    const { say, shows, sees } = await story('app-server', context);
    await say('!status');
    await shows('Idle');
    await say('!model');
    await shows('This conversation uses');
    expect(sees('U01ALICE')).not.toContain('Choose model…');
  });

  it('for a channel: new conversations there begin with it', async (context) => {
    const { begin, say, shows, window, lacks, click, pick, submit, slack } = await story('app-server', context);
    const { control } = slack;
    await say('!model', CARA);
    await shows('This conversation uses', CARA);
    await click(CARA, 'Choose model…');
    await window('lmstudio/scripted-two');
    await pick('lmstudio/scripted-text');
    await lacks('bridge_effort');
    await submit({ Toolset: 'Codex', For: 'New conversations in this channel' });
    await shows('model `lmstudio/scripted-text`, toolset Codex, permissions', CARA);
    await say('!status');
    await shows('model `lmstudio/scripted`');
    const fresh = await begin('@agent say: again');
    await shows('again', 'U01ALICE', fresh);
    await control.message({ channel: CHANNEL, user: 'U01ALICE', text: '!status', thread_ts: fresh });
    await shows('model `lmstudio/scripted-text` · toolset Codex', 'U01ALICE', fresh);
  });

  it('the agent’s own model for a conversation: says what is missing', async (context) => {
    const { say, shows, window, lacks, click, pick, submit } = await story('app-server', context);
    await say('!model', CARA);
    await shows('This conversation uses', CARA);
    await click(CARA, 'Choose model…');
    await window('lmstudio/scripted-two');
    await pick('The agent’s own model');
    await lacks('bridge_effort');
    const answer = await submit({ For: 'conversation' });
    expect(answer.errors).toEqual({ bridge_model: 'Choose a model for this conversation.' });
  });
});
