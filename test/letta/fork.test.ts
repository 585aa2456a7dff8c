import { describe, expect, it } from 'vitest';
import { forkConversation } from '../../src/letta/fork.ts';
import type { Frame, ResponseFrame } from '../../src/letta/protocol/incoming.ts';
import type { OutgoingFrame } from '../../src/letta/protocol/outgoing.ts';
import type { Ask } from '../../src/letta/requests.ts';

const SOURCE = { agentId: 'agent-1', conversationId: 'conv-1' };

/** Conversations as Letta keeps them. `lost`: the answers of these are lost; `refuses`: these are refused. */
function createLetta(title: string | null = 'deploy the shop') {
  const titles = new Map<string, string | null>([[SOURCE.conversationId, title]]);
  const lost = new Set<string>();
  const refuses = new Set<string>();
  const sent: OutgoingFrame[] = [];
  const answerTo = (frame: OutgoingFrame): Record<string, unknown> => {
    const id = String(frame.conversation_id);
    if (refuses.has(frame.type)) return { success: false, error: 'no' };
    if (frame.type === 'conversation_list') {
      return { success: true, conversations: [...titles].map(([each, summary]) => ({ id: each, summary })) };
    }
    if (!titles.has(id)) return { success: false, conversation: null, error: `Conversation ${id} not found` };
    if (frame.type === 'conversation_update') titles.set(id, (frame.body as { summary: string }).summary);
    if (frame.type !== 'conversation_fork') return { success: true, conversation: { id, summary: titles.get(id) } };
    const copy = `conv-${titles.size + 1}`;
    titles.set(copy, titles.get(id) ?? null);
    return { success: true, conversation: { id: copy } };
  };
  const ask = (async (_type: ResponseFrame['type'], make: (id: string) => OutgoingFrame) => {
    const frame = make('r');
    sent.push(frame);
    const answer = answerTo(frame);
    return lost.has(frame.type) ? null : (answer as unknown as Frame);
  }) as unknown as Ask;
  return {
    titles,
    lost,
    refuses,
    sent,
    fork: (id: string, upTo: string | null = null) => forkConversation(ask, SOURCE, id, upTo),
  };
}

describe('a copy of a conversation', () => {
  it('is made, and both are titled', async () => {
    const { fork, titles, sent } = createLetta();
    expect(await fork('abc')).toBe('conv-2');
    expect([...titles]).toEqual([
      ['conv-1', 'deploy the shop'],
      ['conv-2', 'deploy the shop (2)'],
    ]);
    const body = { agent_id: 'agent-1' };
    expect(sent.find(({ type }) => type === 'conversation_fork')).toMatchObject({ conversation_id: 'conv-1', body });
  });

  it('up to an item: names it', async () => {
    const { fork, sent } = createLetta();
    await fork('abc', 'm7');
    expect(sent.find(({ type }) => type === 'conversation_fork')?.body).toEqual({
      agent_id: 'agent-1',
      message_id: 'm7',
    });
  });

  it('its answer lost: is found when asked again, and none is left', async () => {
    for (const step of ['conversation_fork', 'conversation_update', 'conversation_list', 'conversation_retrieve']) {
      const { fork, titles, lost } = createLetta();
      lost.add(step);
      await fork('abc').catch((error: unknown) => expect(error).toMatchObject({ certain: false, retry: true }));
      lost.clear();
      await fork('abc');
      expect([...titles.values()], step).toEqual(['deploy the shop', 'deploy the shop (2)']);
    }
  });

  it('of another wish: is another one', async () => {
    const { fork } = createLetta();
    expect([await fork('abc'), await fork('def')]).toEqual(['conv-2', 'conv-3']);
  });

  it('without a title: gets one', async () => {
    const { fork, titles } = createLetta(null);
    await fork('abc');
    expect([...titles.values()]).toEqual(['Slack thread', 'Slack thread (2)']);
  });

  it('titles refused: is made all the same', async () => {
    const { fork, refuses } = createLetta();
    refuses.add('conversation_update');
    expect(await fork('abc')).toBe('conv-2');
  });

  it('refused, or of a conversation that is gone: says why', async () => {
    const { fork, refuses, titles } = createLetta();
    refuses.add('conversation_fork');
    await expect(fork('abc')).rejects.toMatchObject({ code: 'letta_refused', retry: false, certain: true });
    refuses.clear();
    titles.clear();
    await expect(fork('abc')).rejects.toMatchObject({ notice: expect.stringContaining('conv-1 not found') });
  });
});
