import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMarkdown, walk } from '../../../src/slack/render/ast.ts';
import { closeFence } from '../../../src/slack/render/half-written.ts';
import { renderMarkdown } from '../../../src/slack/render/markdown.ts';
import { type SplitState, splitStart, type TextPart } from '../../../src/slack/render/part.ts';
import { closePart, markdownOf, openPart, splitText } from '../../../src/slack/render/split.ts';
import { runs } from '../../support/runs.ts';
import { anyText, markdownText, pingsIn } from './markdown-arbitrary.ts';

const small = { markdown: 500, markdownReserve: 280, reopening: 60 };

const shown = (text: string, limits = small) =>
  splitText(text, limits).map((part) => renderMarkdown(part, false, limits.markdown).markdown);

describe('splitText', () => {
  it('neither loses nor repeats a character', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(
          splitText(text, small)
            .map((part) => part.source)
            .join(''),
        ).toBe(text);
      }),
      { numRuns: runs(70) },
    );
  });

  it('adds only the opening and closing of constructs cut in two', () => {
    fc.assert(
      fc.property(markdownText, (text) => {
        for (const part of splitText(text, small)) {
          expect(part.prefix.length).toBeLessThanOrEqual(200);
          const doc = markdownOf(part);
          expect(doc.startsWith(part.prefix)).toBe(true);
          expect(doc.endsWith(part.suffix)).toBe(true);
        }
      }),
      { numRuns: runs(60) },
    );
  });

  it('keeps every part within the limit once neutralised', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const part of splitText(text, small))
          for (const growing of [true, false])
            expect(renderMarkdown(part, growing, small.markdown).markdown.length).toBeLessThanOrEqual(small.markdown);
      }),
      { numRuns: runs(70) },
    );
  });

  it('makes valid parts: fences closed, at most one table, no ping', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const markdown of shown(text)) {
          const parsed = parseMarkdown(markdown);
          expect(closeFence(parsed)).toBeNull();
          const tables = [...walk(parsed.tree)].filter(({ node }) => node.type === 'table');
          expect(tables.length).toBeLessThanOrEqual(1);
          expect(pingsIn(markdown)).toEqual([]);
        }
      }),
      { numRuns: runs(70) },
    );
  });

  it('makes the same parts in whatever pieces the text arrives', () => {
    fc.assert(
      fc.property(markdownText, fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }), (text, steps) => {
        const closed: TextPart[] = [];
        let state: SplitState = splitStart;
        for (let at = 0, step = 0; at < text.length; step += 1) {
          at = Math.min(text.length, at + (steps[step % steps.length] ?? 1));
          const sofar = text.slice(0, at);
          for (let part = closePart(sofar, state, small); part; part = closePart(sofar, state, small)) {
            closed.push(part.part);
            state = part.next;
          }
        }
        expect([...closed, openPart(text, state)]).toEqual(splitText(text, small));
      }),
      { numRuns: runs(60) },
    );
  });

  it('never cuts a character in two', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('👩', '🏽', 'a', '\r\n', ' '), minLength: 200, maxLength: 900 }),
        (text) => {
          for (const { source } of splitText(text, small)) {
            expect(source.isWellFormed()).toBe(true);
            expect(source.startsWith('\n') && text.charAt(text.indexOf(source) - 1) === '\r').toBe(false);
          }
        },
      ),
      { numRuns: runs(50) },
    );
  });

  it('cuts 100,000 characters without a space into twelve parts', () => {
    const parts = splitText('x'.repeat(100_000), { markdown: 9_000, markdownReserve: 500, reopening: 1_500 });
    expect(parts.length).toBe(12);
  });
});

