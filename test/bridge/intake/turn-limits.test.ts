import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { closedPolicy, type Policy, THREADS_ALLOWED } from '../../../src/bridge/access/policy.ts';
import { makeThreadKey } from '../../../src/bridge/ids.ts';
import { TurnLimits } from '../../../src/bridge/intake/turn-limits.ts';
import { createMiddle, ROOT, TEAM } from '../../support/middle.ts';

const none = { rate: null, atOnce: null };
const MINUTE = 60_000;

const thread = (n: number) => ({ thread: null, mention: true, ts: `2000.${String(n).padStart(6, '0')}` });

describe('the limit of turns per time', () => {
  const policy: Partial<Policy> = {
    limits: { user: { rate: { turns: 2, perMs: 10 * MINUTE }, atOnce: null }, channel: none },
  };

  it('refuses a turn too many in private, with the time to retry', async () => {
    const middle = createMiddle({ policy });
    expect(await middle.write('one', thread(1))).toEqual({ outcome: 'accepted' });
    expect(await middle.write('two', thread(2))).toEqual({ outcome: 'accepted' });
    expect(await middle.write('three', thread(3))).toEqual({ outcome: 'refused', reason: 'user_rate' });
    expect(middle.surface.said).toEqual([]);
    const [told] = middle.surface.whispered;
    // At top level: an ephemeral message in a thread that does not exist yet is invisible.
    expect(told).toMatchObject({ user: 'U01ALICE', address: { threadTs: null } });
    const again = Math.floor((middle.clock.now() + 10 * MINUTE) / 1000);
    expect(told?.text).toMatch(
      new RegExp(`^You have reached the limit of 2 turns in 10 min, .* Send it again after <!date\\^${again}\\^`),
    );
    expect(await middle.write('mine', { ...thread(4), user: 'U02BOB' })).toEqual({ outcome: 'accepted' });
    await middle.clock.advance(10 * MINUTE);
    expect(await middle.write('three', thread(5))).toEqual({ outcome: 'accepted' });
  });

  it('does not count messages that join a waiting one', async () => {
    const middle = createMiddle({ policy });
    await middle.write('one', { ts: ROOT, mention: true });
    for (const text of ['and', 'also', 'this']) expect(await middle.write(text)).toEqual({ outcome: 'accepted' });
    expect(await middle.write('three', thread(2))).toMatchObject({ outcome: 'refused' });
  });

  it('does not count a message whose write failed', async () => {
    const middle = createMiddle({ policy });
    await middle.write('one', thread(1));
    middle.threads.failing = 1;
    await expect(middle.write('two', thread(2))).rejects.toThrow('disk full');
    expect(await middle.write('two', thread(2))).toEqual({ outcome: 'accepted' });
    expect(await middle.write('three', thread(3))).toEqual({ outcome: 'refused', reason: 'user_rate' });
  });

  it('keeps a refused message refused when catch-up finds it', async () => {
    const middle = createMiddle({ policy });
    await middle.write('one', { ts: ROOT, mention: true });
    await middle.write('two', thread(2));
    await middle.write('hm', { user: 'U02BOB', mention: true });
    const late = { ts: '1000.000900', mention: true };
    expect(await middle.write('three', late)).toEqual({ outcome: 'refused', reason: 'user_rate' });
    await middle.clock.advance(10 * MINUTE);
    expect(await middle.write('three', { ...late, caughtUp: true })).toEqual({ outcome: 'repeated' });
  });

  it('holds in every window of its length, at any times', () => {
    const bound = { turns: 3, perMs: 1_000 };
    const limited: Policy = { ...closedPolicy, limits: { user: { rate: bound, atOnce: null }, channel: none } };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 60 }), (gaps) => {
        const limits = new TurnLimits();
        const begun: number[] = [];
        let now = 0;
        for (const [n, gap] of gaps.entries()) {
          now += gap;
          const key = makeThreadKey({ team: TEAM, channel: 'C1', root: `${n + 1}.1` });
          const { isGranted } = limits.reserveTurn(key, { user: 'U1' }, limited, () => [], now);
          const recent = begun.filter((at) => now - at < bound.perMs).length;
          expect(isGranted).toBe(recent < bound.turns);
          if (isGranted) begun.push(now);
        }
      }),
    );
  });
});

