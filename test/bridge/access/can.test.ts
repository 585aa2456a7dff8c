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

describe('people who may speak', () => {
  it('empty policy: no person', () => {
    expect(reason(closedPolicy, alice, speak)).toBe('user_not_allowed');
  });

  it('members: only full members of the workspace', () => {
    expect(reason(open, alice, speak)).toBe('allowed');
    expect(reason(open, { id: 'U04GUEST', kind: 'guest' }, speak)).toBe('user_is_guest');
    expect(reason(open, { id: 'U05EXT', kind: 'external' }, speak)).toBe('user_is_external');
    expect(reason(open, { id: 'U06BOT', kind: 'bot' }, speak)).toBe('user_is_bot');
  });

  it('everyone: guests, external people and bots only when named', () => {
    const policy = { ...open, users: { ...open.users, everyone: true, members: false, ids: ['U04GUEST'] } };
    expect(reason(policy, { id: 'U05EXT', kind: 'external' }, speak)).toBe('user_is_external');
    expect(reason(policy, { id: 'U04GUEST', kind: 'guest' }, speak)).toBe('allowed');
  });

  it('deactivated account: never, even when named', () => {
    const policy = { ...open, users: { ...open.users, everyone: true, ids: ['U01ALICE'] } };
    expect(reason(policy, { id: 'U01ALICE', kind: 'deactivated' }, speak)).toBe('user_deactivated');
  });
});

describe('places to speak in', () => {
  it('channel: must be served; shared with others: must be named', () => {
    const some = { ...open, channels: { everywhere: false, directMessages: false, ids: ['C02ENG'] } };
    expect(reason(some, alice, speak)).toBe('channel_not_allowed');
    expect(reason(some, alice, speak, { ...place, channel: 'C02ENG' })).toBe('allowed');
    expect(reason(open, alice, speak, { ...place, external: true })).toBe('channel_is_external');
    expect(reason(some, alice, speak, { ...place, channel: 'C02ENG', external: true })).toBe('allowed');
  });

  it('direct messages: open only by a setting of their own', () => {
    const dm: Place = { channel: 'D1', channelKind: 'im', external: false };
    const some = { ...open, channels: { everywhere: false, directMessages: false, ids: [] } };
    expect(reason(some, alice, speak, dm)).toBe('direct_messages_closed');
    expect(reason({ ...some, channels: { ...some.channels, directMessages: true } }, alice, speak, dm)).toBe('allowed');
  });
});

describe('commands of the agent’s machine', () => {
  const run: Doing = { do: 'device_commands' };
  const of = (deviceCommands: Policy['defaults']['deviceCommands']): Policy => ({
    ...open,
    admins: { ids: ['U02BOB'], groups: [] },
    defaults: { ...open.defaults, deviceCommands },
  });
  const bob: Subject = { id: 'U02BOB', kind: 'member' };

  it('for no one unless the policy says so', () => {
    expect([alice, bob].map((who) => reason(of('none'), who, run))).toEqual([
      'device_commands_closed',
      'device_commands_closed',
    ]);
    expect([alice, bob].map((who) => reason(of('admins'), who, run))).toEqual(['not_an_admin', 'allowed']);
    expect([alice, bob].map((who) => reason(of('everyone'), who, run))).toEqual(['allowed', 'allowed']);
  });

  it('never for bots and people who may not write', () => {
    expect(reason(of('everyone'), { id: 'U06BOT', kind: 'bot' }, run)).toBe('bot_may_only_speak');
    expect(reason(of('everyone'), { id: 'U04GUEST', kind: 'guest' }, run)).toBe('user_is_guest');
  });
});

describe('the choice of a model', () => {
  const admin: Subject = { id: 'U03CARA', kind: 'member' };
  const policy = { ...open, admins: { ids: ['U03CARA'], groups: [] } };
  const ofStarter = { ...policy, defaults: { ...policy.defaults, models: 'starter' as const } };
  const choose: Doing = { do: 'choose_model', starter: 'U01ALICE' };

  it('admins: everywhere; the starter of a thread: where the policy says so', () => {
    expect(reason(policy, admin, choose)).toBe('allowed');
    expect(reason(policy, alice, choose)).toBe('may_not_choose_model');
    expect(reason(ofStarter, alice, choose)).toBe('allowed');
    expect(reason(ofStarter, { id: 'U02BOB', kind: 'member' }, choose)).toBe('may_not_choose_model');
    expect(reason(ofStarter, { id: 'B01', kind: 'bot' }, { ...choose, starter: 'B01' })).toBe('bot_may_only_speak');
  });

  it('model of the agent itself: admins alone', () => {
    expect(reason(ofStarter, alice, { ...choose, starter: null })).toBe('may_not_choose_model');
    expect(reason(ofStarter, admin, { ...choose, starter: null })).toBe('allowed');
  });
});

