import { describe, expect, it } from 'vitest';
import type { AgentEvent, ConnectionEvent, StoredRuntime } from '../../src/bridge/agent-event.ts';
import { BridgeError } from '../../src/errors.ts';
import { createConnection } from '../../src/letta/connection.ts';
import type { LaneEndpoint } from '../../src/letta/link/lane.ts';
import type { Route } from '../../src/letta/routes/route.ts';
import { createStartLine } from '../../src/letta/start-line.ts';
import { createFakeClock } from '../support/clock.ts';
import { createFakeLanes, type FakeLane } from '../support/lanes.ts';
import { createFakeLetta } from '../support/letta.ts';
import { createMemoryLog } from '../support/log.ts';

type Told = AgentEvent | ConnectionEvent;
type Of<Type extends Told['type']> = Extract<Told, { type: Type }>;

const stored: StoredRuntime = { agentId: 'agent-1', conversationId: 'conv-1', deviceId: null };

function setUp({
  runtime = stored as StoredRuntime | null,
  lanes = ['direct'] as LaneEndpoint['name'][],
  title = undefined as string | undefined,
} = {}) {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const letta = createFakeLetta();
  const fake = createFakeLanes();
  const hosted = lanes[0] !== 'direct';
  /** Lanes of the present link, and how many frames each delivered. */
  let live: FakeLane[] = [];
  const seqs = new Map<FakeLane, number>();
  const deliver = (frame: Record<string, unknown>) => {
    for (const lane of live) {
      const seq = (seqs.get(lane) ?? 0) + 1;
      seqs.set(lane, seq);
      lane.deliverFrame(hosted ? { ...frame, seq } : frame);
    }
  };
  const world = { opens: true };
  fake.onDial = (lane) => {
    if (!world.opens) return lane.loseLane({ kind: 'unreachable', text: 'ECONNREFUSED' });
    live = [...live.filter((other) => !other.isClosed), lane];
    return lane.openLane();
  };
  fake.onSend = (_lane, frame) => {
    for (const answer of letta.answerFrame(frame)) deliver(answer);
  };
  const route: Route = {
    isOrdered: !hosted,
    hasOwnLinkForFiles: !hosted,
    sharesTools: hosted,
    webPage: () => null,
    syncAfterMs: hosted ? 5_000 : null,
    watchReturn: null,
    hasOnlyLocalAgents: false,
    makePlan: async (known) => ({
      endpoints: lanes.map((name) => ({ name, url: 'ws://x/', headers: {}, heartbeat: 'json', wantsAcks: hosted })),
      agentId: known?.agentId ?? 'agent-1',
      conversationId: known?.conversationId ?? (hosted ? 'conv-1' : null),
      deviceId: hosted ? 'device-1' : null,
      deviceName: hosted ? 'build-box' : null,
    }),
    replaceAgent: async () => null,
    unreachable: () => new BridgeError('letta_unreachable', 'no', { notice: 'Letta is away.', retry: true }),
    listMessages: async () => [{ id: 'm9', message_type: 'assistant_message', content: 'by REST' }],
    conversationExists: async (id) => letta.conversations.includes(id),
  };
  const line = createStartLine(clock);
  const told: Told[] = [];
  let ids = 0;
  const random = { next: () => 0.5, id: () => `r${ids++}` };
  const none: Told[] = [];
  const connection = createConnection(
    { route, dial: fake.dial, line, clock, random, log },
    { runtime, mode: 'standard', ...(title !== undefined && { title }) },
    // Told after every `ready`; tests about it look for themselves.
    (event) => void (event.type === 'background' && event.tasks.length === 0 ? none.push(event) : told.push(event)),
  );
  const last = <Type extends Told['type']>(type: Type) =>
    told.findLast((event): event is Of<Type> => event.type === type);
  const types = () => told.map((event) => event.type);
  const lose = () => {
    const before = live;
    live = [];
    before[0]?.loseLane();
  };
  const sent = (type: string) => letta.received.filter((frame) => frame.type === type);
  return { clock, log, letta, fake, world, route, line, connection, told, last, types, deliver, lose, sent };
}

