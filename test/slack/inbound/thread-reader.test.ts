import { describe, expect, it } from 'vitest';
import type { PastQuery } from '../../../src/bridge/ports.ts';
import { meterCalls } from '../../../src/slack/api/call-meter.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import type { HistoryTier } from '../../../src/slack/inbound/history.ts';
import { createThreadReader } from '../../../src/slack/inbound/thread-reader.ts';
import { createFakeClock } from '../../support/clock.ts';

const identity = { teamId: 'T1', botUserId: 'UBOT', botId: 'BBOT' };
const ROOT = '1000000.000000';
const at = (n: number) => `${1_000_000 + n}.000000`;
const BEFORE = at(500_000);

interface Wire {
  ts: string;
  [field: string]: unknown;
}

/** A thread as Slack pages it: oldest first, the first message with each page. */
function stage(
  replies: Wire[],
  { tier = 'full' as HistoryTier, fails = [] as (SlackError | null)[], first = {} } = {},
) {
  const clock = createFakeClock(0);
  const calls: Record<string, unknown>[] = [];
  const root = { ts: ROOT, user: 'U1', text: 'the alert', reply_count: replies.length, ...first };
  const api: SlackApi = {
    async call(method, args) {
      calls.push({ method, ...args });
      const error = fails.shift();
      if (error) throw error;
      const oldest = String(args.oldest ?? '0');
      const found = replies.filter(({ ts }) => ts > oldest && ts < String(args.latest));
      const isTop = method === 'conversations.history';
      const limit = Number(args.limit);
      const part = isTop ? found.toReversed().slice(0, limit) : found.slice(0, limit);
      return {
        ok: true,
        messages: isTop ? part : [root, ...part],
        has_more: part.length < found.length,
      } as unknown as SlackAnswer;
    },
  };
  const meter = meterCalls(api, clock);
  const reader = createThreadReader({ api: meter.api, identity, tier, meter });
  const read = (query: Partial<PastQuery> = {}, threadTs: string | null = ROOT) =>
    reader.readThread(
      { team: 'T1', channel: threadTs === null ? 'D1' : 'C1', threadTs },
      { after: null, before: BEFORE, most: 50, ...query },
    );
  return { clock, calls, read };
}

const said = (n: number, more: object = {}): Wire => ({ ts: at(n), user: 'U2', text: `message ${n}`, ...more });
const refusal = (error: string) => new SlackError('conversations.replies', 'refused', error);

describe('reading a thread for a turn', () => {
  it('takes one call and gives everybody’s messages, oldest first', async () => {
    const { read, calls } = stage([
      said(1),
      said(2, {
        user: undefined,
        bot_id: 'B7',
        subtype: 'bot_message',
        username: 'Alerts',
        text: '',
        attachments: [{ text: 'cpu' }],
      }),
      said(3, { subtype: 'channel_join' }),
      said(4, { files: [{ id: 'F1', name: 'a.pdf', size: 7 }] }),
      said(5, { attachments: [{ from_url: 'https://x.example', title: 'A page' }] }),
    ]);
    const past = await read();
    expect(calls).toHaveLength(1);
    expect(past.root).toMatchObject({ ts: ROOT, user: 'U1', spans: [{ kind: 'text', text: 'the alert' }] });
    expect(past.messages.map(({ ts }) => ts)).toEqual([at(1), at(2), at(4), at(5)]);
    expect(past.messages[1]).toMatchObject({ user: 'B7', bot: { name: 'Alerts' }, spans: [{ text: 'cpu' }] });
    expect(past.messages[2]?.files).toMatchObject([{ id: 'F1', name: 'a.pdf', size: 7 }]);
    expect(past.messages[3]?.spans).toEqual([
      { kind: 'text', text: 'message 5\n[preview of https://x.example: A page]' },
    ]);
    expect(past).toMatchObject({ unread: 0, isComplete: true });
  });

  it('tells its own answers, cards and notices apart, each in one line', async () => {
    const own = (n: number, turn: string, part: string) => {
      const metadata = { event_type: 'letta_bridge_post', event_payload: { turn, part } };
      return said(n, { user: 'UBOT', bot_id: 'BBOT', text: 'long\nwords', metadata });
    };
    const { read } = stage([
      own(1, 'turn-a', '0.0'),
      own(2, 'turn-a', 'card-12'),
      own(3, 'token', '0.0'),
      said(4, { user: 'UBOT', bot_id: 'BBOT' }),
    ]);
    const { messages } = await read();
    expect(messages.map(({ own }) => own)).toEqual(['answer', 'card', 'notice', 'notice']);
    expect(messages[0]?.spans).toEqual([{ kind: 'text', text: 'long words' }]);
  });

  it('asks only for what is newer where the rest is known', async () => {
    const { read, calls } = stage([said(1), said(2), said(3)]);
    const past = await read({ after: at(1), before: at(3) });
    expect(calls).toMatchObject([{ oldest: at(1), latest: at(3) }]);
    expect(past.messages.map(({ ts }) => ts)).toEqual([at(2)]);
  });

  it('a long thread: beginning and newest in two calls, the gap counted', async () => {
    const replies = Array.from({ length: 3_000 }, (_, n) => said((n + 1) * 100));
    const before = at(300_000);
    const { read, calls } = stage(replies);
    const past = await read({ before });
    expect(calls).toHaveLength(2);
    expect(past.root?.ts).toBe(ROOT);
    expect(past.messages.at(-1)?.ts).toBe(at(299_900));
    expect(past.messages.length + past.unread).toBe(2_999);
    expect(past.isComplete).toBe(true);
  });

  it('a thread of two pages: both are joined without a gap', async () => {
    const replies = Array.from({ length: 1_400 }, (_, n) => said(n + 1));
    const past = await stage(replies).read({ before: at(2_000) });
    expect(past.messages).toHaveLength(1_400);
    expect(past).toMatchObject({ unread: 0, isComplete: true });
  });

  it('a second page refused: the first one, said to be incomplete', async () => {
    const replies = Array.from({ length: 1_400 }, (_, n) => said(n + 1));
    const past = await stage(replies, { fails: [null, refusal('internal_error')] }).read({ before: at(2_000) });
    expect(past.messages).toHaveLength(1_000);
    expect(past.isComplete).toBe(false);
  });

  it('a deleted first message is named as such', async () => {
    const first = { subtype: 'tombstone', user: 'USLACKBOT', text: 'This message was deleted.', hidden: true };
    const { root } = await stage([], { first }).read();
    expect(root?.spans).toEqual([{ kind: 'text', text: '[this message was deleted]' }]);
  });

  it('a direct message’s top level: the newest, oldest first', async () => {
    const { read, calls } = stage(Array.from({ length: 300 }, (_, n) => said(n + 1)));
    const past = await read({}, null);
    expect(calls).toMatchObject([{ method: 'conversations.history', channel: 'D1' }]);
    expect(past.root).toBeNull();
    expect(past.messages).toHaveLength(100);
    expect(past.messages.at(-1)?.ts).toBe(at(300));
    expect(past).toMatchObject({ unread: 1, isComplete: true });
  });
});

