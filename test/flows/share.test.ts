import { expect, it, type TestContext } from 'vitest';
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
  const withWords = (words: string) => thread().findLast(({ blocks }) => JSON.stringify(blocks).includes(words))?.ts;
  await shows('[Approve]', 'U01ALICE');
  await control.interact({ channel, messageTs: withWords('Approve'), user: 'U01ALICE', action: 'Approve' });
  await shows(SHARE, 'U01ALICE');
  const click = (user: string) => control.interact({ channel, messageTs: withWords(SHARE), user, action: SHARE });
  const broadcasts = () => thread().filter(({ subtype }) => subtype === 'thread_broadcast');
  const calls = () =>
    control.log({ method: 'chat.update' }).filter((entry) => JSON.stringify(entry).includes('reply_broadcast'));
  return { sandbox, control, sees, shows, thread, click, broadcasts, calls, withWords };
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
