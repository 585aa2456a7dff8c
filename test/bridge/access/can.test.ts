import { describe, expect, it } from 'vitest';
import { can, type Doing, type Place, type Subject } from '../../../src/bridge/access/can.ts';
import { type Approvers, closedPolicy, type Policy } from '../../../src/bridge/access/policy.ts';

const open: Policy = {
  ...closedPolicy,
  users: { ...closedPolicy.users, members: true },
  channels: { everywhere: true, directMessages: false, ids: [] },
};
const alice: Subject = { id: 'U01ALICE', kind: 'member' };
const place: Place = { channel: 'C01GEN', channelKind: 'channel', external: false };
const speak: Doing = { do: 'speak' };

const reason = (policy: Policy, subject: Subject, doing: Doing, where: Place | null = place) => {
  const verdict = can(policy, subject, doing, where);
  return verdict.allowed ? 'allowed' : verdict.reason;
};

describe('who', () => {
  it('an empty policy lets nobody in', () => {
    expect(reason(closedPolicy, alice, speak)).toBe('user_not_allowed');
  });

  it('members are full members of the workspace', () => {
    expect(reason(open, alice, speak)).toBe('allowed');
    expect(reason(open, { id: 'U04GUEST', kind: 'guest' }, speak)).toBe('user_is_guest');
    expect(reason(open, { id: 'U05EXT', kind: 'external' }, speak)).toBe('user_is_external');
    expect(reason(open, { id: 'U06BOT', kind: 'bot' }, speak)).toBe('user_is_bot');
  });

  it('everyone does not mean guests, strangers and bots either: they must be named', () => {
    const policy = { ...open, users: { ...open.users, everyone: true, members: false, ids: ['U04GUEST'] } };
    expect(reason(policy, { id: 'U05EXT', kind: 'external' }, speak)).toBe('user_is_external');
    expect(reason(policy, { id: 'U04GUEST', kind: 'guest' }, speak)).toBe('allowed');
  });

  it('a deactivated account may nothing, named or not', () => {
    const policy = { ...open, users: { ...open.users, everyone: true, ids: ['U01ALICE'] } };
    expect(reason(policy, { id: 'U01ALICE', kind: 'deactivated' }, speak)).toBe('user_deactivated');
  });
});

describe('where', () => {
  it('a channel must be open, and one shared with others must be named', () => {
    const some = { ...open, channels: { everywhere: false, directMessages: false, ids: ['C02ENG'] } };
    expect(reason(some, alice, speak)).toBe('channel_not_allowed');
    expect(reason(some, alice, speak, { ...place, channel: 'C02ENG' })).toBe('allowed');
    expect(reason(open, alice, speak, { ...place, external: true })).toBe('channel_is_external');
    expect(reason(some, alice, speak, { ...place, channel: 'C02ENG', external: true })).toBe('allowed');
  });

  it('direct messages are a place of their own', () => {
    const dm: Place = { channel: 'D1', channelKind: 'im', external: false };
    const some = { ...open, channels: { everywhere: false, directMessages: false, ids: [] } };
    expect(reason(some, alice, speak, dm)).toBe('direct_messages_closed');
    expect(reason({ ...some, channels: { ...some.channels, directMessages: true } }, alice, speak, dm)).toBe('allowed');
  });
});

