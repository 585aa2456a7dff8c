import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

/** A thread with a scripted device that dials the bridge; its name is `sandbox`. */
async function story({ onTestFinished }: Pick<TestContext, 'onTestFinished'>, pace = 2, clockAheadMs = 0) {
  const lines: string[] = [];
  const sandbox = await startSandbox({
    port: 0,
    limits: 'off',
    letta: 'listen',
    env: {},
    pace,
    clockAheadMs,
    log: (line) => void lines.push(line),
  });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = 'C01GEN';
  let root: string | undefined;
  const say = async (text: string) => {
    const said = await control.message({ channel, user: 'U01ALICE', text, ...(root && { thread_ts: root }) });
    root ??= said.ts;
  };
  const shown = () => transcript(sandbox.slack, channel, { ...(root && { thread: root }), bot: true });
  const messages = () =>
    structuredClone(control.messages(channel, { ...(root && { thread_ts: root }) })).filter(({ bot_id }) => bot_id);
  /** Nothing in the thread looks alive. */
  const quiet = () => control.state().statuses.length === 0 && !/⏳|🔧|\[Stop\]/.test(shown());
  const click = async (words: string, action: string) => {
    // The answer may name the same command, without a button.
    const has = (blocks: unknown) => [words, `"${action}"`].every((part) => JSON.stringify(blocks).includes(part));
    const { ts: messageTs = '' } = messages().find(({ blocks }) => has(blocks)) ?? {};
    await control.interact({ channel, user: 'U01ALICE', messageTs, action });
  };
  const restart = async () => {
    await sandbox.killBridge();
    await sandbox.startBridge();
  };
  return { ...sandbox, say, shown, messages, quiet, click, restart, lines };
}

const count = (text: string, part: string) => text.split(part).length - 1;
const allWords = (most: number) => Array.from({ length: most }, (_, at) => `word${at + 1}`).join(' ');

describe.concurrent('a device that dials the bridge', () => {
  it('answers a thread in one conversation, with an approved command', async (context) => {
    const { expect } = context;
    const { say, shown, quiet, click, letta } = await story(context);
    await say('@agent run bash touch made.txt && echo made it');
    await until(() => shown().includes('[Approve]'), shown);
    await click('touch made.txt', 'bridge_approve');
    await until(() => shown().includes('Done:'), shown);
    await until(quiet, shown);
    await say('say: second answer');
    await until(() => shown().includes('second answer'), shown);
    await until(quiet, shown);
    expect(letta?.state().conversations).toHaveLength(1);
  });

  it('cut in a turn: the same message has every word once', async (context) => {
    const { expect } = context;
    const { say, shown, messages, quiet, causeFault } = await story(context, 20);
    await say('@agent slow 40 words');
    await until(() => shown().includes('word3'), shown);
    const [{ ts } = { ts: '' }] = messages();
    causeFault({ kind: 'close' });
    await until(() => shown().includes('word40'), shown);
    await until(quiet, shown);
    expect(shown()).toContain(allWords(40));
    expect(messages().map((message) => message.ts)).toEqual([ts]);
    expect(shown()).not.toContain('Interrupted');
  });

  it('bridge restarts in a turn: the same message goes on', async (context) => {
    const { expect } = context;
    const { say, shown, messages, quiet, restart } = await story(context, 40);
    await say('@agent slow 60 words');
    await until(() => shown().includes('word5'), shown);
    const [{ ts } = { ts: '' }] = messages();
    await restart();
    await until(() => shown().includes('word60'), shown);
    await until(quiet, shown);
    expect(shown()).toContain(allWords(60));
    expect(messages().map((message) => message.ts)).toEqual([ts]);
    expect(shown()).not.toContain('Interrupted');
  });

  it('bridge restarts with an open card: it can be decided', async (context) => {
    const { expect } = context;
    const { say, shown, messages, quiet, restart, click } = await story(context);
    await say('@agent run bash touch made.txt && echo made it');
    await until(() => shown().includes('[Approve]'), shown);
    await until(quiet, shown);
    const before = messages().map(({ ts }) => ts);
    await restart();
    while (!shown().includes('Approved')) {
      await click('touch made.txt', 'bridge_approve');
      await sleep(300);
    }
    await until(() => shown().includes('Done:'), shown);
    await until(quiet, shown);
    expect(
      messages()
        .map(({ ts }) => ts)
        .slice(0, before.length),
    ).toEqual(before);
    expect(count(shown(), 'Done:')).toBe(1);
  });

  it('restarts in a turn: text stays, the next message is answered', async (context) => {
    const { expect } = context;
    const { say, shown, quiet, causeFault } = await story(context, 20);
    await say('@agent slow 60 words');
    await until(() => shown().includes('word3'), shown);
    causeFault({ kind: 'restart', ms: 500 });
    await until(quiet, shown);
    expect(shown()).toContain('word3');
    await say('say: here again');
    await until(() => shown().includes('here again'), shown);
    expect(count(shown(), 'here again')).toBe(1);
  });

  it('away for longer: the thread names it, then answers once', async (context) => {
    const { expect } = context;
    const { say, shown, quiet, causeFault } = await story(context);
    await say('@agent say: hello');
    await until(() => shown().includes('hello'), shown);
    await until(quiet, shown);
    causeFault({ kind: 'offline', ms: 6_000 });
    await say('say: back again');
    await until(() => shown().includes('Letta device sandbox is offline'), shown);
    await until(() => shown().includes('back again'), shown);
    await until(quiet, shown);
    expect(count(shown(), 'back again')).toBe(1);
  });

  it.for([
    ['ten years behind', -10],
    ['ten years ahead', 10],
  ] as const)('with a clock %s: answers, asks, is cut, goes on', async ([, years], context) => {
    const { expect } = context;
    const ahead = years * 365 * 86_400_000;
    const { say, shown, messages, quiet, click, restart, causeFault, letta } = await story(context, 20, ahead);
    await say('@agent run bash touch made.txt && echo made it');
    await until(() => shown().includes('[Approve]'), shown);
    await click('touch made.txt', 'bridge_approve');
    await until(() => shown().includes('Done:'), shown);
    await until(quiet, shown);
    const times = [...JSON.stringify(letta?.log()).matchAll(/"emitted_at":"([^"]+)"/g)].map(([, time = '']) => time);
    expect(times.length).toBeGreaterThan(5);
    for (const time of times) expect(Math.abs(Date.parse(time) - Date.now() - ahead)).toBeLessThan(3_600_000);
    const before = messages().length;
    await say('slow 40 words');
    await until(() => shown().includes('word3'), shown);
    causeFault({ kind: 'close' });
    await until(() => shown().includes('word12'), shown);
    await restart();
    await until(() => shown().includes('word40'), shown);
    await until(quiet, shown);
    expect(shown()).toContain(allWords(40));
    expect(count(shown(), 'word40')).toBe(1);
    expect(messages()).toHaveLength(before + 1);
    expect(shown()).not.toContain('Interrupted');
    causeFault({ kind: 'restart', ms: 500 });
    await say('say: here again');
    await until(() => shown().includes('here again'), shown);
    await until(quiet, shown);
    expect(count(shown(), 'here again')).toBe(1);
  });
});
