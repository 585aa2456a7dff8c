import { describe, expect, it } from 'vitest';
import type { StoredRuntime } from '../../../src/bridge/agent-event.ts';
import { makeThreadKey } from '../../../src/bridge/ids.ts';
import { BridgeError } from '../../../src/errors.ts';
import { createRunning, type Middle, TEAM } from '../../support/middle.ts';

const COPY: StoredRuntime = { agentId: 'agent-1', conversationId: 'copy-1', deviceId: null };
const ROOT = '3000.000001';
const THERE = makeThreadKey({ team: TEAM, channel: 'C01GEN', root: ROOT });

/** A thread whose first turn is over. */
async function quiet(options: Parameters<typeof createRunning>[0] = {}): Promise<Middle> {
  const middle = await createRunning(options);
  middle.connection.say('a.txt');
  middle.connection.end();
  await middle.clock.settle();
  return middle;
}

/** The same, and Letta does not answer before `done` is called. */
async function copying() {
  const middle = await quiet();
  const { promise, resolve, reject } = Promise.withResolvers<StoredRuntime>();
  middle.connection.onFork = () => promise;
  await middle.write('!fork');
  await middle.clock.settle();
  return { middle, done: resolve, fail: reject };
}

const said = ({ surface }: Middle) => surface.said.map(({ text }) => text);
const whispered = ({ surface }: Middle) => surface.whispered.map(({ text }) => text);

