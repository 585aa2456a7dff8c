import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Ask,
  emptyBudget,
  noteAnswered,
  noteLimited,
  noteSent,
  noteUnknownCalls,
  shareOfPace,
  whenAllowed,
} from '../../../src/slack/outbox/budget.ts';

const live: Ask = { method: 'chat.update', channel: 'C1', urgency: 'live' };
const must: Ask = { ...live, urgency: 'must' };
const first: Ask = { ...live, urgency: 'first' };
const post: Ask = { method: 'chat.postMessage', channel: 'C1', urgency: 'must' };

/** Sends as fast as allowed for `ms`; the times at which it went. */
function drain(ask: Ask, ms: number, start = emptyBudget): { times: number[]; budget: typeof emptyBudget } {
  const times: number[] = [];
  let budget = start;
  let now = 1_000_000;
  const end = now + ms;
  for (now = whenAllowed(budget, ask, now); now < end; now = whenAllowed(budget, ask, now)) {
    const taken = noteSent(budget, ask, now);
    budget = noteAnswered(taken.budget, ask, taken.id, now + 50);
    times.push(now);
    now += 1;
  }
  return { times, budget };
}

function most(times: number[], ms: number): number {
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + ms).length));
}

describe('the budget', () => {
  test('allows close to 48 live edits in any 60 s, evenly spread', () => {
    const { times } = drain(live, 600_000);
    expect(most(times, 60_000)).toBeLessThanOrEqual(48);
    const late = times.filter((at) => at >= 1_120_000);
    expect(late.length).toBeGreaterThan(8 * 47);
    expect(Math.max(...times.slice(1).map((at, n) => at - (times[n] ?? 0)))).toBeLessThan(2_000);
  });

  test('keeps two edits in reserve for what must arrive', () => {
    const { times, budget } = drain(live, 600_000);
    let spent = budget;
    const now = (times.at(-1) ?? 0) + 1;
    for (let n = 0; n < 2; n += 1) {
      expect(whenAllowed(spent, must, now)).toBe(now);
      spent = noteSent(spent, must, now).budget;
    }
    expect(whenAllowed(spent, must, now)).toBeGreaterThan(now);
  });

  test('holds live edits back until the reserve is full again', () => {
    let { budget } = drain(live, 600_000);
    const now = 1_600_000;
    for (let n = 0; n < 2; n += 1) budget = noteSent(budget, must, now).budget;
    expect(whenAllowed(budget, must, now)).toBeLessThan(now + 1_500);
    expect(whenAllowed(budget, live, now)).toBeGreaterThan(now + 2_000);
  });

  test('counts a call until 60 s after its answer', () => {
    let budget = emptyBudget;
    const ids: number[] = [];
    for (let n = 0; n < 50; n += 1) {
      const taken = noteSent(budget, must, 1_000);
      budget = taken.budget;
      ids.push(taken.id);
    }
    expect(whenAllowed(budget, must, 90_000)).toBeGreaterThan(90_000);
    for (const id of ids) budget = noteAnswered(budget, must, id, 9_000);
    expect(whenAllowed(budget, must, 10_000)).toBe(69_000);
  });

  test('spaces posts in one channel by a second, other channels are free', () => {
    const { budget } = noteSent(emptyBudget, post, 1_000);
    expect(whenAllowed(budget, post, 1_000)).toBeGreaterThanOrEqual(2_000);
    expect(whenAllowed(budget, { ...post, channel: 'C2' }, 1_000)).toBe(1_000);
  });

  test('edits fast at first, then ever more rarely, without a stop', () => {
    const { times } = drain(live, 60_000);
    const gaps = times.slice(1).map((at, n) => at - (times[n] ?? 0));
    for (const gap of gaps.slice(0, 3)) expect(gap).toBeLessThan(600);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(500);
    expect(Math.max(...gaps)).toBeLessThan(1_900);
    const growing = gaps.every((gap, n) => n === 0 || gap >= (gaps[n - 1] ?? 0) - 2);
    expect(growing).toBe(true);
  });

  test('a first text waits for no pace and leaves the reserve', () => {
    let { budget } = noteSent(emptyBudget, live, 1_000);
    expect(whenAllowed(budget, live, 1_000)).toBeGreaterThanOrEqual(1_500);
    expect(whenAllowed(budget, first, 1_000)).toBe(1_000);
    for (let n = 0; n < 47; n += 1) budget = noteSent(budget, first, 1_000).budget;
    expect(whenAllowed(budget, first, 1_000)).toBeGreaterThan(60_000);
    expect(whenAllowed(budget, must, 1_000)).toBe(1_000);
  });

  test('after a restart the process before may have used the window', () => {
    const start = 1_000_000;
    const before = drain(live, 300_000).times.map((at) => at - 1_300_000 + start);
    const { times } = drain(live, 120_000, noteUnknownCalls(emptyBudget, start));
    expect(most([...before, ...times], 60_000)).toBeLessThanOrEqual(50);
    let spent = noteUnknownCalls(emptyBudget, start);
    for (let n = 0; n < 20; n += 1) {
      expect(whenAllowed(spent, must, start)).toBe(start);
      spent = noteSent(spent, must, start).budget;
    }
  });

  test('blocks a rate-limited method until its Retry-After, and no other method', () => {
    const budget = noteLimited(emptyBudget, 'chat.update', 1_000, 31_000);
    expect(whenAllowed(budget, must, 1_000)).toBe(31_000);
    expect(whenAllowed(budget, post, 1_000)).toBe(1_000);
    expect(whenAllowed(noteLimited(budget, 'chat.update', 1_000, 5_000), must, 1_000)).toBe(31_000);
  });

  test('slows down after a 429 and recovers within a minute', () => {
    const calm = drain(live, 20_000).times.length;
    const limited = noteLimited(emptyBudget, 'chat.update', 1_000_000, 1_000_000);
    expect(drain(live, 20_000, limited).times.length).toBeLessThan(calm * 0.8);
    // Nothing was edited meanwhile.
    expect(shareOfPace(limited, 'chat.update', 1_030_000)).toBe(0.75);
    expect(shareOfPace(limited, 'chat.update', 1_060_000)).toBe(1);
    let shut = emptyBudget;
    for (let n = 0; n < 20; n += 1) shut = noteLimited(shut, 'chat.update', 1_000_000 + n, 1_000_000 + n);
    expect(drain(live, 120_000, shut).times.length).toBeGreaterThanOrEqual(10);
    expect(shareOfPace(shut, 'chat.update', 1_061_000)).toBe(1);
  });

  test('halves its pace once for a storm of 429s', () => {
    let storm = noteLimited(emptyBudget, 'chat.update', 1_000, 31_000, 900);
    for (let n = 0; n < 20; n += 1) storm = noteLimited(storm, 'chat.update', 1_010 + n, 31_010 + n, 950);
    expect(shareOfPace(storm, 'chat.update', 31_029)).toBe(0.5);
    // Slack still refuses when its time is over.
    storm = noteLimited(storm, 'chat.update', 31_100, 41_100, 31_050);
    expect(shareOfPace(storm, 'chat.update', 41_100)).toBeCloseTo(0.25, 2);
  });

  test('never exceeds a limit in any minute, with random calls and delays', () => {
    const event = fc.record({
      ask: fc.constantFrom(live, live, first, must, post, { ...post, channel: 'C2' }),
      wait: fc.integer({ min: 0, max: 3_000 }),
      latency: fc.integer({ min: 0, max: 5_000 }),
    });
    fc.assert(
      fc.property(fc.array(event, { minLength: 50, maxLength: 400 }), (events) => {
        let budget = emptyBudget;
        let now = 5_000_000;
        const open: { at: number; id: number; ask: Ask }[] = [];
        const log: { ask: Ask; at: number }[] = [];
        for (const { ask, wait, latency } of events) {
          now += wait;
          for (const due of open.filter((one) => one.at <= now)) {
            budget = noteAnswered(budget, due.ask, due.id, due.at);
            open.splice(open.indexOf(due), 1);
          }
          if (whenAllowed(budget, ask, now) > now) continue;
          const taken = noteSent(budget, ask, now);
          budget = taken.budget;
          open.push({ at: now + latency, id: taken.id, ask });
          // Slack counts it at some time on the way.
          log.push({ ask, at: now + latency / 2 });
        }
        const updates = log.filter(({ ask }) => ask.method === 'chat.update');
        expect(most([0, ...updates.map(({ at }) => at)], 60_000)).toBeLessThanOrEqual(50);
        const lives = updates.filter(({ ask }) => ask.urgency !== 'must');
        expect(most([0, ...lives.map(({ at }) => at)], 60_000)).toBeLessThanOrEqual(48);
        for (const uses of Object.values(budget.windows)) expect(uses.length).toBeLessThanOrEqual(240);
      }),
      { seed: 20_261_122, numRuns: 60 },
    );
  });
});
