import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BridgeError } from '../../../src/errors.ts';
import type { TokenSource } from '../../../src/slack/api/token-source.ts';
import { type Fate, installationsStage, memoryRows } from './stage.ts';

const HOUR_MS = 60 * 60_000;

/** An installation whose token is used by one process, which serves its workspace. */
async function rotatingStage() {
  const stage = await installationsStage({ isRotated: true });
  const first = await stage.install('T1');
  const owner = { isOwner: true };
  const open = async (at = stage.installations, isOwner = () => owner.isOwner): Promise<TokenSource> => {
    const found = await at.get('T1');
    if (!found) throw new Error('not installed');
    return found.openToken(isOwner);
  };
  return { ...stage, first, owner, open, token: await open() };
}

describe('the token of an installation whose tokens are rotated', () => {
  it('far from its end: used as it is', async () => {
    const { token, first, clock, side } = await rotatingStage();
    await clock.advance(9 * HOUR_MS);
    expect(await token.get()).toBe(first);
    expect(side.refreshes).toBe(0);
  });

  it('near its end: refreshed beside the calls, once for all of them', async () => {
    const { token, first, clock, side, isLive, installations } = await rotatingStage();
    await clock.advance(10.5 * HOUR_MS);
    expect(await Promise.all([token.get(), token.get(), token.get()])).toEqual([first, first, first]);
    await clock.settle();
    const next = await token.get();
    expect(next).not.toBe(first);
    expect([side.refreshes, isLive(next), isLive(first)]).toEqual([1, true, true]);
    expect((await installations.read('T1'))?.tokens.bot).toBe(next);
  });

  it('past its end: calls wait for the next one', async () => {
    const { token, clock, side, isLive } = await rotatingStage();
    await clock.advance(100 * HOUR_MS);
    const got = await Promise.all([token.get(), token.get()]);
    expect(got[0]).toBe(got[1]);
    expect([side.refreshes, isLive(got[0] ?? '')]).toEqual([1, true]);
  });

  it('refused in mid-turn: replaced at once, for all who ask', async () => {
    const { token, first, tokens, side, isLive } = await rotatingStage();
    tokens.revoke(first);
    const next = await Promise.all([token.replace?.(first), token.replace?.(first)]);
    expect(next[0]).toBe(next[1]);
    expect([side.refreshes, isLive(next[0] ?? '')]).toEqual([1, true]);
  });

  it('refused although it is new: Slack is not asked again and again', async () => {
    const { token, tokens, side, clock } = await rotatingStage();
    for (let n = 0; n < 20; n += 1) {
      const now = await token.get();
      tokens.revoke(now);
      await token.replace?.(now);
      await clock.advance(1_000);
    }
    expect(side.refreshes).toBe(1);
  });

  it('due, but another process serves the workspace: not refreshed', async () => {
    const { token, first, owner, clock, side } = await rotatingStage();
    owner.isOwner = false;
    await clock.advance(11 * HOUR_MS);
    expect(await token.get()).toBe(first);
    await clock.advance(2 * HOUR_MS);
    await expect(token.get()).rejects.toMatchObject({ retry: true });
    expect(await token.replace?.(first)).toBeNull();
    expect(side.refreshes).toBe(0);
  });

  it('refreshed, the answer lost: asked again within seconds', async () => {
    const { token, first, clock, side, isLive, rows } = await rotatingStage();
    side.fate = () => (side.refreshes < 3 ? 'answer lost' : 'answered');
    await clock.advance(11 * HOUR_MS);
    const at = clock.monotonic();
    while (side.refreshes < 3) {
      expect(isLive(await token.get()) || side.refreshes > 1).toBe(true);
      await clock.advance(250);
    }
    expect(clock.monotonic() - at).toBeLessThan(5_000);
    const next = await token.get();
    expect([isLive(next), next === first]).toEqual([true, false]);
    expect(await rows.get('T1')).toMatchObject({ refreshingSince: null, isRefreshLost: false });
  });

  it('refreshed, the process dead: the next one asks again at once', async () => {
    const { token, owner, clock, side, make, open, rows, isLive } = await rotatingStage();
    await clock.advance(11 * HOUR_MS);
    side.fate = () => 'answer lost';
    await token.get();
    await clock.settle();
    owner.isOwner = false;
    side.fate = () => 'answered';
    await clock.advance(15_000);
    const next = await open(make(), () => true);
    await next.get();
    await clock.settle();
    expect([side.refreshes, isLive(await next.get())]).toEqual([2, true]);
    expect(await rows.get('T1')).toMatchObject({ refreshingSince: null });
  });

  it('no longer refreshable: works to its end; the log says how on', async () => {
    const { token, first, clock, side, log } = await rotatingStage();
    side.refusal = 'invalid_refresh_token';
    await clock.advance(11 * HOUR_MS);
    await token.get();
    await clock.settle();
    expect(await token.get()).toBe(first);
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(JSON.stringify(log.lines)).toContain('/slack/install');
    await clock.advance(2 * HOUR_MS);
    await expect(token.get()).rejects.toMatchObject({ retry: false });
    expect(side.refreshes).toBe(1);
  });

  it('no longer refreshable: a new installation is used without a restart', async () => {
    const { token, clock, side, install } = await rotatingStage();
    side.refusal = 'invalid_refresh_token';
    await clock.advance(13 * HOUR_MS);
    await expect(token.get()).rejects.toBeInstanceOf(BridgeError);
    const again = await install('T1');
    expect(await token.get()).toBe(again);
  });

  it('while the client secret is wrong: kept, and tried again', async () => {
    const { token, first, clock, side, isLive, rows } = await rotatingStage();
    side.refusal = 'bad_client_secret';
    await clock.advance(11 * HOUR_MS);
    for (let n = 0; n < 30; n += 1) {
      expect(await token.get()).toBe(first);
      await clock.advance(10_000);
    }
    expect(side.refreshes).toBeLessThan(15);
    expect(await rows.get('T1')).toMatchObject({ isRefreshLost: false });
    side.refusal = null;
    await clock.advance(60_000 * 2);
    await token.get();
    await clock.settle();
    expect(isLive(await token.get())).toBe(true);
    expect(await token.get()).not.toBe(first);
  });

  it('installed again while it is refreshed: the new installation stays', async () => {
    const { token, clock, side, install, installations } = await rotatingStage();
    await clock.advance(11 * HOUR_MS);
    let again = '';
    side.fate = () => {
      void install('T1').then((installed) => {
        again = installed;
      });
      return 'answered';
    };
    await token.get();
    await clock.settle();
    side.fate = () => 'answered';
    expect((await installations.read('T1'))?.tokens.bot).toBe(again);
    expect(await token.get()).toBe(again);
  });

  it('uninstalled while it is refreshed: no token comes back', async () => {
    const { token, clock, side, tokens, rows, installations } = await rotatingStage();
    await clock.advance(13 * HOUR_MS);
    side.fate = () => {
      void rows.delete('T1');
      tokens.uninstall('T1');
      return 'not sent';
    };
    await expect(token.get()).rejects.toBeInstanceOf(BridgeError);
    await expect(token.get()).rejects.toMatchObject({ retry: false });
    expect(await installations.get('T1')).toBeNull();
  });
});