describe('a thread that Slack does not give', () => {
  it.each([
    [refusal('missing_scope'), 'the Slack app lacks the scope to read the history here'],
    [refusal('not_in_channel'), 'the bot is not in this channel'],
    [refusal('odd_error'), 'Slack refuses it: odd_error'],
    [new SlackError('conversations.replies', 'limited', 'ratelimited'), 'Slack limits how often I may read threads'],
    [new SlackError('conversations.replies', 'unknown', 'timeout'), 'Slack did not answer'],
  ])('rejects with the reason in words: %s', async (error, notice) => {
    await expect(stage([], { fails: [error] }).read()).rejects.toMatchObject({ code: 'slack_failed', notice });
  });

  it('is not asked for beyond the budget of the minute', async () => {
    const { read, calls, clock } = stage([said(1)]);
    for (let n = 0; n < 30; n += 1) await read();
    await expect(read()).rejects.toMatchObject({ notice: 'Slack limits how often I may read threads' });
    expect(calls).toHaveLength(30);
    await clock.advance(61_000);
    await read();
    expect(calls).toHaveLength(31);
  });

  it('limited apps: one call a minute, 15 messages', async () => {
    const { read, calls } = stage([said(1), said(490_000)], { tier: 'limited' });
    const past = await read();
    expect(calls).toMatchObject([{ limit: 15 }]);
    expect(past.messages.map(({ ts }) => ts)).toEqual([at(490_000)]);
    await expect(read()).rejects.toMatchObject({ notice: 'Slack limits how often I may read threads' });
  });
});

describe('a message behind a link', () => {
  const reply = said(7);
  function linked(members: string[], { error = null as SlackError | null } = {}) {
    const methods: string[] = [];
    const api: SlackApi = {
      async call(method, args) {
        methods.push(method);
        if (error) throw error;
        if (method === 'conversations.members') {
          const [page, rest] = [members.slice(0, 2), members.slice(2)];
          const isFirst = args.cursor === undefined;
          const next_cursor = isFirst && rest.length > 0 ? 'more' : '';
          return { ok: true, members: isFirst ? page : rest, response_metadata: { next_cursor } };
        }
        const all = [{ ts: ROOT, user: 'U1', text: 'the alert' }, said(6), reply, said(8)];
        return {
          ok: true,
          messages: all.filter(({ ts }) => ts === ROOT || ts >= String(args.oldest ?? '')),
        } as unknown as SlackAnswer;
      },
    };
    const meter = meterCalls(api, createFakeClock(0));
    const reader = createThreadReader({ api: meter.api, identity, tier: 'full', meter });
    const query = { channel: 'C2', ts: reply.ts, threadTs: ROOT, reader: 'U9', from: 'C1' };
    return { methods, read: (change = {}) => reader.readLinked({ ...query, ...change }) };
  }

  it('in a channel of its reader: brings message and root', async () => {
    const { read, methods } = linked(['U1', 'U2', 'U9']);
    expect(await read()).toMatchObject({ messages: [{ ts: ROOT }, { ts: reply.ts }] });
    expect(methods).toEqual(['conversations.members', 'conversations.members', 'conversations.replies']);
  });

  it('beginning a thread: goes along with the first replies', async () => {
    const found = await linked(['U9']).read({ ts: ROOT, threadTs: null });
    expect('messages' in found && found.messages.map(({ ts }) => ts)).toEqual([ROOT, at(6), at(7), at(8)]);
  });

  it('in the channel where the link is: no member is looked up', async () => {
    const { read, methods } = linked([]);
    expect(await read({ from: 'C2' })).toMatchObject({ messages: [{ ts: ROOT }, { ts: reply.ts }] });
    expect(methods).toEqual(['conversations.replies']);
  });

  it('in a channel without its reader: is not read', async () => {
    const { read, methods } = linked(['U1', 'U2', 'U3']);
    expect(await read()).toEqual({ refused: 'U9 is not in that channel' });
    expect(methods).not.toContain('conversations.replies');
  });

  it('gone, or in a channel without the bot: says so', async () => {
    expect(await linked(['U9']).read({ ts: at(500) })).toEqual({ refused: 'it is not there' });
    const { read } = linked([], { error: refusal('channel_not_found') });
    expect(await read()).toEqual({ refused: 'the bot cannot see this channel' });
  });
});
