import { describe, expect, it } from 'vitest';
import { can, type Doing, type Place, type Policy, type Subject } from '../../src/bridge/access.ts';

const open: Policy = {
  users: { everyone: false, members: true, ids: [] },
  channels: { everywhere: true, directMessages: false, ids: [] },
};
const closed: Policy = {
  users: { everyone: false, members: false, ids: [] },
  channels: { everywhere: false, directMessages: false, ids: [] },
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
    expect(reason(closed, alice, speak)).toBe('user_not_allowed');
  });

  it('members are full members of the workspace', () => {
    expect(reason(open, alice, speak)).toBe('allowed');
    expect(reason(open, { id: 'U04GUEST', kind: 'guest' }, speak)).toBe('user_is_guest');
    expect(reason(open, { id: 'U05EXT', kind: 'external' }, speak)).toBe('user_is_external');
    expect(reason(open, { id: 'U06BOT', kind: 'bot' }, speak)).toBe('user_is_bot');
  });

  it('everyone does not mean guests, strangers and bots either: they must be named', () => {
    const policy = { ...open, users: { everyone: true, members: false, ids: ['U04GUEST'] } };
    expect(reason(policy, { id: 'U05EXT', kind: 'external' }, speak)).toBe('user_is_external');
    expect(reason(policy, { id: 'U04GUEST', kind: 'guest' }, speak)).toBe('allowed');
  });

  it('a deactivated account may nothing, named or not', () => {
    const policy = { ...open, users: { everyone: true, members: true, ids: ['U01ALICE'] } };
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
  it('only the requester decides; anyone who may speak may stop', () => {
    expect(reason(open, alice, { do: 'decide', requester: 'U01ALICE' })).toBe('allowed');
    expect(reason(open, alice, { do: 'decide', requester: 'U02BOB' })).toBe('not_the_requester');
    expect(reason(open, alice, { do: 'stop' })).toBe('allowed');
  });

  it('being the requester does not help who may not be here at all', () => {
    const guest: Subject = { id: 'U04GUEST', kind: 'guest' };
    expect(reason(open, guest, { do: 'decide', requester: 'U04GUEST' })).toBe('user_is_guest');
  });
});