describe('a connection', () => {
  it('starts the stored runtime and is ready after the replay', async () => {
    const { clock, sent, told } = setUp();
    await clock.settle();
    expect(sent('runtime_start')).toEqual([
      expect.objectContaining({
        agent_id: 'agent-1',
        conversation_id: 'conv-1',
        mode: 'standard',
        recover_approvals: true,
        wait_for_replay: true,
        client_info: expect.anything(),
      }),
    ]);
    expect(told).toEqual([
      {
        type: 'ready',
        runtime: stored,
        deviceName: null,
        workingDirectory: '/project',
        loop: 'idle',
        activeRunIds: [],
        clientMessageIdsByRun: {},
        approvals: [],
        reconnected: false,
      },
    ]);
  });

  it('makes a new conversation and returns to it after a lost link', async () => {
    const { clock, last, lose, sent, letta } = setUp({ runtime: null });
    await clock.settle();
    expect(last('ready')?.runtime.conversationId).toBe('conv-2');
    lose();
    expect(last('lost')).toEqual({ type: 'lost', reason: expect.any(String) });
    await clock.advance(1_000);
    expect(last('ready')).toMatchObject({ reconnected: true, runtime: { conversationId: 'conv-2' } });
    expect(sent('runtime_start')[1]).toMatchObject({ conversation_id: 'conv-2', mode: 'standard' });
    expect(letta.conversations).toEqual(['conv-1', 'conv-2']);
  });

  it('gives a new conversation its title, a stored one none', async () => {
    for (const lane of ['direct', 'stream'] as const) {
      const { clock, last, sent, letta } = setUp({ runtime: null, lanes: [lane], title: 'deploy the shop' });
      await clock.settle();
      const id = last('ready')?.runtime.conversationId ?? '';
      expect(sent('conversation_update')).toEqual([expect.objectContaining({ conversation_id: id })]);
      expect(letta.summaries.get(id)).toBe('deploy the shop');
    }
    const { clock, sent } = setUp({ title: 'deploy the shop' });
    await clock.settle();
    expect(sent('conversation_update')).toEqual([]);
  });

  it('a title that Letta does not take keeps nothing waiting', async () => {
    const { clock, last, letta } = setUp({ runtime: null, title: 'deploy the shop' });
    letta.ignoredTypes.add('conversation_update');
    await clock.settle();
    expect(last('ready')).toBeDefined();
    // The name it was made with, by which an attempt whose answer was lost is found.
    expect(letta.summaries.get('conv-2')).toMatch(/^deploy the shop \w+$/);
    await clock.advance(20_000);
    expect(last('lost')).toBeUndefined();
  });

  it('runs a command of the device, whose end only a delta tells', async () => {
    const { clock, connection, sent, deliver } = setUp();
    await clock.settle();
    const ran = connection.runCommand('greet', 'bob');
    await clock.settle();
    expect(sent('execute_command')).toEqual([expect.objectContaining({ command_id: 'greet', args: 'bob' })]);
    const runtime = { agent_id: 'agent-1', conversation_id: 'conv-1' };
    const end = { message_type: 'slash_command_end', output: 'hello bob', success: true };
    deliver({ type: 'stream_delta', runtime, delta: { ...end, command_id: 'other' } });
    deliver({ type: 'stream_delta', runtime, delta: { ...end, command_id: 'greet' } });
    expect(await ran).toMatchObject({ ok: true, output: 'hello bob' });
  });

  it('a command that gives the agent a task: the thread hears so', async () => {
    const { clock, connection, deliver, last } = setUp();
    await clock.settle();
    const ran = connection.runCommand('greet', 'bob');
    await clock.settle();
    const runtime = { agent_id: 'agent-1', conversation_id: 'conv-1' };
    const end = { message_type: 'slash_command_end', command_id: 'greet', input: '/greet bob', success: true };
    deliver({ type: 'stream_delta', runtime, delta: { ...end, output: 'Running /greet...' } });
    expect(await ran).toMatchObject({ ok: true, begins: true });
    expect(last('command-ended')).toMatchObject({ command: 'greet', line: '/greet bob', begins: true });
    deliver({ type: 'stream_delta', runtime, delta: { ...end, output: 'Running /other...' } });
    expect(last('command-ended')).not.toHaveProperty('begins');
  });

  it('a command without an end: is not known to have run', async () => {
    const { clock, connection } = setUp();
    await clock.settle();
    const ran = connection.runCommand('greet', '').catch((error: unknown) => error);
    await clock.advance(4 * 60_000);
    expect(await ran).toMatchObject({ code: 'link_lost', certain: false });
  });

  it('submits an input and streams its turn to the end', async () => {
    const { clock, connection, told, types } = setUp();
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'hello' });
    await clock.settle();
    const text = told.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('');
    expect(text).toBe('echo: hello');
    expect(types().filter((type) => type === 'turn-ended')).toHaveLength(1);
    await connection.settle();
    expect(await connection.fetchHistory(5)).toEqual([
      { kind: 'user', id: 'u1', clientMessageId: 'cm-1', text: 'hello' },
      { kind: 'assistant', id: 'm1', text: 'echo: hello' },
    ]);
  });

  it('rejects an input that Letta refuses', async () => {
    const { clock, connection } = setUp();
    await clock.settle();
    await expect(connection.submit({ clientMessageId: 'cm-1', content: 'refuse' })).rejects.toMatchObject({
      code: 'input_refused',
      certain: true,
    });
  });

  it('accepts one answer to an approval, reports the second as gone', async () => {
    const { clock, connection, last } = setUp();
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'ask' });
    await clock.settle();
    const requestId = last('approval-asked')?.request.requestId ?? '';
    expect(await connection.answer(requestId, { behavior: 'allow' })).toBe('accepted');
    expect(await connection.answer(requestId, { behavior: 'allow' })).toBe('gone');
  });

  it('stops a turn, and reports when there was nothing to stop', async () => {
    const { clock, connection, last } = setUp();
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'hang' });
    expect(await connection.abort()).toEqual({ aborted: true });
    await clock.advance(2_000);
    expect(last('turn-ended')).toMatchObject({ stopReason: 'cancelled' });
    expect(await connection.abort()).toEqual({ aborted: false });
  });

  it('queues input behind a running turn, and takes it out', async () => {
    const { clock, connection, last, sent } = setUp();
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'hang' });
    await connection.join({ clientMessageId: 'cm-2', content: 'more' });
    await clock.settle();
    expect(last('queue')?.clientMessageIds).toEqual(['cm-2']);
    expect(await connection.withdraw('cm-2')).toBe(true);
    await clock.settle();
    expect(sent('remove_queue_item')).toEqual([expect.objectContaining({ item_id: 'q-1' })]);
    expect(last('queue')?.clientMessageIds).toEqual([]);
    // Nothing is asked of Letta for what is not there.
    expect(await connection.withdraw('cm-2')).toBe(false);
    expect(sent('remove_queue_item')).toHaveLength(1);
  });

  it('cannot tell whether input left the queue without an answer', async () => {
    const { clock, connection, letta } = setUp();
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'hang' });
    await connection.join({ clientMessageId: 'cm-2', content: 'more' });
    await clock.settle();
    letta.ignoredTypes.add('remove_queue_item');
    const withdrawn = expect(connection.withdraw('cm-2')).rejects.toMatchObject({ certain: false });
    await clock.advance(6_000);
    await withdrawn;
  });

  it('rejects a waiting input as uncertain when the link is lost', async () => {
    const { clock, connection, letta, lose, types } = setUp();
    await clock.settle();
    letta.ignoredTypes.add('input');
    const submitted = connection.submit({ clientMessageId: 'cm-1', content: 'hello' });
    submitted.catch(() => {});
    await clock.settle();
    lose();
    await expect(submitted).rejects.toMatchObject({ code: 'link_lost', certain: false });
    expect(types().at(-1)).toBe('lost');
  });

  it('rejects an input as certainly not sent while there is no link', async () => {
    const { connection } = setUp();
    await expect(connection.submit({ clientMessageId: 'cm-1', content: 'x' })).rejects.toMatchObject({
      code: 'link_lost',
      certain: true,
      retry: true,
    });
  });

  it('closes a link with an unanswered input and dials again', async () => {
    const { clock, connection, letta, types, fake } = setUp();
    await clock.settle();
    letta.ignoredTypes.add('input');
    const submitted = connection.submit({ clientMessageId: 'cm-1', content: 'x' });
    submitted.catch(() => {});
    await clock.advance(10_000);
    await expect(submitted).rejects.toMatchObject({ code: 'link_lost', certain: false });
    expect(fake.lanes[0]?.isClosed).toBe(true);
    await clock.advance(1_000);
    expect(types()).toEqual(['ready', 'lost', 'ready']);
  });

  it('keeps a link on which other frames come, until its answer does', async () => {
    const { clock, connection, letta, deliver, types, fake } = setUp();
    await clock.settle();
    letta.ignoredTypes.add('input');
    const submitted = connection.submit({ clientMessageId: 'cm-1', content: 'x' });
    for (let n = 0; n < 5; n += 1) {
      await clock.advance(8_000);
      deliver(letta.makeText('of another turn'));
    }
    const { request_id } = letta.received.findLast(({ type }) => type === 'input') ?? {};
    deliver({ type: 'input_accepted', request_id, accepted: true, disposition: 'started' });
    await expect(submitted).resolves.toBeUndefined();
    expect(fake.lanes[0]?.isClosed).toBe(false);
    expect(types()).not.toContain('lost');
  });

  it('gives up a link that never answers, whatever else comes', async () => {
    const { clock, connection, letta, deliver, fake } = setUp();
    await clock.settle();
    letta.ignoredTypes.add('input');
    const submitted = connection.submit({ clientMessageId: 'cm-1', content: 'x' });
    submitted.catch(() => {});
    for (let n = 0; n < 8; n += 1) {
      deliver(letta.makeText('of another turn'));
      await clock.advance(8_000);
    }
    await expect(submitted).rejects.toMatchObject({ code: 'link_lost', certain: false });
    expect(fake.lanes[0]?.isClosed).toBe(true);
  });

  it('a start without an answer leaves no conversation behind', async () => {
    const { clock, letta, last } = setUp({ runtime: null });
    letta.mutedTypes.add('runtime_start');
    await clock.advance(30_000);
    expect(letta.conversations).toEqual(['conv-1', 'conv-2']);
    letta.mutedTypes.clear();
    await clock.advance(5_000);
    expect(last('ready')?.runtime.conversationId).toBe('conv-2');
    expect(letta.conversations).toEqual(['conv-1', 'conv-2']);
  });

  it('a start that Letta never got makes its conversation later', async () => {
    const { clock, letta, last } = setUp({ runtime: null });
    letta.ignoredTypes.add('runtime_start');
    await clock.advance(30_000);
    letta.ignoredTypes.clear();
    await clock.advance(5_000);
    expect(last('ready')?.runtime.conversationId).toBe('conv-2');
    expect(letta.conversations).toEqual(['conv-1', 'conv-2']);
  });

  it('waits in line with its place while others start', async () => {
    const { clock, line, told, types, sent } = setUp();
    const others = [1, 2, 3, 4].map(() => line.enter(null, () => {}));
    await clock.settle();
    expect(told).toEqual([{ type: 'in-line', place: 2 }]);
    expect(sent('runtime_start')).toEqual([]);
    await clock.advance(5_000);
    others[0]?.leave();
    others[1]?.leave();
    await clock.settle();
    expect(types()).toEqual(['in-line', 'in-line', 'in-line', 'ready']);
    expect(told.slice(1, 3)).toEqual([
      { type: 'in-line', place: 1 },
      { type: 'in-line', place: null },
    ]);
  });

  it('closed in line, gives its place to the next one', async () => {
    const { clock, line, connection, sent } = setUp();
    const others = [1, 2, 3].map(() => line.enter(null, () => {}));
    await clock.settle();
    const next = line.enter(null, () => {});
    connection.close();
    others[0]?.leave();
    await next.isNext;
    await clock.advance(60_000);
    expect(sent('runtime_start')).toEqual([]);
    expect(clock.waiting).toBe(0);
  });

  it('keeps dialling, ever more slowly, and reports each failed attempt', async () => {
    const { clock, world, lose, told, types } = setUp();
    await clock.settle();
    world.opens = false;
    lose();
    await clock.advance(600_000);
    const waits = told.flatMap((event) => (event.type === 'unavailable' ? [event.retryInMs] : []));
    expect(waits.slice(0, 6)).toEqual([500, 1000, 2000, 4000, 8000, 15_000]);
    expect(waits.length).toBeGreaterThan(30);
    world.opens = true;
    await clock.advance(15_000);
    expect(types().at(-1)).toBe('ready');
  });

  it.each([
    ['agent_not_found', { ...stored, agentId: 'agent-9' }],
    ['conversation_not_found', { ...stored, conversationId: 'conv-9' }],
  ])('reports %s once and does not retry', async (code, runtime) => {
    const { clock, told, fake, connection } = setUp({ runtime });
    await clock.advance(120_000);
    expect(told).toEqual([expect.objectContaining({ type: 'unavailable', code, retryInMs: null })]);
    expect(fake.lanes).toHaveLength(1);
    expect(fake.lanes[0]?.isClosed).toBe(true);
    await expect(connection.settle()).rejects.toMatchObject({ code });
  });

  it('is not ready until the device confirms the permission mode', async () => {
    const { clock, letta, last, types } = setUp();
    letta.doesObeyMode = false;
    await clock.advance(5_000);
    expect(last('unavailable')).toMatchObject({ code: 'mode_not_confirmed' });
    expect(types()).not.toContain('ready');
    letta.doesObeyMode = true;
    await clock.advance(20_000);
    expect(last('ready')).toBeDefined();
  });

  it('reports open approvals in its ready event after a reconnect', async () => {
    const { clock, connection, lose, last, told } = setUp({ lanes: ['stream'] });
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'ask' });
    await clock.settle();
    lose();
    const before = told.length;
    await clock.advance(1_000);
    expect(last('lost')).toEqual({ type: 'lost', reason: expect.any(String) });
    expect(last('ready')).toMatchObject({
      loop: 'waiting_on_approval',
      approvals: [expect.objectContaining({ requestId: 'perm-1', tool: 'Bash' })],
    });
    expect(told.slice(before).map((event) => event.type)).toEqual(['ready']);
  });

  it('passes on text from during the handshake once, after ready', async () => {
    const { clock, connection, lose, letta, deliver, told, fake } = setUp({ lanes: ['control', 'stream'] });
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'hang' });
    deliver(letta.makeText('one '));
    lose();
    const dialled = fake.onDial;
    fake.onDial = (lane) => {
      dialled(lane);
      if (lane.endpoint.name === 'stream') deliver(letta.makeText('two'));
    };
    const before = told.length;
    await clock.advance(1_000);
    const after = told.slice(before);
    expect(after[0]?.type).toBe('ready');
    expect(after.filter((event) => event.type === 'text')).toEqual([expect.objectContaining({ text: 'two' })]);
  });

  it('falls back to sync when the device ignores runtime_start', async () => {
    const { clock, letta, sent, last } = setUp({ lanes: ['stream'] });
    letta.ignoredTypes.add('runtime_start');
    await clock.advance(4_999);
    expect(sent('sync')).toEqual([]);
    await clock.advance(1);
    expect(sent('sync')).toEqual([
      expect.objectContaining({ recover_approvals: true, force_device_status: true, request_id: expect.any(String) }),
    ]);
    expect(sent('change_device_state')).toEqual([expect.objectContaining({ payload: { mode: 'standard' } })]);
    expect(last('ready')).toMatchObject({ deviceName: 'build-box' });
    expect(letta.mode).toBe('standard');
  });

  it('reports a missing conversation when only sync is answered', async () => {
    const { clock, letta, last } = setUp({
      lanes: ['stream'],
      runtime: { ...stored, conversationId: 'conv-9' },
    });
    letta.ignoredTypes.add('runtime_start');
    await clock.advance(5_000);
    expect(last('unavailable')).toMatchObject({ code: 'conversation_not_found', retryInMs: null });
  });

  it('reads the history by REST when the device does not answer', async () => {
    const { clock, connection, letta } = setUp({ lanes: ['stream'] });
    await clock.settle();
    letta.ignoredTypes.add('conversation_messages_list');
    const asked = connection.fetchHistory(5);
    await clock.advance(5_000);
    expect(await asked).toEqual([{ kind: 'assistant', id: 'm9', text: 'by REST' }]);
  });

  it('dials again when the link dies with the handshake’s last frame', async () => {
    const { clock, fake, lose, types } = setUp();
    const receive = fake.onSend;
    fake.onSend = (lane, frame) => {
      receive(lane, frame);
      if (frame.type === 'runtime_start' && fake.lanes.length < 3) lose();
    };
    await clock.advance(5_000);
    expect(types()).toEqual(['unavailable', 'unavailable', 'ready']);
  });

  it('makes only one conversation while the mode stays unconfirmed', async () => {
    const { clock, letta } = setUp({ runtime: null });
    letta.doesObeyMode = false;
    await clock.advance(120_000);
    expect(letta.conversations).toEqual(['conv-1', 'conv-2']);
  });

  it('sends a sync when a relayed turn is silent for 30 seconds', async () => {
    const { clock, connection, sent, types } = setUp({ lanes: ['stream'] });
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'hang' });
    await clock.advance(29_000);
    expect(sent('sync')).toHaveLength(0);
    await clock.advance(11_000);
    expect(sent('sync')).toHaveLength(1);
    await clock.advance(600_000);
    expect(sent('sync').length).toBeLessThanOrEqual(21);
    expect(types()).not.toContain('lost');
  });

  it('reconnects when a sync shows that a turn’s end was lost', async () => {
    const { clock, connection, letta, last, sent } = setUp({ lanes: ['stream'] });
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'hang' });
    letta.status = 'WAITING_ON_INPUT';
    await clock.advance(80_000);
    expect(last('lost')).toEqual({ type: 'lost', reason: expect.any(String) });
    expect(last('ready')).toMatchObject({ reconnected: true, loop: 'idle' });
    await clock.advance(600_000);
    expect(sent('runtime_start')).toHaveLength(2);
  });

  it('sends no sync when idle, nor to an App Server', async () => {
    for (const lanes of [['stream'], ['direct']] as LaneEndpoint['name'][][]) {
      const { clock, connection, sent } = setUp({ lanes });
      await clock.settle();
      await connection.submit({ clientMessageId: 'cm-1', content: lanes[0] === 'direct' ? 'hang' : 'hello' });
      await clock.advance(600_000);
      expect(sent('sync')).toEqual([]);
    }
  });

  it('goes on when its listener throws, and logs the error', async () => {
    const { clock, connection, told, log } = setUp();
    told.push = () => {
      throw new Error('bug');
    };
    await clock.settle();
    await connection.submit({ clientMessageId: 'cm-1', content: 'hello' });
    await connection.settle();
    expect(log.lines.some((line) => line.level === 'error')).toBe(true);
  });

  it('reports nothing after close, and leaves no timer', async () => {
    for (const at of [0, 1, 2, 3]) {
      const { clock, connection, lose, world, told, fake, letta } = setUp({ lanes: ['stream'] });
      if (at === 1) letta.ignoredTypes.add('runtime_start');
      if (at >= 1) await clock.settle();
      if (at === 3) {
        world.opens = false;
        lose();
      }
      const before = told.length;
      connection.close();
      connection.close();
      await clock.advance(120_000);
      expect(told.length).toBe(before);
      expect(clock.waiting).toBe(0);
      expect(fake.lanes.length).toBeLessThanOrEqual(1);
      await expect(connection.submit({ clientMessageId: 'x', content: 'x' })).rejects.toMatchObject({
        code: 'link_lost',
      });
    }
  });

  it('can be closed from within its own event', async () => {
    const { clock, connection, told } = setUp();
    const push = told.push.bind(told);
    told.push = (event) => {
      connection.close();
      return push(event);
    };
    await clock.advance(60_000);
    expect(told).toHaveLength(1);
    expect(clock.waiting).toBe(0);
  });
});
