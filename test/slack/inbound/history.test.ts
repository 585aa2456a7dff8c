import { describe, expect, it } from 'vitest';
import type { Random } from '../../../src/bridge/ports.ts';
import { meterCalls } from '../../../src/slack/api/call-meter.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import { createHistory, type HistoryTier } from '../../../src/slack/inbound/history.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

const identity = { teamId: 'T1', botUserId: 'UBOT', botId: 'BBOT' };
const random: Random = { next: () => 0, id: () => 'id' };

type Answers = (method: string, args: Record<string, unknown>) => Record<string, unknown> | SlackError;

function stage(answers: Answers, tier: HistoryTier = 'full') {
  const clock = createFakeClock(0);
  const calls: { at: number; method: string; args: Record<string, unknown> }[] = [];
  const api: SlackApi = {
    async call(method, args) {
      calls.push({ at: clock.now(), method, args });
      const answer = answers(method, args);
      if (answer instanceof SlackError) throw answer;
      return { ok: true, ...answer } as SlackAnswer;
    },
  };
  const log = createMemoryLog();
  const meter = meterCalls(api, clock);
  const history = createHistory({ api: meter.api, identity, tier, meter, clock, random, log });
  /** The result once the clock has moved on far enough. */
  async function done<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const settled = work.finally(() => {
      over = true;
    });
    settled.catch(() => undefined);
    for (let n = 0; n < 200 && !over; n += 1) await clock.advance(5_000);
    return settled;
  }
  /** Another part of the bridge reads. */
  const read = (method: string) => meter.api.call(method, {}, { client: 'control' });
  return { clock, calls, history, done, read };
}

const channel = (facts = {}) => ({ channel: { id: 'C1', is_channel: true, is_private: false, ...facts } });
const said = (ts: string, more = {}) => ({ type: 'message', user: 'U1', ts, text: `<@UBOT> at ${ts}`, ...more });

