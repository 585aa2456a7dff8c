import { describe, expect, it } from 'vitest';
import { closedPolicy, type Listening, type Policy } from '../../../src/bridge/access/policy.ts';
import { makeThreadKey } from '../../../src/bridge/ids.ts';
import type { Span } from '../../../src/bridge/inbound.ts';
import { createMiddle, GROUP_DM, ROOT, TEAM } from '../../support/middle.ts';

const listening = (listen: Listening): Partial<Policy> => ({ places: new Map([['C01GEN', { listen }]]) });
const toBob: Span[] = [
  { kind: 'user', id: 'U02BOB' },
  { kind: 'text', text: ' your turn' },
];

describe('a place that listens to mentions', () => {
  it('keeps plain replies as context, also of people who mentioned it before', async () => {
    const middle = createMiddle({ policy: listening('mention') });
    expect(await middle.write('hello')).toEqual({ outcome: 'accepted' });
    expect(await middle.write('and more')).toEqual({ outcome: 'context' });
    expect(await middle.write('and this', { mention: true })).toEqual({ outcome: 'accepted' });
  });
});

describe('a place that listens to all', () => {
  it('answers messages without a mention, at top level and in any thread', async () => {
    const middle = createMiddle({ policy: listening('all') });
    expect(await middle.write('the build is red', { mention: false, ts: ROOT })).toEqual({ outcome: 'accepted' });
    expect(await middle.write('I see it, too', { mention: false, user: 'U02BOB' })).toEqual({ outcome: 'accepted' });
    expect(await middle.write('elsewhere', { mention: false, thread: '900.000001' })).toEqual({ outcome: 'accepted' });
  });

  it('ignores what people say to each other, and muted threads', async () => {
    const middle = createMiddle({ policy: listening('all') });
    expect(await middle.write('', { mention: false, ts: ROOT, spans: toBob })).toMatchObject({ outcome: 'ignored' });
    await middle.write('hello', { mention: true, ts: ROOT });
    expect(await middle.write('', { mention: false, spans: toBob })).toEqual({ outcome: 'context' });
    await middle.write('!mute');
    expect(await middle.write('never mind', { mention: false })).toEqual({ outcome: 'context' });
  });

  it('tells a refused guest once an hour, and at each mention', async () => {
    const middle = createMiddle({ policy: listening('all') });
    const talk = { user: 'U04GUEST', mention: false, thread: null };
    const refused = { outcome: 'refused', reason: 'user_is_guest' };
    expect(await middle.write('good morning', talk)).toEqual(refused);
    expect(await middle.write('coffee?', talk)).toEqual(refused);
    expect(middle.surface.whispered).toHaveLength(1);
    await middle.write('do it', { ...talk, mention: true });
    expect(middle.surface.whispered).toHaveLength(2);
    await middle.clock.advance(60 * 60_000);
    await middle.write('lunch?', talk);
    expect(middle.surface.whispered).toHaveLength(3);
  });
});

describe('a message with !now and without a mention', () => {
  it('outside of the threads of the agent: ignored', async () => {
    const middle = createMiddle();
    const ignored = { outcome: 'ignored', reason: 'not_a_thread_of_ours' };
    expect(await middle.write('!now deploy', { mention: false, thread: null })).toEqual(ignored);
    expect(await middle.write('!now deploy', { mention: false, thread: '900.000001' })).toEqual(ignored);
    expect(middle.surface.whispered).toEqual([]);
    expect(await middle.write('!now deploy', { mention: true, thread: '900.000001' })).toEqual({ outcome: 'accepted' });
    expect(await middle.write('!now and tell bob', { mention: false, thread: '900.000001', user: 'U02BOB' })).toEqual({
      outcome: 'accepted',
    });
  });
});

describe('a place without a listening rule', () => {
  it("listens as the policy's default says", async () => {
    const middle = createMiddle({
      policy: { ...listening('all'), defaults: { ...closedPolicy.defaults, listen: 'mention' } },
    });
    const elsewhere = { channel: 'C02ENG', thread: null, mention: false };
    expect(await middle.write('hm', elsewhere)).toMatchObject({ outcome: 'ignored' });
  });
});

describe('a group direct message', () => {
  const channels = { everywhere: false, directMessages: true, ids: [] };
  const here = { channel: GROUP_DM, channelKind: 'mpim', mention: false, ts: ROOT } as const;
  const thread = makeThreadKey({ team: TEAM, channel: GROUP_DM, root: ROOT });

  it('needs no mention; a message begins a thread', async () => {
    const middle = createMiddle({ policy: { channels } });
    expect(await middle.write('the build is red', here)).toEqual({ outcome: 'accepted' });
    expect(middle.record(thread).address).toEqual({ team: TEAM, channel: GROUP_DM, threadTs: ROOT, kind: 'mpim' });
    expect(await middle.write('', { ...here, thread: null, ts: '1000.000050', spans: toBob })).toMatchObject({
      outcome: 'ignored',
    });
  });

  it('listens to mentions where the policy says so', async () => {
    const places: Policy['places'] = new Map([['group_dm', { listen: 'mention' }]] as const);
    const middle = createMiddle({ policy: { channels, places } });
    expect(await middle.write('lunch?', here)).toMatchObject({ outcome: 'ignored' });
    expect(await middle.write('help us', { ...here, mention: true })).toEqual({ outcome: 'accepted' });
  });

  it('is found out when a mention does not say the kind', async () => {
    const middle = createMiddle({ policy: { channels } });
    const mention = { mention: true, channelKind: 'channel', guessed: true, ts: ROOT } as const;
    expect(await middle.write('hello', { ...mention, channel: GROUP_DM })).toEqual({ outcome: 'accepted' });
    expect(middle.record(thread).address.kind).toBe('mpim');
    const elsewhere = await middle.write('hello', { ...mention, channel: 'C02ENG' });
    expect(elsewhere).toMatchObject({ outcome: 'refused', reason: 'channel_not_allowed' });
  });

  it('made a channel: is a channel from its next message on', async () => {
    const middle = createMiddle({ policy: { channels: { ...channels, ids: [GROUP_DM] } } });
    await middle.write('hello', here);
    await middle.write('more', { channel: GROUP_DM, channelKind: 'group', mention: true });
    expect(middle.record(thread).address).toEqual({ team: TEAM, channel: GROUP_DM, threadTs: ROOT });
  });

  it('closed by the policy: tells its author, and runs nothing', async () => {
    const middle = createMiddle({ policy: { channels: { ...channels, groupDirectMessages: false } } });
    const refused = { outcome: 'refused', reason: 'group_direct_messages_closed' };
    expect(await middle.write('hello', here)).toEqual(refused);
    expect(middle.connections.flatMap(({ submitted }) => submitted)).toEqual([]);
  });
});
