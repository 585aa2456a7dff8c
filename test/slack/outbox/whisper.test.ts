import { describe, expect, test } from 'vitest';
import type { ThreadAddress } from '../../../src/bridge/inbound.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import { createScheduler } from '../../../src/slack/outbox/scheduler.ts';
import { createWhispers } from '../../../src/slack/outbox/whisper.ts';
import type { SlackPost } from '../../../src/slack/render/post.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

const address: ThreadAddress = { team: 'T1', channel: 'C1', threadTs: '1.000001' };
const random = { next: () => 0.5, id: () => 'r' };

function post(text: string): SlackPost[] {
  return [{ part: '0.0', kind: 'note', blocks: [{ type: 'markdown', text }], text, live: false }];
}

function stage() {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const heard: { user: unknown; text: unknown; at: number }[] = [];
  const slack = { failure: null as SlackError | null };
  const start = clock.monotonic();
  const api: SlackApi = {
    async call(_method, { user, text }) {
      if (slack.failure) throw slack.failure;
      heard.push({ user, text, at: clock.monotonic() - start });
      return { ok: true } as SlackAnswer;
    },
  };
  const whispers = createWhispers({ scheduler: createScheduler({ api, clock, random, log }), clock, log });
  const say = (user: string, text: string) => void whispers.send(address, user, post(text));
  const of = (user: string) => heard.filter((each) => each.user === user);
  return { clock, log, heard, slack, whispers, say, of };
}

describe('private messages', () => {
  test('of others still arrive while one guest causes 300 of them', async () => {
    const { clock, say, of } = stage();
    for (let n = 0; n < 300; n += 1) {
      say('UGUEST', `refused ${n}`);
      if (n % 30 === 29) say('UALICE', `answer ${n}`);
      if (n % 60 === 59) say('UBOB', `answer ${n}`);
      await clock.advance(50);
    }
    await clock.advance(120_000);
    expect(of('UALICE')).toHaveLength(10);
    expect(of('UBOB')).toHaveLength(5);
    expect(of('UGUEST').length).toBeLessThanOrEqual(40);
  });

  test('to one person are sent at once, beside a flood to another', async () => {
    const { clock, say, of } = stage();
    for (let n = 0; n < 300; n += 1) say('UGUEST', `refused ${n}`);
    say('UALICE', 'hello');
    await clock.settle();
    expect(of('UALICE').map(({ at }) => at)).toEqual([0]);
  });

  test('in a flood are spread evenly over the people', async () => {
    const { clock, say, heard } = stage();
    const users = Array.from({ length: 40 }, (_, n) => `U${n}`);
    for (let n = 0; n < 5; n += 1) for (const user of users) say(user, `${n}`);
    await clock.advance(60_000);
    const counts = new Map<unknown, number>();
    for (const { user } of heard) {
      const count = (counts.get(user) ?? 0) + 1;
      counts.set(user, count);
      const least = Math.min(...users.map((each) => counts.get(each) ?? 0));
      expect(count - least).toBeLessThanOrEqual(2);
    }
    expect(counts.size).toBe(40);
  });

  test('to one person arrive once and in order after a rate limit', async () => {
    const { clock, say, of, slack } = stage();
    slack.failure = new SlackError('chat.postEphemeral', 'limited', 'ratelimited', { retryAfterMs: 3_000 });
    for (let n = 0; n < 4; n += 1) say('UALICE', `${n}`);
    await clock.advance(1_000);
    slack.failure = null;
    await clock.advance(30_000);
    expect(of('UALICE').map(({ text }) => text)).toEqual(['0', '1', '2', '3']);
  });

  test('refused by Slack are given up, and later ones still arrive', async () => {
    const { clock, say, of, slack, log } = stage();
    slack.failure = new SlackError('chat.postEphemeral', 'refused', 'user_not_in_channel');
    say('UALICE', 'lost');
    await clock.settle();
    slack.failure = null;
    say('UALICE', 'heard');
    await clock.settle();
    expect(of('UALICE').map(({ text }) => text)).toEqual(['heard']);
    expect(log.lines).toMatchObject([{ fields: { error: 'user_not_in_channel' } }]);
  });

  test('are sent even when the clock never shows the same moment twice', async () => {
    const { clock, heard } = stage();
    let ticks = 0;
    const ticking = {
      ...clock,
      monotonic() {
        ticks += 0.01;
        return clock.monotonic() + ticks;
      },
    };
    const api: SlackApi = {
      async call() {
        heard.push({ user: 'UALICE', text: '', at: 0 });
        return { ok: true } as SlackAnswer;
      },
    };
    const log = createMemoryLog();
    const scheduler = createScheduler({ api, clock: ticking, random, log });
    void createWhispers({ scheduler, clock: ticking, log }).send(address, 'UALICE', post('hello'));
    await clock.settle();
    expect(heard).toHaveLength(1);
  });

  test('are kept in a bounded queue, however many ask', async () => {
    const { clock, whispers, slack, log } = stage();
    slack.failure = new SlackError('chat.postEphemeral', 'limited', 'ratelimited', { retryAfterMs: 50_000 });
    let done = 0;
    for (let n = 0; n < 3_000; n += 1) void whispers.send(address, `U${n % 700}`, post('x')).then(() => (done += 1));
    await clock.settle();
    expect(3_000 - done).toBeLessThanOrEqual(500);
    whispers.close();
    await clock.settle();
    expect(done).toBe(3_000);
    expect(clock.waiting).toBe(0);
    expect(log.lines.length).toBeGreaterThan(0);
  });
});
