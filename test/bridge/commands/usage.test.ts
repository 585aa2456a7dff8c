import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readUsageDays, USAGE_DAYS, UsageBook, usageText } from '../../../src/bridge/commands/usage.ts';
import type { Choices } from '../../../src/bridge/ports.ts';
import type { UsedTurn } from '../../../src/bridge/turn/steps.ts';
import { createFakeClock } from '../../support/clock.ts';
import { mapChoices, silentLog, TEAM } from '../../support/middle.ts';

const DAY = 86_400_000;
const used = (user: string, change: Partial<UsedTurn> = {}): UsedTurn => ({
  user,
  channel: 'C01GEN',
  model: 'a/b',
  tokens: { input: 100, cached: 40, output: 10 },
  context: null,
  compactions: 0,
  ...change,
});

function stage(choices: Choices = mapChoices()) {
  const clock = createFakeClock();
  return { clock, choices, begin: () => new UsageBook({ choices, clock, team: TEAM, log: silentLog }) };
}

describe('the book of usage', () => {
  it('adds turns up by person, channel and model, across restarts', async () => {
    const { begin } = stage();
    await begin().note(used('U1'));
    await begin().note(used('U1'));
    await begin().note(used('U2', { model: null, tokens: null, channel: 'D02' }));
    expect(usageText(await begin().list(1), 1)).toBe(
      [
        'Today (UTC): 3 turns, 200 tokens in (80 from the cache), 20 out.',
        '*By person*',
        '- <@U1>: 2 turns, 200 tokens in (80 from the cache), 20 out',
        '- <@U2>: 1 turn, 0 tokens in, 0 out',
        '*By channel*',
        '- <#C01GEN>: 2 turns, 200 tokens in (80 from the cache), 20 out',
        '- direct messages: 1 turn, 0 tokens in, 0 out',
        '*By model*',
        '- `a/b`: 2 turns, 200 tokens in (80 from the cache), 20 out',
        '- model not told: 1 turn, 0 tokens in, 0 out',
      ].join('\n'),
    );
  });

  it('tells only the days that are asked for', async () => {
    const { begin, clock } = stage();
    const book = begin();
    await book.note(used('U1'));
    await clock.advance(2 * DAY);
    await book.note(used('U2'));
    expect((await book.list(2)).map(([user]) => user)).toEqual(['U2']);
    expect((await book.list(3)).map(([user]) => user).toSorted()).toEqual(['U1', 'U2']);
  });

  it('days that are over are deleted, also when few turns follow', async () => {
    const kept = new Map<string, string>();
    const choices = {
      get: async (name: string) => kept.get(name) ?? null,
      set: async (name: string, value: string) => void kept.set(name, value),
    };
    const { begin, clock } = stage(choices);
    for (let day = 0; day < 5; day += 1) {
      await begin().note(used('UOLD'));
      await clock.advance(DAY);
    }
    await clock.advance(USAGE_DAYS * DAY);
    await begin().note(used('UNEW'));
    expect([...kept.values()].join()).not.toContain('UOLD');
    expect(kept.size).toBeLessThanOrEqual(USAGE_DAYS);
  });

  it('any turns: all are counted, in a bounded row', async () => {
    const turn = fc.record({ user: fc.nat(900), channel: fc.nat(3), model: fc.nat(3), input: fc.nat(1_000) });
    await fc.assert(
      fc.asyncProperty(fc.array(turn, { maxLength: 700, minLength: 1 }), async (turns) => {
        const { begin } = stage();
        const book = begin();
        for (const { user, channel, model, input } of turns) {
          const tokens = { input, cached: 0, output: 1 };
          void book.note(used(`U${user}`, { channel: `C${channel}`, model: `m/${model}`, tokens }));
        }
        const rows = await book.list(1);
        const sum = (at: 3 | 4 | 6) => rows.reduce((all, row) => all + row[at], 0);
        expect(rows.length).toBeLessThanOrEqual(501);
        expect(sum(3)).toBe(turns.length);
        expect(sum(4)).toBe(turns.reduce((all, { input }) => all + input, 0));
        expect(sum(6)).toBe(turns.length);
        expect(usageText(rows, 1).split('\n').length).toBeLessThan(50);
      }),
      { numRuns: 5 },
    );
  });

  it('a disk that fails, or rubbish on it, disturbs nothing', async () => {
    const broken = { get: async () => '{"day":0,"rows":[[1],"x"]}', set: () => Promise.reject(new Error('full')) };
    const { begin } = stage(broken);
    const book = begin();
    await book.note(used('U1'));
    expect(await book.list(7)).toEqual([]);
  });
});

it('days are read from words', () => {
  expect(['', '7d', '1 day', '35 days', '36d', '0d', 'week', '7'].map(readUsageDays)).toEqual([
    ...[7, 7, 1, 35],
    ...[null, null, null, null],
  ]);
});
