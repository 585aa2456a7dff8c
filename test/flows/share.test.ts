import { describe, expect, it, type TestContext } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

const CHANNEL = 'C01GEN';
const SHARE = 'Also to the channel';

/** An answer to Alice that used a tool, and so has a menu. */
async function answered({ onTestFinished }: TestContext, isDirect = false) {
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = isDirect ? (await control.openHome({ user: 'U01ALICE' })).channel : CHANNEL;
  const sees = (user = 'U02BOB') => transcript(sandbox.slack, channel, { user, bot: true });
  const shows = (words: string, user?: string) =>
    until(
      () => sees(user).includes(words),
      () => sees(user),
    );
  const { ts } = await control.message({ channel, user: 'U01ALICE', text: '@agent run bash echo hi' });
  const thread = () => control.messages(channel, isDirect ? {} : { thread_ts: ts });
  const shared = (words: string) => thread().filter(({ text }) => text.includes(words)).length;
  const write = (user: string, text: string) => control.message({ channel, user, text, thread_ts: ts });
  const withWords = (words: string) => thread().findLast(({ blocks }) => JSON.stringify(blocks).includes(words))?.ts;
  await shows('[Approve]', 'U01ALICE');
  await control.interact({ channel, messageTs: withWords('Approve'), user: 'U01ALICE', action: 'Approve' });
  await shows(SHARE, 'U01ALICE');
  const click = (user: string) => control.interact({ channel, messageTs: withWords(SHARE), user, action: SHARE });
  const broadcasts = () => thread().filter(({ subtype }) => subtype === 'thread_broadcast');
  const calls = () =>
    control.log({ method: 'chat.update' }).filter((entry) => JSON.stringify(entry).includes('reply_broadcast'));
  return { sandbox, control, sees, shows, thread, click, broadcasts, calls, withWords, write, shared };
}

it('its requester shows an answer in the channel, once', async (test) => {
  const { sandbox, click, shows, broadcasts, thread, calls } = await answered(test);
  expect((await click('U02BOB')).acked).toBe(true);
  await shows('Only @alice can share this answer', 'U02BOB');
  expect(broadcasts()).toEqual([]);
  expect((await click('U01ALICE')).acked).toBe(true);
  await shows('@alice shared this answer with the channel.');
  expect(broadcasts()).toHaveLength(1);
  await sandbox.stopBridge();
  await sandbox.startBridge();
  expect((await click('U01ALICE')).acked).toBe(true);
  await shows('@alice has shared this answer with the channel already.', 'U01ALICE');
  expect(thread().filter(({ text }) => text.includes('shared this answer with the channel.'))).toHaveLength(1);
  expect(calls()).toHaveLength(1);
});

it('a refusal of Slack is told, and may be tried again', async (test) => {
  const { control, click, shows, broadcasts } = await answered(test);
  await control.faults({ method: 'chat.update', kind: 'ok_false', error: 'restricted_action', times: 1 });
  await click('U01ALICE');
  await shows('Slack did not let me show this answer in the channel', 'U01ALICE');
  expect(broadcasts()).toEqual([]);
  await click('U01ALICE');
  await shows('@alice shared this answer with the channel.');
});

it('a direct message has no channel to share with', async (test) => {
  const { click, shows, broadcasts } = await answered(test, true);
  await click('U01ALICE');
  await shows('There is no channel here', 'U01ALICE');
  expect(broadcasts()).toEqual([]);
});

describe('!share', () => {
  /** Threads with an answer that used no tool, and so has no menu. */
  async function talking({ onTestFinished }: TestContext) {
    const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env: {}, log: () => undefined });
    onTestFinished(() => sandbox.close());
    const { control } = sandbox.slack;
    const sees = (user: string) => transcript(sandbox.slack, CHANNEL, { user, bot: true });
    const shows = (words: string, user = 'U02BOB') =>
      until(
        () => sees(user).includes(words),
        () => sees(user),
      );
    const broadcasts = () => control.messages(CHANNEL).filter(({ subtype }) => subtype === 'thread_broadcast');
    const write = (user: string, text: string, thread?: string) =>
      control.message({ channel: CHANNEL, user, text, ...(thread !== undefined && { thread_ts: thread }) });
    /** Resolves when the answer is stored, too: the bridge was closed after it. */
    const ask = async (user: string, words: string, thread?: string) => {
      const { ts } = await write(user, `@agent say ${words}`, thread);
      await shows(words);
      await sandbox.stopBridge();
      await sandbox.startBridge();
      return thread ?? ts;
    };
    return { control, sees, shows, broadcasts, write, ask };
  }

  it('shows a short answer in the channel once, for its requester alone', async (test) => {
    const { control, sees, shows, broadcasts, write, ask } = await talking(test);
    const thread = await ask('U01ALICE', 'green tea');
    expect(sees('U01ALICE')).not.toContain(SHARE);
    await write('U02BOB', '@agent !share', thread);
    await shows('Only @alice can share this answer', 'U02BOB');
    expect(broadcasts()).toEqual([]);
    await write('U01ALICE', '!share', thread);
    await shows('@alice shared this answer with the channel.');
    expect(broadcasts().map(({ text }) => text)).toEqual(['green tea']);
    await write('U01ALICE', '!share', thread);
    await shows('@alice has shared this answer with the channel already.', 'U01ALICE');
    const calls = control.log({ method: 'chat.update' }).filter((call) => JSON.stringify(call).includes('broadcast'));
    expect(calls).toHaveLength(1);
  });

  it('means the last answer of the thread, whoever asked for one before', async (test) => {
    const { shows, broadcasts, write, ask } = await talking(test);
    const thread = await ask('U01ALICE', 'green tea');
    await ask('U02BOB', 'black tea', thread);
    await write('U01ALICE', '!share', thread);
    await shows('Only @bob can share this answer', 'U01ALICE');
    await write('U02BOB', '!share', thread);
    await shows('@bob shared this answer with the channel.');
    expect(broadcasts().map(({ text }) => text)).toEqual(['black tea']);
  });

  it('without an answer, or outside of a thread: says what to do', async (test) => {
    const { control, shows, broadcasts, write } = await talking(test);
    await write('U01ALICE', '@agent !share');
    await shows('There is no finished answer here', 'U01ALICE');
    await control.command({ channel: CHANNEL, user: 'U01ALICE', command: '/agent', text: 'share' });
    await shows('Write `!share` in the thread', 'U01ALICE');
    await write('U01ALICE', '@agent !shar');
    await shows('`!share`?', 'U01ALICE');
    expect(broadcasts()).toEqual([]);
  });

  it('shares nothing of an answer that was deleted', async (test) => {
    const { control, shows, broadcasts, write, ask } = await talking(test);
    const thread = await ask('U01ALICE', 'green tea');
    const answer = control.messages(CHANNEL, { thread_ts: thread }).find(({ text }) => text === 'green tea');
    await control.deleteMessage({ channel: CHANNEL, messageTs: answer?.ts ?? '' });
    await write('U01ALICE', '!share', thread);
    await shows('This answer is gone', 'U01ALICE');
    expect(broadcasts()).toEqual([]);
  });
});

it('the menu and !share together share an answer once', async (test) => {
  const { sandbox, click, shows, shared, calls, write } = await answered(test);
  await sandbox.stopBridge();
  await sandbox.startBridge();
  await write('U01ALICE', '!share');
  await shows('@alice shared this answer with the channel.');
  await click('U01ALICE');
  await shows('@alice has shared this answer with the channel already.', 'U01ALICE');
  expect([shared('shared this answer with the channel.'), calls().length]).toEqual([1, 1]);
});
