import type { HomeView } from '@slack/types';
import { describe, expect, it } from 'vitest';
import { type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import { createHomeTabs } from '../../../src/slack/outbox/home-tabs.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

function stage() {
  const clock = createFakeClock();
  const start = clock.monotonic();
  const published: { user: unknown; words: string; at: number }[] = [];
  const words = new Map<string, string>();
  const slack = { failure: null as SlackError | null };
  const api: SlackApi = {
    async call(method, { user_id: user, view }) {
      expect(method).toBe('views.publish');
      if (slack.failure) throw slack.failure;
      published.push({ user, words: JSON.stringify(view), at: clock.monotonic() - start });
      return { ok: true };
    },
  };
  const draw = async (user: string): Promise<HomeView> => ({
    type: 'home',
    blocks: [{ type: 'section', text: { type: 'plain_text', text: words.get(user) ?? 'nothing' } }],
  });
  const homes = createHomeTabs({ api, clock, log: createMemoryLog(), draw });
  const change = (user: string, text: string) => {
    words.set(user, text);
    homes.noteChange([user]);
  };
  return {
    clock,
    homes,
    published,
    slack,
    words,
    change,
    of: (user: string) => published.filter((p) => p.user === user),
  };
}

describe('an opened Home tab', () => {
  it('is drawn at once, then once for changes within 2 s', async () => {
    const { clock, homes, change, published } = stage();
    await homes.open('U1');
    for (const text of ['one', 'two', 'three']) {
      change('U1', text);
      await clock.advance(500);
    }
    await clock.advance(10_000);
    expect(published.map(({ at }) => at)).toEqual([0, 2_000]);
    expect(published[1]?.words).toContain('three');
  });

  it('without a visible change: is not sent again', async () => {
    const { clock, homes, published } = stage();
    await homes.open('U1');
    homes.noteChange(null);
    await clock.advance(10_000);
    expect(published).toHaveLength(1);
  });

  it('opened over an hour ago: stays as it is', async () => {
    const { clock, homes, change, published } = stage();
    await homes.open('U1');
    change('U2', 'news');
    await clock.advance(10_000);
    await clock.advance(60 * 60_000);
    change('U1', 'news');
    await clock.advance(10_000);
    expect(published).toHaveLength(1);
  });

  it('limited by Slack: is drawn after the time named', async () => {
    const { clock, homes, change, published, slack } = stage();
    await homes.open('U1');
    slack.failure = new SlackError('views.publish', 'limited', 'ratelimited', { retryAfterMs: 30_000 });
    change('U1', 'news');
    await clock.advance(2_000);
    slack.failure = null;
    await clock.advance(29_000);
    expect(published).toHaveLength(1);
    await clock.advance(1_000);
    expect(published.map(({ at }) => at)).toEqual([0, 32_000]);
  });

  it('is no longer drawn after the bridge stops', async () => {
    const { clock, homes, change, published } = stage();
    await homes.open('U1');
    change('U1', 'news');
    homes.close();
    await clock.advance(60_000);
    expect(published).toHaveLength(1);
  });
});

describe('many opened Home tabs', () => {
  it('changing all the time: take turns within a budget', async () => {
    const { clock, homes, change, published, of } = stage();
    const users = Array.from({ length: 150 }, (_, at) => `U${at}`);
    for (const user of users) await homes.open(user);
    for (let second = 0; second < 300; second += 1) {
      for (const user of users) change(user, `state ${second}`);
      await clock.advance(1_000);
    }
    for (const { at } of published.slice(150)) {
      const minute = published.slice(150).filter((each) => each.at > at - 60_000 && each.at <= at);
      expect(minute.length).toBeLessThanOrEqual(60);
    }
    const counts = users.map((user) => of(user).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(Math.min(...counts)).toBeGreaterThan(1);
  });

  it('are bounded: the one opened longest ago is left out', async () => {
    const { clock, homes, change, of } = stage();
    for (let at = 0; at < 201; at += 1) await homes.open(`U${at}`);
    change('U0', 'news');
    change('U200', 'news');
    await clock.advance(10_000);
    expect([of('U0').length, of('U200').length]).toEqual([1, 2]);
  });
});
