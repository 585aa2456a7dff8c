import { describe, expect, it } from 'vitest';
import type { Binding } from '../../src/bridge/access/policy.ts';
import type { AgentEvent, ConnectionEvent } from '../../src/bridge/agent-event.ts';
import type { Choices, ConnectOptions } from '../../src/bridge/ports.ts';
import { createGateway, type LettaTarget } from '../../src/letta/gateway.ts';
import { createFakeClock } from '../support/clock.ts';
import { createFakeHttp } from '../support/http.ts';
import { createFakeLanes, type FakeLane } from '../support/lanes.ts';
import { createFakeLetta } from '../support/letta.ts';
import { createMemoryLog } from '../support/log.ts';

const cloud: LettaTarget = {
  mode: 'cloud',
  baseUrl: 'https://api.letta.test',
  apiKey: 'sk-secret',
  environment: null,
  relay: 'single',
};
const appServer: LettaTarget = { mode: 'app-server', url: 'wss://letta.test', token: 'sk-secret' };

interface Device {
  deviceId: string;
  connectionName: string;
  connectionId: string | null;
}

function setUp(target: LettaTarget, { agentId = null as string | null, kept = {} as Record<string, string> } = {}) {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const letta = createFakeLetta();
  const fake = createFakeLanes();
  const http = createFakeHttp();
  const stored = new Map(Object.entries(kept));
  const choices: Choices = {
    get: async (name) => stored.get(name) ?? null,
    set: async (name, value) => void stored.set(name, value),
  };
  const devices: Device[] = [{ deviceId: 'device-1', connectionName: 'build-box', connectionId: 'conn-1' }];
  http.answerAlways(({ method, url }) => {
    const { pathname, searchParams } = new URL(url);
    const rows = devices.map((device) => ({ id: device.deviceId, ...device, lastHeartbeat: clock.now() }));
    if (pathname === '/v1/environments') {
      return { status: 200, body: { connections: rows.filter((row) => row.connectionId), hasNextPage: false } };
    }
    const one = rows.find((row) => pathname === `/v1/environments/${row.deviceId}`);
    if (one) return { status: 200, body: one };
    if (pathname === '/v1/agents/') return { status: 200, body: letta.agents };
    if (method === 'POST' && pathname === '/v1/conversations/') {
      const id = `conv-${letta.conversations.length + 1}`;
      letta.conversations.push(id);
      return { status: 200, body: { id, agent_id: searchParams.get('agent_id') } };
    }
    const conversation = letta.conversations.find((id) => pathname === `/v1/conversations/${id}`);
    if (conversation) return { status: 200, body: { id: conversation } };
    return { status: 404, body: {} };
  });
  fake.onDial = (lane: FakeLane) => lane.openLane();
  fake.onSend = (lane, frame) => {
    for (const answer of letta.answerFrame(frame)) lane.deliverFrame(answer);
  };
  let ids = 0;
  const gateway = createGateway({
    target,
    agentId,
    clock,
    random: { next: () => 0.5, id: () => `r${ids++}` },
    dial: fake.dial,
    fetch: http.fetch,
    choices,
    log,
  });
  const told: (AgentEvent | ConnectionEvent)[] = [];
  const connect = (runtime: ConnectOptions['runtime'] = null, bound: Partial<Binding> = {}) => {
    const binding = { agentId: null, device: null, workingDirectory: null, ...bound };
    return gateway.connect({ runtime, mode: 'standard', binding }, (event) => void told.push(event));
  };
  const ready = () => told.flatMap((event) => (event.type === 'ready' ? [event.runtime] : []));
  const unavailable = () => told.findLast((event) => event.type === 'unavailable');
  const sent = (type: string) => letta.received.filter((frame) => frame.type === type);
  return { clock, log, letta, fake, http, stored, devices, connect, ready, unavailable, sent, told };
}

