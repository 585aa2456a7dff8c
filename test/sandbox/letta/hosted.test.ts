import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_AGENT, type ScriptedLetta, startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { statusOf } from '../../support/http.ts';
import { isAnswerTo, isDelta, isType, message, openClient, type TestClient } from './client.ts';
import type { Frame } from './trace.ts';

const QUICK = { latency: 0, word: 0, tool: 0, pump: 5, settle: 0, subagent: 5, scale: 0.05 };
let letta: ScriptedLetta;

afterEach(() => letta.close());

const start = async (options = {}) => {
  letta = await startScriptedLetta({ surface: 'hosted', token: 'TOKEN', timings: QUICK, redeliverMs: 0, ...options });
};

async function rest(path: string, method = 'GET', body?: Frame): Promise<{ status: number; body: Frame }> {
  const init = { method, headers: { authorization: 'Bearer TOKEN' }, ...(body ? { body: JSON.stringify(body) } : {}) };
  const response = await fetch(`${letta.url}${path}`, init);
  return { status: response.status, body: (await response.json()) as Frame };
}

async function environment(): Promise<Frame> {
  const { body } = await rest('/v1/environments');
  return (body.connections as Frame[])[0] as Frame;
}

async function newRuntime(): Promise<Frame> {
  const { body } = await rest(`/v1/conversations/?agent_id=${DEFAULT_AGENT.id}`, 'POST', {});
  return { agent_id: DEFAULT_AGENT.id, conversation_id: body.id };
}

async function open(runtime: Frame, channel = 'stream'): Promise<TestClient> {
  const { connectionId } = await environment();
  const query = `agentId=${runtime.agent_id}&conversationId=${runtime.conversation_id}&channel=${channel}`;
  const url = `${letta.url.replace('http', 'ws')}/v1/environments/${connectionId}/status/ws?${query}`;
  return openClient(url, 'TOKEN');
}

describe('the REST API of the scripted relay', () => {
  it('answers a missing key and unknown ids as recorded', async () => {
    await start();
    expect(await statusOf(`${letta.url}/v1/environments`)).toBe(401);
    expect(await rest('/v1/environments/unknown-device')).toEqual({
      status: 404,
      body: { message: 'Environment not found' },
    });
    expect(await rest('/v1/conversations/nope')).toEqual({
      status: 404,
      body: { message: 'Conversation nope not found' },
    });
    const { deviceId, connectionId } = await environment();
    expect((await rest(`/v1/environments/${deviceId}`)).body).toMatchObject({ deviceId, connectionId });
  });

  it('lists the messages of a conversation, newest first', async () => {
    await start();
    const runtime = await newRuntime();
    const client = await open(runtime);
    client.send(message(runtime, 'say 3 words', 'one'));
    await client.until(isType('turn_finished'));
    const { body } = await rest(`/v1/conversations/${runtime.conversation_id}/messages?limit=1&order=desc`);
    expect(body).toMatchObject([{ message_type: 'assistant_message', content: [{ text: 'word1 word2 word3' }] }]);
  });
});

describe('a status socket of the scripted relay', () => {
  it('gets an unacknowledged frame again, with the same numbers and key', async () => {
    await start({ redeliverMs: 30 });
    const runtime = await newRuntime();
    const client = await open(runtime);
    client.send({ type: 'sync', runtime });
    const first = await client.until((frame) => frame.seq === 1);
    const again = await client.until((frame) => frame.seq === 1, client.heard.indexOf(first) + 1);
    expect(again).toEqual(first);
    for (const frame of [...client.heard]) if (frame.seq !== undefined) client.send({ type: 'ack', seq: frame.seq });
    client.send({ type: 'ping' });
    await client.until(isType('pong'));
    const from = client.heard.length;
    client.send({ type: 'sync', request_id: 'later', runtime });
    await client.until(isAnswerTo('later'), from);
    expect(client.heard.slice(from).some((frame) => frame.seq === 1)).toBe(false);
  });

  it('of a pair hears the same frames with its own seq numbers', async () => {
    await start();
    const runtime = await newRuntime();
    const [control, stream] = [await open(runtime, 'control'), await open(runtime)];
    control.send(message(runtime, 'say 3 words', 'one'));
    await Promise.all([control.until(isType('turn_finished')), stream.until(isType('turn_finished'))]);
    const keys = ({ heard }: TestClient) => heard.map((frame) => frame.idempotency_key ?? frame.request_id);
    expect(keys(stream).slice(0, 10)).toEqual(keys(control).slice(0, 10));
    expect(control.heard.map(({ seq }) => seq)).toEqual(control.heard.map((_, index) => index + 1));
  });

  it('behind a paired device gets the end before or after its text', async () => {
    await start({ isPaired: true });
    const runtime = await newRuntime();
    const client = await open(runtime);
    client.send(message(runtime, 'say 20 words', 'one'));
    const first = await client.until(isType('turn_finished'));
    const after = client.heard.length;
    client.send(message(runtime, 'say 20 words', 'two'));
    const second = await client.until(isType('turn_finished'), after);
    await client.until((frame) => isDelta('stop_reason')(frame), client.heard.indexOf(second));
    const before = client.heard.slice(0, client.heard.indexOf(first));
    expect(before.some((frame) => Number(frame.event_seq) > Number(first.event_seq))).toBe(true);
    const late = client.heard.slice(client.heard.indexOf(second) + 1);
    expect(late.some((frame) => Number(frame.event_seq) < Number(second.event_seq))).toBe(true);
  });

  it('hears the rest of a turn that an earlier socket began', async () => {
    await start();
    const runtime = await newRuntime();
    const first = await open(runtime);
    first.send(message(runtime, 'slow 20 words 200 ms', 'one'));
    await first.until(isDelta('assistant_message'));
    first.cut();
    const second = await open(runtime);
    second.send({ type: 'sync', runtime });
    expect(await second.until(isType('turn_finished'))).toMatchObject({ stop_reason: 'end_turn' });
  });
});

describe('the device behind the scripted relay', () => {
  it('loses words without a gap in event_seq while it is offline', async () => {
    await start();
    const runtime = await newRuntime();
    const client = await open(runtime);
    client.send(message(runtime, 'slow 30 words 200 ms', 'one'));
    await client.until(isDelta('assistant_message'));
    letta.addFault({ kind: 'offline', ms: 60 });
    await client.until(isType('turn_finished'));
    const events = client.heard.map(({ event_seq }) => event_seq).filter((seq) => seq !== undefined);
    expect(events).toEqual(events.map((_, index) => Number(events[0]) + index));
    const words = client.heard.filter(isDelta('assistant_message')).map((frame) => (frame.delta as Frame).seq_id);
    expect(words.length).toBeLessThan(30);
  });

  it('has a new connectionId after a restart, and its clients are disconnected', async () => {
    await start();
    const runtime = await newRuntime();
    const client = await open(runtime);
    const { connectionId, deviceId } = await environment();
    letta.addFault({ kind: 'restart', ms: 500 });
    expect((await rest(`/v1/environments/${deviceId}`)).body.connectionId).toBeNull();
    expect(await client.closed()).toBe(1001);
    const now = (await rest(`/v1/environments/${deviceId}`)).body;
    expect(now.connectionId).not.toBe(connectionId);
  });
});