describe('Slack history', () => {
  it('returns what people and bots said, oldest first, without the bridge’s own', async () => {
    const messages = [
      said('30.1', { thread_ts: '30.1', reply_count: 2, latest_reply: '31.9' }),
      said('20.1', { user: 'UBOT', bot_id: 'BBOT' }),
      said('19.1', { bot_id: 'BOTHER' }),
      said('18.1', { subtype: 'channel_join' }),
      said('10.1', { thread_ts: '10.1', reply_count: 2, latest_reply: '40.9' }),
    ];
    const { history, done } = stage((method) => (method === 'conversations.info' ? channel() : { messages }));
    const past = await done(history.readChannel('C1', '5.0'));
    expect(past?.messages.map(({ ts, threadTs, mentionsBot, user }) => [ts, threadTs, mentionsBot, user])).toEqual([
      ['10.1', null, true, 'U1'],
      ['19.1', null, true, 'BOTHER'],
      ['30.1', null, true, 'U1'],
    ]);
    expect(past?.threads).toEqual(['10.1', '30.1']);
  });

  it('takes sharing and kind of channel from conversations.info', async () => {
    const shared = stage((method) =>
      method === 'conversations.info'
        ? channel({ is_ext_shared: true, is_private: true })
        : { messages: [said('9.1')] },
    );
    expect((await shared.done(shared.history.readChannel('C1', '5.0')))?.messages[0]).toMatchObject({
      external: true,
      channelKind: 'group',
      key: 'T1:C1:9.1',
    });
    const direct = stage((method) =>
      method === 'conversations.info' ? channel({ is_im: true }) : { messages: [said('9.1')] },
    );
    expect((await direct.done(direct.history.readChannel('D1', '5.0')))?.messages[0]?.channelKind).toBe('im');
  });

  it('leaves out the root that Slack sends along with a thread', async () => {
    const messages = [said('9.1', { thread_ts: '9.1' }), said('9.5', { thread_ts: '9.1' })];
    const { history, done } = stage((method) => (method === 'conversations.info' ? channel() : { messages }));
    expect((await done(history.readThread('C1', '9.1', '5.0')))?.messages.map(({ ts }) => ts)).toEqual(['9.5']);
  });

  it.each([
    ['full', 2_400, 200, 10],
    ['limited', 60_000, 15, 4],
  ] as const)('reads a bounded number of pages at the pace of tier %s', async (tier, gap, limit, most) => {
    let page = 0;
    const answers: Answers = (method) => {
      if (method === 'conversations.info') return channel();
      page += 1;
      return { messages: [said(`${100 - page}.1`)], response_metadata: { next_cursor: `c${page}` } };
    };
    const { history, done, calls, read } = stage(answers, tier);
    await read('conversations.history');
    calls.length = 0;
    page = 0;
    const past = await done(history.readChannel('C1', '5.0'));
    expect(past?.isComplete).toBe(false);
    const pages = calls.filter(({ method }) => method === 'conversations.history');
    expect(pages).toHaveLength(most);
    expect(pages.map(({ args }) => args.cursor)).toEqual([undefined, ...pages.slice(1).map((_, n) => `c${n + 1}`)]);
    for (const [n, { at, args }] of pages.entries()) {
      expect(args.limit).toBe(limit);
      if (n > 0) expect(at - (pages[n - 1]?.at ?? 0)).toBeGreaterThanOrEqual(gap);
    }
  });

  it('reads twice as fast while nothing else does', async () => {
    const { history, clock, calls, read } = stage((method) =>
      method === 'conversations.info' ? channel() : { messages: [] },
    );
    const at = () => calls.filter(({ method }) => method === 'conversations.replies').map((call) => call.at);
    const looking = (async () => {
      for (let n = 1; n <= 6; n += 1) await history.readThread('C1', `${n}.1`, '0.5');
    })();
    await clock.advance(2_500);
    expect(at()).toEqual([0, 1_200, 2_400]);
    await read('conversations.replies');
    await clock.advance(10_000);
    await looking;
    expect(at()).toEqual([0, 1_200, 2_400, 2_500, 4_800, 7_200, 9_600]);
  });

  it('stops at the first page that ends before what is wanted', async () => {
    const old = said('2.1', { thread_ts: '2.1', reply_count: 1, latest_reply: '9.5' });
    const { history, done, calls } = stage((method, args) => {
      if (method === 'conversations.info') return channel();
      const messages = args.cursor === undefined ? [said('9.1'), said('8.1')] : [said('7.1'), old];
      return { messages, response_metadata: { next_cursor: args.cursor === undefined ? 'more' : 'and more' } };
    });
    const past = await done(history.readChannel('C1', '5.0'));
    expect(past?.messages.map(({ ts }) => ts)).toEqual(['7.1', '8.1', '9.1']);
    expect(past?.threads).toEqual(['2.1']);
    expect(past?.isComplete).toBe(true);
    expect(calls.filter(({ method }) => method === 'conversations.history')).toHaveLength(2);
  });

  it('makes no call before Retry-After', async () => {
    let limited = 2;
    const answers: Answers = (method) => {
      if (method === 'conversations.info') return channel();
      limited -= 1;
      if (limited >= 0) return new SlackError(method, 'limited', 'ratelimited', { retryAfterMs: 30_000 });
      return { messages: [said('9.1')] };
    };
    const { history, done, calls } = stage(answers);
    expect((await done(history.readChannel('C1', '5.0')))?.messages).toHaveLength(1);
    const at = calls.filter(({ method }) => method === 'conversations.history').map((call) => call.at);
    expect(at).toHaveLength(3);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(30_000);
    expect((at[2] ?? 0) - (at[1] ?? 0)).toBeGreaterThanOrEqual(30_000);
  });

  it('returns null for a refused channel, rejects when Slack does not answer', async () => {
    const refused = stage((method) => new SlackError(method, 'refused', 'not_in_channel'));
    expect(await refused.done(refused.history.readChannel('C1', '5.0'))).toBeNull();
    const away = stage((method) => new SlackError(method, 'unknown', 'timeout'));
    await expect(away.done(away.history.readThread('C1', '9.1', '5.0'))).rejects.toMatchObject({
      code: 'slack_failed',
    });
    expect(away.calls.length).toBeLessThan(10);
  });

  it('asks for a channel’s facts only once', async () => {
    const { history, done, calls } = stage((method) =>
      method === 'conversations.info' ? channel() : { messages: [] },
    );
    await done(history.readChannel('C1', '5.0'));
    await done(history.readThread('C1', '9.1', '5.0'));
    expect(calls.filter(({ method }) => method === 'conversations.info')).toHaveLength(1);
  });

  it('rejects at once when it is stopped', async () => {
    const { history, clock, calls } = stage(
      (method) =>
        method === 'conversations.info' ? channel() : { messages: [], response_metadata: { next_cursor: 'more' } },
      'limited',
    );
    const work = history.readChannel('C1', '5.0');
    work.catch(() => undefined);
    await clock.advance(1_000);
    history.stop();
    await expect(work).rejects.toThrow('stopped');
    expect(calls).toHaveLength(2);
  });
});