describe('a binding of a channel', () => {
  const known = { agentId: 'agent-1', conversationId: 'conv-1', deviceId: null };

  it('gives new conversations the bound agent; existing ones keep theirs', async () => {
    const { clock, connect, ready, letta, stored } = setUp(appServer, { agentId: 'agent-1' });
    letta.agents.push({ id: 'agent-2', name: 'Support' });
    connect(null, { agentId: 'agent-2' });
    connect(known, { agentId: 'agent-2' });
    connect();
    await clock.settle();
    expect(ready().map(({ agentId }) => agentId)).toEqual(['agent-2', 'agent-1', 'agent-1']);
    expect(stored.size).toBe(0);
  });

  it('gives new conversations the bound device; existing ones keep theirs', async () => {
    const { clock, connect, ready, devices } = setUp(cloud, { agentId: 'agent-1' });
    devices.push({ deviceId: 'device-2', connectionName: 'lab', connectionId: 'conn-2' });
    connect(null, { device: 'lab' });
    await clock.settle();
    connect({ ...known, deviceId: 'device-1' }, { device: 'lab' });
    await clock.settle();
    expect(ready().map(({ deviceId }) => deviceId)).toEqual(['device-2', 'device-1']);
  });

  it('reports agent_not_found for an unknown agent', async () => {
    const { clock, connect, unavailable } = setUp(appServer, { agentId: 'agent-1' });
    connect(null, { agentId: 'agent-9' });
    await clock.settle();
    expect(unavailable()).toMatchObject({ code: 'agent_not_found', retryInMs: null });
  });

  it.each([
    ['app-server', appServer],
    ['cloud', cloud],
  ] as const)('sets the working directory of new and existing conversations (%s)', async (_, target) => {
    const { clock, connect, told } = setUp(target, { agentId: 'agent-1' });
    connect(null, { workingDirectory: '/srv/support' });
    await clock.settle();
    connect({ ...known, deviceId: target === cloud ? 'device-1' : null }, { workingDirectory: '/project' });
    await clock.settle();
    const directories = told.flatMap((event) => (event.type === 'ready' ? [event.workingDirectory] : []));
    expect(directories).toEqual(['/srv/support', '/project']);
  });

  it('is not ready on a device that lacks the directory', async () => {
    const { clock, connect, ready, unavailable } = setUp(appServer, { agentId: 'agent-1' });
    connect(null, { workingDirectory: '/nope' });
    await clock.advance(5_000);
    expect(unavailable()).toMatchObject({ code: 'directory_not_confirmed', retryInMs: null });
    expect(ready()).toEqual([]);
  });

  it('sets the working directory on a device driven by sync', async () => {
    const { clock, connect, letta, told } = setUp(cloud, { agentId: 'agent-1' });
    letta.ignoredTypes.add('runtime_start');
    connect(null, { workingDirectory: '/srv/support' });
    await clock.advance(5_000);
    expect(told.find((event) => event.type === 'ready')).toMatchObject({ workingDirectory: '/srv/support' });
  });
});

