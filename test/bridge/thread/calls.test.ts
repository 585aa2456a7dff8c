import { describe, expect, it } from 'vitest';
import { closedPolicy, type Permissions, type Policy } from '../../../src/bridge/access/policy.ts';
import type { Token } from '../../../src/bridge/ids.ts';
import { says, type ToolResult } from '../../../src/bridge/tools/result.ts';
import type { ToolCall, ToolHandlers, ToolPlan } from '../../../src/bridge/tools/tool.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createMemoryLog } from '../../support/log.ts';
import { createRunning, type Middle, type MiddleOptions } from '../../support/middle.ts';
import { ALICE, ask, cards, click, lastCard } from './approvals/asking-people.ts';

const MINUTE = 60_000;

/** A tool whose plans and outcomes a test decides, and which counts what it did. */
function tool(plan: ToolPlan = { may: 'run', seal: 's' }) {
  const done: string[] = [];
  const calls: ToolCall[] = [];
  const world = {
    plan,
    done,
    calls,
    run: async (call: ToolCall): Promise<ToolResult> => {
      done.push(call.key);
      return says('reacted');
    },
    recall: async (_: ToolCall): Promise<ToolResult | null> => null,
  };
  const handler = {
    prepare: async () => world.plan,
    run: (call: ToolCall) => {
      calls.push(call);
      return world.run(call);
    },
    recall: (call: ToolCall) => world.recall(call),
  };
  const tools: ToolHandlers = { slack_react: handler as never, slack_find_people: handler as never };
  return { world, tools };
}

const policyOf = (permissions: Permissions): Partial<Policy> => ({
  defaults: { ...closedPolicy.defaults, permissions },
  unrestricted: { everywhere: true, directMessages: true, ids: [] },
});

async function running(options: MiddleOptions & { permissions?: Permissions } = {}) {
  const { permissions = 'unrestricted', ...rest } = options;
  const { world, tools } = tool();
  const middle = await createRunning({ policy: policyOf(permissions), tools, ...rest });
  return { middle, world };
}

async function call(middle: Middle, id = 'call_1', change: { tool?: string; input?: object; requestId?: string } = {}) {
  const { tool = 'slack_react', input = { emoji: 'eyes' }, requestId = `external-tool-${id}` } = change;
  middle.connection.emit({ type: 'external-call', call: { requestId, callId: id, tool, input: { ...input } } });
  await middle.clock.settle();
}

const results = ({ connection }: Middle) =>
  connection.results.map(({ requestId, result }) => [
    requestId,
    result.isError === true,
    result.parts.map((part) => (part.type === 'text' ? part.text : part.type)).join(),
  ]);

const request = (input: Record<string, unknown> = { emoji: 'eyes' }, callId = 'call_1') => ({
  requestId: `perm-${callId}`,
  callId,
  tool: 'slack_react',
  input,
  diffs: [],
  suggestions: [{ id: 'save-default', text: 'Yes, allow slack_react operations' }],
  questions: null,
});

