import { describe, expect, it } from 'vitest';
import type { AgentEvent } from '../../../src/bridge/agent-event.ts';
import { createMiddle, createRunning, type Middle, THREAD } from '../../support/middle.ts';

const ask: AgentEvent = {
  type: 'approval-asked',
  request: { requestId: 'perm-1', callId: null, tool: 'Bash', input: {}, diffs: [], suggestions: [], questions: null },
};

/** The result once there is one. */
function drained(middle: Middle, ms = 20_000) {
  const seen: { left: Awaited<ReturnType<Middle['workers']['drain']>> | null } = { left: null };
  void middle.workers.drain(ms).then((left) => {
    seen.left = left;
  });
  return seen;
}

const NOTHING = { running: 0, waitingForPeople: 0, waitingForLetta: 0, waitingMessages: 0 };

describe('a drain', () => {
  it('waits for a running turn and its last post', async () => {
    const middle = await createRunning();
    const result = drained(middle);
    await middle.clock.advance(5_000);
    expect(result.left).toBeNull();
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    middle.connection.say('Done.');
    middle.connection.end();
    await middle.clock.advance(1_000);
    expect(result.left).toBeNull();
    gate.resolve();
    await middle.clock.advance(1_000);
    expect(result.left).toEqual(NOTHING);
    expect(middle.record().turn).toBeNull();
  });

  it('gives up after its time, and tells what is left', async () => {
    const middle = await createRunning();
    const result = drained(middle, 20_000);
    await middle.clock.advance(19_900);
    expect(result.left).toBeNull();
    await middle.clock.advance(200);
    expect(result.left).toEqual({ ...NOTHING, running: 1 });
    expect(middle.record().turn?.state).toBe('submitted');
  });

  it('shows no card that the failing disk does not have', async () => {
    const middle = await createRunning();
    middle.threads.failing = 1_000;
    middle.connection.emit(ask);
    await middle.clock.settle();
    const result = drained(middle, 1_000);
    await middle.clock.advance(5_000);
    expect(result.left).not.toBeNull();
    expect(JSON.stringify(middle.surface.views)).not.toContain('perm-1');
    expect(middle.surface.views.flatMap(({ items }) => items.filter(({ kind }) => kind === 'card'))).toEqual([]);
  });

  it('begins no new turn; messages run after the next start', async () => {
    const middle = await createRunning();
    const result = drained(middle);
    await middle.write('and then this');
    await middle.write('elsewhere', { ts: '2000.000001', thread: null, mention: true });
    middle.connections[0]?.end();
    await middle.clock.advance(1_000);
    expect(result.left).toEqual({ ...NOTHING, waitingMessages: 2 });
    expect(middle.connections.flatMap((connection) => connection.submitted)).toHaveLength(1);
    expect(middle.record(THREAD).inbox).toHaveLength(1);
    await middle.restart();
    for (const connection of middle.connections.slice(1)) connection.ready();
    await middle.clock.settle();
    expect(middle.connections.flatMap((connection) => connection.submitted)).toHaveLength(3);
  });

  it('does not send a prepared turn', async () => {
    const middle = createMiddle();
    await middle.write('hello');
    const result = drained(middle);
    middle.connection.ready();
    await middle.clock.advance(1_000);
    expect(middle.connection.submitted).toEqual([]);
    expect(result.left).toEqual({ ...NOTHING, waitingMessages: 1 });
  });

  it('does not wait for turns that wait for people or Letta', async () => {
    const middle = await createRunning();
    middle.connection.emit(ask);
    await middle.clock.settle();
    const result = drained(middle);
    await middle.clock.advance(100);
    expect(result.left).toEqual({ ...NOTHING, waitingForPeople: 1 });

    const other = await createRunning();
    other.connection.emit({ type: 'lost', reason: 'closed' });
    await other.clock.settle();
    const second = drained(other);
    await other.clock.advance(100);
    expect(second.left).toEqual({ ...NOTHING, waitingForLetta: 1 });
  });

  it('open turn: shows a pause without Stop, and no later text', async () => {
    const middle = await createRunning();
    middle.connection.say('One two');
    await middle.clock.advance(3_000);
    const result = drained(middle, 20_000);
    await middle.clock.advance(20_000);
    expect(result.left).toEqual({ ...NOTHING, running: 1 });
    const paused = middle.surface.last;
    expect(paused.live).toEqual({ activity: { kind: 'paused' }, stop: null, queued: 0 });
    expect(paused.items).toEqual([{ kind: 'text', markdown: 'One two' }]);
    middle.connection.say(' three');
    await middle.clock.advance(3_000);
    expect(middle.surface.last).toBe(paused);
  });

  it('turn that waits for people or Letta: shows the pause, same card', async () => {
    const middle = await createRunning();
    middle.connection.emit(ask);
    await middle.clock.settle();
    const [card] = middle.surface.last.items;
    drained(middle);
    await middle.clock.advance(100);
    expect(middle.surface.last.live).toMatchObject({ activity: { kind: 'paused' }, stop: null });
    expect(middle.surface.last.items).toEqual([card]);

    const other = await createRunning();
    other.connection.emit({ type: 'lost', reason: 'closed' });
    await other.clock.settle();
    drained(other);
    await other.clock.advance(100);
    expect(other.surface.last.live).toMatchObject({ activity: { kind: 'paused' }, stop: null });
  });

  it('turn ends while the pause is posted: shows the end', async () => {
    const middle = await createRunning();
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    const result = drained(middle, 1_000);
    await middle.clock.advance(1_100);
    expect(middle.surface.last.live?.activity.kind).toBe('paused');
    middle.connection.say('Done.');
    middle.connection.end();
    await middle.clock.advance(100);
    expect(middle.surface.last.ending?.outcome).toBe('done');
    expect(result.left).toBeNull();
    gate.resolve();
    await middle.clock.advance(100);
    expect(result.left).not.toBeNull();
  });

  it('waits seconds for Slack, and not at all once closed', async () => {
    const middle = await createRunning();
    middle.surface.gate = new Promise(() => undefined);
    const result = drained(middle, 0);
    await middle.clock.advance(3_900);
    expect(result.left).toBeNull();
    await middle.clock.advance(200);
    expect(result.left).toEqual({ ...NOTHING, running: 1 });

    const other = await createRunning();
    other.surface.gate = new Promise(() => undefined);
    const second = drained(other, 0);
    await other.clock.settle();
    other.workers.close();
    await other.clock.settle();
    expect(second.left).toEqual({ ...NOTHING, running: 1 });
  });

  it('after the next start: the turn is shown live again', async () => {
    const middle = await createRunning();
    middle.connection.say('One two');
    await middle.clock.advance(3_000);
    drained(middle, 0);
    await middle.clock.advance(100);
    expect(middle.surface.last.live?.activity.kind).toBe('paused');
    await middle.restart();
    expect(middle.surface.last.live?.activity.kind).not.toBe('paused');
    expect(middle.surface.last.live?.stop).not.toBeNull();
  });
});
