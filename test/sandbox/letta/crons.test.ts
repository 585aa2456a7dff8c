import { afterEach, describe, expect, it } from 'vitest';
import { DEFAULT_AGENT, type ScriptedLetta, startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { isAnswerTo, isDelta, isType, openClient, type TestClient } from './client.ts';
import { type Frame, readTrace } from './trace.ts';

const QUICK = { latency: 0, word: 0, tool: 0, pump: 5, settle: 0, subagent: 5, scale: 0.05 };
const agent_id = DEFAULT_AGENT.id;
let letta: ScriptedLetta;
let client: TestClient;

afterEach(() => letta.close());

async function ask(frame: Frame): Promise<Frame> {
  const id = `ask-${client.heard.length}-${String(frame.type)}`;
  client.send({ request_id: id, ...frame });
  return client.until(isAnswerTo(id));
}

async function start(): Promise<Frame> {
  letta = await startScriptedLetta({ timings: QUICK });
  client = await openClient(letta.url);
  const { runtime } = await ask({ type: 'runtime_start', agent_id, create_conversation: { body: {} } });
  return runtime as Frame;
}

async function add(conversation_id: unknown, fields: Frame): Promise<Frame> {
  const base = { name: 'report', description: '', cron: '0 9 * * 1', recurring: true, prompt: 'go\nsay: done' };
  const { task } = await ask({ type: 'cron_add', agent_id, conversation_id, ...base, ...fields });
  return task as Frame;
}

const inQueue = (frame: Frame) => frame.type === 'update_queue' && (frame.queue as Frame[]).length > 0;
const itemOf = (frame: Frame) => (frame.queue as Frame[])[0] as Frame;
const MONDAY_9_BERLIN = Date.UTC(2026, 10, 30, 8, 0, 12);

describe('the scheduler of the scripted Letta', () => {
  it('fires once, in its zone’s minute, in the recorded words', async () => {
    const { conversation_id } = await start();
    await add(conversation_id, { name: 'weekly', cron: '0 9 * * 1', timezone: 'Europe/Berlin' });
    letta.tickCrons(MONDAY_9_BERLIN - 60_000);
    letta.tickCrons(MONDAY_9_BERLIN);
    letta.tickCrons(MONDAY_9_BERLIN + 30_000);
    await client.until(isType('turn_finished'));
    const queued = client.heard.filter(inQueue);
    expect(queued).toHaveLength(1);
    const recorded = readTrace('h27-cron-over-relay').flatMap(({ frame }) => (frame && inQueue(frame) ? [frame] : []));
    const wordsOf = (frame: Frame) => {
      return String(itemOf(frame).content)
        .replace(/\d{4}-\S+\[.*\]/g, 'TIME')
        .replace(/^Timezone: .*$/m, 'Timezone')
        .replace(/Prompt: [\s\S]*/, '');
    };
    expect(wordsOf(queued[0] as Frame)).toBe(wordsOf(recorded[0] as Frame));
    expect(itemOf(queued[0] as Frame)).toMatchObject({
      kind: 'cron_prompt',
      source: 'cron',
      client_message_id: 'cm-q-1',
    });
    expect(String(itemOf(queued[0] as Frame).content)).toContain(
      'Scheduled for: 2026-11-30T09:00:00.000+01:00[Europe/Berlin]\nCurrent time: 2026-11-30T09:00:12.000+01:00[Europe/Berlin]',
    );
  });

  it('names the input alike live and in the history', async () => {
    const { conversation_id } = await start();
    const task = await add(conversation_id, {});
    await ask({ type: 'cron_trigger', task_id: task.id });
    const echo = await client.until(isDelta('user_message'));
    await client.until(isType('turn_finished'));
    const { messages } = await ask({ type: 'conversation_messages_list', conversation_id, query: { order: 'desc' } });
    const input = (messages as Frame[]).find(({ message_type: type }) => type === 'user_message');
    expect((echo.delta as Frame).otid).toBe(input?.otid);
    expect(input?.otid).not.toBe('cm-q-1');
  });

  it('lets a firing wait for a client, as an App Server does', async () => {
    const { conversation_id } = await start();
    await add(conversation_id, { cron: '* * * * *' });
    client.cut();
    await expect.poll(() => letta.state().sockets).toBe(0);
    letta.tickCrons(MONDAY_9_BERLIN);
    expect(JSON.stringify(letta.state().crons)).toContain('"fire_count":1');
    client = await openClient(letta.url);
    await ask({ type: 'runtime_start', agent_id, conversation_id, wait_for_replay: true });
    const said = async () => {
      const page = await ask({ type: 'conversation_messages_list', conversation_id, query: { order: 'desc' } });
      return (page.messages as Frame[]).map(({ message_type: type }) => type);
    };
    await expect.poll(said).toEqual(['assistant_message', 'user_message']);
    expect(client.heard.filter(isDelta('user_message'))).toEqual([]);
  });

  it('fires a single time when due, never over five minutes late', async () => {
    const { conversation_id } = await start();
    const once = { recurring: false, cron: '0 0 1 1 *', scheduled_for: new Date(MONDAY_9_BERLIN).toISOString() };
    const due = await add(conversation_id, once);
    letta.tickCrons(MONDAY_9_BERLIN - 1);
    letta.tickCrons(MONDAY_9_BERLIN + 59_000);
    const { task } = await ask({ type: 'cron_get', task_id: due.id });
    expect(task).toMatchObject({ status: 'fired', fire_count: 1 });
    const late = await add(conversation_id, once);
    letta.tickCrons(MONDAY_9_BERLIN + 6 * 60_000);
    expect((await ask({ type: 'cron_get', task_id: late.id })).task).toMatchObject({ status: 'missed', fire_count: 0 });
    expect(await ask({ type: 'cron_resume', task_id: late.id })).toMatchObject({
      success: false,
      found: true,
      error: 'Completed schedules cannot be resumed',
    });
  });

  it('refuses the fifty-first schedule of an agent', async () => {
    const { conversation_id } = await start();
    for (let made = 0; made < 50; made += 1) await add(conversation_id, {});
    const answer = await ask({
      type: 'cron_add',
      agent_id,
      name: 'x',
      description: '',
      cron: '0 9 * * 1',
      recurring: true,
      prompt: 'x',
    });
    expect(answer).toMatchObject({ success: false });
    expect(String(answer.error)).toMatch(/^Agent \S+ has 50 active or paused tasks/);
  });

  it('runs behind the relay while no client listens', async () => {
    letta = await startScriptedLetta({ surface: 'hosted', token: 'TOKEN', timings: QUICK, redeliverMs: 0 });
    const headers = { authorization: 'Bearer TOKEN' };
    const rest = async (path: string, init: RequestInit = {}) =>
      (await fetch(`${letta.url}${path}`, { headers, ...init })).json() as Promise<Frame>;
    const made = await rest(`/v1/conversations/?agent_id=${agent_id}`, { method: 'POST', body: '{}' });
    const { connections } = await rest('/v1/environments');
    const { connectionId } = (connections as Frame[])[0] as Frame;
    const open = (conversation: unknown) => {
      const query = `agentId=${agent_id}&conversationId=${conversation}&channel=stream`;
      const url = `${letta.url.replace('http', 'ws')}/v1/environments/${connectionId}/status/ws?${query}`;
      return openClient(url, 'TOKEN');
    };
    client = await open('local-conv-99');
    const task = await add(made.id, { name: 'weekly' });
    await ask({ type: 'cron_trigger', task_id: task.id });
    const said = async () => {
      const messages = (await rest(`/v1/conversations/${made.id}/messages`)) as unknown as Frame[];
      return messages.map(({ message_type: type }) => type).sort();
    };
    await expect.poll(said).toEqual(['assistant_message', 'user_message']);
    expect(client.heard.filter(isType('turn_finished'))).toEqual([]);
  });
});
