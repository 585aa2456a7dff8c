import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_AGENT, type ScriptedLetta, startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { isAnswerTo, isDelta, isType, message, openClient, startConversation, textOfRuns } from './client.ts';
import type { Frame } from './trace.ts';

const QUICK = { latency: 0, word: 0, tool: 0, pump: 5, settle: 0, subagent: 5, scale: 0.05 };
let letta: ScriptedLetta;

async function start(timings = {}): Promise<ScriptedLetta> {
  letta = await startScriptedLetta({ timings: { ...QUICK, ...timings } });
  return letta;
}

afterEach(() => letta.close());

describe('an input right after the end of a turn', () => {
  it('starts a turn that neither abort nor the next input sees', async () => {
    await start({ settle: 60_000 });
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    client.send(message(runtime, 'say 2 words', 'one'));
    await client.until(isType('turn_finished'));
    client.send(message(runtime, 'slow 10 words 200 ms', 'two'));
    client.send({ type: 'abort_message', request_id: 'stop', runtime });
    expect(await client.until(isAnswerTo('stop'))).toMatchObject({ aborted: false, success: true });
    client.send(message(runtime, 'say: meanwhile', 'three'));
    expect(await client.until(isAnswerTo('in-three'))).toMatchObject({ disposition: 'started' });
  });

  it('starts an ordinary turn once a sync was answered', async () => {
    await start({ settle: 60_000 });
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    client.send(message(runtime, 'say 2 words', 'one'));
    await client.until(isType('turn_finished'));
    client.send({ type: 'sync', request_id: 'sync', runtime });
    await client.until(isAnswerTo('sync'));
    client.send(message(runtime, 'slow 10 words 200 ms', 'two'));
    client.send({ type: 'abort_message', request_id: 'stop', runtime });
    expect(await client.until(isAnswerTo('stop'))).toMatchObject({ aborted: true });
  });
});

describe('approvals of the scripted Letta', () => {
  it('are not asked again once their rule is saved, in any conversation', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    client.send(message(runtime, 'run bash touch a.txt', 'one'));
    const asked = await client.until(isType('control_request'));
    const decision = { behavior: 'allow', selected_permission_suggestion_ids: ['save-default'] };
    client.send({
      type: 'input',
      runtime,
      payload: { kind: 'approval_response', request_id: asked.request_id, decision },
    });
    await client.until(isType('turn_finished'));
    const from = client.heard.length;
    const other = await startConversation(client, DEFAULT_AGENT.id);
    client.send(message(other, 'run bash touch a.txt', 'two'));
    await client.until(isType('turn_finished'), from);
    expect(client.heard.filter(isType('control_request'))).toHaveLength(1);
  });

  it('are not settled by a denial without a message', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    client.send(message(runtime, 'run bash touch a.txt', 'one'));
    const asked = await client.until(isType('control_request'));
    const payload = { kind: 'approval_response', request_id: asked.request_id, decision: { behavior: 'deny' } };
    client.send({ type: 'input', request_id: 'no', runtime, payload });
    const error = await client.until(isDelta('loop_error'));
    expect((error.delta as Frame).message).toContain('Protocol violation');
    expect(client.heard.some(isAnswerTo('no'))).toBe(false);
  });

  it('cover everything in strict mode, and questions even in unrestricted mode', async () => {
    await start();
    const client = await openClient(letta.url);
    const strict = await startConversation(client, DEFAULT_AGENT.id, 'strict');
    client.send(message(strict, 'run bash ls', 'one'));
    expect(await client.until(isType('control_request'))).toMatchObject({ runtime: strict });
    const free = await startConversation(client, DEFAULT_AGENT.id, 'unrestricted');
    client.send(message(free, 'ask Which? | A | B', 'two'));
    const asked = await client.until((frame) => frame.type === 'control_request' && frame.agent_id === free.agent_id);
    expect(asked).toBeDefined();
  });
});

describe('a retried answer of the scripted Letta', () => {
  it('comes under another run and another message id', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    client.send(message(runtime, 'drop', 'one'));
    const end = await client.until(isType('turn_finished'));
    expect(end).toMatchObject({ stop_reason: 'llm_api_error' });
    expect(end).not.toHaveProperty('error');
    const ids = client.heard.filter(isDelta('assistant_message')).map((frame) => (frame.delta as Frame).id);
    expect(new Set(ids).size).toBe(4);
    expect(textOfRuns(client)).toBe('this answer is cut'.repeat(4));
  });
});

describe('a background command of the scripted Letta', () => {
  it('starts its own turn when a client connects again', async () => {
    await start({ latency: 25 });
    const first = await openClient(letta.url);
    const runtime = await startConversation(first, DEFAULT_AGENT.id, 'unrestricted');
    const input = JSON.stringify({ command: 'sleep 12 && echo late', description: 'wait', run_in_background: true });
    first.send(message(runtime, `call Bash ${input}`, 'one'));
    await first.until(isType('turn_finished'));
    first.cut();
    await first.closed();
    await expect.poll(() => JSON.stringify(letta.state()), { timeout: 4000 }).toContain('"queued":1');
    const second = await openClient(letta.url);
    second.send({ type: 'sync', request_id: 'sync', runtime });
    expect(await second.until(isType('turn_finished'))).toMatchObject({ turn_id: 'batch-1' });
  });
});

describe('a client that has not read 16 MiB yet', () => {
  it('is cut at the next event', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    for (const id of ['one', 'two', 'three', 'four']) {
      const picture = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(5_000_000)]);
      const source = { type: 'base64', media_type: 'image/png', data: picture.toString('base64') };
      const content = [
        { type: 'text', text: 'say: seen' },
        { type: 'image', source },
      ];
      const from = client.heard.length;
      client.send(message(runtime, content, id));
      await client.until(isType('turn_finished'), from);
    }
    const { conversation_id } = runtime;
    client.pause();
    client.send({ type: 'conversation_messages_list', request_id: 'list', conversation_id, query: { limit: 50 } });
    client.send(message(runtime, 'say: hello', 'five'));
    await expect.poll(() => letta.log().map(({ dir }) => dir), { timeout: 10_000 }).toContain('close');
    client.resume();
    expect(await client.closed()).toBe(1006);
  });
});

describe('a message without a directive', () => {
  it('is echoed by its last 80 characters', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    client.send(message(runtime, `${'x'.repeat(100)} hello there`, 'one'));
    await client.until(isType('turn_finished'));
    expect(textOfRuns(client)).toBe(`Echo: ${`${'x'.repeat(100)} hello there`.slice(-80)}`);
  });
});
