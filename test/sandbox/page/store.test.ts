import { describe, expect, it } from 'vitest';
import { countUnread, initialState, isThreadUnread, type PageState, reduceState } from '../../../sandbox/page/store.ts';
import type { SeenMessage } from '../../../sandbox/slack/control/api.ts';
import type { FeedEvent, State, TrafficLine } from '../../../sandbox/web/wire.ts';

const ALICE = 'U01ALICE';
const BOB = 'U02BOB';

function message(ts: string, rest: Partial<SeenMessage> = {}): SeenMessage {
  return {
    channel: 'C02ENG',
    ts,
    thread_ts: null,
    user: BOB,
    bot_id: null,
    name: 'Bob',
    subtype: null,
    text: 'hi',
    blocks: [],
    attachments: [],
    files: [],
    metadata: null,
    edited: false,
    revisions: 1,
    deleted: false,
    ephemeral: null,
    stream: null,
    pings: [],
    reactions: {},
    reply_count: 0,
    ...rest,
  };
}

const told = (state: PageState, event: FeedEvent) => reduceState(state, { do: 'feed', event });
const messages = (state: PageState, changed: SeenMessage[], removed: string[] = [], channel = 'C02ENG') =>
  told(state, { type: 'messages', channel, changed, removed });

describe('the state of the page', () => {
  it('keeps messages in order, replaces changed and removes deleted ones', () => {
    let state = messages(initialState(ALICE), [message('2.0'), message('1.0')]);
    state = messages(state, [message('3.0'), message('1.0', { text: 'other', revisions: 2 })], ['2.0']);
    expect(state.messages.C02ENG?.map(({ ts, text }) => [ts, text])).toEqual([
      ['1.0', 'other'],
      ['3.0', 'hi'],
    ]);
  });

  it('counts messages from before its opening as read, later ones as unread', () => {
    let state = messages(initialState(ALICE), [message('1.0')]);
    expect(countUnread(state, 'C02ENG')).toEqual({ unread: false, mentions: 0 });
    state = messages(state, [message('2.0'), message('3.0', { pings: [ALICE] })]);
    expect(countUnread(state, 'C02ENG')).toEqual({ unread: true, mentions: 1 });
    state = reduceState(state, { do: 'go', place: { channel: 'C02ENG' } });
    expect(countUnread(state, 'C02ENG')).toEqual({ unread: false, mentions: 0 });
  });

  it('counts neither the person’s own messages nor others’ threads as unread', () => {
    let state = messages(initialState(ALICE), []);
    state = messages(state, [message('1.0', { user: ALICE })]);
    expect(countUnread(state, 'C02ENG').unread).toBe(false);
    state = messages(state, [message('2.0', { thread_ts: '1.0' })]);
    expect(countUnread(state, 'C02ENG').unread).toBe(false);
    expect(isThreadUnread(state, 'C02ENG', '1.0')).toBe(true);
    state = messages(state, [message('5.0'), message('6.0', { thread_ts: '5.0' })]);
    expect(isThreadUnread(state, 'C02ENG', '5.0')).toBe(false);
  });

  it('counts replies as read while their thread is open', () => {
    let state = messages(initialState(ALICE), [message('1.0', { user: ALICE })]);
    state = reduceState(state, { do: 'go', place: { channel: 'C02ENG', thread: '1.0' } });
    state = messages(state, [message('2.0', { thread_ts: '1.0' })]);
    expect(isThreadUnread(state, 'C02ENG', '1.0')).toBe(false);
  });

  it('keeps each person’s marks, and follows to their own direct message', () => {
    let state = messages(initialState(ALICE), [message('1.0')]);
    state = reduceState(state, { do: 'go', place: { channel: 'D01ALICE', tab: 'home' } });
    state = reduceState(state, { do: 'act-as', user: BOB });
    expect(state.place.channel).toBe('D02BOB');
    state = messages(reduceState(state, { do: 'act-as', user: ALICE }), [message('1.0'), message('2.0')]);
    expect(countUnread(state, 'C02ENG').unread).toBe(true);
  });

  it('leaves a channel that the person cannot see', () => {
    const feed: State = {
      type: 'state',
      channels: [{ id: 'C01GEN', name: 'general', kind: 'public', archived: false, hasBot: true }],
      bridge: 'up',
      sockets: 1,
      pending: 0,
      statuses: [],
      sessions: [],
      limits: 'on',
      gauges: [],
      ratelimited: {},
      armed: [],
      scene: null,
    };
    const state = reduceState(initialState(ALICE), { do: 'go', place: { channel: 'C03OUT', thread: '1.0' } });
    expect(told(state, feed).place).toEqual({ channel: 'C01GEN', tab: 'messages', thread: null });
  });

  it('keeps a bounded list of traffic, and replaces a repeated line', () => {
    const line = (id: number, result: string): TrafficLine => ({
      id,
      at: 0,
      kind: 'envelope',
      dir: 'in',
      title: 'message',
      about: '',
      result,
      tone: 'plain',
      detail: '',
    });
    let state = told(initialState(ALICE), {
      type: 'traffic',
      lines: [line(1, 'pending'), line(2, 'pending')],
      skipped: 3,
    });
    state = told(state, { type: 'traffic', lines: [line(1, 'acked')], skipped: 0 });
    expect(state.traffic.map(({ id, result }) => [id, result])).toEqual([
      [1, 'acked'],
      [2, 'pending'],
    ]);
    const many = Array.from({ length: 1_500 }, (_, index) => line(index + 10, 'acked'));
    state = told(state, { type: 'traffic', lines: many, skipped: 0 });
    expect(state.traffic).toHaveLength(1_000);
    expect(state.skipped).toBe(3 + 502);
  });
});
