import fc from 'fast-check';
import { expect, it } from 'vitest';
import { addSeen, emptySeen, hasSeen, SEEN_KEPT, type Seen } from '../../../src/letta/runtime/seen.ts';

const add = (seen: Seen, keys: string[]) => keys.reduce(addSeen, seen);
const keys = (count: number, name = 'k') => Array.from({ length: count }, (_, at) => `${name}${at}`);

it('knows the last keys and forgets the oldest', () => {
  const seen = add(emptySeen, keys(3 * SEEN_KEPT));
  for (const key of keys(3 * SEEN_KEPT).slice(-SEEN_KEPT)) expect(hasSeen(seen, key)).toBe(true);
  expect(hasSeen(seen, 'k0')).toBe(false);
  expect(seen.places.size).toBeLessThanOrEqual(2 * SEEN_KEPT);
});

it('adding leaves the earlier memory as it was', () => {
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
