import { describe, expect, it } from 'vitest';
import type { Offer } from '../../../src/bridge/record/thread-record.ts';
import { offerView } from '../../../src/bridge/view/offer.ts';
import { offerPosts } from '../../../src/slack/render/offer.ts';
import { inboxItem, offerOf } from '../../support/records.ts';

const shown = (over: Partial<Offer>) => {
  const posts = offerPosts(offerView(offerOf(1, over), 'U0BOT'));
  expect(posts).toHaveLength(1);
  return JSON.stringify(posts[0]?.blocks);
};

describe('an offer', () => {
  it('mentions only the person who may decide, whatever the messages contain', () => {
    const blocks = shown({ items: [inboxItem(1, 'hi <!channel> <@U02BOB> `x` https://evil.example/a')] });
    expect(blocks).toContain('<@U01ALICE>');
    expect(blocks).not.toMatch(/<!channel>|<@U02BOB>/);
    expect(blocks).toContain('"value":"offer1"');
  });

  it('is one post for any number of messages', () => {
    const items = Array.from({ length: 50 }, (_, n) => inboxItem(n, 'word '.repeat(2_000)));
    const blocks = shown({ items, count: 50 });
    expect(blocks).toContain('these 50 messages');
    expect(blocks).toContain('and 40 more');
  });

  it('has no buttons once decided or lapsed', () => {
    const at = 1;
    for (const choice of ['run', 'dropped', 'sent', 'continued'] as const) {
      expect(shown({ state: { state: 'decided', choice, at }, items: [] })).not.toContain('actions');
    }
    for (const kind of ['run_held', 'send_again', 'continue'] as const) {
      expect(shown({ kind, state: { state: 'lapsed', at }, items: [] })).not.toContain('actions');
    }
  });
});
