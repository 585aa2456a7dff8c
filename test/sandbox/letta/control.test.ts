import { request } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_AGENT, type ScriptedLetta, startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { isAnswerTo, isType, message, openClient, startConversation } from './client.ts';
import type { Frame } from './trace.ts';

const QUICK = { latency: 0, word: 0, tool: 0, pump: 5, settle: 0, subagent: 5, scale: 0.05 };
let letta: ScriptedLetta;

afterEach(() => letta.close());

const start = async () => {
  letta = await startScriptedLetta({ timings: QUICK });
};

/** `fetch` would not let a test lie about Host and Origin. */
function ask(method: string, path: string, headers: Record<string, string>, body = ''): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: letta.port, method, path, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const JSON_TYPE = { 'content-type': 'application/json' };
const FAULT = JSON.stringify({ kind: 'close' });

describe('the control API of the scripted Letta', () => {
  it.each([
    ['a foreign Origin', { ...JSON_TYPE, origin: 'http://evil.example' }, FAULT, 403],
    ['a sandboxed page', { ...JSON_TYPE, origin: 'null' }, FAULT, 403],
    ['a foreign Host', { ...JSON_TYPE, host: 'evil.example' }, FAULT, 403],
    ['a body of another type', { 'content-type': 'text/plain' }, FAULT, 415],
    ['a body that is not JSON', JSON_TYPE, 'kind=close', 400],
    ['an unknown kind', JSON_TYPE, '{"kind":"explode"}', 400],
    ['a negative number', JSON_TYPE, '{"kind":"freeze","ms":-1}', 400],
  ])('refuses %s', async (_, headers, body, status) => {
    await start();
    expect(await ask('POST', '/_control/faults', headers as unknown as Record<string, string>, body)).toBe(status);
  });

  it('accepts requests from this machine', async () => {
    await start();
    expect(await ask('POST', '/_control/faults', { ...JSON_TYPE, origin: 'http://localhost:1' }, FAULT)).toBe(200);
    expect(await ask('GET', '/_control/state', {})).toBe(200);
    expect(await ask('GET', '/_control/log', {})).toBe(200);
    expect(await ask('POST', '/_control/reset', JSON_TYPE, '{}')).toBe(200);
  });

  it('keeps a bounded log of frames', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    for (let round = 0; round < 400; round += 1) client.send({ type: 'sync', request_id: `s${round}`, runtime });
    await client.until(isAnswerTo('s399'));
    const response = await fetch(`${letta.controlUrl}/_control/log`);
    expect((await response.json()) as Frame[]).toHaveLength(1000);
  });

  it('forgets conversations and cuts every socket on a reset', async () => {
    await start();
    const client = await openClient(letta.url);
    await startConversation(client, DEFAULT_AGENT.id);
    letta.reset();
    expect(await client.closed()).toBe(1006);
    expect(letta.state().conversations).toEqual([]);
  });
});

describe('faults of the scripted Letta', () => {
  it('close the sockets after a number of frames', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    const before = client.heard.length;
    letta.addFault({ kind: 'close', after: 4 });
    client.send(message(runtime, 'slow 20 words 100 ms', 'one'));
    expect(await client.closed()).toBe(1006);
    expect(client.heard.slice(before).filter((frame) => 'event_seq' in frame).length).toBe(4);
  });

  it('drop frames without a gap in event_seq', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    letta.addFault({ kind: 'drop_frames', after: 6, times: 3 });
    client.send(message(runtime, 'say 10 words', 'one'));
    await client.until(isType('turn_finished'));
    const events = client.heard.map(({ event_seq }) => event_seq).filter((seq) => seq !== undefined);
    expect(events).toEqual(events.map((_, index) => index + 1));
    const ids = client.heard
      .map((frame) => (frame.delta as Frame | undefined)?.seq_id)
      .filter((id) => id !== undefined);
    expect(ids).toHaveLength(12 - 3);
  });

  it('freeze both directions, then deliver everything', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    const before = client.heard.length;
    letta.addFault({ kind: 'freeze', ms: 600 });
    client.send({ type: 'sync', request_id: 'late', runtime });
    await expect
      .poll(() => letta.log().some(({ dir, frame }) => dir === 'in' && isAnswerTo('late')(frame as Frame)))
      .toBe(true);
    expect(client.heard).toHaveLength(before);
    await client.until(isAnswerTo('late'));
  });

  it('restart the process: pending approvals are lost, conversations stay', async () => {
    await start();
    const client = await openClient(letta.url);
    const runtime = await startConversation(client, DEFAULT_AGENT.id);
    client.send(message(runtime, 'run bash touch x', 'one'));
    await client.until(isType('control_request'));
    letta.addFault({ kind: 'restart', ms: 0 });
    expect(await client.closed()).toBe(1006);
    const again = await openClient(letta.url);
    again.send({ type: 'runtime_start', request_id: 'back', ...runtime, wait_for_replay: true });
    expect(await again.until(isAnswerTo('back'))).toMatchObject({ success: true, runtime });
    expect(again.heard.some(isType('control_request'))).toBe(false);
  });
});
