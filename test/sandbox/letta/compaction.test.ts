import { expect, it, onTestFinished } from 'vitest';
import { startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { isAnswerTo, isType, message, openClient, startConversation } from './client.ts';
import type { Frame } from './trace.ts';

const AGENT = { id: 'agent-local-1', name: 'Agent' };

async function start() {
  const letta = await startScriptedLetta({ pace: 1, seed: { agents: [AGENT] } });
  onTestFinished(() => letta.close());
  const client = await openClient(`ws://127.0.0.1:${letta.port}/ws`);
  const runtime = await startConversation(client, AGENT.id);
  let asked = 0;
  const ask = async (frame: Frame): Promise<Frame> => {
    asked += 1;
    const id = `c-${asked}`;
    client.send({ ...frame, request_id: id });
    return client.until(isAnswerTo(id));
  };
  const turn = async (text: string, id: string) => {
    const from = client.heard.length;
    client.send(message(runtime, text, id));
    await client.until(isType('turn_finished'), from);
    await ask({ type: 'sync', runtime });
  };
  const compact = (args = '') => ask({ type: 'execute_command', command_id: 'compact', runtime, args });
  const items = async () => {
    const query = { limit: 50, order: 'asc' };
    const answer = await ask({ type: 'conversation_messages_list', conversation_id: runtime.conversation_id, query });
    return (answer.messages as Frame[]).map(({ message_type: type, otid }) => otid ?? type);
  };
  return { client, runtime, turn, compact, items };
}

it('a summary takes the place of the earliest messages', async () => {
  const { turn, compact, items } = await start();
  for (const id of ['cm-1', 'cm-2', 'cm-3', 'cm-4']) await turn('say 3 words', id);
  expect(await compact()).toMatchObject({
    success: true,
    output: expect.stringMatching(/^Compaction completed\. Message buffer length reduced from 8 to 6\.\n\nSummary: /),
  });
  expect(await items()).toEqual([
    'summary_message',
    'assistant_message',
    'cm-3',
    'assistant_message',
    'cm-4',
    'assistant_message',
  ]);
});

it('an input while the summary is written is gone afterwards', async () => {
  const { client, runtime, turn, compact, items } = await start();
  for (const id of ['cm-1', 'cm-2']) await turn('say 3 words', id);
  const done = compact();
  client.send(message(runtime, 'say 4 words', 'cm-meanwhile'));
  await client.until(isType('turn_finished'), client.heard.length);
  await done;
  expect(await items()).toEqual(['summary_message', 'assistant_message', 'cm-2', 'assistant_message']);
});

it('with mode all, only the call that waits for approval stays', async () => {
  const { client, runtime, turn, compact, items } = await start();
  await turn('say 3 words', 'cm-1');
  client.send(message(runtime, 'run bash touch x', 'cm-2'));
  await client.until(isType('control_request'));
  expect(await compact('all')).toMatchObject({ success: true });
  expect(await items()).toEqual(['summary_message', 'approval_request_message']);
});

it('modes that the local backend lacks are refused', async () => {
  const { compact } = await start();
  expect(await compact('self_compact_all')).toMatchObject({
    success: false,
    output: expect.stringMatching(/^Failed: /),
  });
  expect(await compact('bogus')).toMatchObject({
    success: false,
    output: 'Failed: Invalid mode "bogus". Run /compact help for usage.',
  });
});
