import { describe, expect, it } from 'vitest';
import type { Ask } from '../../../src/slack/outbox/budget.ts';
import { createScheduler, type Wish } from '../../../src/slack/outbox/scheduler.ts';
import { createFakeClock } from '../../support/clock.ts';
import { countingRandom, silentLog } from '../../support/middle.ts';

describe('the scheduler', () => {
  it('serves the longest waiting first, even when asking takes time', async () => {
    const clock = createFakeClock();
    // Each look at the clock takes a millisecond.
    let spent = 0;
    const monotonic = () => {
      spent += 1;
      return clock.monotonic() + spent;
    };
    const api = { call: () => Promise.reject(new Error('nobody calls here')) };
    const scheduler = createScheduler({
      api,
      clock: { ...clock, monotonic },
      random: countingRandom(),
      log: silentLog,
    });
    const ran: string[] = [];
    const add = (name: string, waits: number) => {
      let done = false;
      const wish = (): Wish | null =>
        done ? null : { rank: 2, since: clock.monotonic() - waits, notBefore: monotonic() };
      scheduler.add({
        wish,
        run() {
          done = true;
          ran.push(name);
        },
      });
    };
    add('for a second', 1_000);
    add('for a minute', 60_000);
    add('for ten seconds', 10_000);
    await clock.advance(10);
    expect(ran).toEqual(['for a minute', 'for ten seconds', 'for a second']);
  });

  it('a call made while another keeps its place: is not forgotten', async () => {
    const clock = createFakeClock();
    const api = { call: () => Promise.resolve({ ok: true as const }) };
    const scheduler = createScheduler({ api, clock, random: countingRandom(), log: silentLog });
    const post: Ask = { method: 'chat.postMessage', channel: 'C01', urgency: 'must' };
    const slow = scheduler.keepPlace(post);
    await clock.advance(1_500);
    expect(scheduler.whenAllowed(post)).toBe(clock.monotonic());
    await scheduler.call(post, { method: post.method, args: {} }, 'control');
    // About one post a second in a channel.
    const next = clock.monotonic() + 1_050;
    expect(scheduler.whenAllowed(post)).toBe(next);
    expect(slow.isFree()).toBe(false);
    slow.leave();
    expect(scheduler.whenAllowed(post)).toBe(next);
  });

  it('a kept place: others wait as if its call were made', async () => {
    const clock = createFakeClock();
    const api = { call: () => Promise.resolve({ ok: true as const }) };
    const scheduler = createScheduler({ api, clock, random: countingRandom(), log: silentLog });
    const edit: Ask = { method: 'chat.update', channel: 'C01', urgency: 'live' };
    const first = scheduler.keepPlace(edit);
    const second = scheduler.keepPlace(edit);
    expect(scheduler.whenAllowed(edit)).toBeGreaterThan(clock.monotonic());
    expect([first.isFree(), second.isFree()]).toEqual([true, false]);
    first.leave();
    expect(second.isFree()).toBe(true);
    second.leave();
    expect(scheduler.whenAllowed(edit)).toBe(clock.monotonic());
  });
});
