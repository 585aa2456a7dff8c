import { expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { untilIdle } from '../support/until.ts';

const CHANNEL = 'C01GEN';
const USER = 'U01ALICE';
const PATIENCE = { timeout: 60_000 };

it.each<Surface>(['app-server', 'single', 'listen'])(
  'tools and a model are chosen in the dialog (%s)',
  async (surface) => {
    const letta = await startRealLetta(surface);
    onTestFinished(() => letta.close());
    const env = { ...letta.env, ADMINS: USER };
    const sandbox = await startSandbox({ port: 0, limits: 'off', letta: surface, env, log: () => undefined });
    onTestFinished(() => sandbox.close());
    const { control } = sandbox.slack;
    const begin = async (text: string) => (await control.message({ channel: CHANNEL, user: USER, text })).ts;
    const first = await begin('@agent say 3 words');
    const shown = (thread: string) => transcript(sandbox.slack, CHANNEL, { thread, user: USER, bot: true });
    const shows = (words: string, thread = first) => expect.poll(() => shown(thread), PATIENCE).toContain(words);
    const say = (text: string, thread = first) =>
      control.message({ channel: CHANNEL, user: USER, text, thread_ts: thread });
    const window = () => JSON.stringify(control.views(USER).modals.at(-1) ?? {});
    const open = async () => {
      const found = control
        .messages(CHANNEL, { thread_ts: first, user: USER })
        .findLast(({ blocks }) => JSON.stringify(blocks).includes('bridge_models'));
      await control.interact({ channel: CHANNEL, user: USER, messageTs: found?.ts ?? '', action: 'bridge_models' });
      await expect.poll(window, PATIENCE).toContain('bridge_toolset');
    };
    await shows('word3');
    await untilIdle(say, () => shown(first));
    await shows('Choose model…');
    await shows('tokens in');
    await open();
    expect(window()).toContain('"text":"Codex"');
    const answer = await control.viewSubmit({
      user: USER,
      values: { Effort: 'high', Toolset: 'None', For: 'conversation' },
    });
    expect(answer).toMatchObject({ closed: true });
    await shows('effort high: from the next answer on');
    await shows('chose the toolset None: from the next answer on');
    await say('@agent run bash pwd');
    await shows('Tool not found: Bash');
    await expect.poll(() => shown(first), PATIENCE).not.toContain('[Stop]');
    await open();
    await control.viewSubmit({ user: USER, values: { Effort: 'low', Toolset: 'Claude', For: 'channel' } });
    await shows('effort low, toolset Claude');
    const second = await begin('@agent say 4 words');
    await shows('word4', second);
    await say('!status', second);
    await shows('effort low · toolset Claude', second);
  },
  240_000,
);
