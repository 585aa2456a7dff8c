import { describe, expect, it } from 'vitest';
import {
  closedPolicy,
  groupsOf,
  lettaMode,
  type PlaceSettings,
  type Policy,
  settingsOf,
} from '../../../src/bridge/access/policy.ts';

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

describe('settings of a group direct message', () => {
  const where = { channel: 'C09TRIO', channelKind: 'mpim' as const };
  const dm = { permissions: 'strict', binding: { agentId: 'agent-dm', device: null, workingDirectory: null } } as const;

  it('are those of direct messages, and no mention is needed', () => {
    const policy: Policy = { ...closedPolicy, places: new Map([['dm', dm]]) };
    expect(settingsOf(policy, where)).toEqual({ ...policy.defaults, ...dm, listen: 'all' });
    expect(settingsOf(policy, 'C09TRIO')).toEqual(policy.defaults);
  });

  it('of its own: go before those of direct messages', () => {
    const places = new Map<string, Partial<PlaceSettings>>([
      ['dm', dm],
      ['group_dm', { listen: 'mention', permissions: 'standard' }],
      ['C08TRIO', { permissions: 'guarded' }],
    ]);
    const policy = { ...closedPolicy, places };
    expect(settingsOf(policy, where)).toMatchObject({ ...dm, listen: 'mention', permissions: 'standard' });
    expect(settingsOf(policy, { ...where, channel: 'C08TRIO' }).permissions).toBe('guarded');
    expect(settingsOf(policy, 'D01ALICE').permissions).toBe('strict');
  });

  it('unrestricted: only where group direct messages are named', () => {
    const allow = (unrestricted: Policy['unrestricted']) =>
      settingsOf({ ...closedPolicy, unrestricted, places: new Map([['dm', { permissions: 'unrestricted' }]]) }, where)
        .permissions;
    const none = { everywhere: false, directMessages: true, ids: [] };
    expect(allow(none)).toBe('guarded');
    expect(allow({ ...none, groupDirectMessages: true })).toBe('unrestricted');
    expect(allow({ ...none, ids: ['C09TRIO'] })).toBe('unrestricted');
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
