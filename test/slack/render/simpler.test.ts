import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { validateMessageBlocks } from '../../../sandbox/slack/validate/message.ts';
import { makeTurnId } from '../../../src/bridge/ids.ts';
import type { TurnView } from '../../../src/bridge/view/turn.ts';
import { parseMarkdown } from '../../../src/slack/render/ast.ts';
import { LIMITS } from '../../../src/slack/render/limits.ts';
import { mrkdwnPieces } from '../../../src/slack/render/mrkdwn.ts';
import type { SlackPost } from '../../../src/slack/render/post.ts';
import { renderPosts } from '../../../src/slack/render/posts.ts';
import { simplerPosts } from '../../../src/slack/render/simpler.ts';
import { runs } from '../../support/runs.ts';
import { anyText, markdownText, pingsIn } from './markdown-arbitrary.ts';

const mrkdwn = (text: string, max: number = LIMITS.text) => mrkdwnPieces(parseMarkdown(text), max);
/** The only tokens that mrkdwn of ours may hold. */
const LINK = /<(?:https?:\/\/|https?:|mailto:)[^<>|\s]+(?:\|[^<>|]*)?>/gi;

function ended(markdown: string): SlackPost[] {
  const view: TurnView = {
    turn: makeTurnId('abc'),
    address: { team: 'T01SANDBOX', channel: 'C01GEN', threadTs: '1.000001' },
    notPassedOn: [],
    items: [{ kind: 'text', markdown }],
    live: null,
    ending: { outcome: 'done', by: null, line: null, tools: 1, durationMs: 5_000 },
  };
  return renderPosts(view);
}

const textsOf = (posts: readonly SlackPost[]) =>
  posts.flatMap((post) =>
    post.blocks.flatMap((block) => (block.type === 'section' && block.text ? [block.text.text] : [])),
  );

describe('mrkdwn', () => {
  it('expresses Markdown as far as it can', () => {
    expect(
      mrkdwn(
        '# Plan & **aim**\n\nSome **bold**, *soft*, ~~gone~~ `a < b`, [docs](https://a.example/?x=1&y=2), https://b.example.\n\n1. one\n   - [x] done\n   - [ ] open\n2. two\n\n> said\n> so\n\n---\n\n![plot](https://a.example/p.png)',
      ),
    ).toEqual([
      [
        '*Plan &amp; aim*',
        'Some *bold*, _soft_, ~gone~ `a &lt; b`, <https://a.example/?x=1&amp;y=2|docs>, <https://b.example>.',
        '1. one\n    ☑ done\n    ☐ open\n2. two',
        '> said\n> so',
        '———',
        '<https://a.example/p.png|plot>',
      ].join('\n\n'),
    ]);
  });

  it('shows tables and code as code, whatever they contain', () => {
    expect(mrkdwn('| a | b |\n|---|---|\n| 1 | <2 |')).toEqual([
      '```\n| a   | b   |\n| --- | --- |\n| 1   | &lt;2  |\n```',
    ]);
    expect(mrkdwn('````md\n```\nx\n```\n````')).toEqual(['```\n`\u2060`\u2060`\nx\n`\u2060`\u2060`\n```']);
  });

  it('shows the true host of a link, and no unsafe link', () => {
    expect(mrkdwn('[bank.example](https://evil.example)')).toEqual([
      '<https://evil.example|bank.example> (evil.example)',
    ]);
    expect(mrkdwn('[x](javascript:alert(1))')).toEqual(['[x](javascript:alert(1))']);
  });

  it('closes a mark at the end of each line', () => {
    expect(mrkdwn('**one\ntwo**')).toEqual(['*one*\n*two*']);
  });

  it('is cut at line ends, with open code closed', () => {
    const lines = Array.from({ length: 60 }, (_, index) => `const a${index} = 1;`);
    const pieces = mrkdwn(`\`\`\`ts\n${lines.join('\n')}\n\`\`\``, 200);
    expect(pieces.length).toBeGreaterThan(3);
    for (const piece of pieces) expect(piece).toMatch(/^```\n(?:const a\d+ = 1;\n)+```$/);
    expect(pieces.join('\n').match(/const a\d+ = 1;/g)).toEqual(lines);
  });

  it('keeps pieces within the limit, closes code and never pings', () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom(150, 3_000), (text, max) => {
        for (const piece of mrkdwn(text, max)) {
          expect(piece.length).toBeLessThanOrEqual(Math.max(max, 1_100));
          expect(piece.split('```').length % 2).toBe(1);
          const rest = piece.replace(LINK, '');
          expect(rest).not.toMatch(/</);
          expect(pingsIn(rest)).toEqual([]);
        }
      }),
      { numRuns: runs(60) },
    );
  });
});

describe('a refused post', () => {
  const words = Array.from({ length: 900 }, (_, index) => `word${index}`).join(' ');

  it('becomes several smaller ones, the last with the former footer', () => {
    const [post] = ended(words);
    const smaller = post ? simplerPosts(post, 'smaller') : [];
    expect(smaller.length).toBeGreaterThan(1);
    for (const { blocks } of smaller) validateMessageBlocks(blocks);
    expect(smaller.map(({ blocks }) => blocks.map(({ type }) => type))).toEqual([
      ...smaller.slice(1).map(() => ['markdown']),
      ['markdown', 'context'],
    ]);
    expect(smaller.map(({ source }) => source?.source).join('')).toBe(words);
  });

  it('has no smaller form when it is short', () => {
    const [post] = ended('short');
    expect(post && simplerPosts(post, 'smaller')).toEqual([]);
  });

  it('is cut to a smaller limit if given one', () => {
    const [post] = ended(words.slice(0, 1_000));
    expect(post && simplerPosts(post, 'smaller', { ...LIMITS, smallerMarkdown: 700 }).length).toBeGreaterThan(3);
  });

  it('becomes sections that Slack accepts, with every word', () => {
    fc.assert(
      fc.property(fc.oneof(markdownText, anyText), (text) => {
        for (const post of ended(text)) {
          for (const simpler of simplerPosts(post, 'mrkdwn')) {
            validateMessageBlocks(simpler.blocks);
            expect(simpler.blocks.map(({ type }) => type)).not.toContain('markdown');
          }
        }
      }),
      { numRuns: runs(40) },
    );
    const shown = textsOf(ended(words).flatMap((post) => simplerPosts(post, 'mrkdwn'))).join(' ');
    expect(shown.match(/word\d+/g)).toEqual(words.split(' '));
  });

  it('shows rich text as sections, and a card keeps its buttons', () => {
    const card: SlackPost = {
      part: '0.0',
      kind: 'card',
      text: 'Approval needed',
      live: false,
      blocks: [
        {
          type: 'rich_text',
          elements: [{ type: 'rich_text_preformatted', elements: [{ type: 'text', text: 'rm <!here> ```' }] }],
        },
        {
          type: 'actions',
          elements: [{ type: 'button', action_id: 'a', text: { type: 'plain_text', text: 'Approve' }, value: 't' }],
        },
      ],
    };
    const [simpler] = simplerPosts(card, 'mrkdwn');
    validateMessageBlocks(simpler?.blocks ?? []);
    expect(simpler?.blocks.map(({ type }) => type)).toEqual(['section', 'actions']);
    expect(textsOf(simpler ? [simpler] : [])).toEqual(['```rm &lt;!here&gt; `\u2060`\u2060````']);
  });
});
