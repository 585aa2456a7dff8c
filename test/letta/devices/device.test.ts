import { describe, expect, it } from 'vitest';
import { Device, deviceLane } from '../../../src/letta/devices/device.ts';
import type { LaneLoss } from '../../../src/letta/link/lane.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

const A = { agentId: 'agent-1', conversationId: 'a' };
const B = { agentId: 'agent-1', conversationId: 'b' };
const wire = ({ agentId, conversationId }: typeof A) => ({ agent_id: agentId, conversation_id: conversationId });

function online() {
  const clock = createFakeClock();
  const log = createMemoryLog();
  const device = new Device(clock, log);
  const sent: string[] = [];
  device.attach({ send: (text) => void sent.push(text), close: () => undefined });
  const receive = (frame: object) => device.receive(JSON.stringify(frame));
  const open = async (runtime: typeof A | null) => {
    const heard: Record<string, unknown>[] = [];
    const losses: LaneLoss[] = [];
    const lane = device.openLane(deviceLane('d1', runtime), {
      onOpen: () => heard.push({ type: 'open' }),
      onMessage: (text) => heard.push(JSON.parse(text)),
      onClose: (loss) => losses.push(loss),
    });
    await Promise.resolve();
    return { lane, losses, types: () => heard.map(({ type, n }) => (n === undefined ? type : n)) };
  };
  return { device, clock, log, sent, receive, open };
}

const event = (runtime: typeof A, n: number) => ({ type: 'stream_delta', runtime: wire(runtime), n });

describe('a device with one socket', () => {
  it('gives each lane the frames of its conversation, in order', async () => {
    const { receive, open } = online();
    const [a, b] = [await open(A), await open(B)];
    for (const frame of [event(A, 1), event(B, 2), event(A, 3), event(B, 4)]) receive(frame);
    expect(a.types()).toEqual(['open', 1, 3]);
    expect(b.types()).toEqual(['open', 2, 4]);
  });

  it('gives an answer to who asked, also one that names no conversation', async () => {
    const { receive, open } = online();
    const [a, b] = [await open(A), await open(B)];
    a.lane.send('{"type":"list_models","request_id":"x-1"}', 'x-1');
    receive({ type: 'list_models_response', request_id: 'x-1', n: 1 });
    receive({ type: 'list_models_response', request_id: 'y-1', n: 2 });
    expect([a.types(), b.types()]).toEqual([['open', 1], ['open']]);
  });

  it('hands a new conversation its first state, then the answer', async () => {
    const { receive, open } = online();
    const made = await open(null);
    made.lane.send('{"type":"runtime_start","request_id":"x-1"}', 'x-1');
    receive(event(A, 1));
    receive(event(B, 2));
    receive({ type: 'runtime_start_response', request_id: 'x-1', success: true, runtime: wire(A), n: 3 });
    receive(event(A, 4));
    expect(made.types()).toEqual(['open', 1, 3, 4]);
  });

  it('keeps an open request until its thread listens, for moments', async () => {
    const { receive, open, clock } = online();
    receive({ type: 'control_request', request_id: 'perm-1', runtime: wire(A), n: 1 });
    receive({ type: 'control_request', request_id: 'perm-2', runtime: wire(B), n: 2 });
    expect((await open(A)).types()).toEqual(['open', 1]);
    await clock.advance(11_000);
    expect((await open(B)).types()).toEqual(['open']);
  });

  it('keeps 2,000 frames at most while no thread listens', async () => {
    const { receive, open } = online();
    for (let n = 0; n < 5_000; n += 1) receive(event(A, n));
    const { types } = await open(A);
    expect(types().slice(0, 2)).toEqual(['open', 3_000]);
    expect(types()).toHaveLength(2_001);
  });

  it('ends all lanes with its socket, and sends nothing after that', async () => {
    const { device, open, sent } = online();
    const [a, b] = [await open(A), await open(B)];
    b.lane.close();
    device.detach({ kind: 'closed', code: 1006, text: '' });
    expect(a.losses).toEqual([{ kind: 'closed', code: 1006, text: '' }]);
    expect(b.losses).toEqual([]);
    a.lane.send('{}');
    expect(sent).toEqual([]);
    expect((await open(A)).losses).toMatchObject([{ kind: 'unreachable' }]);
  });

  it('warns once of what it cannot read', async () => {
    const { device, log } = online();
    for (let n = 0; n < 100; n += 1) device.receive('{"type":');
    expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });
});