describe('the limit of turns at once', () => {
  const atOnce = (user: number | null, channel: number | null): Partial<Policy> => ({
    limits: { user: { rate: null, atOnce: user }, channel: { rate: null, atOnce: channel } },
  });

  it('per person: refuses a second thread until the first turn ends', async () => {
    const middle = createMiddle({ policy: atOnce(1, null) });
    await middle.write('one', { ts: ROOT, mention: true });
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    expect(await middle.write('and this')).toEqual({ outcome: 'accepted' });
    expect(await middle.write('two', thread(2))).toEqual({ outcome: 'refused', reason: 'user_at_once' });
    expect(middle.surface.whispered.at(-1)?.text).toMatch(
      /^You have reached the limit of 1 running thread, .* when one finishes\.$/,
    );
    await middle.write('!stop');
    middle.connection.end('cancelled');
    await middle.clock.settle();
    expect(await middle.write('two', thread(3))).toEqual({ outcome: 'accepted' });
  });

  it('counts messages that come at the same moment', async () => {
    const middle = createMiddle({ policy: atOnce(2, null) });
    const outcomes = await Promise.all([1, 2, 3, 4].map((n) => middle.write('go', thread(n))));
    expect(outcomes.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(2);
  });

  it('per channel: counts all people, but no other channel', async () => {
    const middle = createMiddle({ policy: atOnce(null, 1) });
    await middle.write('one', { ts: ROOT, mention: true });
    expect(await middle.write('two', { ...thread(2), user: 'U02BOB' })).toEqual({
      outcome: 'refused',
      reason: 'channel_at_once',
    });
    expect(await middle.write('three', { ...thread(3), channel: 'C02ENG' })).toEqual({ outcome: 'accepted' });
  });

  it('per workspace: counts all people and channels together', async () => {
    const middle = createMiddle({
      policy: { limits: { user: none, channel: none, workspace: { rate: null, atOnce: 1 } } },
    });
    await middle.write('one', { ts: ROOT, mention: true });
    const other = { ...thread(2), user: 'U02BOB', channel: 'C02ENG' };
    expect(await middle.write('two', other)).toEqual({ outcome: 'refused', reason: 'workspace_at_once' });
    expect(middle.surface.whispered.at(-1)).toMatchObject({
      user: 'U02BOB',
      text: 'This workspace has reached the limit of 1 running thread, so I did not queue this message. Send it again when one finishes.',
    });
  });

  it('per workspace: holds without a policy, at 500', () => {
    const limits = new TurnLimits();
    const busy = Array.from({ length: THREADS_ALLOWED }, (_, n) => ({
      key: makeThreadKey({ team: TEAM, channel: `C${n}`, root: '1.1' }),
      users: [`U${n}`],
    }));
    const key = makeThreadKey({ team: TEAM, channel: 'CNEW', root: '1.1' });
    const ask = (others: typeof busy) => limits.reserveTurn(key, { user: 'UNEW' }, closedPolicy, () => others, 0);
    expect(ask(busy)).toMatchObject({ isGranted: false, reason: 'workspace_at_once' });
    expect(ask(busy.slice(1))).toEqual({ isGranted: true });
  });
});

describe('the limit of turns per time of a workspace', () => {
  it('counts all people together, and gives back what did not begin', () => {
    const limited: Policy = {
      ...closedPolicy,
      limits: { user: none, channel: none, workspace: { rate: { turns: 2, perMs: MINUTE }, atOnce: null } },
    };
    const limits = new TurnLimits();
    const begin = (n: number, now: number) => {
      const key = makeThreadKey({ team: TEAM, channel: `C${n}`, root: '1.1' });
      return limits.reserveTurn(key, { user: `U${n}` }, limited, () => [], now);
    };
    expect(begin(1, 0)).toEqual({ isGranted: true });
    expect(begin(2, 1)).toEqual({ isGranted: true });
    expect(begin(3, 2)).toMatchObject({ isGranted: false, reason: 'workspace_rate' });
    limits.releaseTurn(makeThreadKey({ team: TEAM, channel: 'C2', root: '1.1' }), 'U2', 1);
    expect(begin(3, 3)).toEqual({ isGranted: true });
  });
});
