import { describe, expect, it } from 'vitest';
import { Door } from '../../../src/bridge/access/door.ts';
import { closedPolicy, type Policy } from '../../../src/bridge/access/policy.ts';
import { normalizeEvent } from '../../../src/slack/inbound/normalize.ts';
import { readPerson } from '../../../src/slack/people/people.ts';

const policy: Policy = {
  ...closedPolicy,
  users: { ...closedPolicy.users, members: true },
  channels: { everywhere: true, directMessages: true, ids: [] },
};
const us = { teamId: 'T1', botUserId: 'U0BOT', botId: 'B0BOT', enterpriseId: 'E1' };

/** The two events of one mention as Grid sends them: one names a workspace, the other the organisation. */
const said = { channel: 'C1', user: 'U1', text: '<@U0BOT> hi', ts: '1.000001' };
const twins = [
  { ...said, type: 'message', channel_type: 'channel', team: 'T2' },
  { ...said, type: 'app_mention', user_team: 'E1', source_team: 'E1' },
];

async function verdicts(person: object): Promise<boolean[]> {
  const door = new Door({
    policies: { current: () => policy },
    people: {
      getPerson: async (id, team) => readPerson({ id, ...person }, id, team, us.enterpriseId),
      isShared: async () => false,
      isGroupDm: async () => false,
    },
  });
  return Promise.all(
    twins.map(async (event) => {
      const read = normalizeEvent({ type: 'event_callback', team_id: 'T1', event }, us);
      if (read.kind !== 'message') throw new Error(read.reason);
      return (await door.judgeMessage(read.message)).verdict.allowed;
    }),
  );
}

describe('the twins of a mention in an organisation with several workspaces', () => {
  const grid = { enterprise_id: 'E1', teams: ['T2'] };

  it.each([
    ['a colleague of another workspace', { team_id: 'T2', enterprise_user: grid }],
    ['a colleague whom Slack calls a stranger', { team_id: 'T2', is_stranger: true, enterprise_user: grid }],
    ['a member of our workspace', { team_id: 'T1', enterprise_user: { enterprise_id: 'E1', teams: ['T1'] } }],
  ])('by %s: both are let in, in whichever order', async (_who, person) => {
    expect(await verdicts(person)).toEqual([true, true]);
  });

  it.each([
    ['a stranger', { team_id: 'T9', is_stranger: true }],
    ['another organisation’s member', { team_id: 'T9', enterprise_user: { enterprise_id: 'E9', teams: ['T9'] } }],
    ['a colleague who is a guest', { team_id: 'T2', is_restricted: true, enterprise_user: grid }],
  ])('by %s: neither is let in', async (_who, person) => {
    expect(await verdicts(person)).toEqual([false, false]);
  });
});
