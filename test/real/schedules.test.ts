import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';

const CHANNEL = 'C01GEN';
const ALICE = 'U01ALICE';
const A_MINUTE = 60_000;

async function start(surface: Surface) {
  const letta = await startRealLetta(surface);
  onTestFinished(() => letta.close());
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: surface, env: letta.env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const say = (text: string, thread?: string) =>
    control.message({ channel: CHANNEL, user: ALICE, text: `@agent ${text}`, ...(thread && { thread_ts: thread }) });
  /** With what she alone sees. */
  const shown = (thread: string) => transcript(sandbox.slack, CHANNEL, { thread, user: ALICE });
  const shows = (words: string | RegExp, thread: string, timeout = A_MINUTE) =>
    expect.poll(() => shown(thread), { timeout }).toMatch(words);
  const click = async (label: string, thread: string) => {
    const text = `"text":${JSON.stringify(label)}`;
    const buttons = () =>
      control.messages(CHANNEL, { thread_ts: thread }).filter(({ blocks }) => JSON.stringify(blocks).includes(text));
    await expect.poll(() => buttons().length, { timeout: A_MINUTE }).toBeGreaterThan(0);
    await control.interact({ channel: CHANNEL, messageTs: buttons().at(-1)?.ts ?? '', user: ALICE, action: label });
  };
  const schedule = async (words: string): Promise<string> => {
    const { ts } = await say(`!schedule ${words}`);
    await click('Schedule it', ts);
    // A busy machine may not find out in time who clicked.
    const isMade = () => shows(/this one is `\w{8}`/, ts, 10_000);
    await isMade().catch(() => click('Schedule it', ts).then(isMade));
    return ts;
  };
  const idIn = (thread: string) => /this one is `(\w{8})`/.exec(shown(thread))?.[1] ?? '';
  return {
    letta,
    say,
    shown,
    shows,
    click,
    schedule,
    idIn,
    made: (name: string) => existsSync(join(letta.project, name)),
  };
}

describe.each<Surface>(['app-server', 'single', 'pair', 'listen'])('a schedule at the real Letta (%s)', (surface) => {
  it('is made, run, paused, resumed and deleted', async () => {
    const { say, shows, shown, click, schedule, idIn, made } = await start(surface);
    const thread = await schedule('every Monday 9:00 :: go\nrun bash touch scheduled.txt');
    const id = idIn(thread);
    await expect
      .poll(
        async () => {
          await say('!schedules', thread);
          return shown(thread);
        },
        { timeout: A_MINUTE, interval: 1_000 },
      )
      .toMatch(/next: Mon/);
    await say(`!schedules run ${id}`, thread);
    await shows('Schedule of @alice: every Monday at 9:00 (Europe/Amsterdam)', thread);
    await click('Approve', thread);
    await expect.poll(() => made('scheduled.txt'), { timeout: A_MINUTE }).toBe(true);
    await say(`!schedules pause ${id}`, thread);
    await shows('Paused.', thread);
    await say(`!schedules resume ${id}`, thread);
    await shows('Resumed.', thread);
    await say(`!schedules delete ${id}`, thread);
    await shows('Deleted.', thread);
    await expect
      .poll(
        async () => {
          await say('!schedules', thread);
          return shown(thread);
        },
        { timeout: A_MINUTE, interval: 1_000 },
      )
      .toMatch('There are no schedules here');
  });
});

describe('a schedule of the real clock', () => {
  it(
    'runs once, in its minute',
    async () => {
      const { shows, schedule, shown } = await start('app-server');
      const thread = await schedule('in 1 minutes :: go\nsay: the time has come');
      await shows(/Schedule of @alice: once, .*\n[\s\S]*the time has come/, thread, 5 * A_MINUTE);
      expect(shown(thread)).not.toContain('Posted late');
    },
    6 * A_MINUTE,
  );
});
