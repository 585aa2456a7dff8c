import { describe, expect, it } from 'vitest';
import { parseMarkdown } from '../../src/slack/render/ast.ts';
import { MOTIFS, READERS, repeated, steps } from './hostile-text.ts';

describe('a hostile text', () => {
  it('costs in proportion to its length: one message', () => {
    for (const motif of MOTIFS) {
      const [short, long] = [2_000, 8_000].map((length) => steps(parseMarkdown, repeated(motif, length)));
      // Four times as long; the square would be sixteen times as much.
      expect(long, JSON.stringify(motif)).toBeLessThan(7 * (short ?? 0) + 20_000);
    }
  });

  it('costs in proportion to its length: an answer of several messages', () => {
    for (const motif of ['> - ', '1. ', '*a_', '[a](b', ' ', '- a\n', '`a', 'www.a_', '|-|\n', '$a']) {
      const [short, long] = [12_000, 36_000].map((length) => steps(READERS.render ?? String, repeated(motif, length)));
      expect(long, JSON.stringify(motif)).toBeLessThan(5 * (short ?? 0) + 50_000);
    }
  });

  it('is shown whole: nesting that is too deep becomes text', () => {
    const deep = `${'> - '.repeat(500)}the end`;
    const shown = JSON.stringify(READERS.render?.(deep));
    expect(shown).toContain('the end');
    expect(shown.match(/&gt;|> /g)?.length).toBeGreaterThanOrEqual(500);
  });
});