describe('what', () => {
  const bob: Subject = { id: 'U02BOB', kind: 'member' };
  const guest: Subject = { id: 'U04GUEST', kind: 'guest' };
  const decide = (requester: string): Doing => ({ do: 'decide', requester });
  const withApprovers = (approvers: Partial<Approvers>, selfApproval = true): Policy => ({
    ...open,
    defaults: {
      ...open.defaults,
      selfApproval,
      approvers: { requester: false, ids: [], groups: [], ...approvers },
    },
  });

  it('only the requester decides unless approvers are named; anyone who may speak may stop', () => {
    expect(reason(open, alice, decide('U01ALICE'))).toBe('allowed');
    expect(reason(open, alice, decide('U02BOB'))).toBe('not_the_requester');
    expect(reason(open, alice, { do: 'stop' })).toBe('allowed');
  });

  it('being the requester does not help who may not be here at all', () => {
    expect(reason(open, guest, decide('U04GUEST'))).toBe('user_is_guest');
  });

  it('named approvers decide for others, the requester only where that is said', () => {
    const policy = withApprovers({ ids: ['U02BOB'] });
    expect(reason(policy, bob, decide('U01ALICE'))).toBe('allowed');
    expect(reason(policy, alice, decide('U01ALICE'))).toBe('not_an_approver');
    expect(reason(withApprovers({ ids: ['U02BOB'], requester: true }), alice, decide('U01ALICE'))).toBe('allowed');
  });

  it('without self-approval even an approver does not decide what their own turn asks', () => {
    const policy = withApprovers({ ids: ['U02BOB'], requester: true }, false);
    expect(reason(policy, bob, decide('U02BOB'))).toBe('self_approval');
    expect(reason(policy, alice, decide('U01ALICE'))).toBe('self_approval');
    expect(reason(policy, bob, decide('U01ALICE'))).toBe('allowed');
  });

  it('a question is answered by the one who was asked, whoever approves', () => {
    const policy = withApprovers({ ids: ['U02BOB'] }, false);
    expect(reason(policy, alice, { do: 'answer', requester: 'U01ALICE' })).toBe('allowed');
    expect(reason(policy, bob, { do: 'answer', requester: 'U01ALICE' })).toBe('not_the_requester');
  });

  it('an approver who may not speak sees and decides, and no more', () => {
    const policy: Policy = {
      ...withApprovers({ ids: ['U02BOB', 'U04GUEST'] }),
      users: { ...closedPolicy.users, ids: ['U01ALICE'] },
    };
    for (const approver of [bob, guest]) {
      expect(reason(policy, approver, { do: 'look' })).toBe('allowed');
      expect(reason(policy, approver, decide('U01ALICE'))).toBe('allowed');
      expect(reason(policy, approver, speak)).not.toBe('allowed');
      expect(reason(policy, approver, { do: 'command' })).not.toBe('allowed');
    }
  });

  it('a channel may have approvers of its own', () => {
    const policy: Policy = {
      ...open,
      places: new Map([['C02ENG', { approvers: { requester: false, ids: ['U02BOB'], groups: [] } }]]),
    };
    expect(reason(policy, bob, decide('U01ALICE'))).toBe('not_the_requester');
    expect(reason(policy, bob, decide('U01ALICE'), { ...place, channel: 'C02ENG' })).toBe('allowed');
    expect(reason(policy, alice, decide('U01ALICE'), { ...place, channel: 'C02ENG' })).toBe('not_an_approver');
  });

  it('admins alone administer, and are refused nowhere that only they see the answer', () => {
    const policy: Policy = { ...closedPolicy, admins: { ids: ['U03CARA'], groups: [] }, channels: open.channels };
    const cara: Subject = { id: 'U03CARA', kind: 'member' };
    expect(reason(policy, cara, { do: 'administer' })).toBe('allowed');
    expect(reason(closedPolicy, cara, { do: 'administer' })).toBe('user_not_allowed');
    expect(reason(open, alice, { do: 'administer' })).toBe('not_an_admin');
    expect(reason({ ...policy, channels: closedPolicy.channels }, cara, { do: 'command' })).toBe('allowed');
    expect(reason({ ...policy, channels: closedPolicy.channels }, cara, speak)).toBe('channel_not_allowed');
  });

  it('a refusal names the admins as the ones to ask', () => {
    const policy: Policy = { ...closedPolicy, admins: { ids: ['U03CARA', 'U02BOB'], groups: [] } };
    expect(can(policy, alice, speak, place)).toMatchObject({
      notice: 'You may not use this agent. Ask <@U03CARA> or <@U02BOB>.',
    });
    expect(can(closedPolicy, alice, speak, place)).toMatchObject({
      notice: 'You may not use this agent. Ask whoever runs it.',
    });
  });
});

describe('user groups and bots', () => {
  const some: Policy = { ...open, users: { ...closedPolicy.users, groups: ['S01ONCALL'] } };

  it('a user group stands for its full members; a guest in it is not named by that', () => {
    expect(reason(some, { ...alice, groups: ['S01ONCALL'] }, speak)).toBe('allowed');
    expect(reason(some, { ...alice, groups: ['S02OTHER'] }, speak)).toBe('user_not_allowed');
    expect(reason(some, alice, speak)).toBe('user_not_allowed');
    expect(reason(some, { id: 'U04GUEST', kind: 'guest', groups: ['S01ONCALL'] }, speak)).toBe('user_is_guest');
  });

  it('a named bot may speak and nothing else', () => {
    const policy: Policy = { ...open, bots: { ids: ['B0OTHER'], inARow: 3 } };
    const bot: Subject = { id: 'B0OTHER', kind: 'bot' };
    expect(reason(policy, bot, speak)).toBe('allowed');
    expect(reason(policy, { id: 'B0THIRD', kind: 'bot' }, speak)).toBe('user_is_bot');
    for (const doing of [{ do: 'command' }, { do: 'stop' }, { do: 'decide', requester: 'B0OTHER' }] as const) {
      expect(reason(policy, bot, doing)).toBe('bot_may_only_speak');
    }
  });
});

describe('what a bot’s turn asks', () => {
  const admins = { ids: ['U03CARA'], groups: [] };
  const cara: Subject = { id: 'U03CARA', kind: 'member' };
  const policy: Policy = { ...open, admins, bots: { ids: ['B0OTHER'], inARow: 3 } };

  it('admins decide in its place', () => {
    for (const doing of ['decide', 'answer'] as const) {
      expect(reason(policy, cara, { do: doing, requester: 'B0OTHER' })).toBe('allowed');
      expect(reason(policy, alice, { do: doing, requester: 'B0OTHER' })).toBe('not_an_admin');
      expect(reason(policy, cara, { do: doing, requester: 'U01ALICE' })).toBe('not_the_requester');
    }
  });

  it('approvers decide as for anybody', () => {
    const approvers = { requester: false, ids: ['U01ALICE'], groups: [] };
    const strict: Policy = { ...policy, defaults: { ...policy.defaults, approvers, selfApproval: false } };
    expect(reason(strict, alice, { do: 'decide', requester: 'B0OTHER' })).toBe('allowed');
    expect(reason(strict, cara, { do: 'decide', requester: 'B0OTHER' })).toBe('not_an_approver');
  });
});
