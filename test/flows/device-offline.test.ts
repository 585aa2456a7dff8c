import { describe, it, type TestContext } from 'vitest';
import { type Sandbox, startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

/** A thread with a device behind the hosted relay; its name is `sandbox`. */
async function story(letta: 'single' | 'pair', { onTestFinished }: TestContext) {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const sandbox: Sandbox = await startSandbox({ port: 0, limits: 'off', letta, env: {}, pace: 20, log });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = 'C01GEN';
  let root: string | undefined;
  const say = async (text: string, user = 'U01ALICE') => {
    const said = await control.message({ channel, user, text, ...(root && { thread_ts: root }) });
    root ??= said.ts;
  };
  const shown = () => transcript(sandbox.slack, channel, { ...(root && { thread: root }), bot: true });
  const messages = () => control.messages(channel, { ...(root && { thread_ts: root }) }).filter(({ bot_id }) => bot_id);
  /** Nothing in the thread looks alive. */
  const quiet = () => control.state().statuses.length === 0 && !/⏳|🔧|\[Stop\]/.test(shown());
  return { ...sandbox, say, shown, messages, quiet, lines };
}

const count = (text: string, part: string) => text.split(part).length - 1;

describe.concurrent('a device that goes offline', () => {
  it.for(['single', 'pair'] as const)(
    'during a turn (%s): messages wait, then are answered once, in order',
    async (letta, context) => {
      const { expect } = context;
      const { say, shown, causeFault, messages, quiet } = await story(letta, context);
      await say('@agent slow 40 words');
      await until(() => shown().includes('word3'), shown);
      causeFault({ kind: 'offline', ms: 7_000 });
      await until(() => shown().includes('Waiting for sandbox: Letta device sandbox is offline'), shown);
      expect(shown()).not.toMatch(/Thinking|Writing|🔧/);
      await say('say: second answer');
      await say('@agent say: third answer', 'U02BOB');
      expect(shown()).not.toContain('second answer');
      await until(() => shown().includes('third answer'), shown);
      await until(quiet, shown);
      const text = shown();
      expect(text.indexOf('word40')).toBeGreaterThan(0);
      expect(text.indexOf('word40')).toBeLessThan(text.indexOf('second answer'));
      expect(text.indexOf('second answer')).toBeLessThan(text.indexOf('third answer'));
      for (const part of ['word40', 'second answer', 'third answer']) expect(count(text, part)).toBe(1);
      expect(messages()).toHaveLength(3);
    },
  );

  it('before the first message: shows no work, answers after its return', async (context) => {
    const { expect } = context;
    const { say, shown, causeFault, quiet } = await story('single', context);
    await say('@agent say: hello');
    await until(() => shown().includes('hello'), shown);
    await until(quiet, shown);
    causeFault({ kind: 'offline', ms: 8_000 });
    await say('say: back again');
    await until(() => shown().includes('Waiting for sandbox'), shown);
    expect(shown()).not.toMatch(/Thinking|Writing|🔧/);
    await until(() => shown().includes('back again'), shown);
    await until(quiet, shown);
    expect(count(shown(), 'back again')).toBe(1);
  });

  it('its process restarts: text stays, and the next message is answered', async (context) => {
    const { expect } = context;
    const { say, shown, causeFault, quiet } = await story('single', context);
    await say('@agent slow 60 words');
    await until(() => shown().includes('word3'), shown);
    causeFault({ kind: 'restart', ms: 500 });
    await until(quiet, shown);
    expect(shown()).toContain('word3');
    await say('say: alive');
    await until(() => shown().includes('alive'), shown);
    await until(quiet, shown);
  });

  it('returns under a new connection: the thread finds it', async (context) => {
    const { expect } = context;
    const { say, shown, causeFault, quiet } = await story('single', context);
    await say('@agent say: one');
    await until(() => shown().includes('one'), shown);
    await until(quiet, shown);
    causeFault({ kind: 'expire' });
    await say('say: two');
    await until(() => shown().includes('two'), shown);
    await until(quiet, shown);
    expect(count(shown(), 'two')).toBe(1);
  });
});
