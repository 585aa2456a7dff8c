import { describe, expect, it } from 'vitest';
import { closedPolicy, groupsOf, lettaMode, type Policy, settingsOf } from '../../../src/bridge/access/policy.ts';

describe('what holds in a place', () => {
  const policy: Policy = {
    ...closedPolicy,
    places: new Map([
      ['C01GEN', { listen: 'mention' }],
      ['dm', { verbosity: 'verbose', permissions: 'strict' }],
      ['D02BOB', { permissions: 'standard' }],
    ] as const),
  };

  it('is the defaults, except for what is said of it', () => {
    expect(settingsOf(policy, 'C02ENG')).toEqual(policy.defaults);
    expect(settingsOf(policy, 'C01GEN')).toEqual({ ...policy.defaults, listen: 'mention' });
  });

  it('in a direct message is what is said of it, before what is said of all of them', () => {
    expect(settingsOf(policy, 'D01ALICE')).toMatchObject({ verbosity: 'verbose', permissions: 'strict' });
    expect(settingsOf(policy, 'D02BOB')).toMatchObject({ verbosity: 'verbose', permissions: 'standard' });
  });
});

it('guarded asks Letta to ask about everything', () => {
  expect(lettaMode('guarded')).toBe('strict');
  expect(lettaMode('acceptEdits')).toBe('acceptEdits');
});

it('the user groups of a policy are all that it names, wherever it does, once', () => {
  const approvers = { requester: true, ids: [], groups: ['S3', 'S1'] };
  const policy: Policy = {
    ...closedPolicy,
    users: { ...closedPolicy.users, groups: ['S1'] },
    admins: { ids: [], groups: ['S2'] },
    places: new Map([['C01GEN', { approvers }]]),
  };
  expect(groupsOf(policy).sort()).toEqual(['S1', 'S2', 'S3']);
});
