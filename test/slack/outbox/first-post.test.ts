import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstPostAt, type HeldPost } from '../../../src/slack/outbox/first-post.ts';
import type { Substance } from '../../../src/slack/render/readable.ts';

const since = fc.integer({ min: 0, max: 1_000_000 });
const held: fc.Arbitrary<HeldPost> = fc
  .record({
    sign: fc.constantFrom<HeldPost['sign']>('status', 'asked', 'none', 'messages'),
    substance: fc.constantFrom<Substance>('activity', 'waiting', 'words', 'readable'),
    since,
    after: fc.integer({ min: 0, max: 60_000 }),
  })
  .map(({ after, ...rest }) => {
    const hasText = rest.substance === 'words' || rest.substance === 'readable';
    return { ...rest, textSince: hasText ? rest.since + after : null };
  });

describe('when a live message may be posted', () => {
  it('something to read: at once', () => {
    fc.assert(
      fc.property(held, (post) => {
        expect(firstPostAt({ ...post, substance: 'readable' })).toBe(0);
      }),
    );
  });

  it('the first words: at most 1.5 s later, whatever people see meanwhile', () => {
    fc.assert(
      fc.property(held, fc.integer({ min: 0, max: 60_000 }), (post, after) => {
        const textSince = post.since + after;
        expect(firstPostAt({ ...post, substance: 'words', textSince })).toBeLessThanOrEqual(textSince + 1_500);
      }),
    );
  });

  it('no status: within a second, whatever there is', () => {
    fc.assert(
      fc.property(held, (post) => {
        for (const sign of ['asked', 'none'] as const)
          expect(firstPostAt({ ...post, sign })).toBeLessThanOrEqual(post.since + 1_000);
      }),
    );
  });

  it('a status: a turn without text waits ten seconds, not longer', () => {
    fc.assert(
      fc.property(since, (at) => {
        const post = { sign: 'status', substance: 'activity', since: at, textSince: null } as const;
        expect(firstPostAt(post)).toBe(at + 10_000);
      }),
    );
  });

  it('a wait is never told later than an activity', () => {
    fc.assert(
      fc.property(held, (post) => {
        const at = (substance: Substance) => firstPostAt({ ...post, substance, textSince: null });
        expect(at('waiting')).toBeLessThanOrEqual(at('activity'));
      }),
    );
  });

  it('a status never makes it earlier than none', () => {
    fc.assert(
      fc.property(held, (post) => {
        expect(firstPostAt({ ...post, sign: 'status' })).toBeGreaterThanOrEqual(firstPostAt({ ...post, sign: 'none' }));
      }),
    );
  });
});
