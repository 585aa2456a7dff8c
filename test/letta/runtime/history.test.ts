import { describe, expect, it } from 'vitest';
import { readHistory } from '../../../src/letta/runtime/history.ts';
import { findTrace } from '../traces.ts';

function listed(number: string): unknown[] {
  const line = findTrace(number).find(({ frame }) => frame?.type === 'conversation_messages_list_response');
  return line?.frame?.messages as unknown[];
}

describe('readHistory', () => {
  it('returns the newest last, without the server’s own additions (trace 28)', () => {
    const items = readHistory(listed('28'));
    expect(items.at(-1)?.at).toBe(Date.parse('2026-11-22T20:05:41.631Z'));
    expect(items).toMatchObject([
      { kind: 'user', id: 'ui-msg-208', clientMessageId: 'cm-28', text: 'run bash pwd' },
      { kind: 'tool', id: 'ui-msg-209:tool:call_95_0:request', callId: 'call_95_0', tool: 'Bash' },
      { kind: 'tool', id: 'ui-msg-210', callId: 'call_95_0', tool: null },
      { kind: 'assistant', id: 'ui-msg-211', text: 'Done: /home/user/project\n' },
    ]);
  });

  it('returns the partial answer of a lost turn (trace 20)', () => {
    expect(readHistory(listed('20'))).toMatchObject([
      { kind: 'user', id: 'ui-msg-148', clientMessageId: 'cm-20', text: 'slow 60 words 100 ms' },
      { kind: 'assistant', id: 'ui-msg-149', text: 'word1 word2 word3 word4 word5 word6 word7' },
    ]);
  });

  it('leaves out messages that only the server wrote (trace 34a)', () => {
    const users = readHistory(listed('34a')).filter((item) => item.kind === 'user');
    expect(users.map((item) => item.clientMessageId)).toEqual(['cm-34a', 'cm-34a2']);
  });

  it('tells a result from one that Letta put in its place', () => {
    const result = (tool_return: string) => ({
      id: 'r',
      message_type: 'tool_return_message',
      tool_call_id: 'c',
      tool_return,
    });
    const closed = 'The agent harness automatically closed this stale pending tool call to recover';
    const read = readHistory([result('made'), result(closed), result('Interrupted by user')]);
    expect(read.map((item) => item.kind === 'tool' && item.result)).toEqual(['closed', 'closed', 'real']);
  });

  it('keeps a message that is only an image', () => {
    const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } };
    expect(readHistory([{ id: 'u1', message_type: 'user_message', content: [image], otid: 'cm-1' }])).toEqual([
      { kind: 'user', id: 'u1', clientMessageId: 'cm-1', text: '' },
    ]);
  });

  it('removes added reminders, but not one typed by a person', () => {
    const reminder = '<system-reminder>\nsomething\n</system-reminder>\n';
    expect(
      readHistory([
        { id: 'u2', message_type: 'user_message', content: 'what is <system-reminder>x</system-reminder>?' },
        { id: 'u1', message_type: 'user_message', content: `${reminder}${reminder}hello`, otid: 'cm-1' },
      ]),
    ).toEqual([
      { kind: 'user', id: 'u1', clientMessageId: 'cm-1', text: 'hello' },
      { kind: 'user', id: 'u2', clientMessageId: null, text: 'what is <system-reminder>x</system-reminder>?' },
    ]);
  });

  it('tells where a summary took the place of items (trace 72)', () => {
    const summary = { id: 'ui-msg-9', message_type: 'summary_message', summary: 'They said hello.' };
    expect(readHistory([{ id: 'a', message_type: 'assistant_message', content: 'hi' }, summary])).toEqual([
      { kind: 'summary', id: 'ui-msg-9' },
      { kind: 'assistant', id: 'a', text: 'hi' },
    ]);
  });

  it('leaves out what it cannot read, and never throws', () => {
    expect(readHistory([null, 7, 'x', {}, { id: 'a', message_type: 'new_kind' }, { id: 'b' }])).toEqual([]);
  });
});
