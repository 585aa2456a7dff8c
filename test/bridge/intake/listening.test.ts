import { describe, expect, it } from 'vitest';
import { closedPolicy, type Listening, type Policy } from '../../../src/bridge/access/policy.ts';
import type { Span } from '../../../src/bridge/inbound.ts';
import { createMiddle, ROOT } from '../../support/middle.ts';

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

describe('a place without a listening rule', () => {
  it("listens as the policy's default says", async () => {
    const middle = createMiddle({
      policy: { ...listening('all'), defaults: { ...closedPolicy.defaults, listen: 'mention' } },
    });
    const elsewhere = { channel: 'C02ENG', thread: null, mention: false };
    expect(await middle.write('hm', elsewhere)).toMatchObject({ outcome: 'ignored' });
  });
});
