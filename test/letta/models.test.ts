import { describe, expect, it } from 'vitest';
import { createGateway } from '../../src/letta/gateway.ts';
import { createFakeClock } from '../support/clock.ts';
import { createFakeHttp } from '../support/http.ts';
import { createFakeLanes } from '../support/lanes.ts';
import { createMemoryLog } from '../support/log.ts';

type Frame = Record<string, unknown>;

/** Letta's answer to `list_models`, over a link of its own. */
function setUp(list: Frame) {
  const clock = createFakeClock();
  const fake = createFakeLanes();
  fake.onDial = (lane) => lane.openLane();
  fake.onSend = (lane, frame) => {
    if (frame.type !== 'list_models') return;
    lane.deliverFrame({ type: 'list_models_response', request_id: frame.request_id, success: true, ...list });
  };
  let ids = 0;
  const { models } = createGateway({
    target: { mode: 'app-server', url: 'ws://127.0.0.1:1/ws', token: null },
    agentId: 'agent-1',
    clock,
    random: { next: () => 0.5, id: () => `r${ids++}` },
    dial: fake.dial,
    fetch: createFakeHttp().fetch,
    choices: { get: async () => null, set: async () => undefined },
    log: createMemoryLog(),
  });
  return { clock, models };
}

const entries = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    id: `m${n}`,
    handle: `lab/m${n}`,
    updateArgs: { reasoning_effort: 'high' },
  }));

describe('the list of models', () => {
  it('has only those that can be used now', async () => {
    const { models } = setUp({ entries: entries(3), available_handles: ['lab/m1'] });
    const { entries: seen } = await models.listFor(null);
    expect(seen).toEqual([{ id: 'm1', handle: 'lab/m1', effort: 'high' }]);
  });

  it('Letta cannot tell which can be used: says so, lists none', async () => {
    const { models } = setUp({ entries: entries(3), available_handles: null });
    await expect(models.listFor(null)).rejects.toMatchObject({ code: 'letta_unreachable', retry: true });
  });

  it('of 500: has all of them', async () => {
    const all = entries(500);
    const { models } = setUp({ entries: all, available_handles: all.map(({ handle }) => handle) });
    expect((await models.listFor(null)).entries).toHaveLength(500);
  });

  it('entries that are none: are left out', async () => {
    const { models } = setUp({ entries: [{}, { id: 'a' }, { handle: 'b' }, ...entries(1)] });
    expect((await models.listFor(null)).entries).toHaveLength(1);
  });
});
