import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TurnView } from '../../../src/bridge/view/turn.ts';
import { parseMarkdown } from '../../../src/slack/render/ast.ts';
import { closeFence } from '../../../src/slack/render/half-written.ts';
import { renderMarkdown } from '../../../src/slack/render/markdown.ts';
import { splitStart } from '../../../src/slack/render/part.ts';
import { createRenderer } from '../../../src/slack/render/posts.ts';
import { closePartAt, openPart } from '../../../src/slack/render/split.ts';
import { runs } from '../../support/runs.ts';
import { anyText, markdownText, pingsIn } from './markdown-arbitrary.ts';

const LIMITS = { markdown: 9_000, markdownReserve: 1_000, reopening: 1_500 };

/** The two messages of a text that people saw up to `seam`; `null`: nothing can be left in the first. */
function partsOf(text: string, seam: number) {
  const closed = closePartAt(text, splitStart, LIMITS, seam);
  return closed && [closed.part, openPart(text, closed.next)];
}

const shown = (text: string, seam: number) =>
  partsOf(text, seam)?.map((part) => renderMarkdown(part, false, LIMITS.markdown).markdown);

describe('a text that goes on in a new message', () => {
  it('neither loses nor repeats a character', () => {
    fc.assert(
      fc.property(anyText, fc.nat(), (text, at) => {
        const seam = 1 + (at % Math.max(1, text.length - 1));
        const parts = partsOf(text, seam);
        if (parts === null) return;
        expect(parts.map(({ source }) => source).join('')).toBe(text);
        expect(parts[0]?.source.length).toBeLessThanOrEqual(seam);
      }),
      { numRuns: runs(100) },
    );
  });

  it('makes valid messages: fences closed, no ping', () => {
    fc.assert(
      fc.property(markdownText, fc.nat(), (text, at) => {
        for (const markdown of shown(text, 1 + (at % Math.max(1, text.length - 1))) ?? []) {
          expect(closeFence(parseMarkdown(markdown))).toBeNull();
          expect(pingsIn(markdown)).toEqual([]);
        }
      }),
      { numRuns: runs(100) },
    );
  });

  it.each([
    ['The build is red since Mon', 'day.', 'The build is red since ', 'Monday.'],
    ['It failed.', '\n\nThe reason', 'It failed.', '\n\nThe reason'],
    ['It failed.\n\n', 'The reason', 'It failed.\n\n', 'The reason'],
    ['Read [the lo', 'g](https://ci.example) of it.', 'Read ', '[the log](https://ci.example) of it.'],
    ['It is **very imp', 'ortant** today.', 'It is **very**', '**important** today.'],
    ['```ts\na();\nb', '();\n```', '```ts\na();\n```', '```ts\nb();\n```'],
    ['```ts\na();\n```', '\n\nDone.', '```ts\na();\n```', '\n\nDone.'],
    ['Look:\n\n```ts', '\na();\n```', 'Look:\n\n', '```ts\na();\n```'],
    ['So:\n\n| a |\n| - |\n| 1 |\n', '| 2 |', 'So:\n\n| a |\n| - |\n| 1 |\n', '| a |\n| - |\n| 2 |'],
    ['So:\n\n| a |\n| -', ' |\n| 1 |', 'So:\n\n', '| a |\n| - |\n| 1 |'],
    ['1. one\n2. two\n3. th', 'ree\n4. four', '1. one\n2. two\n', '3. three\n4. four'],
    ['1. one\n1. two\n', '1. three\n1. four', '1. one\n1. two\n', '3. three\n1. four'],
    ['> quoted wor', 'ds', '> quoted ', '> words'],
    ['你好世界这是', '一个测试。', '你好世界这是', '一个测试。'],
  ])('seen up to the end of %j it goes on with the rest', (seen, rest, first, second) => {
    expect(shown(seen + rest, seen.length)?.map((text) => text.replaceAll('\u2060', ''))).toEqual([first, second]);
  });

  it('has no first message when people saw half a word', () => {
    expect(partsOf('Certainly not.', 4)).toBeNull();
  });

  it('is rendered the same at once and when it came in pieces', () => {
    const text = `${'Some words of the answer. '.repeat(40)}\n\n- one\n- two\n\nThe end.`;
    const view = (markdown: string, over: boolean): TurnView => ({
      turn: 'T1' as TurnView['turn'],
      address: { team: 'T01', channel: 'C01', threadTs: '1.000001' },
      notPassedOn: [],
      items: [{ kind: 'text', markdown }],
      live: over ? null : { activity: { kind: 'writing' }, stop: null, queued: 0 },
      ending: over ? { outcome: 'done', line: null, by: null, tools: 0, durationMs: 0 } : null,
    });
    const seams = new Map([[0, [500]]]);
    const render = createRenderer();
    for (let at = 1; at < text.length; at += 90) render(view(text.slice(0, at), false));
    const posts = render(view(text, true), true, seams);
    expect(posts.map(({ part }) => part)).toEqual(['0.0', '0.1']);
    expect(posts).toEqual(createRenderer()(view(text, true), true, seams));
    expect(posts.map(({ upTo }) => upTo)).toEqual([499, text.length]);
  });
});
