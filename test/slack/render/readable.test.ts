import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TurnView } from '../../../src/bridge/view/turn.ts';
import { renderPosts } from '../../../src/slack/render/posts.ts';
import { createSubstance, saysSomething, substanceOfText } from '../../../src/slack/render/readable.ts';
import { runs } from '../../support/runs.ts';
import { markdownText } from './markdown-arbitrary.ts';

const growing = (markdown: string): TurnView => ({
  turn: 'turn-1' as TurnView['turn'],
  address: { team: 'T1', channel: 'C1', threadTs: '1.000001' },
  notPassedOn: [],
  items: [{ kind: 'text', markdown }],
  answers: 'is the nightly build green?',
  live: { activity: { kind: 'writing' }, stop: null, queued: 0 },
  ending: null,
});
const shown = (markdown: string) =>
  renderPosts(growing(markdown)).flatMap(({ blocks }) =>
    blocks.flatMap((block) => (block.type === 'markdown' ? [block.text] : [])),
  );

describe('a growing text', () => {
  const MARKUP = ['', ' \n', '#', '##', '## ', '-', '- ', '1.', '- [ ] ', '>', '> ', '```', '```ts', '```ts\n', '~~~\n']
    .concat(['**', '_', '`', '![', '[', '|', '| ', '---', '***', '- \n- ', '> - ', '\u200b', '\u2060\n', '<!--'])
    .concat(['[a]: https://example.com']);

  it('shows nothing while it is mere markup', () => {
    for (const markup of MARKUP) {
      expect([markup, substanceOfText(markup)]).toEqual([markup, null]);
      expect([markup, shown(markup)]).toEqual([markup, []]);
    }
  });

  it('is readable from a whole line or 40 characters on', () => {
    const line = ['Yes.\n', '## Nightly build\n', '- one\n', '```ts\nconst x = 1;\n', '好的。\n', '👍\n'];
    for (const text of line) expect([text, substanceOfText(text)]).toEqual([text, 'readable']);
    const words = [
      'Yes',
      '## Nightly',
      '- one',
      '```ts\nconst',
      'x'.repeat(39),
      `## ${'x'.repeat(39)}`,
      '```ts\n1',
      '👍',
    ];
    for (const text of words) expect([text, substanceOfText(text)]).toEqual([text, 'words']);
    expect(substanceOfText('x'.repeat(40))).toBe('readable');
    expect(substanceOfText(`**${'x'.repeat(40)}`)).toBe('readable');
  });

  it('notifies with words or the question, never shows mere markup', () => {
    fc.assert(
      fc.property(markdownText, fc.integer({ min: 5, max: 60 }), (written, step) => {
        for (let at = 0; at <= Math.min(300, written.length + step); at += step) {
          const head = written.slice(0, at);
          const [post] = renderPosts(growing(head));
          const isReadable = substanceOfText(head) === 'readable';
          const words = isReadable
            ? /[\p{L}\p{N}\p{Extended_Pictographic}]/u
            : /^Answering: “is the nightly build green\?”$/;
          expect(post?.text, JSON.stringify(head)).toMatch(words);
          for (const text of shown(head)) expect(saysSomething(text), JSON.stringify(head)).toBe(true);
        }
      }),
      { numRuns: runs(60) },
    );
  });
});

it('a silent turn says more once messages can join it', () => {
  const silent = { ...growing(''), items: [] };
  const live = { activity: { kind: 'thinking' as const }, stop: null, queued: 1 };
  expect(createSubstance()({ ...silent, live })).toBe('activity');
  const steering = { isOffered: true, handedOver: 0, sent: 0 };
  expect(createSubstance()({ ...silent, live: { ...live, steering } })).toBe('waiting');
});