describe('a call that asks no one', () => {
  it('is done once and answered, however often it comes', async () => {
    const { middle, world } = await running();
    await call(middle);
    await call(middle);
    await call(middle, 'call_1', { requestId: 'external-tool-other' });
    expect(world.done).toHaveLength(1);
    expect(results(middle)).toEqual([
      ['external-tool-call_1', false, 'reacted'],
      ['external-tool-call_1', false, 'reacted'],
      ['external-tool-call_1', false, 'reacted'],
      ['external-tool-other', false, 'reacted'],
    ]);
    expect(middle.record().calls).toMatchObject([{ callId: 'call_1', state: 'done', result: { text: 'reacted' } }]);
  });

  it('is in the audit where Letta does not ask', async () => {
    const { middle } = await running();
    await call(middle);
    expect(middle.audit.entries).toMatchObject([{ tool: 'slack_react', outcome: 'approved', via: 'tools', by: null }]);
  });

  it('is not done for someone who lost access right before', async () => {
    const { middle, world } = await running();
    Object.defineProperty(world, 'plan', {
      get: () => {
        Object.assign(middle.policy, { users: closedPolicy.users });
        return { may: 'run', seal: 's' };
      },
    });
    await call(middle);
    expect(world.done).toEqual([]);
    expect(results(middle)).toMatchObject([['external-tool-call_1', true, expect.anything()]]);
  });

  it('is not done when the audit cannot be written', async () => {
    const { middle, world } = await running();
    middle.audit.failing = 1;
    await call(middle);
    expect(world.done).toEqual([]);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('was not done')]]);
  });

  it('with the same id and another input: is refused', async () => {
    const { middle, world } = await running();
    await call(middle);
    await call(middle, 'call_1', { input: { emoji: 'tada' }, requestId: 'external-tool-2' });
    expect(world.done).toHaveLength(1);
    expect(results(middle).at(-1)).toEqual(['external-tool-2', true, expect.stringContaining('another input')]);
  });

  it.each([
    ['a wrong input', { input: { emoji: 7 } }, 'emoji must be a text'],
    ['an unknown tool', { tool: 'slack_dance' }, 'You do not have this tool'],
    [
      'a tool that the policy does not name',
      { tool: 'slack_post_message', input: { channel: 'C1', text: 'x' } },
      'do not have',
    ],
  ])('with %s: is refused', async (_, change, words) => {
    const { middle, world } = await running();
    await call(middle, 'call_1', change);
    expect(world.done).toEqual([]);
    expect(results(middle)).toEqual([['external-tool-call_1', true, expect.stringContaining(words)]]);
  });

  it('is refused when its requester may not use the agent any more', async () => {
    const { middle, world } = await running();
    middle.people.kinds = { [ALICE]: 'guest' };
    await middle.clock.advance(11_000);
    await call(middle);
    expect(world.done).toEqual([]);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('Nothing was done')]]);
  });

  it('tells that it may have happened when Slack did not say', async () => {
    const { middle, world } = await running();
    world.run = () => Promise.reject(new BridgeError('slack_failed', 'timeout', { certain: false, retry: true }));
    await call(middle);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('not known whether')]]);
    expect(middle.surface.said.at(-1)?.text).toContain('cannot tell whether it happened');
  });

  it('tells that it may have happened after an unforeseen failure', async () => {
    const { middle, world } = await running();
    world.run = () => Promise.reject(new TypeError('a bug'));
    await call(middle);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('not known whether')]]);
  });

  it('is answered within four minutes, also while it still runs', async () => {
    const { middle, world } = await running();
    world.run = () => new Promise(() => {});
    await call(middle);
    await middle.clock.advance(4 * MINUTE + 1_000);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('not known whether')]]);
    expect(world.calls[0]?.signal.aborted).toBe(true);
  });
});

describe('a call that people must approve', () => {
  const asks: ToolPlan = { may: 'ask', facts: ['In #deploys'], seal: 'one' };

  it('gets a card where Letta does not ask, and runs once approved', async () => {
    const { middle, world } = await running();
    world.plan = asks;
    await call(middle);
    expect(world.done).toEqual([]);
    expect(lastCard(middle)).toMatchObject({ tool: 'slack_react', shown: { notes: ['In #deploys'] } });
    await click(middle, 'approve');
    await middle.clock.settle();
    expect(world.done).toHaveLength(1);
    expect(results(middle)).toEqual([['external-tool-call_1', false, 'reacted']]);
    expect(middle.connection.answers).toEqual([]);
  });

  it('is told of a denial with its reason', async () => {
    const log = createMemoryLog();
    const { middle, world } = await running({ log });
    world.plan = asks;
    await call(middle);
    await click(middle, 'deny');
    await middle.clock.settle();
    expect(world.done).toEqual([]);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('denied this in Slack')]]);
    // The reason is in a person's words, which no log keeps.
    expect(JSON.stringify(log.lines)).not.toContain('denied this in Slack');
  });

  it('does not run when what it rests on has changed since', async () => {
    const { middle, world } = await running();
    world.plan = asks;
    await call(middle);
    world.plan = { ...asks, seal: 'two' } as ToolPlan;
    await click(middle, 'approve');
    await middle.clock.settle();
    expect(world.done).toEqual([]);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('has changed since')]]);
  });

  it('expires before Letta gives it up, and cannot be approved then', async () => {
    const { middle, world } = await running();
    world.plan = asks;
    await call(middle);
    await middle.clock.advance(4 * MINUTE);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('decided this in time')]]);
    expect(await click(middle, 'approve')).toMatchObject({ result: 'refused' });
    expect(world.done).toEqual([]);
  });

  it('stays open while Letta lists other requests', async () => {
    const { middle, world } = await running();
    world.plan = asks;
    await call(middle);
    middle.connection.emit({ type: 'approvals-open', requestIds: [] });
    await middle.clock.settle();
    await click(middle, 'approve');
    await middle.clock.settle();
    expect(world.done).toHaveLength(1);
  });
});

