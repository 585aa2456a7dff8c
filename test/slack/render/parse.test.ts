import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { Nodes as Mdast } from 'mdast';
import { describe, expect, it } from 'vitest';
import { childrenOf, parseMarkdown, walk } from '../../../src/slack/render/ast.ts';
import type { Nodes } from '../../../src/slack/render/parse/tree.ts';
import { referenceTree } from '../../support/markdown-reference.ts';
import { runs } from '../../support/runs.ts';
import { anyText, markdownText } from './markdown-arbitrary.ts';

/** What two readers of a text can differ in without anybody seeing it: line ends, NUL, the case of labels. */
const same = (text: string) => text.replaceAll('\0', '\uFFFD').replace(/\r\n?/g, '\n');
/** A line's end in code within a line is shown as a blank. */
const shownValue = ({ type, value }: { type: string; value: string }) =>
  JSON.stringify(type === 'inlineCode' ? value.replace(/\s+/g, ' ') : same(value));
const label = (identifier: string) => same(identifier).toLowerCase().toUpperCase();

function ownLine(node: Nodes): string {
  const more = [
    'value' in node ? shownValue(node) : '',
    node.type === 'code' ? String(node.lang && same(node.lang)) : '',
    'url' in node ? same(node.url) : '',
    'alt' in node ? JSON.stringify(same(node.alt)) : '',
    'identifier' in node ? label(node.identifier) : '',
    node.type === 'list' ? String(node.first) : '',
    node.type === 'listItem' ? String(node.isChecked) : '',
  ];
  return `${node.type} ${node.start} ${more.filter((part) => part !== '').join(' ')}`;
}

function referenceLine(node: Mdast): string {
  const more = [
    'value' in node ? shownValue(node) : '',
    node.type === 'code' ? String(node.lang && same(node.lang)) : '',
    'url' in node ? same(node.url) : '',
    'alt' in node ? JSON.stringify(same(node.alt ?? '')) : '',
    'identifier' in node ? label(node.identifier) : '',
    node.type === 'list' ? String(node.ordered ? node.start : null) : '',
    node.type === 'listItem' ? String(node.checked ?? null) : '',
  ];
  return `${node.type} ${node.position?.start.offset} ${more.filter((part) => part !== '').join(' ')}`;
}

function own(node: Nodes, depth = 0): string[] {
  const line = node.type === 'root' ? [] : [' '.repeat(depth) + ownLine(node)];
  return [...line, ...childrenOf(node).flatMap((child) => own(child, depth + 1))];
}

function reference(node: Mdast, depth = 0): string[] {
  const line = node.type === 'root' ? [] : [' '.repeat(depth) + referenceLine(node)];
  const children = 'children' in node ? node.children : [];
  return [...line, ...children.flatMap((child) => reference(child, depth + 1))];
}

/** Here a cell begins at its words, there at the bar before; there a paragraph begins at its box in some cases only. */
const withoutCells = (lines: string[]) => lines.map((line) => line.replace(/^( *(?:tableCell|paragraph)) \d+/, '$1'));
const read = (text: string) => withoutCells(own(parseMarkdown(text).tree));
const expected = (text: string) => withoutCells(reference(referenceTree(text)));

/** Every way to write something, alone and next to one another. */
const SAMPLES = [
  'a *b* **c** ***d*** _e_ __f__ ~g~ ~~h~~ `i` ``j ` k`` *l **m** n* **o *p* q** a_b_c *r**s* **t*u**',
  'one\ntwo  \nthree\\\nfour\t\nfive',
  '# One #\n## Two\n\nThree\n===\nFour\n---\n#five\n####### six',
  '- a\n- b\n\n  c\n- d\n  - e\n    - f\n1. g\n2. h\n\n   i\n3) j\n* k\n+ l',
  '- [ ] open\n- [x] done\n- [X] done\n- [y] none\n1. [ ] numbered',
  '> a\nlazy\n> > b\n>\n> - c\n>   d\n\n> e',
  '```ts title\nconst a = `b`;\n```\n\n~~~\n```\n~~~\n\n    indented\n\n    more\n\nend',
  '- ```\n  in a list\n  ```\n- > ```\n  > in a quote\n  > ```',
  '```\nnever closed\n\n- a',
  '| a | b |\n|---|:-:|\n| `c\\|d` | e\\|f |\n| g |\n| h | i | j |\nk\n\nafter',
  'words\n| a |\n| - |\n| b |\n> quote',
  '[a](b) [c](<d e> "f") [g]( h (i) ) ![j](k) [![l](m)](n) [o [p](q) r](s) [](t) [u]() [v](w(x)y) [z](a b)',
  '[1]: http://one.example "t"\n[Two]: <two>\n\n[1] [two][] [x][TWO] ![y][1] [none] [none][1] [1][none]',
  '<http://a.example/b?c=d> <e@f.example> <g> <h i> http://j.example/k_(l). www.m.example, n@o.example; (https://p.q)',
  '&amp; &lt; &#42; &#x2A; &copy; &nope; & \\* \\a \\\\ \\<',
  '***\n- - -\n_ _ _\n--\n* * a',
  '\ttab\n\n-\ttab\n\n  \tmixed\n>\tquote',
  'ä*ö*ü 漢字**漢**字 😀*a*😀 «*q*» a*"b"*c',
  '*[a*](b) `[c`](d) *<http://e*f> [g*](h)* **[i](j)**',
  '[a\n]: b\n\n[a ]\n\n[c]: d\n"title"\n\n[c] text\n[c]: not a definition',
];

describe('parseMarkdown', () => {
  it('reads each Markdown construct like the reference parser', () => {
    for (const text of SAMPLES) expect(read(text), JSON.stringify(text)).toEqual(expected(text));
  });

  it('reads real answers and documents like the reference parser', () => {
    const files = [...globSync('test/fixtures/answers/*.md'), 'README.md', 'CONTRIBUTING.md', 'SECURITY.md'];
    for (const file of files) {
      const text = readFileSync(file, 'utf8');
      expect(read(text), file).toEqual(expected(text));
    }
  });

  it('reads generated texts like the reference parser', () => {
    fc.assert(
      fc.property(markdownText, (text) => {
        expect(read(text)).toEqual(expected(text));
      }),
      { numRuns: runs(60), seed: 13 },
    );
  });

  it('never throws, and nests every node inside its parent', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const { node, ancestors } of walk(parseMarkdown(text).tree)) {
          const around = ancestors.at(-1);
          expect(node.start).toBeLessThanOrEqual(node.end);
          expect(node.start).toBeGreaterThanOrEqual(around?.start ?? 0);
          expect(node.end).toBeLessThanOrEqual(around?.end ?? text.length);
        }
      }),
      { numRuns: runs(200) },
    );
  });

  it('reads constructs nested too deep as text', () => {
    const deepest = (text: string) => Math.max(...[...walk(parseMarkdown(text).tree)].map((at) => at.ancestors.length));
    for (const motif of ['> ', '- ', '1. ', '> - ', '*a ', '![', '['])
      expect(deepest(motif.repeat(3_000))).toBeLessThan(80);
    expect(deepest(`${'*a '.repeat(3_000)}${'b* '.repeat(3_000)}`)).toBeLessThan(80);
    expect(deepest(`${'!['.repeat(3_000)}${'](b)'.repeat(3_000)}`)).toBeLessThan(80);
  });
});