describe('a new pair that cannot be stored', () => {
  async function failingStage() {
    const rows = await memoryRows();
    const store = { isAway: false };
    const failing = {
      ...rows,
      async swap(key: string, expected: unknown, value: unknown) {
        if (store.isAway) throw new BridgeError('store_failed', 'away', { retry: true });
        return rows.swap(key, expected, value);
      },
    };
    const stage = await installationsStage({ isRotated: true, rows: failing });
    const first = await stage.install('T1');
    const token = (await stage.installations.get('T1'))?.openToken(() => true);
    if (!token) throw new Error('not installed');
    return { ...stage, store, first, token };
  }

  it('because the store is away before: nothing is asked of Slack', async () => {
    const { token, first, clock, side, store } = await failingStage();
    await clock.advance(11 * HOUR_MS);
    store.isAway = true;
    expect(await token.get()).toBe(first);
    await clock.settle();
    expect([side.refreshes, await token.get()]).toEqual([0, first]);
  });

  it('because the store goes away meanwhile: used, and stored later', async () => {
    const { token, first, clock, side, store, isLive, installations } = await failingStage();
    await clock.advance(13 * HOUR_MS);
    side.fate = () => {
      store.isAway = true;
      return 'answered';
    };
    const next = await token.get();
    expect([isLive(next), next === first]).toEqual([true, false]);
    await clock.advance(60_000);
    expect([await token.get(), await token.replace?.(first)]).toEqual([next, next]);
    store.isAway = false;
    await clock.advance(60_000);
    expect((await installations.read('T1'))?.tokens.bot).toBe(next);
    expect([side.refreshes, clock.waiting]).toEqual([1, 0]);
  });
});

describe('lost answers and changing owners, in any order', () => {
  const fate = fc.constantFrom<Fate>('answered', 'answer lost', 'not sent');
  const event = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('work' as const), fates: fc.array(fate, { maxLength: 4 }) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('rest' as const), minutes: fc.integer({ min: 1, max: 900 }) }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: 'takeover' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'install' as const }) },
  );

  it('there is a token that Slack accepts, after at most some seconds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 25 }), async (events) => {
        const { clock, side, make, open, isLive, install } = await rotatingStage();
        let owner = 0;
        const openAs = async (own: number) => open(make(), () => owner === own);
        let token = await openAs(owner);
        for (const one of events) {
          if (one.kind === 'rest') await clock.advance(one.minutes * 60_000);
          if (one.kind === 'install') await install('T1');
          if (one.kind === 'takeover') {
            owner += 1;
            token = await openAs(owner);
          }
          if (one.kind !== 'work') continue;
          const fates = [...one.fates];
          side.fate = () => fates.shift() ?? 'answered';
          let last = '';
          for (let second = 0; second < 40; second += 1) {
            last = await token.get().catch(() => '');
            // What the Web API client does with a token that Slack refuses.
            if (last !== '' && !isLive(last)) last = (await token.replace?.(last)) ?? '';
            await clock.advance(1_000);
          }
          expect(isLive(last)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});