describe('a request of Letta for a tool of the bridge', () => {
  it('passes by the policy, with an audit entry', async () => {
    const { middle, world } = await running({ permissions: 'guarded' });
    await ask(middle, request());
    expect(middle.connection.answers).toEqual([{ requestId: 'perm-call_1', decision: { behavior: 'allow' } }]);
    expect(middle.audit.entries).toMatchObject([{ requestId: 'perm-call_1', outcome: 'approved', via: 'tools' }]);
    await call(middle);
    expect(world.done).toHaveLength(1);
    expect(middle.audit.entries).toHaveLength(1);
    expect(cards(middle)).toEqual([]);
  });

  it('is denied where the policy has no such tool', async () => {
    const { middle } = await running({ permissions: 'guarded' });
    await ask(middle, { ...request(), tool: 'slack_read_channel', input: { channel: 'C1' } });
    expect(middle.connection.answers).toMatchObject([{ decision: { behavior: 'deny' } }]);
    expect(middle.audit.entries).toMatchObject([{ outcome: 'denied', via: 'tools', by: null }]);
  });

  it('shows a card, and runs exactly what the card showed', async () => {
    const { middle, world } = await running({ permissions: 'guarded' });
    world.plan = { may: 'ask', facts: ['2 kB'], seal: 'one' };
    await ask(middle, request());
    expect(lastCard(middle)).toMatchObject({
      tool: 'slack_react',
      shown: { notes: ['2 kB'] },
      offers: { rule: false, grant: null },
    });
    await click(middle, 'approve');
    expect(middle.connection.answers).toEqual([{ requestId: 'perm-call_1', decision: { behavior: 'allow' } }]);
    await call(middle, 'call_1', { input: { emoji: 'tada' } });
    expect(world.done).toEqual([]);
    expect(lastCard(middle).state.state).toBe('open');
    await call(middle, 'call_2');
    expect(world.done).toEqual([]);
  });

  it('runs without a second card once it was approved', async () => {
    const { middle, world } = await running({ permissions: 'guarded' });
    world.plan = { may: 'ask', facts: [], seal: 'one' };
    await ask(middle, request());
    await click(middle, 'approve');
    await call(middle);
    expect(world.done).toHaveLength(1);
    expect(cards(middle)).toHaveLength(1);
  });
});

describe('an open call', () => {
  it('is answered on Stop, and nothing is done', async () => {
    const { middle, world } = await running();
    world.plan = { may: 'ask', facts: [], seal: 'one' };
    await call(middle);
    await click(middle, 'stop', { token: middle.record().turn?.stopToken as Token });
    await middle.clock.settle();
    expect(middle.connection.aborts).toBe(1);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('was stopped')]]);
    expect(world.done).toEqual([]);
  });

  it('is told to end on Stop while it runs, and answered soon', async () => {
    const { middle, world } = await running();
    world.run = () => new Promise(() => {});
    await call(middle);
    await click(middle, 'stop', { token: middle.record().turn?.stopToken as Token });
    await middle.clock.advance(3_000);
    expect(world.calls[0]?.signal.aborted).toBe(true);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('not known whether')]]);
  });

  it('is answered when another client stopped the turn', async () => {
    const { middle, world } = await running();
    world.plan = { may: 'ask', facts: [], seal: 'one' };
    await call(middle);
    middle.connection.emit({ type: 'loop', status: 'idle', activeRunIds: [], clientMessageIdsByRun: {} });
    await middle.clock.advance(3_000);
    expect(results(middle)).toHaveLength(1);
  });

  it('is answered at a shutdown', async () => {
    const { middle, world } = await running();
    world.plan = { may: 'ask', facts: [], seal: 'one' };
    await call(middle);
    const drained = middle.workers.drain(1_000);
    await middle.clock.advance(2_000);
    await drained;
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('restarted')]]);
  });

  it('dies with the socket of an App Server', async () => {
    const { middle, world } = await running();
    world.plan = { may: 'ask', facts: [], seal: 'one' };
    await call(middle);
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    expect(middle.record().calls).toMatchObject([{ state: 'done' }]);
    expect(world.done).toEqual([]);
  });

  it('goes on through the relay after a lost link', async () => {
    const { middle, world } = await running({ turnsDieWithLink: false });
    world.plan = { may: 'ask', facts: [], seal: 'one' };
    await call(middle);
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.clock.settle();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-1'], clientMessageIdsByRun: { 'run-1': [id] } });
    await middle.clock.settle();
    await click(middle, 'approve');
    expect(world.done).toHaveLength(1);
    expect(results(middle)).toEqual([['external-tool-call_1', false, 'reacted']]);
  });
});

