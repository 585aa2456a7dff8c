import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMarkdown } from '../../../src/slack/render/ast.ts';
import { renderMarkdown } from '../../../src/slack/render/markdown.ts';
import { neutralizeMarkdown } from '../../../src/slack/render/neutralize.ts';
import { splitStart } from '../../../src/slack/render/part.ts';
import { dropTerminalCodes, translateSlackMarkup } from '../../../src/slack/render/slack-markup.ts';
import { openPart } from '../../../src/slack/render/split.ts';
import { runs } from '../../support/runs.ts';
import { anyText, pingsIn } from './markdown-arbitrary.ts';

const names: Record<string, string> = { U01ALICE: 'Alice *A.* <!here>', U02BOB: 'here' };
const nameOf = (id: string) => names[id];
const shown = (text: string) =>
  renderMarkdown(openPart(text, splitStart), false, 9_000, { nameOf: (id) => (id === 'U01CARA' ? 'Cara' : undefined) })
    .markdown;

describe("Slack's own markup in an answer", () => {
  it('becomes a link that shows its host', () => {
    expect(shown('See <https://ci.example/7|build 7>, <mailto:a@b.example|mail us>.')).toBe(
      'See [build 7](https://ci.example/7) (ci.example), [mail us](mailto:a@b.example) (a@b.example).',
    );
    expect(shown('<https://ci.example/7|ci.example>')).toBe('[ci.example](https://ci.example/7)');
    expect(shown('<https://evil.example|bank.example>')).toBe('[bank.example](https://evil.example) (evil.example)');
  });

  it('becomes the name of a person who is known, without a ping', () => {
    expect(shown('Ask <@U01CARA> or <@U01CARA|cara>, not <@U09NOBODY>.')).toBe(
      'Ask @Cara or @Cara, not &lt;@U09NOBODY>.'.replace('>', '&gt;'),
    );
  });

  it('becomes bold where it is a heading or a label', () => {
    expect(shown('*Summary*\n- *Status:* green\n- *Owner*: Cara')).toBe(
      '**Summary**\n- **Status:** green\n- **Owner**: Cara',
    );
  });

  it('stays italic where it may be emphasis', () => {
    for (const text of ['this is *really* so', '*Really* so.', '*All of this was made by a script.*', '***both***'])
      expect(shown(text)).toBe(text);
  });

  it('stays as typed in code, links, tables and formulas', () => {
    for (const text of [
      '`<https://a.example|b>` and `*x*`',
      '```\n*x*\n```',
      '[<https://a.example|b>](https://c.example)',
    ])
      expect(translateSlackMarkup(parseMarkdown(text), nameOf).text).toBe(text);
  });

  it('causes no ping and leaves no token, whatever the names are', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(pingsIn(neutralizeMarkdown(translateSlackMarkup(parseMarkdown(text), nameOf)))).toEqual([]);
      }),
      { numRuns: runs(80) },
    );
  });
});

describe('a line break in a table cell', () => {
  it('becomes a space, in code it stays', () => {
    expect(shown('| a |\n|---|\n| x<br>y<BR />z `<br>` |')).toBe('| a |\n|---|\n| x y z `<br>` |');
    expect(shown('x<br>y')).toBe('x&lt;br&gt;y');
  });
});

describe('terminal codes', () => {
  it('are dropped, also half of one at the end', () => {
    expect(
      dropTerminalCodes('\u001b[1;31mFAIL\u001b[0m a\u001b]8;;https://a.example\u0007b\u001b]8;;\u0007\u001b[3'),
    ).toBe('FAIL ab');
  });

  it('are all gone from any text, and nothing else is', () => {
    const code = fc.constantFrom('\u001b[0m', '\u001b[38;5;12m', '\u001b[2K', '\u001b]0;title\u0007', '\u001bM');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: 'grapheme-ascii' }), code)), (pieces) => {
        const plain = pieces.map(([words]) => words).join('');
        expect(dropTerminalCodes(pieces.map(([words, each]) => words + each).join(''))).toBe(plain);
      }),
    );
  });
});
