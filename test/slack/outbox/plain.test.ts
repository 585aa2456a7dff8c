import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { plainPosts } from '../../../src/slack/outbox/plain.ts';
import type { SlackPost } from '../../../src/slack/render/post.ts';

const post = (blocks: SlackPost['blocks']): SlackPost => ({
  part: '1.2',
  kind: 'text',
  blocks,
  text: 'Sum',
  live: false,
});

describe('plain posts', () => {
  test('hold all words of the blocks, within the limit for edits', () => {
    const words = fc
      .array(fc.stringMatching(/^[a-zé😀 \n&;]{0,900}$/u), { maxLength: 20 })
      .map((all) => all.join('\n'));
    fc.assert(
      fc.property(words, (text) => {
        const posts = plainPosts(post([{ type: 'markdown', text }]));
        expect(posts.map((one) => one.text).join('')).toBe(text === '' ? 'Sum' : text);
        expect(posts.map((one) => one.part)).toEqual(posts.map((_, n) => (n === 0 ? '1.2' : `1.2~${n}`)));
        for (const one of posts) {
          expect(one.text.length).toBeLessThanOrEqual(4_000);
          expect(one.text.isWellFormed()).toBe(true);
          expect(one.blocks).toEqual([]);
        }
      }),
      { seed: 20_261_122 },
    );
  });

  test('cannot ping, and leave buttons out', () => {
    const posts = plainPosts(
      post([
        { type: 'section', text: { type: 'mrkdwn', text: '<@U1> must decide' } },
        { type: 'actions', elements: [{ type: 'button', text: { type: 'plain_text', text: 'Stop' }, action_id: 'a' }] },
        { type: 'context', elements: [{ type: 'plain_text', text: 'working' }] },
      ]),
    );
    expect(posts.map((one) => one.text)).toEqual(['&lt;@U1&gt; must decide\n\nworking']);
  });

  test('of a card say what to type instead of a button', () => {
    const card: SlackPost = {
      ...post([{ type: 'section', text: { type: 'plain_text', text: 'rm x' } }]),
      kind: 'card',
    };
    expect(plainPosts({ ...card, typed: 'write !approve abc' }).map(({ text }) => text)).toEqual([
      'rm x\n\nwrite !approve abc',
    ]);
    const asking = { ...card, part: 'card-abc', text: '<@U1> <!subteam^S1> Run this command? rm x' };
    expect(plainPosts(asking).map(({ text }) => text)).toEqual(['<@U1> <!subteam^S1> rm x']);
    const forged = { ...card, part: 'card-abc', text: 'Run this? <@U1> x' };
    expect(plainPosts(forged).map(({ text }) => text)).toEqual(['rm x']);
  });
});
