import { expect, it, onTestFinished } from 'vitest';
import { startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { isAnswerTo, isType, message, openClient, startConversation } from './client.ts';
import type { Frame } from './trace.ts';

const AGENT = { id: 'agent-local-1', name: 'Agent' };
interface Item {
  id: string;
  otid?: string;
  conversation_id: string;
  message_type: string;
}

it('a copy has new ids, the same title and model', async () => {
  const letta = await startScriptedLetta({ pace: 1, seed: { agents: [AGENT] } });
  onTestFinished(() => letta.close());
  const client = await openClient(`ws://127.0.0.1:${letta.port}/ws`);
  const runtime = await startConversation(client, AGENT.id);
  const source = String(runtime.conversation_id);
  let asked = 0;
  const ask = async (frame: Frame) => {
    asked += 1;
    client.send({ ...frame, request_id: `f-${asked}` });
    return client.until(isAnswerTo(`f-${asked}`));
  };
  const fork = (id: string, body?: Frame) =>
    ask({ type: 'conversation_fork', conversation_id: id, ...(body && { body }) });
  const list = async (id: string) => {
    const query = { limit: 20, order: 'asc' };
    return (await ask({ type: 'conversation_messages_list', conversation_id: id, query })).messages as Item[];
  };
  for (const [text, id] of [
    ['say: one', 'cm-1'],
    ['say: two', 'cm-2'],
  ] as const) {
    const from = client.heard.length;
    client.send(message(runtime, text, id));
    await client.until(isType('turn_finished'), from);
  }
  await ask({ type: 'conversation_update', conversation_id: source, body: { summary: 'src title' } });
  await ask({ type: 'update_model', runtime, payload: { model_id: 'scripted-high' } });
  const before = await list(source);

  const answer = await fork(source);
  const { id: copy } = answer.conversation as { id: string };
  // As recorded (trace 74): the id alone.
  expect(answer).toEqual({
    type: 'conversation_fork_response',
    request_id: 'f-4',
    success: true,
    conversation: { id: copy },
  });
  const items = await list(copy);
  expect(items.map(({ message_type, otid }) => [message_type, otid])).toEqual(
    before.map(({ message_type, otid }) => [message_type, otid]),
  );
  expect(items.every(({ conversation_id }) => conversation_id === copy)).toBe(true);
  expect(items.filter(({ id }) => before.some((each) => each.id === id))).toEqual([]);
  expect((await ask({ type: 'conversation_retrieve', conversation_id: copy })).conversation).toMatchObject({
    summary: 'src title',
    model: 'lmstudio/scripted',
  });
  expect(await list(source)).toEqual(before);

  const { id: part } = (await fork(source, { message_id: before[1]?.id })).conversation as { id: string };
  expect((await list(part)).map(({ otid }) => otid)).toEqual(['cm-1', undefined]);
  const missing = { success: false, conversation: null };
  expect(await fork('local-conv-999')).toMatchObject({ ...missing, error: 'Conversation local-conv-999 not found' });
  expect(await fork(source, { message_id: 'nope' })).toMatchObject({ ...missing, error: 'Message nope not found' });
  expect(await fork('default')).toMatchObject({ ...missing, error: 'Conversation default not found' });
  expect(await fork('default', { agent_id: AGENT.id })).toMatchObject({ success: true });
});
