import { expect, test } from 'vitest';
import { SlackError } from '../../src/slack/slack-api.ts';
import { createUserGroups } from '../../src/slack/user-groups.ts';
import { createFakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';
import { createFakeApi } from './fake-api.ts';

const MINUTE = 60_000;

function stage() {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const slack = { answer: { users: ['U1', 'U2'] } as object | Error };
  const { api, calls } = createFakeApi(() => slack.answer);
  return { clock, log, slack, calls, groups: createUserGroups({ api, clock, log }) };
}

test('members are asked for once for several at the same time, and again after ten minutes', async () => {
  const { groups, calls, clock } = stage();
  const [first, second] = await Promise.all([groups.members('S1'), groups.members('S1')]);
  expect([...first]).toEqual(['U1', 'U2']);
  expect(second).toBe(first);
  expect(calls).toEqual(['usergroups.users.list S1']);
  await clock.advance(9 * MINUTE);
  await groups.members('S1');
  expect(calls).toHaveLength(1);
});

test('nobody waits while newer members are asked for, and who left a group is soon out of it', async () => {
  const { groups, slack, clock, calls } = stage();
  await groups.members('S1');
  await clock.advance(11 * MINUTE);
  slack.answer = { users: ['U2'] };
  expect((await groups.members('S1')).has('U1')).toBe(true);
  await clock.settle();
  expect((await groups.members('S1')).has('U1')).toBe(false);
  expect(calls).toHaveLength(2);
});

test('members of an hour ago do not count any more', async () => {
  const { groups, slack, clock } = stage();
  await groups.members('S1');
  await clock.advance(61 * MINUTE);
  slack.answer = { users: [] };
  expect((await groups.members('S1')).size).toBe(0);
});

test('while Slack is away the members of before count for an hour, then nobody is let in or sent away', async () => {
  const { groups, slack, clock } = stage();
  await groups.members('S1');
  slack.answer = new SlackError('usergroups.users.list', 'unknown', 'timeout');
  await clock.advance(30 * MINUTE);
  expect((await groups.members('S1')).has('U1')).toBe(true);
  await clock.advance(31 * MINUTE);
  await expect(groups.members('S1')).rejects.toMatchObject({ code: 'slack_failed', retry: true });
});

test('a group that does not exist has nobody in it, and the log says which', async () => {
  const { groups, slack, log } = stage();
  slack.answer = new SlackError('usergroups.users.list', 'refused', 'no_such_subteam');
  expect((await groups.members('S9')).size).toBe(0);
  expect(log.lines).toMatchObject([{ level: 'warn', fields: { group: 'S9', error: 'no_such_subteam' } }]);
});
