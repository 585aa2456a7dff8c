import { readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { untilIdle } from '../support/until.ts';

const channel = 'C01GEN';
const user = 'U01ALICE';

/** A real Letta, with a thread of two answers. */
async function start(surface: Surface) {
  const letta = await startRealLetta(surface);
  onTestFinished(() => letta.close());
  const sandbox = await startSandbox({ port: 0, limits: 'off', letta: surface, env: letta.env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const { ts: thread } = await control.message({ channel, user, text: '@agent say: apples' });
  const sees = (of = thread) => transcript(sandbox.slack, channel, { thread: of, user, bot: true });
  const shows = (words: string | RegExp, of = thread) =>
    expect.poll(() => sees(of), { timeout: 90_000 }).toMatch(words);
  const say = (text: string, of = thread) => control.message({ channel, user, text, thread_ts: of });
  const isQuiet = (of = thread) => expect.poll(() => sees(of), { timeout: 90_000 }).not.toContain('[Stop]');
  const roots = () => control.messages(channel).filter(({ text }) => /here: I know/.test(text ?? ''));
  await shows(/^\s+apples$/m);
  await isQuiet();
  await say('say: pears');
  await shows(/^\s+pears$/m);
  await untilIdle(say, sees);
  /** What the model was sent to say cherries. */
  const lastRequest = () =>
    readFileSync(letta.modelLog, 'utf8')
      .split('\n')
      .findLast((line) => line.includes('say: cherries')) ?? '';
  return { letta, sandbox, control, thread, sees, shows, say, roots, lastRequest };
}

it.each<Surface>(['app-server', 'single', 'pair', 'listen'])(
  'the new thread knows what was said before, only that (%s)',
  async (surface) => {
    const { say, shows, roots, lastRequest } = await start(surface);
    await say('!fork');
    await shows('goes on from here in');
    await say('say: only in the old one');
    await shows(/^\s+only in the old one$/m);
    const [root] = roots();
    await say('say: cherries', root?.ts);
    await shows(/^\s+cherries$/m, root?.ts);
    expect(roots()).toHaveLength(1);
    const sent = lastRequest();
    expect(['say: apples', 'say: pears', 'only in the old one'].map((words) => sent.includes(words))).toEqual([
      true,
      true,
      false,
    ]);
  },
  240_000,
);

it('from the menu of the first answer: knows that one alone', { timeout: 240_000 }, async () => {
  const { control, thread, say, shows, roots, lastRequest } = await start('app-server');
  const answer = control.messages(channel, { thread_ts: thread }).find(({ text }) => text === 'apples');
  const shortcut = 'Go on in a new thread';
  await control.shortcut({ user, channel, messageTs: answer?.ts ?? '', shortcut });
  await shows('goes on from a message above in');
  const [root] = roots();
  await say('say: cherries', root?.ts);
  await shows(/^\s+cherries$/m, root?.ts);
  const sent = lastRequest();
  expect(['say: apples', 'say: pears'].map((words) => sent.includes(words))).toEqual([true, false]);
});

it('the bridge killed right after the wish: one new thread', { timeout: 240_000 }, async () => {
  const { sandbox, say, shows, roots } = await start('app-server');
  await say('!fork');
  await shows('I’m copying the conversation');
  await sandbox.killBridge();
  await sandbox.startBridge();
  await shows('goes on from here in');
  expect(roots()).toHaveLength(1);
});