describe('a call after a crash', () => {
  const back = async (middle: Middle) => {
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    await middle.restart();
    middle.connection.ready({ loop: 'busy', activeRunIds: ['run-1'], clientMessageIdsByRun: { 'run-1': [id] } });
    await middle.clock.settle();
  };

  it('in the middle of acting: is told as unknown', async () => {
    const { middle, world } = await running({ turnsDieWithLink: false });
    world.run = (each) => {
      world.done.push(each.key);
      return new Promise(() => {});
    };
    await call(middle);
    await back(middle);
    await call(middle);
    expect(world.done).toHaveLength(1);
    expect(results(middle)[0]).toMatchObject([expect.anything(), true, expect.stringContaining('not known whether')]);
    expect(middle.surface.said.map(({ text }) => text).join()).toContain('cannot tell whether it happened');
  });

  it('is told as done when that can be found out', async () => {
    const { middle, world } = await running({ turnsDieWithLink: false });
    world.run = () => new Promise(() => {});
    world.recall = async () => says('it is there');
    await call(middle);
    await back(middle);
    expect(results(middle)[0]).toEqual(['external-tool-call_1', false, 'it is there']);
  });

  it('is not done again for someone who lost access meanwhile', async () => {
    const { middle, world } = await running({ turnsDieWithLink: false });
    let recalled = 0;
    world.run = () => new Promise(() => {});
    world.recall = async () => {
      recalled += 1;
      return says('reacted');
    };
    await call(middle);
    Object.assign(middle.policy, { users: closedPolicy.users });
    await back(middle);
    expect(recalled).toBe(0);
    expect(results(middle)[0]).toMatchObject([expect.anything(), true, expect.stringContaining('not known whether')]);
  });

  it('ends with Stop while it is being looked for', async () => {
    const { middle, world } = await running({ turnsDieWithLink: false });
    world.run = () => new Promise(() => {});
    world.recall = () => new Promise(() => {});
    await call(middle);
    await back(middle);
    expect(results(middle)).toEqual([]);
    await click(middle, 'stop', { token: middle.record().turn?.stopToken as Token });
    await middle.clock.advance(3_000);
    expect(results(middle)[0]).toMatchObject([expect.anything(), true, expect.stringContaining('not known whether')]);
  });

  it('between its end and the answer: is answered with the stored outcome', async () => {
    const { middle, world } = await running({ turnsDieWithLink: false });
    await call(middle);
    await back(middle);
    expect(world.done).toHaveLength(1);
    expect(results(middle)).toEqual([['external-tool-call_1', false, 'reacted']]);
  });

  it('is run again when it only reads', async () => {
    const { middle, world } = await running({ turnsDieWithLink: false });
    world.run = () => new Promise(() => {});
    await call(middle, 'call_1', { tool: 'slack_find_people', input: { query: 'bo' } });
    world.run = async () => says('Bob');
    await back(middle);
    expect(results(middle)).toEqual([['external-tool-call_1', false, 'Bob']]);
  });
});

describe('a call of a turn that began by itself', () => {
  it('stays in its thread, because no one knows who asked for it', async () => {
    const { middle, world } = await running();
    await call(middle);
    middle.connection.end();
    await middle.clock.settle();
    middle.connection.emit({ type: 'user-message', clientMessageId: 'cm-q-1', automatic: true });
    middle.connection.emit({ type: 'loop', status: 'busy', activeRunIds: ['run-2'], clientMessageIdsByRun: {} });
    await middle.clock.settle();
    await call(middle, 'call_2');
    expect(world.calls.map(({ staysHere }) => staysHere)).toEqual([false, true]);
  });
});

describe('a call of a turn that is over', () => {
  it('is refused, and nothing is done', async () => {
    const { middle, world } = await running();
    middle.connection.say('done');
    middle.connection.end();
    await middle.clock.settle();
    await call(middle, 'call_9');
    expect(world.done).toEqual([]);
    expect(results(middle)).toMatchObject([[expect.anything(), true, expect.stringContaining('turn is over')]]);
  });
});

describe('a call of a turn that Letta began by itself', () => {
  it('is refused, also when it comes twice and our input has joined', async () => {
    const { middle, world } = await running();
    const id = middle.connection.submitted[0]?.clientMessageId ?? '';
    const active = (ids: string[]) =>
      middle.connection.emit({
        type: 'loop',
        status: 'busy',
        activeRunIds: ['run-9'],
        clientMessageIdsByRun: { 'run-9': ids },
      });
    active([]);
    await call(middle);
    active([id]);
    await call(middle);
    expect(world.done).toEqual([]);
    const refused = ['external-tool-call_1', true, expect.stringContaining('did not begin in the Slack thread')];
    expect(results(middle)).toEqual([refused, refused]);
    await call(middle, 'call_2');
    expect(world.done).toHaveLength(1);
  });
});
