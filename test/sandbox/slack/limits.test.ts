import { describe, expect, test } from 'vitest';
import { Limits, type Tier } from '../../../sandbox/slack/limits.ts';
import { call, slackFor } from './support.ts';

describe('a rate limit of the small Slack', () => {
  test.each<[Tier, number]>([
    ['T1', 1],
    ['T2', 20],
    ['T3', 50],
    ['T4', 100],
    ['post', 60],
  ])('of tier %s allows %d calls in any 60 seconds', (tier, limit) => {
    const limits = new Limits(true);
    const taken: number[] = [];
    for (let now = 0; now < 300_000; now += 137) if (limits.takeCall('m', tier, 'C1', now) === null) taken.push(now);
    for (const from of taken) {
      expect(taken.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(limit);
    }
    expect(taken.length).toBeGreaterThanOrEqual(limit * 4);
  });

  test('names a wait that is just long enough', () => {
    const limits = new Limits(true);
    for (let n = 0; n < 20; n += 1) limits.takeCall('m', 'T2', '', n * 100);
    const wait = limits.takeCall('m', 'T2', '', 5_000);
    expect(wait).toBe(55);
    expect(limits.takeCall('m', 'T2', '', 59_999)).toBe(1);
    expect(limits.takeCall('m', 'T2', '', 60_000)).toBeNull();
  });

  test('counts posts per channel and workspace, edits over all channels', () => {
    const limits = new Limits(true);
    const posts = (channel: string, count: number) =>
      Array.from({ length: count }, () => limits.takeCall('chat.postMessage', 'post', channel, 0)).filter(
        (w) => w === null,
      ).length;
    expect(posts('C1', 100)).toBe(60);
    expect(posts('C2', 100)).toBe(60);
    expect(['C3', 'C4', 'C5', 'C6'].map((channel) => posts(channel, 100))).toEqual([60, 60, 60, 0]);
    const edits = ['C1', 'C2'].flatMap((channel) =>
      Array.from({ length: 30 }, () => limits.takeCall('chat.update', 'T3', channel, 0)),
    );
    expect(edits.filter((wait) => wait === null).length).toBe(50);
  });
});

describe('the small Slack over a limit', () => {
  test('answers 429 with Retry-After for that method only', async () => {
    let now = Date.now();
    const slack = await slackFor({ now: () => now });
    for (let n = 0; n < 20; n += 1) await call(slack, 'users.list');
    const refused = await call(slack, 'users.list');
    expect(refused).toEqual({ status: 429, body: { ok: false, error: 'ratelimited' }, retryAfter: '60' });
    expect(slack.control.state().ratelimited).toEqual({ 'users.list': 1 });
    expect((await call(slack, 'users.info', { user: 'U01ALICE' })).body.ok).toBe(true);
    now += 60_000;
    expect((await call(slack, 'users.list')).body.ok).toBe(true);
  });

  test('answers normally when its limits are off', async () => {
    const slack = await slackFor({ limits: 'off' });
    for (let n = 0; n < 25; n += 1) expect((await call(slack, 'users.list')).status).toBe(200);
  });
});
