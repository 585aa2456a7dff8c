import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffMs } from '../src/backoff.ts';

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const half = { firstMs: 500, longestMs: 30_000 };

describe('backoffMs()', () => {
  it('doubles from the first wait to the longest', () => {
    expect([1, 2, 3, 6, 7, 8, 5_000].map((failures) => backoffMs(half, failures))).toEqual([
      500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000,
    ]);
  });

  it('is no wait after no failure', () => {
    expect(backoffMs({ ...half, spread: [1, 1.5] }, 0, 0.9)).toBe(0);
  });

  it('stays within the spread of the doubled wait', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), chance, (failures, luck) => {
        const ms = backoffMs({ ...half, spread: [0.5, 1] }, failures, luck);
        const whole = Math.min(30_000, 500 * 2 ** Math.min(failures - 1, 20));
        expect(ms).toBeGreaterThanOrEqual(whole / 2);
        expect(ms).toBeLessThanOrEqual(whole);
      }),
    );
  });

  it('uses the whole range of the spread', () => {
    const full = { ...half, spread: [0, 1] } as const;
    expect(backoffMs(full, 1, 0)).toBe(0);
    expect(backoffMs(full, 4, 0.5)).toBe(2_000);
    expect(backoffMs(full, 100, 0.5)).toBe(15_000);
  });
});
