import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStartLine, type Place } from '../../src/letta/start-line.ts';
import { createFakeClock } from '../support/clock.ts';

describe('the line of starts', () => {
  it('lets three in, the others one by one, in order', async () => {
    const clock = createFakeClock();
    const line = createStartLine(clock);
    const begun: number[] = [];
    const places: Place[] = [];
    for (let n = 0; n < 7; n += 1) {
      const place = line.enter('device', () => {});
      places.push(place);
      void place.isNext.then(() => begun.push(n));
    }
    await clock.settle();
    expect(begun).toEqual([0, 1, 2]);
    places[1]?.leave();
    places[1]?.leave();
    await clock.settle();
    expect(begun).toEqual([0, 1, 2, 3]);
    expect(places.map(({ hadToWait }) => hadToWait)).toEqual([false, false, false, true, true, true, true]);
  });

  it('each server and device has its own', async () => {
    const line = createStartLine(createFakeClock());
    for (let n = 0; n < 3; n += 1) line.enter('a', () => {});
    expect(line.enter('a', () => {}).hadToWait).toBe(true);
    expect(line.enter('b', () => {}).hadToWait).toBe(false);
    expect(line.enter(null, () => {}).hadToWait).toBe(false);
  });

  it('tells those who wait their place, at most every three seconds', async () => {
    const clock = createFakeClock();
    const line = createStartLine(clock);
    const inside = [1, 2, 3].map(() => line.enter(null, () => {}));
    const told: number[] = [];
    for (let n = 0; n < 4; n += 1) inside.push(line.enter(null, () => {}));
    line.enter(null, (place) => told.push(place));
    expect(told).toEqual([5]);
    inside[0]?.leave();
    expect(told).toEqual([5]);
    await clock.advance(3_000);
    inside[1]?.leave();
    expect(told).toEqual([5, 3]);
  });

  it('three at most are inside, and everyone gets in', async () => {
    const step = fc.record({ enters: fc.boolean(), who: fc.nat(30), where: fc.constantFrom('a', null) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const line = createStartLine({ monotonic: () => 0 });
        const here: { place: Place; where: string | null; isInside: boolean }[] = [];
        for (const { enters, who, where } of steps) {
          if (enters || here.length === 0) {
            const one = { place: line.enter(where, () => {}), where, isInside: false };
            void one.place.isNext.then(() => {
              one.isInside = true;
            });
            here.push(one);
          } else here.splice(who % here.length, 1)[0]?.place.leave();
          await Promise.resolve();
          await Promise.resolve();
          for (const at of ['a', null]) {
            const there = here.filter((one) => one.where === at);
            expect(there.filter(({ isInside }) => isInside)).toHaveLength(Math.min(3, there.length));
          }
        }
      }),
    );
  });
});
