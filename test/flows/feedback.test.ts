import { expect, it } from 'vitest';
import { startSandbox } from '../../sandbox/sandbox.ts';
import { transcript } from '../../sandbox/slack/transcript.ts';
import { until } from '../support/until.ts';

it('feedback below an answer: noted, explained by its author, listed for admins', async ({ onTestFinished }) => {
  const env = { ADMINS: 'U03CARA' };
  const sandbox = await startSandbox({ port: 0, limits: 'on', letta: 'app-server', env, log: () => undefined });
  onTestFinished(() => sandbox.close());
  const { control } = sandbox.slack;
  const channel = 'C01GEN';
  const sees = (user: string) => transcript(sandbox.slack, channel, { user, bot: true });
  const shows = (user: string, words: string) =>
    until(
      () => sees(user).includes(words),
      () => sees(user),
    );
  const { ts } = await control.message({ channel, user: 'U01ALICE', text: '@agent run bash echo hi' });
  await shows('U01ALICE', '[Approve]');
  const withWords = (words: string) =>
    control.messages(channel, { thread_ts: ts }).findLast(({ blocks }) => JSON.stringify(blocks).includes(words))?.ts;
  await control.interact({ channel, messageTs: withWords('Approve'), user: 'U01ALICE', action: 'Approve' });
  await shows('U01ALICE', '👍 Good answer');
  const answer = withWords('Good answer');
  const click = (user: string, action: string) => control.interact({ channel, messageTs: answer, user, action });

  expect((await click('U02BOB', '👍 Good answer')).acked).toBe(true);
  await shows('U02BOB', 'Thank you. I noted it');
  expect(sees('U01ALICE')).not.toContain('Thank you');
  expect((await click('U01ALICE', '👎 Not good…')).acked).toBe(true);
  await until(
    () => control.views('U01ALICE').modals.length > 0,
    () => 'no dialog',
  );
  await control.viewSubmit({ user: 'U01ALICE', values: { 'What was wrong?': 'It read the wrong file.' } });
  expect((await click('U04GUEST', '👍 Good answer')).acked).toBe(true);

  await control.command({ channel, user: 'U01ALICE', command: '/agent', text: 'feedback' });
  await shows('U01ALICE', 'Only admins can do this');
  await control.command({ channel, user: 'U03CARA', command: '/agent', text: 'feedback' });
  await shows('U03CARA', 'It read the wrong file.');
  expect(sees('U03CARA')).toContain('1 👍 · 1 👎');
});
