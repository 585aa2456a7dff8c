import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Ask,
  emptyBudget,
  noteAnswered,
  noteLimited,
  noteSent,
  whenAllowed,
} from '../../../src/slack/outbox/budget.ts';

const live: Ask = { method: 'chat.update', channel: 'C1', urgency: 'live' };
const must: Ask = { ...live, urgency: 'must' };
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

  test('blocks a rate-limited method until its Retry-After, and no other method', () => {
    const budget = noteLimited(emptyBudget, 'chat.update', 31_000);
    expect(whenAllowed(budget, must, 1_000)).toBe(31_000);
    expect(whenAllowed(budget, post, 1_000)).toBe(1_000);
    expect(whenAllowed(noteLimited(budget, 'chat.update', 5_000), must, 1_000)).toBe(31_000);
  });

  test('slows down after a 429 and returns to its pace', () => {
    const calm = drain(live, 60_000).times.length;
    const { times, budget } = drain(live, 600_000, noteLimited(emptyBudget, 'chat.update', 0));
    const first = times.filter((at) => at < 1_060_000).length;
    expect(first).toBeLessThan(calm * 0.7);
    expect(budget.pace).toBe(48);
    let shut = emptyBudget;
    for (let n = 0; n < 20; n += 1) shut = noteLimited(shut, 'chat.update', 0);
    expect(drain(live, 120_000, shut).times.length).toBeGreaterThanOrEqual(10);
  });

  test('never exceeds a limit in any minute, with random calls and delays', () => {
    const event = fc.record({
      ask: fc.constantFrom(live, must, post, { ...post, channel: 'C2' }),
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
        const lives = updates.filter(({ ask }) => ask.urgency === 'live');
        expect(most([0, ...lives.map(({ at }) => at)], 60_000)).toBeLessThanOrEqual(48);
        for (const uses of Object.values(budget.windows)) expect(uses.length).toBeLessThanOrEqual(240);
      }),
      { seed: 20_261_122, numRuns: 60 },
    );
  });
});