describe('!fork', () => {
  it('begins a new thread with a copy, each thread names the other', async () => {
    const middle = await quiet();
    await middle.write('!fork');
    await middle.clock.settle();
    expect(middle.connection.forks).toEqual([{ id: expect.any(String), upTo: null }]);
    expect(middle.surface.begun).toEqual([
      { address: expect.objectContaining({ channel: 'C01GEN', threadTs: null }), text: expect.anything(), ts: ROOT },
    ]);
    expect(middle.surface.begun[0]?.text).toContain('Name of U01ALICE goes on from another thread here');
    expect(said(middle).at(-1)).toContain('goes on from here in a new thread');
    expect(middle.record(THERE)).toMatchObject({ runtime: COPY, participants: ['U01ALICE'], starter: 'U01ALICE' });
    expect(middle.record(THERE).isShared).toBeUndefined();
    expect(middle.record().fork).toBeUndefined();
    expect(middle.record().runtime?.conversationId).toBe('conv-1');
  });

  it('a reply there: runs in the copy, answered there alone', async () => {
    const middle = await quiet();
    await middle.write('!fork');
    await middle.clock.settle();
    await middle.write('and in the copy?', { thread: ROOT, ts: '3000.000009', mention: false });
    expect(middle.connection.options.runtime).toEqual(COPY);
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.surface.last.address.threadTs).toBe(ROOT);
  });

  it('shows in the copy nothing that others asked before it', async () => {
    const middle = await quiet();
    await middle.write('!fork');
    await middle.clock.settle();
    await middle.write('and in the copy?', { thread: ROOT, ts: '3000.000009', mention: false });
    const copied = [
      { kind: 'user', id: 'u-old', clientMessageId: 'prog-old', text: 'long ago' },
      { kind: 'assistant', id: 'a-old', text: 'Long ago.' },
    ] as const;
    middle.connection.past = [...copied];
    middle.connection.ready({ runtime: COPY, newestItem: 'a-old' });
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(1);
    expect(middle.surface.turns).toHaveLength(2);
    expect(JSON.stringify(middle.surface.views)).not.toContain('Long ago');
    expect(middle.record(THERE).clients).toMatchObject({ from: 'a-old' });
  });

  it('given twice: makes one thread', async () => {
    const { middle, done } = await copying();
    await middle.write('!fork');
    await middle.clock.settle();
    expect(whispered(middle).at(-1)).toContain('already');
    done(COPY);
    await middle.clock.settle();
    expect(middle.surface.begun).toHaveLength(1);
  });

  it('while a turn runs: refuses, for half a turn', async () => {
    const middle = await createRunning();
    await middle.write('!fork');
    await middle.clock.settle();
    expect(middle.connection.forks).toEqual([]);
    expect(whispered(middle).at(-1)).toContain('half of an answer');
  });

  it('while the last answer is being finished: begins behind it', async () => {
    const middle = await createRunning();
    const gate = Promise.withResolvers<void>();
    middle.surface.gate = gate.promise;
    middle.connection.end();
    await middle.clock.settle();
    await middle.write('!fork');
    await middle.clock.settle();
    expect(middle.connection.forks).toEqual([]);
    middle.surface.gate = null;
    gate.resolve();
    await middle.clock.settle();
    expect(middle.surface.begun).toHaveLength(1);
  });

  it('a message meanwhile: waits until Letta has the copy', async () => {
    const { middle, done } = await copying();
    await middle.write('and now?');
    await middle.clock.advance(20_000);
    expect(middle.connection.submitted).toHaveLength(1);
    expect(JSON.stringify(middle.surface.last.live)).toContain('being copied');
    done(COPY);
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
    expect(middle.surface.begun).toHaveLength(1);
  });

  it('answer lost with the link: asks again under the same id', async () => {
    const { middle, fail } = await copying();
    fail(new BridgeError('link_lost', 'lost', { certain: false, retry: true }));
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    middle.connection.onFork = () => Promise.resolve(COPY);
    middle.connection.ready({ reconnected: true });
    await middle.clock.settle();
    const [first, second] = middle.connection.forks;
    expect(middle.connection.forks).toHaveLength(2);
    expect(second?.id).toBe(first?.id);
    expect(middle.surface.begun).toHaveLength(1);
  });

  it('killed while Letta copies: goes on under the same id', async () => {
    const { middle } = await copying();
    const [{ id } = { id: '' }] = middle.connection.forks;
    await middle.restart();
    middle.connection.ready();
    await middle.clock.settle();
    expect(middle.connection.forks).toEqual([{ id, upTo: null }]);
    expect(middle.surface.begun).toHaveLength(1);
    expect(middle.record(THERE).runtime).toEqual(COPY);
  });

  it('killed after the copy, before the post: begins one thread', async () => {
    const middle = await quiet();
    middle.surface.delivery = { delivered: false, reason: 'timeout' };
    await middle.write('!fork');
    await middle.clock.settle();
    expect(middle.record().fork).toMatchObject({ made: COPY });
    middle.surface.delivery = { delivered: true };
    await middle.restart();
    expect(middle.surface.begun).toHaveLength(1);
    expect(middle.connections.flatMap(({ forks }) => forks)).toHaveLength(1);
    expect(middle.record(THERE).runtime).toEqual(COPY);
    expect(middle.record().fork).toBeUndefined();
  });

  it('killed after the post, before it was stored: finds the thread', async () => {
    const middle = await quiet();
    const posted = middle.surface.beginThread.bind(middle.surface);
    // The answer to the post never comes.
    middle.surface.beginThread = async (...given) => {
      await posted(...given);
      return new Promise(() => undefined);
    };
    await middle.write('!fork');
    await middle.clock.settle();
    middle.surface.beginThread = posted;
    await middle.restart();
    expect(middle.surface.begun).toHaveLength(1);
    expect(middle.record(THERE).runtime).toEqual(COPY);
    expect(said(middle).filter((text) => text.includes('in a new thread'))).toHaveLength(1);
  });

  it('killed after the thread was stored: links it once', async () => {
    const middle = await quiet();
    const say = middle.surface.say.bind(middle.surface);
    middle.surface.say = () => new Promise(() => undefined);
    await middle.write('!fork');
    await middle.clock.settle();
    middle.surface.say = say;
    await middle.restart();
    expect(middle.surface.begun).toHaveLength(1);
    expect(said(middle).filter((text) => text.includes('in a new thread'))).toHaveLength(1);
    expect(middle.record().fork).toBeUndefined();
  });

  it('Slack refuses for long: is given up, and its author told', async () => {
    const middle = await quiet();
    middle.surface.delivery = { delivered: false, reason: 'is_archived' };
    await middle.write('!fork');
    await middle.clock.advance(40 * 60_000);
    expect(middle.record().fork).toBeUndefined();
    expect(whispered(middle).at(-1)).toContain('unused copy');
  });

  it('Letta refuses: tells who asked, and the thread goes on', async () => {
    const { middle, fail } = await copying();
    fail(new BridgeError('letta_refused', 'no', { notice: 'Letta did not copy it.' }));
    await middle.clock.settle();
    expect(whispered(middle).at(-1)).toBe('Letta did not copy it.');
    await middle.write('and now?');
    await middle.clock.settle();
    expect(middle.connection.submitted).toHaveLength(2);
  });

  it('Letta away for long: is given up, and Letta never asked', async () => {
    const middle = await quiet();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('!fork');
    await middle.clock.advance(4 * 60_000);
    expect(middle.connection.forks).toEqual([]);
    expect(whispered(middle).at(-1)).toContain('could not reach Letta');
  });

  it('its author lost access meanwhile: no copy, no thread', async () => {
    const middle = await quiet();
    middle.connection.emit({ type: 'lost', reason: 'closed' });
    await middle.write('!fork');
    middle.people.kinds.U01ALICE = 'guest';
    middle.connection.ready({ reconnected: true });
    await middle.clock.settle();
    expect(middle.connection.forks).toEqual([]);
    expect(middle.surface.begun).toEqual([]);
    expect(middle.record().fork).toBeUndefined();
  });

  it('its author lost access before the post: nothing is posted', async () => {
    const { middle, done } = await copying();
    middle.people.kinds.U01ALICE = 'guest';
    done(COPY);
    await middle.clock.settle();
    expect(middle.surface.begun).toEqual([]);
    expect(middle.record().fork).toBeUndefined();
  });

  it('!new meanwhile: waits for the new thread', async () => {
    const { middle, done } = await copying();
    await middle.write('!new');
    expect(whispered(middle).at(-1)).toContain('already');
    done(COPY);
    await middle.clock.settle();
    await middle.write('!new');
    await middle.clock.settle();
    expect(middle.record().runtime).toBeNull();
    expect(middle.record(THERE).runtime).toEqual(COPY);
  });

  it('without a conversation: says so', async () => {
    const middle = await quiet();
    await middle.write('!fork', { ts: '5000.000001', thread: null, mention: true });
    expect(whispered(middle).at(-1)).toMatch(/conversation/);
    expect(middle.connection.forks).toEqual([]);
  });
});
