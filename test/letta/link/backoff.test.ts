import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoff } from '../../../src/letta/link/backoff.ts';

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoff', () => {
  it('stays under a limit that doubles from half a second to thirty', () => {
    fc.assert(
      fc.property(fc.nat({ max: 5000 }), chance, (attempt, luck) => {
        const ms = backoff(attempt, luck);
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(Math.min(30_000, 500 * 2 ** Math.min(attempt, 20)));
      }),
    );
  });

  it('spreads over the whole range', () => {
    expect(backoff(0, 0)).toBe(0);
    expect(backoff(3, 0.5)).toBe(2000);
    expect(backoff(100, 0.5)).toBe(15_000);
  });
});
