import { describe, expect, it } from 'vitest';
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
});
