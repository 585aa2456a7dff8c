import { describe, expect, it } from 'vitest';
import { closedPolicy, groupsOf, lettaMode, type Policy, settingsOf } from '../../../src/bridge/access/policy.ts';

describe('settings of a place', () => {
  const policy: Policy = {
    ...closedPolicy,
    places: new Map([
      ['C01GEN', { listen: 'mention' }],
      ['dm', { verbosity: 'verbose', permissions: 'strict' }],
      ['D02BOB', { permissions: 'standard' }],
    ] as const),
  };

  it('are the defaults, except those the place sets', () => {
    expect(settingsOf(policy, 'C02ENG')).toEqual(policy.defaults);
    expect(settingsOf(policy, 'C01GEN')).toEqual({ ...policy.defaults, listen: 'mention' });
  });

  it('in a direct message: its own first, then those for all', () => {
    expect(settingsOf(policy, 'D01ALICE')).toMatchObject({ verbosity: 'verbose', permissions: 'strict' });
    expect(settingsOf(policy, 'D02BOB')).toMatchObject({ verbosity: 'verbose', permissions: 'standard' });
  });
});

describe('a policy', () => {
  it('guarded mode: Letta runs in strict mode', () => {
    expect(lettaMode('guarded')).toBe('strict');
    expect(lettaMode('acceptEdits')).toBe('acceptEdits');
  });

  it('names each of its user groups once', () => {
    const approvers = { requester: true, ids: [], groups: ['S3', 'S1'] };
    const policy: Policy = {
      ...closedPolicy,
      users: { ...closedPolicy.users, groups: ['S1'] },
      admins: { ids: [], groups: ['S2'] },
      places: new Map([['C01GEN', { approvers }]]),
    };
    expect(groupsOf(policy).sort()).toEqual(['S1', 'S2', 'S3']);
  });
});
