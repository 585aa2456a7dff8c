import { expect, it, onTestFinished } from 'vitest';
import { startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { isAnswerTo, isDelta, message, openClient, startConversation } from './client.ts';
import type { Frame } from './trace.ts';

const AGENT = { id: 'agent-local-1', name: 'Agent' };

async function start() {
  const letta = await startScriptedLetta({ pace: 1, seed: { agents: [AGENT] } });
  onTestFinished(() => letta.close());
  const client = await openClient(`ws://127.0.0.1:${letta.port}/ws`);
  const runtime = await startConversation(client, AGENT.id);
  let asked = 0;
  const ask = async (frame: Frame) => {
    asked += 1;
    client.send({ ...frame, request_id: `m-${asked}` });
    return client.until(isAnswerTo(`m-${asked}`));
  };
  const update = (payload: Frame, where = runtime) => ask({ type: 'update_model', runtime: where, payload });
  return { client, runtime, ask, update };
}

it('models are listed for each effort, and chosen by id', async () => {
  const { client, runtime, ask, update } = await start();
  const list = await ask({ type: 'list_models' });
  expect(list.available_handles).toEqual(['lmstudio/scripted', 'lmstudio/scripted-two', 'lmstudio/scripted-text']);
  expect(list.entries).toHaveLength(11);
  expect(await update({ model_id: 'scripted-high' })).toEqual({
    type: 'update_model_response',
    request_id: 'm-2',
    success: true,
    runtime,
    applied_to: 'conversation',
    model_id: 'scripted-high',
    model_handle: 'lmstudio/scripted',
    model_settings: {
      provider_type: 'lmstudio_openai',
      context_window_limit: 128_000,
      max_tokens: 32_000,
      parallel_tool_calls: true,
      reasoning: { reasoning_effort: 'high' },
      reasoning_effort: 'high',
    },
  });
  expect((await client.until(isDelta('status'))).delta).toMatchObject({
    message: 'Model updated to scripted (High).',
    level: 'info',
  });
  const { conversation } = await ask({ type: 'conversation_retrieve', conversation_id: runtime.conversation_id });
  expect(conversation).toMatchObject({ model: 'lmstudio/scripted', context_window_limit: 128_000 });
});

it('an unknown id is refused, an unknown handle fails the next turn', async () => {
  const { client, runtime, update } = await start();
  expect(await update({ model_id: 'nope' })).toEqual({
    type: 'update_model_response',
    request_id: 'm-1',
    success: false,
    runtime,
    model_id: 'nope',
    error: 'Model not found. Provide a valid model_id from list_models or a model_handle.',
  });
  expect(await update({ model_handle: 'nope/none' })).toMatchObject({ success: true, model_handle: 'nope/none' });
  client.send(message(runtime, 'say: hello', 'cm-1'));
  const { delta } = await client.until(isDelta('error_message'));
  expect(delta).toMatchObject({
    message: 'Unknown model "nope/none" for provider "openai". Choose an available model with /model.',
    error_type: 'llm_error',
    retryable: false,
  });
});

it('on the conversation `default` the agent’s model changes', async () => {
  const { ask, update } = await start();
  const where = { agent_id: AGENT.id, conversation_id: 'default' };
  expect(await update({ model_handle: 'lmstudio/scripted-two' }, where)).toMatchObject({
    applied_to: 'agent',
    model_id: 'scripted-two-none',
  });
  const { agent } = await ask({ type: 'agent_retrieve', agent_id: AGENT.id });
  expect(agent).toMatchObject({ model: 'lmstudio/scripted-two' });
});