describe('the agent for a new conversation', () => {
  it('is the configured one, without a request', async () => {
    const { clock, connect, ready, sent, stored } = setUp(appServer, {
      agentId: 'agent-1',
      kept: { agent: 'agent-7' },
    });
    connect();
    await clock.settle();
    expect(ready()[0]?.agentId).toBe('agent-1');
    expect(sent('agent_list')).toEqual([]);
    expect(stored.get('agent')).toBe('agent-7');
  });

  it('is the only one, and stays it when others appear', async () => {
    const { clock, connect, ready, letta, stored } = setUp(appServer);
    connect();
    await clock.settle();
    letta.agents.unshift({ id: 'agent-2', name: 'Newcomer' });
    connect();
    await clock.settle();
    expect(ready().map((runtime) => runtime.agentId)).toEqual(['agent-1', 'agent-1']);
    expect(stored.get('agent')).toBe('agent-1');
  });

  it('is the stored one after a restart', async () => {
    const { clock, connect, ready, letta, sent } = setUp(appServer, { kept: { agent: 'agent-1' } });
    letta.agents.push({ id: 'agent-2', name: 'Newcomer' });
    connect();
    await clock.settle();
    expect(ready()[0]?.agentId).toBe('agent-1');
    expect(sent('agent_list')).toEqual([]);
  });

  it('has to be configured when there are several, which are named', async () => {
    const { clock, connect, letta, unavailable, stored } = setUp(appServer);
    letta.agents.push({ id: 'agent-2', name: 'Bob' });
    connect();
    await clock.settle();
    expect(unavailable()).toMatchObject({
      code: 'several_agents',
      notice: expect.stringMatching(/LETTA_AGENT_ID.*agent-1 \(Ada\), agent-2 \(Bob\)/),
      retryInMs: null,
    });
    expect(stored.size).toBe(0);
  });

  it('is made once on an empty App Server, by three threads starting', async () => {
    const { clock, connect, ready, letta, sent, stored, log } = setUp(appServer);
    letta.agents.length = 0;
    connect();
    connect();
    connect();
    await clock.settle();
    await clock.settle();
    expect(sent('runtime_start').filter((frame) => frame.create_agent)).toHaveLength(1);
    expect(new Set(ready().map((runtime) => runtime.agentId)).size).toBe(1);
    expect(ready()).toHaveLength(3);
    expect(stored.get('agent')).toBe(letta.agents[0]?.id);
    expect(log.lines.some((line) => line.fields.agentId === letta.agents[0]?.id)).toBe(true);
  });

  it('is made with a model that the App Server lists', async () => {
    for (const [models, expected] of [
      [['lmstudio/one', 'lmstudio/two'], 'lmstudio/two'],
      [['other/three'], 'other/three'],
      [[], 'undefined'],
    ] as const) {
      const { clock, connect, letta } = setUp(appServer);
      letta.agents.length = 0;
      letta.models = [];
      connect();
      // A fresh server does not know its models yet.
      await clock.advance(700);
      letta.models = [...models];
      await clock.advance(5_000);
      expect(letta.agents).toEqual([{ id: 'agent-1', name: 'Slack Bridge', model: expected }]);
    }
  });

  it('is looked for again after an unreachable server', async () => {
    const { clock, connect, ready, fake, unavailable } = setUp(appServer);
    const open = fake.onDial;
    fake.onDial = (lane) => lane.loseLane({ kind: 'unreachable', text: 'ECONNREFUSED' });
    connect();
    await clock.settle();
    expect(unavailable()).toMatchObject({ code: 'letta_unreachable', retryInMs: 250 });
    fake.onDial = open;
    await clock.advance(1_000);
    expect(ready()).toHaveLength(1);
  });

  it('is never made in the cloud', async () => {
    const { clock, connect, letta, unavailable } = setUp(cloud);
    letta.agents.length = 0;
    connect();
    await clock.settle();
    expect(unavailable()).toMatchObject({ code: 'no_agent', retryInMs: null });
    expect(letta.agents).toEqual([]);
  });

  it.each([
    [401, 'letta_unauthorized', null],
    [403, 'letta_unauthorized', null],
    [426, 'letta_refused', null],
    [502, 'letta_unreachable', 250],
  ])('of an App Server answering %i is unavailable as %s', async (status, code, retryInMs) => {
    const { clock, connect, fake, unavailable } = setUp(appServer, { agentId: 'agent-1' });
    fake.onDial = (lane) => lane.loseLane({ kind: 'refused', status, text: 'sk-secret' });
    connect();
    await clock.settle();
    expect(unavailable()).toMatchObject({ code, retryInMs });
  });
});

