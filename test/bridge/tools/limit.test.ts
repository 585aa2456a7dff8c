import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limitResult } from '../../../src/bridge/tools/limit.ts';
import { fails, says, type ToolPart } from '../../../src/bridge/tools/result.ts';

const textOf = (parts: readonly ToolPart[]) =>
  parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');

describe('the limits of a result', () => {
  it('leave a short one whole', () => {
    expect(limitResult(says('done'))).toEqual(says('done'));
    expect(limitResult(says('x'.repeat(32_000)))).toEqual(says('x'.repeat(32_000)));
  });

  it('tell how much is left out, and keep an error an error', () => {
    const limited = limitResult(fails('x'.repeat(40_000)));
    expect(limited.isError).toBe(true);
    expect(textOf(limited.parts)).toMatch(/^x{31800}\n\[… 8,200 more characters are left out here\./);
  });

  it('never exceed what Letta shows, cut no pair, keep images', () => {
    const part = fc.oneof(
      fc
        .string({ unit: fc.constantFrom('a', '\n', '😀'), maxLength: 30_000, size: 'max' })
        .map((text) => says(text).parts[0] as ToolPart),
      fc.constant<ToolPart>({ type: 'image', data: 'AAAA', mediaType: 'image/png' }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const limited = limitResult({ parts });
        const text = textOf(limited.parts);
        expect(text.length).toBeLessThanOrEqual(32_000);
        expect(text.isWellFormed()).toBe(true);
        const images = (list: readonly ToolPart[]) => list.filter(({ type }) => type === 'image').length;
        expect(images(limited.parts)).toBe(images(parts));
      }),
      { numRuns: 30 },
    );
  });
});
