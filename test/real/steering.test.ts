import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { type Surface, startRealLetta } from '../support/letta/real-letta.ts';
import { until } from '../support/until.ts';

interface ModelMessage {
  role: string;
  content: string | { text?: string }[];
}

/** @param policy `permissions: standard` asks before a command */
async function start(surface: Surface, policy = 'permissions: unrestricted\n') {
  const letta = await startRealLetta(surface);
  onTestFinished(() => letta.close());
  const file = join(letta.project, '..', 'policy.yml');
  writeFileSync(file, policy);
  const env = { ...letta.env, POLICY: file, ALLOW_UNRESTRICTED: '*' };
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const runs = { port: 0, limits: 'off', letta: surface, env, bridge: 'thread', log } as const;
  const sandbox = await startSandbox(runs);
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = 'C01GEN';
  const user = 'U01ALICE';
  const { ts } = await control.message({ channel, user, text: '@agent say: hello' });
  const sees = () => transcript(sandbox.slack, channel, { thread: ts, user, bot: true });
  const shows = (words: string | RegExp) =>
    until(
      () => (typeof words === 'string' ? sees().includes(words) : words.test(sees())),
      () => `${words}\n${sees()}\n${lines.slice(-200).join('')}`,
      90_000,
    );
  const says = (text: string) => control.message({ channel, user, text, thread_ts: ts });
  const click = async (action: string) => {
    const card = control
      .messages(channel, { thread_ts: ts })
      .findLast(({ blocks }) => JSON.stringify(blocks ?? '').includes(`"${action}"`));
    await control.interact({ channel, messageTs: card?.ts ?? '', user, action });
  };
  /** How often the model has it among what it was last sent. */
  const timesTold = (words: string) => {
    const requests = existsSync(letta.modelLog) ? readFileSync(letta.modelLog, 'utf8').split('\n').slice(0, -1) : [];
    const all = requests.flatMap((line) => {
      const { messages } = JSON.parse(line) as { messages?: ModelMessage[] };
      return messages ? [messages] : [];
    });
    const users = (all.at(-1) ?? [])
      .filter(({ role }) => role === 'user')
      .map(({ content }) => JSON.stringify(content));
    return users.filter((content) => content.includes(words)).length;
  };
  const answers = (words: string) =>
    sees()
      .split('\n')
      .filter((line) => line.trim() === words).length;
  await shows(/^\s+hello$/m);
  /** Says it, and waits until its turn has begun: what is written before goes along with it. */
  const begins = async (text: string) => {
    await says(text);
    const isStatusSet = () => control.state().statuses.some(({ thread_ts }) => thread_ts === ts);
    await until(() => isStatusSet() || sees().includes('[Stop]'), sees, 60_000);
  };
  return { letta, sandbox, control, channel, thread: ts, says, begins, shows, sees, click, timesTold, answers };
}

describe.each<Surface>(['app-server', 'single', 'pair', 'listen'])('a message for the running turn (%s)', (surface) => {
  it('joins behind an approved tool, and only what was shown runs', { timeout: 180_000 }, async () => {
    const { says, shows, sees, click, timesTold, answers, letta } = await start(surface, 'permissions: standard\n');
    await says('run bash touch built.txt && echo built');
    await shows('[Approve]');
    await says('say: with the tests');
    await shows('[Send now]');
    await click('Send now');
    await shows('1 message joins after this tool');
    expect(existsSync(join(letta.project, 'built.txt'))).toBe(false);
    await click('Approve');
    await shows('↪ Joined here: “say: with the tests”');
    await shows(/^\s+with the tests$/m);
    await until(() => !sees().includes('[Stop]'), sees);
    expect([timesTold('with the tests'), answers('with the tests')]).toEqual([1, 1]);
    await says('say: after');
    await shows(/^\s+after$/m);
  });

  it('stopped before it joined: never reaches the model', { timeout: 180_000 }, async () => {
    const { says, begins, shows, click, timesTold } = await start(surface);
    await begins('run bash sleep 30');
    await says('!now say: never mine');
    await shows('1 message joins after this tool');
    await click('Stop');
    await shows('Stopped');
    await shows('discarded');
    await says('say: after');
    await shows(/^\s+after$/m);
    // Only that it was discarded is told.
    expect([timesTold('\\nsay: after'), timesTold('\\nsay: never mine')]).toEqual([1, 0]);
  });

  it('edited and deleted before they joined: as they are now', { timeout: 180_000 }, async () => {
    const { says, begins, shows, sees, timesTold, control, channel } = await start(surface);
    await begins('run bash sleep 6');
    const kept = await says('!now say: first words');
    const gone = await says('!now say: forget this');
    await shows('2 messages join after this tool');
    await control.editMessage({ channel, messageTs: kept.ts, user: 'U01ALICE', text: '!now say: second words' });
    await control.deleteMessage({ channel, messageTs: gone.ts });
    await shows(/^\s+second words$/m);
    await until(() => !sees().includes('[Stop]'), sees);
    expect(['second words', 'first words', 'forget this'].map(timesTold)).toEqual([1, 0, 0]);
  });

  it('sent when the bridge was killed: runs once', { timeout: 180_000 }, async () => {
    const { sandbox, says, begins, shows, sees, timesTold, answers } = await start(surface);
    await begins('run bash sleep 8');
    await says('!now say: over the crash');
    await shows('1 message joins after this tool');
    await sandbox.killBridge();
    await sandbox.startBridge();
    await shows(/^\s+over the crash$/m);
    await until(() => !sees().includes('[Stop]'), sees);
    await says('say: after');
    await shows(/^\s+after$/m);
    expect([timesTold('over the crash'), answers('over the crash')]).toEqual([1, 1]);
  });

  it('sent when Letta was killed: runs once', { timeout: 180_000 }, async () => {
    const { letta, says, begins, shows, sees, timesTold, answers } = await start(surface);
    await begins('run bash sleep 8');
    await says('!now say: over the loss');
    await shows('1 message joins after this tool');
    await letta.kill('SIGKILL');
    await letta.restart();
    await shows(/^\s+over the loss$/m);
    await until(() => !sees().includes('[Stop]'), sees);
    await says('say: after');
    await shows(/^\s+after$/m);
    expect([timesTold('over the loss'), answers('over the loss')]).toEqual([1, 1]);
  });

  it('no tool runs any more: is the next turn', { timeout: 180_000 }, async () => {
    const { says, begins, shows, sees, timesTold, answers } = await start(surface);
    await begins('slow 40 words 80 ms');
    await shows('word5');
    await says('!now say: afterwards');
    await shows('1 message joins after the next tool');
    await shows(/^\s+afterwards$/m);
    await until(() => !sees().includes('[Stop]'), sees);
    expect(sees()).not.toContain('↪ Joined here');
    expect([timesTold('afterwards'), answers('afterwards')]).toEqual([1, 1]);
  });
});