describe('the device for a conversation', () => {
  it('is the only one online, and stays it, even when offline later', async () => {
    const { clock, connect, ready, devices, stored, unavailable } = setUp(cloud);
    connect();
    await clock.settle();
    expect(stored.get('device')).toBe('device-1');
    devices.push({ deviceId: 'laptop', connectionName: 'laptop', connectionId: 'conn-9' });
    connect();
    await clock.settle();
    expect(ready().map((runtime) => runtime.deviceId)).toEqual(['device-1', 'device-1']);
    Object.assign(devices[0] as Device, { connectionId: null });
    connect();
    await clock.settle();
    expect(unavailable()).toMatchObject({
      code: 'environment_offline',
      notice: 'Letta device build-box is offline.',
      retryInMs: 250,
    });
  });

  it('has to be configured when several are online, which are named', async () => {
    const { clock, connect, devices, stored, unavailable } = setUp(cloud);
    devices.push({ deviceId: 'laptop', connectionName: 'lap top', connectionId: 'conn-9' });
    connect();
    await clock.settle();
    expect(unavailable()).toMatchObject({ code: 'several_environments', retryInMs: null });
    expect(unavailable()).toMatchObject({ notice: expect.stringMatching(/build-box .*lap top/) });
    expect(stored.has('device')).toBe(false);
  });

  it('is the configured one, whatever was stored', async () => {
    const { clock, connect, devices, ready } = setUp(
      { ...cloud, environment: 'lap top' },
      { kept: { device: 'device-1' } },
    );
    devices.push({ deviceId: 'laptop', connectionName: 'lap top', connectionId: 'conn-9' });
    connect();
    await clock.settle();
    expect(ready()[0]?.deviceId).toBe('laptop');
  });

  it('is the thread’s own one, under its current lease', async () => {
    const { clock, connect, devices, ready, fake, http } = setUp({ ...cloud, environment: 'lap top' });
    connect({ agentId: 'agent-1', conversationId: 'conv-1', deviceId: 'device-1' });
    await clock.settle();
    expect(fake.lanes[0]?.endpoint.url).toContain('/conn-1/status/ws');
    Object.assign(devices[0] as Device, { connectionId: 'conn-2' });
    fake.lanes[0]?.loseLane({ kind: 'refused', status: 404, text: '' });
    await clock.advance(1_000);
    expect(fake.lanes[1]?.endpoint.url).toContain('/conn-2/status/ws');
    expect(ready()).toHaveLength(2);
    expect(http.calls.every((call) => call.url.endsWith('/v1/environments/device-1'))).toBe(true);
  });

  it('gets only one new conversation while its link fails to open', async () => {
    const { clock, connect, ready, fake, letta, sent } = setUp(cloud);
    const open = fake.onDial;
    fake.onDial = (lane) => lane.loseLane({ kind: 'unreachable', text: '' });
    connect();
    await clock.advance(5_000);
    fake.onDial = open;
    await clock.advance(30_000);
    expect(letta.conversations).toEqual(['conv-1', 'conv-2']);
    expect(ready()[0]).toEqual({ agentId: 'agent-1', conversationId: 'conv-2', deviceId: 'device-1' });
    expect(sent('runtime_start')[0]).toMatchObject({ mode: 'standard', conversation_id: 'conv-2' });
  });

  it('gets both lanes of a pair, with runtime_start on control', async () => {
    const { clock, connect, fake, ready } = setUp({ ...cloud, relay: 'pair' });
    connect();
    await clock.settle();
    expect(fake.lanes.map((lane) => lane.endpoint.name)).toEqual(['control', 'stream']);
    expect(fake.lanes[0]?.sent[0]).toMatchObject({ type: 'runtime_start' });
    expect(fake.lanes[1]?.sent).toEqual([]);
    expect(ready()).toHaveLength(1);
  });

  it('is not looked for again once Letta refuses the key', async () => {
    const { clock, connect, http, unavailable, fake } = setUp(cloud);
    http.answerAlways(() => ({ status: 401, body: {} }));
    connect();
    await clock.advance(60_000);
    expect(unavailable()).toMatchObject({ code: 'letta_unauthorized', retryInMs: null });
    expect(fake.lanes).toEqual([]);
    expect(http.calls).toHaveLength(1);
  });
});

describe('a gateway', () => {
  it.each([
    { ...appServer, url: 'ws://letta.test' },
    { ...cloud, baseUrl: 'http://api.letta.test' },
  ])('refuses an unencrypted address for a secret', (target) => {
    expect(() => setUp(target)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });

  it('logs no secret and no address', async () => {
    for (const target of [appServer, cloud]) {
      const { clock, connect, fake, log, told } = setUp(target);
      connect();
      await clock.settle();
      fake.lanes.at(-1)?.loseLane();
      fake.onDial = (lane) => lane.loseLane({ kind: 'unreachable', text: 'ENOTFOUND' });
      await clock.advance(10_000);
      const text = JSON.stringify([log.lines, told], (_key, value) =>
        value instanceof Error ? [value.message, value.stack, value.cause] : value,
      );
      expect(text).not.toMatch(/sk-secret|wss?:|https?:/);
    }
  });
});
