import { describe, expect, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

const DM = 'D01ALICE';
const ALICE = 'U01ALICE';

async function start({ onTestFinished }: TestContext, env: Record<string, string> = {}) {
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control, url, tokens } = sandbox.slack;
  const response = await fetch(`${url}chat.postMessage`, {
    method: 'POST',
    headers: { authorization: `Bearer ${tokens.bot}`, 'content-type': 'application/json' },
    body: JSON.stringify({ channel: DM, text: 'A thread begins here.' }),
  });
  const { ts: root } = (await response.json()) as { ts: string };
  const say = (text: string) => control.message({ channel: DM, user: ALICE, text, thread_ts: root });
  const sees = () => transcript(sandbox.slack, DM, { user: ALICE, bot: true });
  const shows = (words: string | RegExp) =>
    until(
      () => (typeof words === 'string' ? sees().includes(words) : words.test(sees())),
      () => sees(),
    );
  const answers = () =>
    control.messages(DM, { thread_ts: root }).filter(({ bot_id, ts }) => bot_id !== null && ts !== root);
  const isAtRest = () => answers().every(({ stream }) => stream !== 'in_progress');
  const methods = () =>
    control.log({ type: 'call' }).flatMap((entry) => {
      return entry.type === 'call' && entry.method.startsWith('chat.') ? [entry.method.slice('chat.'.length)] : [];
    });
  return { control, say, sees, shows, answers, isAtRest, methods };
}

describe('an answer in a thread of a direct message', () => {
  it('is streamed natively, with its last line at the end', async (test) => {
    const { say, sees, shows, answers, isAtRest, methods } = await start(test);
    await say('slow 60 words 100 ms');
    await shows(/word20\b/);
    expect(answers()).toMatchObject([{ stream: 'in_progress' }]);
    await shows(/word60\b/);
    await until(isAtRest, sees);
    expect(answers()).toHaveLength(1);
    expect(methods()).toContain('appendStream');
    expect(methods()).not.toContain('update');
  });

  it('is edited where the setting says so, or where Slack refuses', async (test) => {
    const off = await start(test, { NATIVE_STREAMS: 'off' });
    await off.say('slow 40 words 30 ms');
    await off.shows(/word40\b/);
    expect(off.methods()).not.toContain('startStream');
    const refused = await start(test);
    await refused.control.faults({ method: 'chat.appendStream', kind: 'ok_false', error: 'internal_error' });
    await refused.say('slow 60 words 100 ms');
    await refused.shows(/word60\b/);
    await until(refused.isAtRest, refused.sees);
    expect(refused.answers()).toHaveLength(1);
    expect(refused.sees().match(/word7\b/g)).toHaveLength(1);
  });

  it('shows where it was stopped', async (test) => {
    const { say, sees, shows, isAtRest } = await start(test);
    await say('slow 200 words 30 ms');
    await shows(/word20\b/);
    await say('stop');
    await shows('Stopped by');
    await until(isAtRest, sees);
  });

  it('asks for consent between two streams', async (test) => {
    const { say, sees, shows, answers, control, isAtRest, methods } = await start(test);
    await say(
      `preface ${'First some words that are worth a notification. '.repeat(2)}:: run bash touch there THEN slow 60 words 100 ms`,
    );
    await shows('Run this command?');
    const card = answers().find(({ blocks }) => JSON.stringify(blocks).includes('bridge_approve'));
    await control.interact({ user: ALICE, channel: DM, messageTs: card?.ts ?? '', action: 'bridge_approve' });
    await shows(/word60\b/);
    await until(isAtRest, sees);
    expect(methods().filter((method) => method === 'startStream')).toHaveLength(2);
    expect(answers()).toHaveLength(3);
  });
});
