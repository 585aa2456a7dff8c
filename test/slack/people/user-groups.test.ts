import { describe, expect, test } from 'vitest';
import { SlackError } from '../../../src/slack/api/slack-api.ts';
import { createUserGroups } from '../../../src/slack/people/user-groups.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';
import { createFakeApi } from '../fake-api.ts';

const MINUTE = 60_000;

function stage() {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const slack = { answer: { users: ['U1', 'U2'] } as object | Error | Promise<object> };
  const { api, calls } = createFakeApi(() => slack.answer);
  return { clock, log, slack, calls, groups: createUserGroups({ api, clock, log }) };
}

describe('members of a user group', () => {
  test('are fetched once for simultaneous callers, again after five minutes', async () => {
    const { groups, calls, clock } = stage();
    const [first, second] = await Promise.all([groups.listMembers('S1'), groups.listMembers('S1')]);
    expect([...first]).toEqual(['U1', 'U2']);
    expect(second).toBe(first);
    expect(calls).toEqual(['usergroups.users.list S1']);
    await clock.advance(4 * MINUTE);
    await groups.listMembers('S1');
    expect(calls).toHaveLength(1);
  });

  test('are refreshed in the background after five minutes, without a wait', async () => {
    const { groups, slack, clock, calls } = stage();
    await groups.listMembers('S1');
    await clock.advance(6 * MINUTE);
    slack.answer = { users: ['U2'] };
    expect((await groups.listMembers('S1')).has('U1')).toBe(true);
    await clock.settle();
    expect((await groups.listMembers('S1')).has('U1')).toBe(false);
    expect(calls).toHaveLength(2);
  });

  test.each([10, 11, 60, 61, 24 * 60])('confirmed %d minutes ago do not count any more', async (minutes) => {
    const { groups, slack, clock } = stage();
    await groups.listMembers('S1');
    await clock.advance(minutes * MINUTE);
    slack.answer = { users: ['U2'] };
    expect((await groups.listMembers('S1')).has('U1')).toBe(false);
  });

  test('count for ten minutes while Slack does not answer, then fail', async () => {
    const { groups, slack, clock } = stage();
    await groups.listMembers('S1');
    slack.answer = new SlackError('usergroups.users.list', 'unknown', 'timeout');
    await clock.advance(10 * MINUTE - 1);
    expect((await groups.listMembers('S1')).has('U1')).toBe(true);
    await clock.advance(1);
    await expect(groups.listMembers('S1')).rejects.toMatchObject({ code: 'slack_failed', retry: true });
    slack.answer = { users: ['U1'] };
    expect((await groups.listMembers('S1')).has('U1')).toBe(true);
  });

  test('count for ten minutes from the request, not from the answer', async () => {
    const { groups, slack, clock, calls } = stage();
    const answer = Promise.withResolvers<object>();
    slack.answer = answer.promise;
    const asked = groups.listMembers('S1');
    await clock.advance(9 * MINUTE);
    answer.resolve({ users: ['U1'] });
    await asked;
    slack.answer = { users: [] };
    await clock.advance(MINUTE);
    expect((await groups.listMembers('S1')).size).toBe(0);
    expect(calls).toHaveLength(2);
  });

  test('are not forgotten when Slack refuses our token', async () => {
    const { groups, slack } = stage();
    slack.answer = new SlackError('usergroups.users.list', 'refused', 'invalid_auth');
    await expect(groups.listMembers('S1')).rejects.toMatchObject({ retry: true });
    slack.answer = { users: ['U1'] };
    expect((await groups.listMembers('S1')).has('U1')).toBe(true);
  });

  test('are empty for an unknown group, and the log names it', async () => {
    const { groups, slack, log } = stage();
    slack.answer = new SlackError('usergroups.users.list', 'refused', 'no_such_subteam');
    expect((await groups.listMembers('S9')).size).toBe(0);
    expect(log.lines).toMatchObject([{ level: 'warn', fields: { group: 'S9', error: 'no_such_subteam' } }]);
  });
});

describe('the handle of a user group', () => {
  test('is fetched once for all groups, and unknown while Slack fails', async () => {
    const { groups, slack, calls, clock } = stage();
    slack.answer = new SlackError('usergroups.list', 'unknown', 'timeout');
    expect(await groups.getHandle('S1')).toBeNull();
    slack.answer = { usergroups: [{ id: 'S1', handle: 'oncall' }, { id: 'S2' }] };
    expect(await groups.getHandle('S1')).toBeNull();
    await clock.advance(2 * MINUTE);
    expect(await Promise.all(['S1', 'S2', 'S3'].map((id) => groups.getHandle(id)))).toEqual(['oncall', null, null]);
    expect(calls).toHaveLength(2);
  });
});
