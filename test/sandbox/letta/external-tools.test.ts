import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_AGENT, type ScriptedLetta, startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { isAnswerTo, isDelta, isType, message, openClient, type TestClient } from './client.ts';
import type { Frame } from './trace.ts';

const QUICK = { latency: 0, word: 0, tool: 0, pump: 5, settle: 0, subagent: 5, scale: 0.05 };
let letta: ScriptedLetta;

afterEach(() => letta.close());

const tools = (...names: string[]) => [
  { tools: names.map((name) => ({ name, description: `test tool ${name}`, parameters: { type: 'object' } })) },
];

async function open(names: string[], mode = 'unrestricted', runtime: Frame | null = null) {
  letta ??= await startScriptedLetta({ timings: QUICK });
  const client = await openClient(letta.url);
  const place = runtime ? { conversation_id: runtime.conversation_id } : { create_conversation: {} };
  client.send({
    type: 'runtime_start',
    request_id: 'start',
    agent_id: DEFAULT_AGENT.id,
    ...place,
    ...(runtime ? {} : { mode }),
    wait_for_replay: true,
    ...(names.length > 0 && { external_tools: tools(...names) }),
  });
  return { client, runtime: (await client.until(isAnswerTo('start'))).runtime as Frame };
}

const start = async () => {
  letta = await startScriptedLetta({ timings: QUICK });
};

const isCall = isType('external_tool_call_request');
const isReturn = isDelta('tool_return_message');

function answer(client: TestClient, call: Frame, content: unknown, more: Frame = {}): void {
  client.send({ type: 'external_tool_call_response', request_id: call.request_id, result: { content, ...more } });
}

async function returned(client: TestClient, from = 0): Promise<Frame> {
  return (await client.until(isReturn, from)).delta as Frame;
}

const text = (words: string) => ({ type: 'text', text: words });

