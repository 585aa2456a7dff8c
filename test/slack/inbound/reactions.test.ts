import { describe, expect, it } from 'vitest';
import { meterCalls } from '../../../src/slack/api/call-meter.ts';
import { type SlackAnswer, type SlackApi, SlackError } from '../../../src/slack/api/slack-api.ts';
import type { HistoryTier } from '../../../src/slack/inbound/history.ts';
import { createMessageReader } from '../../../src/slack/inbound/message-reader.ts';
import { readReaction } from '../../../src/slack/inbound/reactions.ts';
import { METADATA_TYPE } from '../../../src/slack/outbox/post-metadata.ts';
import { createFakeClock } from '../../support/clock.ts';

const identity = { teamId: 'T1', botUserId: 'UBOT', botId: 'BBOT' };
const event = {
  type: 'reaction_added',
  user: 'U1',
  reaction: 'thumbsup::skin-tone-3',
  item: { type: 'message', channel: 'C1', ts: '100.000001' },
  item_user: 'U2',
  event_ts: '200.000001',
};

describe('the event of a reaction', () => {
  it('names message, person, emoji and time', () => {
    expect(readReaction({ event, is_ext_shared_channel: true }, identity)).toEqual({
      ...{ kind: 'added', team: 'T1', channel: 'C1', channelKind: 'channel', external: true, ts: '100.000001' },
      ...{ isOurs: false, emoji: '+1', user: 'U1', at: '200.000001' },
    });
    const removed = { ...event, type: 'reaction_removed', item_user: 'UBOT' };
    expect(readReaction({ event: removed }, identity)).toMatchObject({ kind: 'removed', isOurs: true, external: null });
    expect(readReaction({ event: { ...event, item_user: 'BBOT' } }, identity)).toMatchObject({ isOurs: true });
  });

  it.for([
    ['of our own', { user: 'UBOT' }],
    ['to a file', { item: { type: 'file', file: 'F1' } }],
    ['without a time', { event_ts: undefined }],
    ['of another type', { type: 'message' }],
    ['with a name that is none', { reaction: '<!here>' }],
  ] as const)('%s is not read', ([, change]) => {
    expect(readReaction({ event: { ...event, ...change } }, identity)).toBe(null);
  });
});

function stage(messages: object[] | SlackError, tier: HistoryTier = 'full') {
  const calls: object[] = [];
  const api: SlackApi = {
    async call(method, args) {
      calls.push({ method, ...args });
      if (messages instanceof SlackError) throw messages;
      return { ok: true, messages } as unknown as SlackAnswer;
    },
  };
  const meter = meterCalls(api, createFakeClock(0));
  return { calls, ...createMessageReader({ api: meter.api, identity, tier, meter }) };
}

describe('reading a single message', () => {
  const reply = { ts: '100.000005', thread_ts: '100.000001', user: 'U2', text: 'the log' };

  it('finds a reply and its thread, also in a whole thread', async () => {
    const root = { ts: '100.000001', thread_ts: '100.000001', user: 'U1', text: 'the alert' };
    const { readMessage } = stage([root, reply]);
    const found = await readMessage('C1', reply.ts);
    expect(found).toMatchObject({ threadTs: root.ts, own: null, message: { user: 'U2', threadTs: root.ts } });
    expect(await readMessage('C1', root.ts)).toMatchObject({ threadTs: null, message: { user: 'U1' } });
    expect(await readMessage('C1', '100.000009')).toBe(null);
  });

  it('tells what of ours it is, by our own metadata', async () => {
    const metadata = { event_type: METADATA_TYPE, event_payload: { turn: 'turn-1', part: '0.0' } };
    const own = { ts: '1.000001', user: 'UBOT', bot_id: 'BBOT', text: 'done', metadata };
    expect((await stage([own]).readMessage('C1', own.ts))?.own).toEqual({ kind: 'answer', turn: 'turn-1' });
    const forged = { ...own, user: 'U2', bot_id: 'BEVIL' };
    expect((await stage([forged]).readMessage('C1', own.ts))?.own).toBe(null);
    const notice = { ...own, metadata: undefined };
    expect((await stage([notice]).readMessage('C1', own.ts))?.own).toEqual({ kind: 'notice', turn: null });
  });

  it('joins skin tones, and tells where Slack does not name everybody', async () => {
    const reactions = [
      { name: '+1', users: ['U1'], count: 1 },
      { name: 'thumbsup::skin-tone-4', users: ['U2'], count: 9 },
    ];
    expect((await stage([{ ...reply, reactions }]).readMessage('C1', reply.ts))?.reactions).toEqual([
      { emoji: '+1', users: ['U1'], isComplete: true },
      { emoji: '+1', users: ['U2'], isComplete: false },
    ]);
  });

  it('is null for a message that is gone; else rejects', async () => {
    const gone = new SlackError('conversations.replies', 'refused', 'thread_not_found');
    expect(await stage(gone).readMessage('C1', '1.000001')).toBe(null);
    const limited = new SlackError('conversations.replies', 'limited', 'ratelimited');
    await expect(stage(limited).readMessage('C1', '1.000001')).rejects.toBe(limited);
  });

  it('keeps within the calls that Slack allows', async () => {
    const { readMessage, calls } = stage([reply], 'limited');
    await readMessage('C1', reply.ts);
    await expect(readMessage('C1', reply.ts)).rejects.toMatchObject({ code: 'slack_failed', retry: true });
    expect(calls).toHaveLength(1);
  });
});
