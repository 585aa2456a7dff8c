import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

const POLICY = `
reactions: { eyes: say hello }
channels:
  C01GEN:
  C02ENG: { reactions: { ":thumbsup:": say thumbs } }
  C03OUT: { reactions: {} }
  dm:
`;
const CHANNEL = 'C01GEN';
/** As the transcript shows the agent's answer. */
const ANSWER = '    hello';

interface Options {
  channel?: string;
  remove?: boolean;
}

async function start({ onTestFinished }: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-reactions-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'policy.yml');
  writeFileSync(file, POLICY);
  const env = { POLICY: file, SLACK_ALLOWED_CHANNELS: '', ADMINS: 'U03CARA' };
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const sees = (channel = CHANNEL, user = 'U02BOB') => transcript(sandbox.slack, channel, { user, bot: true });
  const shows = (words: string, channel?: string, user?: string) =>
    until(
      () => sees(channel, user).includes(words),
      () => sees(channel, user),
    );
  const write = async (text: string, { user = 'U02BOB', channel = CHANNEL, thread = '' } = {}) =>
    (await control.message({ channel, user, text, ...(thread !== '' && { thread_ts: thread }) })).ts;
  const react = (messageTs: string | undefined, user: string, name: string, options: Options = {}) =>
    control.reaction({ channel: CHANNEL, messageTs: messageTs ?? '', user, name, ...options });
  /** What the agent got, input by input. */
  const inputs = () =>
    (sandbox.letta?.log() ?? []).flatMap(({ dir, frame }) => {
      const text = JSON.stringify(frame ?? '');
      return dir === 'in' && text.includes('"create_message"') ? [text] : [];
    });
  /** All that Slack delivers has been handled, and no turn is at work: closing then cuts off no call of the bridge. */
  const settle = async () => {
    await until(
      () => control.state().pending === 0 && control.state().statuses.length === 0,
      () => 'deliveries are pending, or a turn is at work',
    );
    await new Promise((done) => setTimeout(done, 400));
  };
  onTestFinished(settle);
  const answer = (ts: string, words: string) =>
    control
      .messages(CHANNEL, { thread_ts: ts })
      .findLast(({ user, blocks }) => user === 'U0BOT' && JSON.stringify(blocks).includes(words))?.ts;
  return { sandbox, control, sees, shows, write, react, inputs, settle, answer };
}

describe('a reaction that the policy names', () => {
  it('begins a thread below the message, for whoever reacted', async (test) => {
    const { control, write, react, shows, inputs } = await start(test);
    const ts = await write('deploy failed with E42');
    await react(ts, 'U01ALICE', 'eyes');
    await shows('@alice asked about this message with :eyes:: say hello');
    await shows(ANSWER);
    const thread = control.messages(CHANNEL, { thread_ts: ts });
    expect(thread.every((message) => message.ts === ts || message.thread_ts === ts)).toBe(true);
    expect(inputs()[0]).toContain('deploy failed with E42');
    // A reply of hers goes on, as after a mention.
    await write('say more', { user: 'U01ALICE', thread: ts });
    await until(
      () => inputs().length === 2,
      () => inputs().join('\n'),
    );
  });

  it('on a reply in a thread of ours goes on with it', async (test) => {
    const { write, react, shows, inputs, settle, sees } = await start(test);
    const root = await write('@agent say first', { user: 'U01ALICE' });
    await shows('first');
    const reply = await write('the log has E42', { user: 'U03CARA', thread: root });
    await settle();
    await react(reply, 'U02BOB', 'eyes::skin-tone-3');
    await until(
      () => inputs().length === 2,
      () => sees(),
    );
    expect(inputs()[1]).toContain('the log has E42');
    await shows('@bob asked about a message here');
  });

  it('taken back and added again, and after a restart, asks once', async (test) => {
    const { sandbox, write, react, shows, inputs, settle } = await start(test);
    const ts = await write('deploy failed');
    await react(ts, 'U01ALICE', 'eyes');
    await shows(ANSWER);
    for (const remove of [true, false]) await react(ts, 'U01ALICE', 'eyes', { remove });
    await settle();
    await sandbox.stopBridge();
    await sandbox.startBridge();
    for (const remove of [true, false]) await react(ts, 'U01ALICE', 'eyes', { remove });
    await settle();
    expect(inputs()).toHaveLength(1);
  });

  it('goes by its channel’s policy, under every name of the emoji', async (test) => {
    const { write, react, inputs, settle, shows } = await start(test);
    const quiet = await write('nothing here', { channel: 'C02ENG' });
    await react(quiet, 'U01ALICE', 'eyes', { channel: 'C02ENG' });
    await settle();
    expect(inputs()).toEqual([]);
    await react(quiet, 'U01ALICE', '+1::skin-tone-2', { channel: 'C02ENG' });
    await shows('thumbs', 'C02ENG');
  });

  it('of a guest starts nothing and shows them nothing', async (test) => {
    const { control, write, react, inputs, settle, sees } = await start(test);
    await control.member({ channel: CHANNEL, user: 'U04GUEST', joined: true });
    const ts = await write('deploy failed');
    const before = sees(CHANNEL, 'U04GUEST');
    await react(ts, 'U04GUEST', 'eyes');
    await settle();
    expect(inputs()).toEqual([]);
    expect(control.messages(CHANNEL, { user: 'U04GUEST' })).toHaveLength(1);
    expect(sees(CHANNEL, 'U04GUEST')).toContain(before.split('\n')[0]);
  });
});

describe('👍 and 👎 on an answer', () => {
  it('count as the buttons do, until they are taken back', async (test) => {
    const { control, write, react, shows, settle, answer, inputs } = await start(test);
    const ts = await write('@agent say hello', { user: 'U01ALICE' });
    await shows(ANSWER);
    const said = () => answer(ts, 'hello');
    await settle();
    await react(said(), 'U02BOB', '-1');
    await react(said(), 'U01ALICE', '+1');
    await settle();
    await control.command({ channel: CHANNEL, user: 'U03CARA', command: '/agent', text: 'feedback' });
    await shows('1 👍 · 1 👎', CHANNEL, 'U03CARA');
    await react(said(), 'U02BOB', '-1', { remove: true });
    await settle();
    await control.command({ channel: CHANNEL, user: 'U03CARA', command: '/agent', text: 'feedback' });
    await shows('1 👍 · 0 👎', CHANNEL, 'U03CARA');
    expect(inputs()).toHaveLength(1);
  });

  it('on a card approve nothing', async (test) => {
    const { control, write, react, shows, answer, settle } = await start(test);
    const ts = await write('@agent run bash touch x', { user: 'U01ALICE' });
    await shows('[Approve]');
    await react(answer(ts, 'Approve'), 'U01ALICE', '+1');
    await shows('I never take a reaction as an approval', CHANNEL, 'U01ALICE');
    await settle();
    expect(answer(ts, 'bridge_approve')).toBeDefined();
    const bob = control.messages(CHANNEL, { thread_ts: ts, user: 'U02BOB' });
    expect(JSON.stringify(bob)).not.toContain('I never take a reaction');
  });
});
