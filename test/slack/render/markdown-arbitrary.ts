import fc from 'fast-check';
import { referenceNodes } from '../../support/markdown-reference.ts';

/** Everything that would ping or link if Slack saw it as it stands. */
export const tokens = [
  '<@U01ALICE>',
  '<@U01ALICE|alice>',
  '<!here>',
  '<!here|here>',
  '<!channel>',
  '<!everyone>',
  '<!subteam^S012|team>',
  '<#C01GEN>',
  '<#C01GEN|general>',
  '<https://evil.example|bank.example>',
  '<mailto:a@b.c|x>',
  '@here',
  '@channel',
  '@everyone',
  '&#60;!here>',
  '\\<!channel>',
  '<<!here>>',
];

const word = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.constantFrom(
      'alpha',
      'beta',
      'gamma',
      'größe',
      '漢字',
      '👩‍👩‍👧',
      'x',
      '42',
      'e.g.',
      'a_b_c',
      '2 * 3',
    ),
  },
  { weight: 3, arbitrary: fc.constantFrom(...tokens) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '**bold**',
      '*soft*',
      '~~gone~~',
      '`code`',
      '``a ` b``',
      '[label](https://example.com/a_(b))',
      '[bank.example](https://evil.example)',
      '[x](javascript:alert(1))',
      '![alt](https://example.com/i.png)',
      '[![badge](https://a.example/i.png)](https://b.example)',
      '<https://example.com>',
      'https://example.com/@here?a=1&b=2',
      '[ref][1]',
      '[^1]',
      '<b>html</b>',
      '**',
      '`',
      '[',
      '](',
      '\\',
      '|',
      '$x < y$',
      '$a*b*<!here>$',
      '\\(x_1*2*3\\)',
    ),
  },
);
const line = fc.array(word, { minLength: 1, maxLength: 14 }).map((words) => words.join(' '));
const prose = fc.array(line, { minLength: 1, maxLength: 4 }).map((lines) => lines.join('\n'));
const code = fc
  .tuple(
    fc.constantFrom('```', '````', '~~~'),
    fc.constantFrom('', 'ts', 'html'),
    fc.array(line, { maxLength: 12 }),
    fc.boolean(),
  )
  .map(([fence, info, lines, closed]) => [`${fence}${info}`, ...lines, ...(closed ? [fence] : [])].join('\n'));
const row = fc
  .array(
    word.map((text) => text.replaceAll('|', '/')),
    { minLength: 2, maxLength: 2 },
  )
  .map((cells) => `| ${cells.join(' | ')} |`);
const table = fc
  .tuple(row, fc.array(row, { maxLength: 12 }))
  .map(([head, rows]) => [head, '|---|:-:|', ...rows].join('\n'));
const indent = (text: string, by: string) => text.replace(/^(?=.)/gm, by).slice(by.length);
const list = (inner: fc.Arbitrary<string>) =>
  fc
    .tuple(fc.constantFrom('- ', '1. ', '* ', '- [ ] '), fc.array(inner, { minLength: 1, maxLength: 5 }))
    .map(([mark, items]) =>
      items.map((item) => mark + indent(item, ' '.repeat(mark.startsWith('1') ? 3 : 2))).join('\n'),
    );
const quote = (inner: fc.Arbitrary<string>) => inner.map((text) => text.replace(/^/gm, '> '));
const heading = line.map((text) => `## ${text}`);
const leaf = fc.oneof(
  prose,
  code,
  table,
  heading,
  fc.constantFrom(
    '---',
    '[1]: https://example.com/x',
    '[^1]: https://foot.example',
    '<div>\n<!here>\n</div>',
    '    indented <!here>',
  ),
);
const block = fc.oneof(
  { weight: 6, arbitrary: leaf },
  list(prose),
  list(fc.oneof(prose, code, list(prose))),
  quote(leaf),
  list(quote(prose)),
);

/** Texts as models write them, and worse. */
export const markdownText = fc.array(block, { minLength: 1, maxLength: 8 }).map((blocks) => blocks.join('\n\n'));
/** Anything at all. */
const noise = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc
    .array(
      fc.constantFrom(
        '`',
        '```',
        '~',
        '*',
        '_',
        '[',
        ']',
        '(',
        ')',
        '<',
        '>',
        '!',
        '@here',
        '|',
        '-',
        '\n',
        '\n\n',
        '    ',
        '\t',
        '> ',
        '- ',
        '1. ',
        '#',
        '&',
        '\\',
        'a',
        'b c',
        'http://x.yz',
        '\r\n',
        '\uD83D',
        '\u0000',
      ),
      { maxLength: 120 },
    )
    .map((pieces) => pieces.join('')),
);
export const anyText = fc.oneof({ weight: 3, arbitrary: markdownText }, { weight: 2, arbitrary: noise });

/** What must not be in any text that Slack parses. */
export const PINGS =
  /<(?:[@#]|!(?!--|doctype|\[cdata)|https?:|mailto:)|(?<![\p{L}\p{N}_])@(?:here|channel|everyone)(?![\p{L}\p{N}_])/iu;

/** What in a Markdown text would ping: in code only a token of Slack's can, so a bare `@here` there is harmless. */
export function pingsIn(markdown: string): string[] {
  const found = [...markdown.matchAll(new RegExp(PINGS.source, 'giu'))];
  if (found.every(([ping]) => ping.startsWith('<'))) return found.map(([ping]) => ping);
  const code = referenceNodes(markdown).flatMap(({ type, position }) =>
    (type === 'code' || type === 'inlineCode') && position ? [position] : [],
  );
  const isInCode = (at: number) =>
    code.some(({ start, end }) => (start.offset ?? 0) <= at && at < (end.offset ?? markdown.length));
  return found
    .filter(([ping], index) => ping.startsWith('<') || !isInCode(found[index]?.index ?? 0))
    .map(([ping]) => ping);
}
