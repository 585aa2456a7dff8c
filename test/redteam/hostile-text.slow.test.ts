import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { READERS, repeated, steps } from './hostile-text.ts';

const atom = fc.constantFrom(
  ...['> ', '>', '- ', '1. ', '* ', '+ ', '#', '=', '---', '\n', '\n\n', ' ', '  ', '    ', '\t', '\r', 'a', 'b ', '.'],
  ...['*', '**', '_', '__', '~', '~~', '`', '``', '```', '[', ']', '(', ')', '](', '![', '<', '>', '"', "'", ':', '/'],
  ...['|', '|-|', '\\', '&', '&#', '&lt;', 'http://', 'www.', '@', 'a@b.c', '$', '$$', '\\(', '\\[', ']:', '[^', '😀'],
);
/** A short text that is repeated without end, in front of it one that is not. */
const motif = fc.tuple(fc.array(atom, { maxLength: 3 }), fc.array(atom, { minLength: 1, maxLength: 6 }));

describe('a hostile text', () => {
  it('takes time in proportion to its length, whatever it repeats', () => {
    fc.assert(
      fc.property(motif, fc.constantFrom(...Object.keys(READERS)), ([first, again], name) => {
        const read = READERS[name] ?? (() => null);
        const text = (length: number) => first.join('') + repeated(again.join(''), length);
        expect(steps(read, text(72_000)), name).toBeLessThan(5 * steps(read, text(24_000)) + 100_000);
      }),
      { numRuns: 100 },
    );
  });
});
