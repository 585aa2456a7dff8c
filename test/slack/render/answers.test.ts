import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { validateMessageBlocks } from '../../../sandbox/slack/validate/message.ts';
import { makeToken, makeTurnId } from '../../../src/bridge/ids.ts';
import type { TurnView } from '../../../src/bridge/view/turn.ts';
import type { SlackPost } from '../../../src/slack/render/post.ts';
import { createRenderer, renderPosts } from '../../../src/slack/render/posts.ts';
import { simplerPosts } from '../../../src/slack/render/simpler.ts';
import { findTrace, inputsOf, replay } from '../../letta/traces.ts';
import { pingsIn } from './markdown-arbitrary.ts';

/**
 * Answers as coding agents write them, and what becomes of them in each form. After a wanted change:
 * `UPDATE_ANSWERS=1 npx vitest run test/slack/render/answers.test.ts`, then read the difference.
 */
const FOLDER = new URL('../../fixtures/answers/', import.meta.url);
const UPDATE = process.env.UPDATE_ANSWERS === '1';
/** Recorded from a real server: a long answer and one full of Markdown. */
const TRACES = ['26', '27'];

const written = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name: name.slice(0, -'.md'.length), text: readFileSync(new URL(name, FOLDER), 'utf8') }));
const recorded = TRACES.map((number) => ({ name: `trace-${number}`, text: textOfTrace(number) }));
const answers = [...written, ...recorded];

/** The longest text that the agent wrote in a recording. */
function textOfTrace(number: string): string {
  const lines = findTrace(number);
  const socks = lines.flatMap(({ dir, sock }) => (dir === 'open' && sock !== undefined ? [sock] : []));
  const { turns } = replay(inputsOf(lines, { socks: socks.slice(0, 1), ordered: true }));
  const texts = turns.flatMap(({ parts }) => parts.flatMap((part) => (part.kind === 'text' ? [part.text] : [])));
  return texts.toSorted((a, b) => b.length - a.length)[0] ?? '';
}

function viewOf(markdown: string, live: boolean): TurnView {
  return {
    turn: makeTurnId('abc'),
    address: { team: 'T01SANDBOX', channel: 'C01GEN', threadTs: '1.000001' },
    notPassedOn: [],
    items: [{ kind: 'text', markdown }],
    live: live ? { activity: { kind: 'writing' }, stop: makeToken('stop'), queued: 0 } : null,
    ending: live ? null : { outcome: 'done', by: null, line: null, tools: 2, durationMs: 12_000 },
  };
}

function simplerOf(posts: readonly SlackPost[], form: 'smaller' | 'mrkdwn'): SlackPost[] {
  return posts.flatMap((post) => simplerPosts(post, form));
}

/** The texts in which Slack looks for tokens. */
function parsedTexts(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(parsedTexts);
  if (typeof value !== 'object' || value === null) return [];
  const { type, text } = value as { type?: unknown; text?: unknown };
  const here = (type === 'markdown' || type === 'mrkdwn') && typeof text === 'string' ? [text] : [];
  return [...here, ...Object.values(value).flatMap(parsedTexts)];
}

function expectHarmless(posts: readonly SlackPost[]) {
  for (const post of posts) {
    validateMessageBlocks(post.blocks);
    expect(post.text.trim()).not.toBe('');
    for (const text of [post.text, ...parsedTexts(post.blocks)])
      expect(pingsIn(text.replace(/<(?:https?:\/\/|mailto:)[^<>|\s]+(?:\|[^<>|]*)?>/gi, ''))).toEqual([]);
  }
}

describe('the recorded answers', () => {
  it('hold text', () => {
    for (const { text } of recorded) expect(text.length).toBeGreaterThan(100);
  });
});

describe('links with a definition elsewhere', () => {
  const words = 'some words of the answer, '.repeat(700);
  const text = `[early] and [log][1] ${words}\n\n[early]: https://early.example\n\n${words}\n\n[later][early] [1]\n\n[1]: https://ci.example/7`;
  const markdownOf = (posts: SlackPost[]) => parsedTexts(posts.map(({ blocks }) => blocks)).join('\n');

  it('find it in another message once the answer is complete', () => {
    const posts = renderPosts(viewOf(text, false));
    expect(posts.length).toBeGreaterThan(3);
    const shown = markdownOf(posts);
    for (const link of [
      '[log](https://ci.example/7)',
      '[early](https://early.example)',
      '[later](https://early.example)',
    ])
      expect(shown).toContain(link);
  });

  it('show the same whether the answer came in pieces or whole', () => {
    const render = createRenderer();
    for (let at = 500; at < text.length; at += 2_500) render(viewOf(text.slice(0, at), true));
    expect(render(viewOf(text, false))).toEqual(renderPosts(viewOf(text, false)));
  });
});

describe.each(answers)('the answer $name', ({ name, text }) => {
  it('is rendered as in its stored snapshot', () => {
    const posts = renderPosts(viewOf(text, false));
    const shown = ({ blocks, text: summary }: SlackPost) => ({ text: summary, blocks });
    const golden = `${JSON.stringify({ main: posts.map(shown), mrkdwn: simplerOf(posts, 'mrkdwn').map(shown) }, null, 2)}\n`;
    const file = new URL(`${name}.json`, FOLDER);
    if (UPDATE) writeFileSync(file, golden);
    expect(golden).toBe(readFileSync(file, 'utf8'));
  });

  it('is accepted by Slack in every form, without a ping', () => {
    const posts = renderPosts(viewOf(text, false));
    expectHarmless(posts);
    expectHarmless(simplerOf(posts, 'smaller'));
    expectHarmless(simplerOf(posts, 'mrkdwn'));
  });

  it('is valid at every moment while it grows', () => {
    const render = createRenderer();
    const step = Math.max(7, Math.ceil(text.length / 60));
    for (let at = 1; at < text.length; at += step) {
      const posts = render(viewOf(text.slice(0, at), true));
      expectHarmless(posts);
      expect(posts).toEqual(renderPosts(viewOf(text.slice(0, at), true)));
    }
    expect(render(viewOf(text, false))).toEqual(renderPosts(viewOf(text, false)));
  });
});
