import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Appendable, findAppendable } from '../../../src/slack/render/appendable.ts';
import { parseMarkdown } from '../../../src/slack/render/ast.ts';
import { nothingSettled, renderGrowing } from '../../../src/slack/render/growing.ts';
import { LIMITS } from '../../../src/slack/render/limits.ts';
import { renderMarkdown } from '../../../src/slack/render/markdown.ts';
import { neutralizeMarkdown } from '../../../src/slack/render/neutralize.ts';
import type { TextPart } from '../../../src/slack/render/part.ts';
import { translateSlackMarkup } from '../../../src/slack/render/slack-markup.ts';
import { runs } from '../../support/runs.ts';
import { anyText, pingsIn } from './markdown-arbitrary.ts';

const FOLDER = new URL('../../fixtures/answers/', import.meta.url);
const answers = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.md'))
  .map((name) => [name, readFileSync(new URL(name, FOLDER), 'utf8').slice(0, LIMITS.markdown - 1_000)] as const);

const whole = (source: string, change: Partial<TextPart> = {}): TextPart => ({
  source,
  prefix: '',
  suffix: '',
  dedent: 0,
  first: null,
  following: null,
  ...change,
});

/** What can be shown of the text at each moment while it grows by `step` characters. */
function grow(text: string, step: number, change: Partial<TextPart> = {}): (Appendable | null)[] {
  let settled = nothingSettled;
  const shown: (Appendable | null)[] = [];
  for (let at = step; at < text.length + step; at += step) {
    const part = whole(text.slice(0, at), change);
    ({ settled } = renderGrowing(part, settled, LIMITS.markdown));
    shown.push(findAppendable(part, settled, LIMITS.markdown, true));
  }
  return shown;
}

const shownOf = (text: string, isWriting = true) => {
  const { settled } = renderGrowing(whole(text), nothingSettled, LIMITS.markdown);
  return findAppendable(whole(text), settled, LIMITS.markdown, isWriting)?.markdown;
};

describe('the beginning of a text that a native stream can show', () => {
  it.each([
    ['plain words, to the last letter', 'Some words and a lett', 'Some words and a lett'],
    ['the words before open bold', 'Look at **this fi', 'Look at'],
    ['closed bold followed by words', 'Look at **this file** now', 'Look at **this file** now'],
    ['the words before open code', 'Run `npm te', 'Run'],
    ['the words before half a link', 'See [the docs](https://exa', 'See'],
    ['a whole link', 'See [the docs](https://example.com)', 'See [the docs](https://example.com)'],
    ['the words before a growing address', 'See https://example.com/pa', 'See'],
    ['the words before a mention', 'Ask @her', 'Ask'],
    ['the words before a person’s id', 'Ask <@U123', 'Ask'],
    ['prices', 'It costs $5 or $10 now', 'It costs $5 or $10 now'],
    ['the words before a formula', 'Here $x_1 + y', 'Here'],
    ['a heading', '# The head', '# The head'],
    ['the text above a line of mere marks', 'Some words\n---', 'Some words'],
    ['the text above the first line of a table', 'Words:\n\n| a | b |\n|--', 'Words:'],
    ['whole rows of a table', '| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |', '| a | b |\n|---|---|\n| 1 | 2 |'],
    ['nothing of a second table', '| a |\n|---|\n| 1 |\n\nand\n\n| b |\n|---|\n| 2 |\n', '| a |\n|---|\n| 1 |\n\nand'],
    ['lines of code', '```ts\nconst a = b;\nconst c', '```ts\nconst a = b;\nconst c'],
    ['code before what may become its end', '```ts\nconst a = b;\n``', '```ts\nconst a = b;'],
    ['the text above a fence without its first line', 'Look:\n\n```t', 'Look:'],
    ['a list item', '- one\n- two wor', '- one\n- two wor'],
    ['the items above a mere marker', '- one\n- ', '- one'],
  ])('is %s', (_, text, shown) => {
    expect(shownOf(text)).toBe(shown);
  });

  it('is all of it once the agent does something else', () => {
    expect(shownOf('Let me look at **this', false)).toBe('Let me look at **this');
  });

  it('is nothing where later text may change any of it', () => {
    expect(shownOf('see [docs][1]\n\n[1]: https://a.example\n\nmore words\n')).toBeUndefined();
    const { settled } = renderGrowing(whole('goes on', { dedent: 2 }), nothingSettled, LIMITS.markdown);
    expect(findAppendable(whole('goes on', { dedent: 2 }), settled, LIMITS.markdown, true)).toBeNull();
  });

  it.each(answers)('never has to be taken back in %s', (name, text) => {
    let sent = '';
    for (const shown of grow(text, 5)) {
      if (shown === null || sent.startsWith(shown.markdown)) continue;
      expect(shown.markdown.startsWith(sent)).toBe(true);
      sent = shown.markdown;
    }
    expect(sent.length).toBeGreaterThan(text.length / 3);
    // Its links are defined at the end.
    if (name !== 'hostile.md') expect(renderMarkdown(whole(text), false).markdown.startsWith(sent)).toBe(true);
  });

  it('goes on behind what the message before had open', () => {
    const shown = grow('const a = 1;\nconst b = 2;\n```\nwords and words', 4, { prefix: '```ts\n' });
    expect(shown.at(-1)?.markdown).toBe('```ts\nconst a = 1;\nconst b = 2;\n```\nwords and words');
    expect(shown.at(-1)?.length).toBe('const a = 1;\nconst b = 2;\n```\nwords and words'.length);
  });

  it('is harmless and rendered as the same text alone', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 3, max: 60 }), (any, step) => {
        const text = any.slice(0, 600);
        for (const shown of grow(text, step)) {
          if (shown === null) continue;
          expect(pingsIn(shown.markdown)).toEqual([]);
          const beginning = parseMarkdown(text.slice(0, shown.length));
          expect(shown.markdown).toBe(neutralizeMarkdown(translateSlackMarkup(beginning, undefined)));
        }
      }),
      { numRuns: runs(60) },
    );
  });
});
