import { describe, expect, it } from 'vitest';
import type { LaneEndpoint, LaneLoss } from '../../../src/letta/link/lane.ts';
import { type LinkHandlers, openLink } from '../../../src/letta/link/link.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createFakeLanes, type FakeLane } from '../../support/lanes.ts';
import { createMemoryLog } from '../../support/log.ts';

const endpoint = (name: LaneEndpoint['name'], acks: boolean): LaneEndpoint => ({
  name,
  url: 'ws://127.0.0.1/',
  headers: {},
  heartbeat: 'json',
  wantsAcks: acks,
});

const status = (seq: number) => ({ type: 'update_loop_status', loop_status: { status: 'WAITING_ON_INPUT' }, seq });

const word = (seq: number) => ({
  type: 'stream_delta',
  delta: { message_type: 'assistant_message', id: 'm1', run_id: 'r1', seq_id: seq, content: 'word ' },
  seq,
});
const ack = (seq: number) => ({ type: 'ack', seq });

function open(names: LaneEndpoint['name'][], handlers: Partial<LinkHandlers> = {}, acks = true) {
  const fake = createFakeLanes();
  const clock = createFakeClock();
  const log = createMemoryLog();
  const frames: [string, unknown][] = [];
  const losses: LaneLoss[] = [];
  let opened = 0;
  const link = openLink(
    { endpoints: names.map((name) => endpoint(name, acks)), dial: fake.dial, clock, log },
    {
      onOpen: () => {
        opened += 1;
      },
      onFrame: (frame, lane) => void frames.push([lane, frame]),
      onClose: (loss) => void losses.push(loss),
      ...handlers,
    },
  );
  const lane = (index: number) => fake.lanes[index] as FakeLane;
  return { link, lane, clock, frames, losses, log, opened: () => opened };
}

describe('a link', () => {
  it('is open only when all its lanes are', () => {
    const { lane, opened } = open(['control', 'stream']);
    lane(1).openLane();
    expect(opened()).toBe(0);
    lane(0).openLane();
    expect(opened()).toBe(1);
  });

  it('acknowledges each seq on its lane before handing the frame on', () => {
    const order: unknown[] = [];
    const { lane } = open(['control', 'stream'], {
      onFrame: () => void order.push(...lane(1).sent),
    });
    lane(0).openLane();
    lane(1).openLane();
    lane(1).deliverFrame(status(7));
    expect(order).toEqual([{ type: 'ack', seq: 7 }]);
    expect(lane(0).sent).toEqual([]);
  });

  it('acknowledges words together, in order, at most 50 ms later', async () => {
    const { lane, clock } = open(['stream']);
    lane(0).openLane();
    lane(0).deliverFrame(word(1));
    await clock.advance(30);
    lane(0).deliverFrame(word(2));
    await clock.advance(19);
    expect(lane(0).sent).toEqual([]);
    await clock.advance(1);
    expect(lane(0).sent).toEqual([ack(1), ack(2)]);
    expect(clock.waiting).toBe(0);
  });

  it('acknowledges words before anything else leaves', () => {
    const { link, lane, clock } = open(['stream']);
    lane(0).openLane();
    lane(0).deliverFrame(word(1));
    lane(0).deliverFrame(status(2));
    lane(0).deliverFrame(word(3));
    link.send({ type: 'ping' });
    lane(0).deliverFrame(word(4));
    link.close();
    expect(lane(0).sent).toEqual([ack(1), ack(2), ack(3), { type: 'ping' }, ack(4)]);
    expect(clock.waiting).toBe(0);
  });

  it('acknowledges words at once where many wait', () => {
    const { lane } = open(['stream']);
    lane(0).openLane();
    for (let seq = 1; seq <= 64; seq += 1) lane(0).deliverFrame(word(seq));
    expect(lane(0).sent).toHaveLength(64);
  });

  it('drops acknowledgements that wait when its lane is lost', async () => {
    const { lane, clock, losses } = open(['stream']);
    lane(0).openLane();
    lane(0).deliverFrame(word(1));
    lane(0).loseLane({ kind: 'silent' });
    expect(losses).toHaveLength(1);
    expect(clock.waiting).toBe(0);
    expect(lane(0).sent).toEqual([]);
  });

  it('acknowledges a redelivered frame again', () => {
    const { lane } = open(['stream']);
    lane(0).openLane();
    lane(0).deliverFrame(status(1));
    lane(0).deliverFrame(status(1));
    expect(lane(0).sent).toEqual([
      { type: 'ack', seq: 1 },
      { type: 'ack', seq: 1 },
    ]);
  });

  it('acknowledges nothing to an App Server', () => {
    const { lane, frames } = open(['direct'], {}, false);
    lane(0).openLane();
    lane(0).deliverFrame(status(1));
    expect(lane(0).sent).toEqual([]);
    expect(frames).toHaveLength(1);
  });

  it('sends requests on its first lane only', () => {
    const { link, lane } = open(['control', 'stream']);
    lane(0).openLane();
    lane(1).openLane();
    link.send({ type: 'sync' });
    expect(lane(0).sent).toEqual([{ type: 'sync' }]);
    expect(lane(1).sent).toEqual([]);
  });

  it('closes all lanes when one is lost, and reports it once', () => {
    const { lane, losses, frames } = open(['control', 'stream']);
    lane(0).openLane();
    lane(1).openLane();
    lane(1).loseLane({ kind: 'silent' });
    lane(0).deliverFrame(status(9));
    lane(0).loseLane();
    expect(lane(0).isClosed).toBe(true);
    expect(losses).toEqual([{ kind: 'silent' }]);
    expect(frames).toEqual([]);
  });

  it('counts and acknowledges unusable frames, and goes on', () => {
    const { link, lane, frames, log } = open(['stream']);
    lane(0).openLane();
    for (const text of ['{"secret":"stream_de', '', 'null', '[1]', '"x"']) lane(0).deliverFrame(text);
    lane(0).deliverFrame({ type: 'unheard_of', secret: 1, seq: 3 });
    lane(0).deliverFrame({ type: 'turn_finished', secret: 1, seq: 4 });
    lane(0).deliverFrame(status(5));
    expect(link.counts).toEqual({ unknown: 1, malformed: 6 });
    expect(lane(0).sent.map((frame) => frame.seq)).toEqual([3, 4, 5]);
    expect(frames).toHaveLength(1);
    expect(JSON.stringify(log.lines)).not.toContain('secret');
  });

  it('goes on when its consumer throws', () => {
    const { lane, log, losses } = open(['stream'], {
      onFrame: () => {
        throw new Error('bug');
      },
    });
    lane(0).openLane();
    lane(0).deliverFrame(status(1));
    lane(0).deliverFrame(status(2));
    expect(lane(0).sent).toHaveLength(2);
    expect(log.lines.filter((line) => line.level === 'error')).toHaveLength(2);
    expect(losses).toEqual([]);
  });

  it('does not hand pongs on', () => {
    const { lane, frames } = open(['stream']);
    lane(0).openLane();
    lane(0).deliverFrame({ type: 'pong' });
    expect(frames).toEqual([]);
  });

  it('reports nothing after it was closed', () => {
    const { link, lane, losses } = open(['control', 'stream']);
    link.close();
    link.close();
    lane(0).loseLane();
    expect(lane(1).isClosed).toBe(true);
    expect(losses).toEqual([]);
  });
});