describe('actions of a person', () => {
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

  it('decide: only the requester by default; stop: anyone who may speak', () => {
    expect(reason(open, alice, decide('U01ALICE'))).toBe('allowed');
    expect(reason(open, alice, decide('U02BOB'))).toBe('not_the_requester');
    expect(reason(open, alice, { do: 'stop' })).toBe('allowed');
  });

  it('decide: a requester without access is refused', () => {
    expect(reason(open, guest, decide('U04GUEST'))).toBe('user_is_guest');
  });

  it('decide: named approvers, and the requester only when the policy says so', () => {
    const policy = withApprovers({ ids: ['U02BOB'] });
    expect(reason(policy, bob, decide('U01ALICE'))).toBe('allowed');
    expect(reason(policy, alice, decide('U01ALICE'))).toBe('not_an_approver');
    expect(reason(withApprovers({ ids: ['U02BOB'], requester: true }), alice, decide('U01ALICE'))).toBe('allowed');
  });

  it('decide: not even an approver in their own turn without self-approval', () => {
    const policy = withApprovers({ ids: ['U02BOB'], requester: true }, false);
    expect(reason(policy, bob, decide('U02BOB'))).toBe('self_approval');
    expect(reason(policy, alice, decide('U01ALICE'))).toBe('self_approval');
    expect(reason(policy, bob, decide('U01ALICE'))).toBe('allowed');
  });

  it('answer a question: only the requester, whoever approves', () => {
    const policy = withApprovers({ ids: ['U02BOB'] }, false);
    expect(reason(policy, alice, { do: 'answer', requester: 'U01ALICE' })).toBe('allowed');
    expect(reason(policy, bob, { do: 'answer', requester: 'U01ALICE' })).toBe('not_the_requester');
  });

  it('approver who may not speak: may look and decide only', () => {
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

  it("decide: a channel's own approvers replace the default there", () => {
    const policy: Policy = {
      ...open,
      places: new Map([['C02ENG', { approvers: { requester: false, ids: ['U02BOB'], groups: [] } }]]),
    };
    expect(reason(policy, bob, decide('U01ALICE'))).toBe('not_the_requester');
    expect(reason(policy, bob, decide('U01ALICE'), { ...place, channel: 'C02ENG' })).toBe('allowed');
    expect(reason(policy, alice, decide('U01ALICE'), { ...place, channel: 'C02ENG' })).toBe('not_an_approver');
  });

  it('administer: only admins, who may also command in any channel', () => {
    const policy: Policy = { ...closedPolicy, admins: { ids: ['U03CARA'], groups: [] }, channels: open.channels };
    const cara: Subject = { id: 'U03CARA', kind: 'member' };
    expect(reason(policy, cara, { do: 'administer' })).toBe('allowed');
    expect(reason(closedPolicy, cara, { do: 'administer' })).toBe('user_not_allowed');
    expect(reason(open, alice, { do: 'administer' })).toBe('not_an_admin');
    expect(reason({ ...policy, channels: closedPolicy.channels }, cara, { do: 'command' })).toBe('allowed');
    expect(reason({ ...policy, channels: closedPolicy.channels }, cara, speak)).toBe('channel_not_allowed');
  });

  it('refused: the notice names the admins to ask', () => {
    const policy: Policy = { ...closedPolicy, admins: { ids: ['U03CARA', 'U02BOB'], groups: [] } };
    expect(can(policy, alice, speak, place)).toMatchObject({
      notice: 'You can’t use this agent yet. Ask <@U03CARA> or <@U02BOB> for access.',
    });
    expect(can(closedPolicy, alice, speak, place)).toMatchObject({
      notice: 'You can’t use this agent yet. Ask the person who runs this bot for access.',
    });
  });
});

describe('user groups and bots', () => {
  const some: Policy = { ...open, users: { ...closedPolicy.users, groups: ['S01ONCALL'] } };

  it('user group: lets in its full members, not its guests', () => {
    expect(reason(some, { ...alice, groups: ['S01ONCALL'] }, speak)).toBe('allowed');
    expect(reason(some, { ...alice, groups: ['S02OTHER'] }, speak)).toBe('user_not_allowed');
    expect(reason(some, alice, speak)).toBe('user_not_allowed');
    expect(reason(some, { id: 'U04GUEST', kind: 'guest', groups: ['S01ONCALL'] }, speak)).toBe('user_is_guest');
  });

  it('named bot: may only speak', () => {
    const policy: Policy = { ...open, bots: { ids: ['B0OTHER'], inARow: 3, rate: { turns: 30, perMs: 3_600_000 } } };
    const bot: Subject = { id: 'B0OTHER', kind: 'bot' };
    expect(reason(policy, bot, speak)).toBe('allowed');
    expect(reason(policy, { id: 'B0THIRD', kind: 'bot' }, speak)).toBe('user_is_bot');
    for (const doing of [{ do: 'command' }, { do: 'stop' }, { do: 'decide', requester: 'B0OTHER' }] as const) {
      expect(reason(policy, bot, doing)).toBe('bot_may_only_speak');
    }
  });
});

describe('approvals in a bot’s turn', () => {
  const admins = { ids: ['U03CARA'], groups: [] };
  const cara: Subject = { id: 'U03CARA', kind: 'member' };
  const policy: Policy = {
    ...open,
    admins,
    bots: { ids: ['B0OTHER'], inARow: 3, rate: { turns: 30, perMs: 3_600_000 } },
  };

  it('no approvers named: admins decide and answer', () => {
    for (const doing of ['decide', 'answer'] as const) {
      expect(reason(policy, cara, { do: doing, requester: 'B0OTHER' })).toBe('allowed');
      expect(reason(policy, alice, { do: doing, requester: 'B0OTHER' })).toBe('not_an_admin');
      expect(reason(policy, cara, { do: doing, requester: 'U01ALICE' })).toBe('not_the_requester');
    }
  });

  it('approvers named: they decide', () => {
    const approvers = { requester: false, ids: ['U01ALICE'], groups: [] };
    const strict: Policy = { ...policy, defaults: { ...policy.defaults, approvers, selfApproval: false } };
    expect(reason(strict, alice, { do: 'decide', requester: 'B0OTHER' })).toBe('allowed');
    expect(reason(strict, cara, { do: 'decide', requester: 'B0OTHER' })).toBe('not_an_approver');
  });
});
