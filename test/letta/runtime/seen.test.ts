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
    expect(seen.table.size).toBeLessThanOrEqual(2 * SEEN_KEPT);
    expect(seen.table.bytes).toBeLessThanOrEqual(40 * SEEN_KEPT);
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

  it('takes no key for another: 200,000 that differ little', () => {
    let seen = emptySeen;
    const mistaken: string[] = [];
    for (let at = 0; at < 100_000; at += 1) {
      for (const key of [`stream_delta:${at}:0d6048bf-a863-4b94-80b6-22840830a0c4`, `stream_delta:1:${at}`]) {
        if (hasSeen(seen, key)) mistaken.push(key);
        seen = addSeen(seen, key);
      }
    }
    expect(mistaken).toEqual([]);
  });

  it('older sets are added to: each knows its own keys', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20), fc.nat(400)), { maxLength: 300 }), (steps) => {
        // Each step adds a key to one of the sets that exist, as a plain set would take it.
        const sets = [{ seen: emptySeen, plain: new Set<string>() }];
        for (const [which, number] of steps) {
          const from = sets[which % sets.length] ?? sets[0];
          if (!from) return;
          const key = `k${number}`;
          sets.push({ seen: addSeen(from.seen, key), plain: new Set([...from.plain, key]) });
        }
        for (const { seen, plain } of sets.slice(-20)) {
          expect(keys(401).filter((key) => hasSeen(seen, key))).toEqual(keys(401).filter((key) => plain.has(key)));
        }
      }),
    );
  });
});