describe('a text cut in two', () => {
  it('closes a code fence and opens it again with its language', () => {
    const lines = Array.from({ length: 40 }, (_, index) => `const a${index} = ${index};`);
    const parts = shown(`Look:\n\n\`\`\`\`ts\n${lines.join('\n')}\n\`\`\`\`\n\nDone.`);
    expect(parts.length).toBeGreaterThan(2);
    expect(parts[1]).toMatch(/^````ts\nconst a/);
    expect(parts[1]).toMatch(/;\n````$/);
    expect(parts.at(-1)).toMatch(/Done\.$/);
    const code = parts.flatMap((part) => part.split('\n').filter((line) => line.startsWith('const')));
    expect(code).toEqual(lines);
  });

  it('repeats the header of a table', () => {
    const rows = Array.from({ length: 30 }, (_, index) => `| a${index} | b${index} |`);
    const parts = shown(`| one | two |\n|---|---|\n${rows.join('\n')}`);
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) expect(part).toMatch(/^\| one \| two \|\n\|---\|---\|\n\| a/);
    expect(parts.flatMap((part) => part.split('\n').filter((line) => line.startsWith('| a')))).toEqual(rows);
  });

  it('keeps a list whole that fits into the next part', () => {
    const list = Array.from({ length: 8 }, (_, index) => `- item number ${index}`).join('\n');
    const parts = shown(`${'word '.repeat(20)}\n\n${list}\n\nAfter.`);
    expect(parts.length).toBe(2);
    expect(parts[1]).toContain(list);
  });

  it('moves a heading along with the text after it', () => {
    const parts = shown(`${'word '.repeat(36)}\n\n## Next\n\n${'more '.repeat(30)}`);
    expect(parts[0]).not.toContain('Next');
    expect(parts[1]).toMatch(/^## Next/);
  });

  it('is cut between words, with marks closed around the cut', () => {
    const parts = shown(`**${'strong '.repeat(60)}end**`);
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) expect(part).toMatch(/^\*\*[^*]+\*\*$/);
  });

  it('keeps code in a list item as code, without its indentation', () => {
    const lines = Array.from({ length: 20 }, (_, index) => `    call(${index}); // nested code`);
    const parts = shown(`- a\n  - b\n\n    \`\`\`js\n${lines.join('\n')}\n    \`\`\`\n- c`);
    expect(parts.length).toBeGreaterThan(2);
    expect(parts[2]).toMatch(/^```js\ncall\(/);
    expect(parts.at(-1)).toMatch(/```\n- c$/);
  });

  it('goes on counting where every item is typed as 1.', () => {
    const items = Array.from({ length: 24 }, (_, index) => `1. the item that comes at ${index + 1}`);
    const parts = shown(items.join('\n'));
    expect(parts.length).toBeGreaterThan(2);
    for (const part of parts) {
      const [, number, place] = /^(\d+)\. the item that comes at (\d+)/.exec(part) ?? [];
      expect(number).toBe(place);
    }
  });

  it('goes on counting after an item that was cut', () => {
    const long = 'words '.repeat(60);
    const parts = shown(`1. one\n1. two ${long}\n1. three\n1. four`);
    expect(parts.at(-1)).toMatch(/\n3\. three\n1\. four$/);
  });

  it('goes on counting over a second cut', () => {
    const items = Array.from(
      { length: 30 },
      (_, index) => `1. item at ${index + 1}${index === 1 ? ` ${'words '.repeat(60)}` : ''}`,
    );
    const begun = shown(items.join('\n')).flatMap((part) => {
      const [, number, place] = /^(\d+)\. item at (\d+)/.exec(part) ?? [];
      return number === undefined ? [] : [[number, place]];
    });
    expect(begun.length).toBeGreaterThan(2);
    for (const [number, place] of begun) expect(number).toBe(place);
  });

  it('ends a table after a hundred rows and repeats its header', () => {
    const rows = Array.from({ length: 250 }, (_, index) => `| ${index} | x |`);
    const limits = { markdown: 9_000, markdownReserve: 500, reopening: 1_500 };
    const parts = shown(`Before | it\n\n| n | y |\n|---|---|\n${rows.join('\n')}\n\nAfter.`, limits);
    expect(parts.length).toBe(3);
    const found = parts.flatMap((part) => part.match(/^\| \d+ \| x \|$/gm) ?? []);
    expect(found).toEqual(rows);
    for (const part of parts) {
      expect(part).toMatch(/\| n \| y \|\n\|---\|---\|\n\| \d/);
      expect(part).not.toContain('```');
    }
  });

  it('breaks Chinese and Thai at sentences or words, not at spaces', () => {
    const chinese = `你好 ${'今天的构建是红色的，因为锁文件没有更新。'.repeat(30)}`;
    for (const part of shown(chinese).slice(0, -1)) {
      expect(part.length).toBeGreaterThan(80);
      expect(part).toMatch(/[。，]$/);
    }
    const thai = 'วันนี้การสร้างล้มเหลวเพราะไฟล์ล็อกไม่ได้รับการอัปเดต'.repeat(20);
    const words = new Set(
      [...new Intl.Segmenter('th', { granularity: 'word' }).segment(thai)].map(({ index }) => index),
    );
    let at = 0;
    for (const { source } of splitText(thai, small).slice(0, -1)) {
      at += source.length;
      expect(words.has(at)).toBe(true);
    }
  });
});
