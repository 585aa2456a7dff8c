import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nothingSettled, renderGrowing } from '../../../src/slack/render/growing.ts';
import { LIMITS } from '../../../src/slack/render/limits.ts';
import { renderMarkdown } from '../../../src/slack/render/markdown.ts';
import type { TextPart } from '../../../src/slack/render/part.ts';
import { runs } from '../../support/runs.ts';
import { anyText, markdownText, pingsIn, tokens } from './markdown-arbitrary.ts';

const whole = (source: string, change: Partial<TextPart> = {}): TextPart => ({
  source,
  prefix: '',
  suffix: '',
  dedent: 0,
  first: null,
  following: null,
  ...change,
});

/** Renders the text as it grows by `steps`, and compares each state with a rendering from scratch. */
function grow(text: string, steps: readonly number[], change: Partial<TextPart> = {}) {
  let settled = nothingSettled;
  for (let at = 0, step = 0; at < text.length; step += 1) {
    at = Math.min(text.length, at + (steps[step % steps.length] ?? 1));
    const part = whole(text.slice(0, at), change);
    const next = renderGrowing(part, settled, LIMITS.markdown);
    expect(next.rendered.markdown).toBe(renderMarkdown(part, true).markdown);
    expect(next.rendered.summary.slice(0, LIMITS.summary)).toBe(
      renderMarkdown(part, true).summary.slice(0, LIMITS.summary),
    );
    settled = next.settled;
  }
  return settled;
}

const steps = fc.array(fc.integer({ min: 5, max: 200 }), { minLength: 1, maxLength: 20 });

describe('incremental rendering of a growing text', () => {
  it('gives the same as rendering from scratch', () => {
    fc.assert(
      fc.property(anyText, steps, (text, pieces) => {
        grow(text.slice(0, 700), pieces);
      }),
      { numRuns: runs(6) },
    );
  });

  it('gives the same for the continuation of an earlier message', () => {
    fc.assert(
      fc.property(
        markdownText,
        steps,
        fc.constantFrom(
          { prefix: '```ts\n' },
          { prefix: '**' },
          { prefix: '| a | b |\n|---|---|\n' },
          { prefix: '> ' },
          { dedent: 2 },
          { dedent: 4, prefix: '```\n' },
        ),
        (text, pieces, change) => {
          grow(text.slice(0, 500), pieces, change);
        },
      ),
      { numRuns: runs(8) },
    );
  });

  it('never pings, wherever a token is cut and whatever surrounds it', () => {
    const places = ['X', '`X`', '```\nX\n```', '| a |\n|---|\n| X |', '[X](https://e.example/X)', '> - **X**', '$X$'];
    for (const text of places.flatMap((place) => tokens.map((token) => place.replaceAll('X', () => `a ${token} b`)))) {
      let settled = nothingSettled;
      for (let at = 1; at <= text.length; at += 1) {
        const next = renderGrowing(whole(text.slice(0, at)), settled, LIMITS.markdown);
        expect(pingsIn(next.rendered.markdown)).toEqual([]);
        settled = next.settled;
      }
    }
  });

  it('settles everything but the last block, list item or code line', () => {
    const settledOf = (text: string) => grow(text, [7]).doc;
    expect(settledOf('# A\n\nsome words\n\nmore wor')).toBe('# A\n\n');
    expect(settledOf('# A\n\nsome words\n\nmore words\n')).toBe('# A\n\nsome words\n\n');
    expect(settledOf('- one\n  - deep\n- two\n- three\n  goes on\n')).toBe('- one\n  - deep\n- two\n');
    expect(settledOf('Look:\n\n```ts\nconst a = 1;\nconst b = 2;\ncon')).toBe('Look:\n\n```ts\nconst a = 1;\n');
  });

  it('settles nothing more once a link definition may change earlier text', () => {
    expect(grow('see [docs][1]\n\nwords\n\n[1]: https://a.example\n\nmore words\n\nand more\n', [5])).toMatchObject({
      isStuck: true,
    });
  });

  it('puts a second table into a fence, however early the first', () => {
    const table = '| a | b |\n|---|---|\n| 1 | 2 |\n\n';
    const text = `${table}${'words and words\n\n'.repeat(5)}${table}end`;
    grow(text, [9]);
    const { rendered } = renderGrowing(whole(text), grow(text, [9]), LIMITS.markdown);
    expect(rendered.markdown).toContain('```\n| a   | b   |');
  });
});
