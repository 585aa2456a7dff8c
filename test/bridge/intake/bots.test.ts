import { describe, expect, it } from 'vitest';
import type { Policy } from '../../../src/bridge/access/policy.ts';
import { createMiddle, ROOT } from '../../support/middle.ts';

const policy: Partial<Policy> = { bots: { ids: ['B0ALERTS'], inARow: 2, rate: { turns: 30, perMs: 3_600_000 } } };
const bot = { user: 'B0ALERTS', bot: true, mention: true };
const accepted = { outcome: 'accepted' };
const enough = { outcome: 'refused', reason: 'bots_in_a_row' };

describe('messages from bots', () => {
  it('are ignored without notice unless the policy names the bot', async () => {
    const middle = createMiddle({ policy });
    expect(await middle.write('disk full', { ...bot, user: 'B0OTHER', ts: ROOT })).toEqual({
      outcome: 'ignored',
      reason: 'user_is_bot',
    });
    expect(middle.surface.whispered).toEqual([]);
  });

  it('are refused after several in a row, until a person writes', async () => {
    const middle = createMiddle({ policy });
    expect(await middle.write('disk full', { ...bot, ts: ROOT })).toEqual(accepted);
    expect(await middle.write('still full', bot)).toEqual(accepted);
    expect(await middle.write('and again', bot)).toEqual(enough);
    expect(await middle.write('and again', bot)).toEqual(enough);
    expect(middle.surface.said.map(({ text }) => text)).toEqual([
      '2 bot messages since a person last wrote: I’ll ignore bots here until a person writes.',
    ]);
    expect(await middle.write('thanks', { mention: false })).toEqual({ outcome: 'context' });
    expect(await middle.write('full once more', bot)).toEqual(accepted);
  });

  it('count together over all bots, also after a restart', async () => {
    const middle = createMiddle({
      policy: { bots: { ids: ['B0ALERTS', 'B0BUILD'], inARow: 2, rate: { turns: 30, perMs: 3_600_000 } } },
    });
    await middle.write('disk full', { ...bot, ts: ROOT });
    await middle.write('build red', { ...bot, user: 'B0BUILD' });
    await middle.restart();
    expect(await middle.write('disk full', bot)).toEqual(enough);
  });

  it('are prompts even when they look like commands', async () => {
    const middle = createMiddle({ policy });
    await middle.write('work on it', { ts: ROOT, mention: true });
    middle.connection.ready();
    await middle.clock.settle();
    middle.connection.begin();
    await middle.clock.settle();
    expect(await middle.write('!stop', bot)).toEqual(accepted);
    expect(middle.connection.aborts).toBe(0);
  });

  it('are dropped without an offer when they are too old', async () => {
    const middle = createMiddle({ policy, staleAfterMs: 60_000 });
    await middle.clock.advance(2_000_000);
    expect(await middle.write('disk full', { ...bot, ts: ROOT, caughtUp: true })).toEqual({
      outcome: 'ignored',
      reason: 'stale_from_a_bot',
    });
    expect(middle.surface.offers).toEqual([]);
  });

  it('begin only so many turns in a channel, in however many threads', async () => {
    const rate = { turns: 2, perMs: 60_000 };
    const middle = createMiddle({ policy: { bots: { ids: ['B0ALERTS', 'B0BUILD'], inARow: 5, rate } } });
    const top = { ...bot, thread: null };
    expect(await middle.write('disk full', { ...top, ts: '1000.000001' })).toEqual(accepted);
    expect(await middle.write('build red', { ...top, user: 'B0BUILD', ts: '1000.000002' })).toEqual(accepted);
    const refused = { outcome: 'refused', reason: 'bots_rate' };
    expect(await middle.write('disk full', { ...top, ts: '1000.000003' })).toEqual(refused);
    expect(await middle.write('build red', { ...top, user: 'B0BUILD', ts: '1000.000004' })).toEqual(refused);
    expect(middle.surface.said).toMatchObject([{ text: expect.stringContaining('I’ll ignore bots here until') }]);
    expect(await middle.write('look', { ...top, bot: false, user: 'U01ALICE', ts: '1000.000005' })).toEqual(accepted);
    const other = { ...top, channel: 'C02ENG', ts: '1000.000006' };
    expect(await middle.write('disk full', other)).toEqual(accepted);
    await middle.clock.advance(60_000);
    expect(await middle.write('disk full', { ...top, ts: '1000.000007' })).toEqual(accepted);
  });

  it('of Slackbot count as a bot’s, where the policy names it', async () => {
    const reminder = { user: 'USLACKBOT', bot: true, mention: true };
    const closed = createMiddle({ policy });
    const unnamed = await closed.write('post the incidents', { ...reminder, ts: ROOT });
    expect(unnamed).toEqual({ outcome: 'ignored', reason: 'user_is_bot' });
    const ids = ['USLACKBOT'];
    const rate = { turns: 30, perMs: 60_000 };
    const open = createMiddle({ policy: { bots: { ids, inARow: 1, rate } } });
    expect(await open.write('post the incidents', { ...reminder, ts: ROOT })).toEqual(accepted);
    expect(await open.write('and again', reminder)).toEqual(enough);
  });
});
