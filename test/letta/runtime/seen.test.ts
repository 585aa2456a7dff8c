import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addSeen, emptySeen, hasSeen, SEEN_KEPT, type Seen } from '../../../src/letta/runtime/seen.ts';

const add = (seen: Seen, keys: string[]) => keys.reduce(addSeen, seen);
const keys = (count: number, name = 'k') => Array.from({ length: count }, (_, at) => `${name}${at}`);

describe('the memory of seen keys', () => {
  it('keeps the latest keys and forgets the oldest', () => {
    const seen = add(emptySeen, keys(3 * SEEN_KEPT));
    for (const key of keys(3 * SEEN_KEPT).slice(-SEEN_KEPT)) expect(hasSeen(seen, key)).toBe(true);
    expect(hasSeen(seen, 'k0')).toBe(false);
    expect(seen.places.size).toBeLessThanOrEqual(2 * SEEN_KEPT);
  });

  it('is not changed by adding: a new one is returned', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 200 }), fc.string(), (before, key) => {
        const seen = add(emptySeen, before);
        const later = addSeen(seen, key);
        expect(hasSeen(later, key)).toBe(true);
        expect(hasSeen(seen, key)).toBe(before.includes(key));
        for (const known of before) expect(hasSeen(later, known)).toBe(true);
      }),
    );
  });
});
