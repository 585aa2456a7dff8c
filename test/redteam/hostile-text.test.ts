import { describe, expect, it } from 'vitest';
import { parseMarkdown } from '../../src/slack/render/ast.ts';
import { createRenderer, renderPosts } from '../../src/slack/render/posts.ts';
import { answer, MOTIFS, READERS, repeated, steps } from './hostile-text.ts';

describe('a hostile text', () => {
  it('takes time in proportion to its length: one message', () => {
    for (const motif of MOTIFS) {
      const [short, long] = [2_000, 8_000].map((length) => steps(parseMarkdown, repeated(motif, length)));
      // Four times as long; the square would be sixteen times as much.
      expect(long, JSON.stringify(motif)).toBeLessThan(7 * (short ?? 0) + 20_000);
    }
  });

  it('takes time in proportion to its length: several messages', () => {
    for (const motif of ['> - ', '1. ', '*a_', '[a](b', ' ', '- a\n', '`a', 'www.a_', '|-|\n', '$a']) {
      const [short, long] = [12_000, 36_000].map((length) => steps(READERS.render ?? String, repeated(motif, length)));
      expect(long, JSON.stringify(motif)).toBeLessThan(5 * (short ?? 0) + 50_000);
    }
  });

  it.each([true, false])('arriving at once: is rendered one message at a time (over: %s)', (over) => {
    for (const motif of ['> - ', '*a_', 'a ', '- a\n']) {
      const text = repeated(motif, 50_000);
      const twoMessages = steps(READERS.render ?? String, repeated(motif, 12_000));
      const render = createRenderer();
      let turns = 0;
      for (let done = false; !done; turns += 1) {
        const letters = { left: 4_000 };
        const taken = steps(() => (done = render.prepare(answer(text, over), false, letters)), '');
        expect(taken, motif).toBeLessThan(twoMessages + 100_000);
      }
      expect(turns, motif).toBeGreaterThan(5);
      let posts: unknown;
      expect(
        steps(() => (posts = render(answer(text, over), false)), ''),
        motif,
      ).toBeLessThan(100_000);
      if (over) expect(posts, motif).toEqual(renderPosts(answer(text, over)));
    }
  });

  it('nested too deep: is shown whole, as text', () => {
    const deep = `${'> - '.repeat(500)}the end`;
    const shown = JSON.stringify(READERS.render?.(deep));
    expect(shown).toContain('the end');
    expect(shown.match(/&gt;|> /g)?.length).toBeGreaterThanOrEqual(500);
  });
});