describe('external tools of the scripted Letta', () => {
  it('are asked in every mode but unrestricted (trace 60)', async () => {
    await start();
    for (const mode of ['standard', 'acceptEdits', 'strict', 'unrestricted']) {
      const { client, runtime } = await open(['slack_react'], mode);
      client.send(message(runtime, 'call slack_react {"emoji":"eyes"}', mode));
      const first = await client.until((frame) => isCall(frame) || frame.type === 'control_request');
      expect(first.type).toBe(mode === 'unrestricted' ? 'external_tool_call_request' : 'control_request');
    }
  });

  it('show what was answered: texts joined, errors, cut text (trace 61)', async () => {
    await start();
    const { client, runtime } = await open(['t_any']);
    const answers: [unknown, Frame, Frame][] = [
      [[text('one'), text('two')], {}, { status: 'success', tool_return: 'one\ntwo' }],
      [[text('no')], { is_error: true }, { status: 'error', tool_return: 'no' }],
      [[], {}, { status: 'success', tool_return: '[]' }],
    ];
    for (const [content, more, shown] of answers) {
      const from = client.heard.length;
      client.send(message(runtime, 'call t_any {}', `m${from}`));
      answer(client, await client.until(isCall, from), content, more);
      expect(await returned(client, from)).toMatchObject(shown);
      await client.until(isType('turn_finished'), from);
    }
    const from = client.heard.length;
    client.send(message(runtime, 'call t_any {}', 'long'));
    answer(client, await client.until(isCall, from), [text('x'.repeat(33_000))]);
    expect((await returned(client, from)).tool_return).toMatch(/^x{32000}\n\[Full output written to: /);
  });

  it('stay open after no list, or another socket’s answer (traces 61, 65)', async () => {
    await start();
    const { client, runtime } = await open(['t_any']);
    const other = await open(['t_any'], 'unrestricted', runtime);
    client.send(message(runtime, 'call t_any {}', 'one'));
    const call = await client.until(isCall);
    answer(other.client, call, [text('hijack')]);
    answer(client, call, 'no list');
    answer(client, call, [text('owner')]);
    answer(client, call, [text('again')]);
    expect(await returned(client)).toMatchObject({ tool_return: 'owner' });
    await client.until(isType('turn_finished'));
  });

  it('fail the turn with an unreadable image (trace 61)', async () => {
    await start();
    const { client, runtime } = await open(['t_any']);
    client.send(message(runtime, 'call t_any {}', 'one'));
    const image = { type: 'image', data: Buffer.from('no image').toString('base64'), mimeType: 'image/png' };
    answer(client, await client.until(isCall), [image]);
    const end = await client.until(isType('turn_finished'));
    expect(end).toMatchObject({ stop_reason: 'error' });
    expect(String(end.error)).toContain('Failed to prepare image for model');
  });

  it('are those of the moment when the turn began (trace 66)', async () => {
    await start();
    const { client, runtime } = await open(['t_a']);
    client.send(message(runtime, 'call t_a {} THEN call t_late {}', 'one'));
    const call = await client.until(isCall);
    const update = { runtimes: [runtime], external_tools: tools('t_a', 't_late') };
    client.send({ type: 'runtime_external_tools_update', request_id: 'u', updates: [update] });
    await client.until(isAnswerTo('u'));
    const from = client.heard.length;
    answer(client, call, [text('one')]);
    const after = await client.until(
      (frame) => isReturn(frame) && String((frame.delta as Frame).tool_return).startsWith('Tool not found: t_late'),
      from,
    );
    expect(after.delta).toMatchObject({ status: 'error' });
    await client.until(isType('turn_finished'), from);
    const next = client.heard.length;
    client.send(message(runtime, 'call t_late {}', 'two'));
    expect(await client.until(isCall, next)).toMatchObject({ tool_name: 't_late' });
  });

  it('are removed by a runtime_start without them (trace 64)', async () => {
    await start();
    const { client, runtime } = await open(['t_a']);
    client.send({ type: 'runtime_start', request_id: 'again', agent_id: DEFAULT_AGENT.id, ...pick(runtime) });
    await client.until(isAnswerTo('again'));
    client.send(message(runtime, 'call t_a {}', 'one'));
    expect((await returned(client)).tool_return).toMatch(/^Tool not found: t_a/);
  });

  it('leave a bad update unanswered (trace 64)', async () => {
    await start();
    const { client, runtime } = await open(['t_a']);
    const bad = [
      { runtimes: [], external_tools: [] },
      { runtimes: [runtime], external_tools: [{ tools: [{ name: 'bad' }] }] },
    ];
    for (const update of bad)
      client.send({ type: 'runtime_external_tools_update', request_id: 'bad', updates: [update] });
    client.send({ type: 'app_server_info', request_id: 'after' });
    await client.until(isAnswerTo('after'));
    expect(client.heard.some(isAnswerTo('bad'))).toBe(false);
  });

  it('are called one after another, and report together (trace 69)', async () => {
    await start();
    const { client, runtime } = await open(['t_a', 't_b']);
    client.send(message(runtime, 'calls t_a {"text":"1"} ;; t_b {"text":"2"}', 'one'));
    const first = await client.until(isCall);
    expect(client.heard.filter(isCall)).toHaveLength(1);
    answer(client, first, [text('ok t_a')]);
    const second = await client.until((frame) => isCall(frame) && frame.tool_name === 't_b');
    expect(client.heard.some(isReturn)).toBe(false);
    answer(client, second, [text('ok t_b')]);
    await client.until(isType('turn_finished'));
    const shown = client.heard.filter(isReturn).map((frame) => (frame.delta as Frame).tool_return);
    expect(shown).toEqual(['ok t_a', 'ok t_b']);
  });

  it('fail when their socket closes; the turn goes on (trace 63)', async () => {
    await start();
    const { client, runtime } = await open(['t_a']);
    const other = await open([], 'unrestricted', runtime);
    client.send(message(runtime, 'call t_a {}', 'one'));
    await client.until(isCall);
    client.cut();
    const failure = { status: 'error', tool_return: 'External tool execution error: Listener connection closed' };
    expect(await returned(other.client)).toMatchObject(failure);
    expect(await other.client.until(isType('turn_finished'))).toMatchObject({ stop_reason: 'end_turn' });
  });
});

const pick = (runtime: Frame) => ({ conversation_id: runtime.conversation_id });
