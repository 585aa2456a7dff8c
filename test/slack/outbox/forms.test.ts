import { describe, expect, test } from 'vitest';
import type { Log } from '../../../src/bridge/ports.ts';
import { createMemoryMetrics } from '../../../src/ops/metrics.ts';
import { createForms, type Fallback } from '../../../src/slack/outbox/forms.ts';
import type { SlackPost } from '../../../src/slack/render/post.ts';

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

const post = (part: string, text: string, live = false): SlackPost => ({
  part,
  kind: 'text',
  blocks: [{ type: 'markdown', text }],
  text: 'Sum',
  live,
});
const named = (one: SlackPost, ...texts: string[]): SlackPost[] =>
  texts.map((text) => ({ ...one, blocks: [{ type: 'markdown', text }] }));
const fallback: Fallback = (one, form) => {
  if (form === 'unplanned') return one.blocks.some(({ type }) => type === 'plan') ? [{ ...one, blocks: [] }] : [];
  return form === 'smaller' ? named(one, 'a', 'b') : named(one, 'section');
};
const plans = () => ({ isOff: false });
const texts = (posts: readonly SlackPost[]) =>
  posts.map(({ part, blocks, text }) => `${part} ${blocks[0]?.type === 'markdown' ? blocks[0].text : text}`);

describe('a post that Slack refuses', () => {
  test('is split, then sent as sections, then as plain text', () => {
    const forms = createForms(fallback, plans(), quiet);
    const posts = [post('0.0', 'first'), post('0.1', 'second')];
    expect(texts(forms.applyForms(posts))).toEqual(['0.0 first', '0.1 second']);
    expect(forms.simplify(post('0.1', 'second'))).toBe(true);
    expect(texts(forms.applyForms(posts))).toEqual(['0.0 first', '0.1 a', '0.1~1 b']);
    expect(forms.simplify(post('0.1~1', 'b'))).toBe(true);
    expect(texts(forms.applyForms(posts))).toEqual(['0.0 first', '0.1 section']);
    expect(forms.simplify(post('0.1', 'section'))).toBe(true);
    expect(texts(forms.applyForms(posts))).toEqual(['0.0 first', '0.1 second']);
    expect(forms.applyForms(posts)[1]?.blocks).toEqual([]);
    expect(forms.simplify(post('0.1', 'second'))).toBe(false);
  });

  test('skips a simpler form that is empty', () => {
    const forms = createForms((one, form) => (form === 'mrkdwn' ? named(one, 'section') : []), plans(), quiet);
    forms.applyForms([post('0.0', 'x')]);
    forms.simplify(post('0.0', 'x'));
    expect(texts(forms.applyForms([post('0.0', 'x')]))).toEqual(['0.0 section']);
  });

  test('is tried whole again only if it was refused half-written', () => {
    const forms = createForms(fallback, plans(), quiet);
    const posts = [post('0.0', 'full'), post('0.1', 'growing', true)];
    forms.applyForms(posts);
    for (const one of posts) forms.simplify(one);
    forms.resetLive();
    expect(texts(forms.applyForms(posts))).toEqual(['0.0 a', '0.0~1 b', '0.1 growing']);
  });

  test('is counted once in the form that Slack took', () => {
    const metrics = createMemoryMetrics();
    const forms = createForms(fallback, plans(), quiet, metrics);
    const count = (form: string) => metrics.value('refused_posts', { form });
    forms.applyForms([post('0.0', 'x'), post('0.1', 'y')]);
    forms.noteShown();
    forms.simplify(post('0.0', 'x'));
    forms.simplify(post('0.0', 'x'));
    for (let times = 0; times < 2; times += 1) forms.noteShown();
    expect(['rendered', 'smaller', 'mrkdwn', 'plain', 'none'].map(count)).toEqual([0, 0, 1, 0, 0]);
    forms.simplify(post('0.0', 'x'));
    forms.simplify(post('0.0', 'x'));
    expect(['mrkdwn', 'plain', 'none'].map(count)).toEqual([1, 0, 1]);
  });

  test('becomes plain text when rendering its simpler forms throws', () => {
    const forms = createForms(
      () => {
        throw new Error('a bug');
      },
      plans(),
      quiet,
    );
    forms.applyForms([post('0.0', 'x')]);
    expect(forms.simplify(post('0.0', 'x'))).toBe(true);
    expect(forms.applyForms([post('0.0', 'x')])).toMatchObject([{ part: '0.0', blocks: [], text: 'x' }]);
  });

  test('with a checklist: goes without it, as all later ones do', () => {
    const latch = plans();
    const listed = (part: string): SlackPost => ({ ...post(part, 'x'), blocks: [{ type: 'plan', title: '1 of 2' }] });
    const forms = createForms(fallback, latch, quiet);
    expect(forms.applyForms([listed('0.0')])[0]?.blocks).toHaveLength(1);
    expect(forms.simplify(listed('0.0'))).toBe(true);
    expect(forms.applyForms([listed('0.0')])[0]?.blocks).toEqual([]);
    expect(latch.isOff).toBe(false);
    forms.noteShown();
    const later = createForms(fallback, latch, quiet);
    expect(later.applyForms([listed('1.0')])[0]?.blocks).toEqual([]);
    later.simplify(listed('1.0'));
    expect(texts(later.applyForms([listed('1.0')]))).toEqual(['1.0 a', '1.0~1 b']);
  });
});
