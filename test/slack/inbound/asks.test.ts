import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readAsk, readQuestion } from '../../../src/slack/inbound/asks.ts';

const identity = { teamId: 'T1', botUserId: 'U0BOT', botId: 'B0BOT', enterpriseId: null };
const body = (change: object = {}, message: object = {}) => ({
  type: 'message_action',
  callback_id: 'ask_about_message',
  trigger_id: '1.2.3',
  team: { id: 'T1' },
  user: { id: 'U1', team_id: 'T1' },
  channel: { id: 'C1', name: 'general' },
  message_ts: '1.000002',
  message: { type: 'message', user: 'U2', ts: '1.000002', text: 'it &lt;failed&gt; <@U3>', ...message },
  ...change,
});

describe('the payload of the message shortcut', () => {
  it('names the message, its thread, and what it says', () => {
    const read = readAsk(body({}, { thread_ts: '1.000001' }), identity);
    expect(read?.triggerId).toBe('1.2.3');
    expect(read?.ask).toMatchObject({ channel: 'C1', ts: '1.000002', threadTs: '1.000001', actor: { user: 'U1' } });
    expect(read?.ask.message).toMatchObject({
      user: 'U2',
      spans: [
        { kind: 'text', text: 'it <failed> ' },
        { kind: 'user', id: 'U3' },
      ],
    });
  });

  it('of a message of our own: has no text to read', () => {
    expect(readAsk(body({}, { user: 'U0BOT', bot_id: 'B0BOT' }), identity)?.ask).toMatchObject({ message: null });
  });

  it('of another shortcut, or malformed: is not ours', () => {
    expect(readAsk(body({ callback_id: 'other' }), identity)).toBeNull();
    expect(readAsk(body({ type: 'shortcut' }), identity)).toBeNull();
    expect(readAsk(body({ channel: null }), identity)).toBeNull();
    fc.assert(fc.property(fc.anything(), (any) => readAsk(any, identity) === null && readQuestion(any, 'T1') === null));
  });
});

describe('the submitted dialog of the message shortcut', () => {
  const submitted = (private_metadata: string) => ({
    type: 'view_submission',
    user: { id: 'U1', team_id: 'T1' },
    view: {
      callback_id: 'bridge_ask',
      private_metadata,
      state: { values: { bridge_input_0: { bridge_text: { type: 'plain_text_input', value: 'why?' } } } },
    },
  });

  it('has the place and the question', () => {
    expect(readQuestion(submitted('C1 1.000002 - 5.000001'), 'T1')).toEqual({
      team: 'T1',
      channel: 'C1',
      channelKind: 'channel',
      ts: '1.000002',
      threadTs: null,
      askedTs: '5.000001',
      text: 'why?',
      actor: { user: 'U1', team: 'T1' },
    });
  });

  it('with a place that is malformed: is not ours', () => {
    expect(readQuestion(submitted('C1 x'), 'T1')).toBeNull();
  });
});
