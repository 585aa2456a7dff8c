import { describe, expect, it } from 'vitest';
import { command, createStage, event, type StagedReplica } from './stage.ts';

const T = 'T01';
const EXPIRY_MS = 15_000;

const serving = (replicas: readonly StagedReplica[], id = T) =>
  replicas.filter(({ keeper }) => keeper.find(id) !== null).map(({ name }) => name);

/** Two replicas of a bridge with one token; the first one serves it. */
async function pair() {
  const stage = createStage([T], { configured: T });
  const [a, b] = [stage.replica('a'), stage.replica('b')];
  await a.keeper.start();
  await b.keeper.start();
  await stage.clock.advance(2_000);
  return { ...stage, a, b, both: [a, b] };
}

describe('the workspace of the bot token', () => {
  it('is served by one replica from the start', async () => {
    const { both, a, b } = await pair();
    expect(serving(both)).toEqual(['a']);
    expect(a.happened).toEqual(['T01 start', 'T01 served']);
    expect(b.happened).toEqual([]);
  });

  it('killed owner: taken over within two seconds of the expiry', async () => {
    const { both, a, b, clock } = await pair();
    a.kill();
    a.freeze();
    await clock.advance(EXPIRY_MS - 3_000);
    expect(serving([b])).toEqual([]);
    await clock.advance(5_000);
    expect(serving([b])).toEqual(['b']);
    expect(both).toHaveLength(2);
  });

  it('owner that ends: taken over within a second', async () => {
    const { a, b, clock } = await pair();
    const ending = a.keeper.drain(20_000);
    await clock.advance(0);
    await ending;
    expect(a.happened.slice(-2)).toEqual(['T01 drain', 'T01 stop']);
    await clock.advance(1_000);
    expect(serving([b])).toEqual(['b']);
  });

  it('owner cut off: stops by its own clock, before another one begins', async () => {
    const { a, both, clock } = await pair();
    a.cut();
    const owners: string[] = [];
    for (let ms = 0; ms < 60_000; ms += 100) {
      await clock.advance(100);
      const now = serving(both);
      expect(now.length).toBeLessThan(2);
      owners.push(now[0] ?? '-');
    }
    expect(owners.join('')).toMatch(/^a+-*b+$/);
    expect(a.happened).toContain('T01 freeze');
    const { length } = a.left;
    a.heal();
    await clock.advance(30_000);
    expect(a.left).toHaveLength(length);
    expect(serving(both)).toEqual(['b']);
  });

  it('owner frozen for a minute: nothing leaves it when it wakes', async () => {
    const { a, b, clock } = await pair();
    a.freeze();
    await clock.advance(60_000);
    expect(serving([b])).toEqual(['b']);
    const { length } = a.left;
    a.thaw();
    await clock.advance(10_000);
    expect(a.left).toHaveLength(length);
    expect(serving([a, b])).toEqual(['b']);
  });

  it('database away for all: taken again when it is back', async () => {
    const { a, b, both, clock } = await pair();
    for (const each of both) each.cut();
    await clock.advance(60_000);
    expect(serving(both)).toEqual([]);
    for (const each of both) each.heal();
    await clock.advance(2_000);
    expect(serving(both)).toHaveLength(1);
    expect([...a.log.lines, ...b.log.lines].filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('cannot be opened: tried again later, and by others', async () => {
    const { a, b, clock } = await pair();
    b.fails = () => Promise.reject(new Error('no way to Slack'));
    a.kill();
    a.freeze();
    await clock.advance(120_000);
    const failures = b.log.lines.filter(({ message }) => message === 'could not open a workspace');
    expect(failures.length).toBeGreaterThan(1);
    expect(failures.length).toBeLessThan(10);
    b.fails = async () => undefined;
    await clock.advance(120_000);
    expect(serving([b])).toEqual(['b']);
  });
});

describe('workspaces that people installed', () => {
  it('are opened by their first delivery, and let go when idle', async () => {
    const { replica, clock, database } = createStage([T, 'T02']);
    const a = replica('a');
    await a.keeper.start();
    expect(a.happened).toEqual([]);
    await a.deliver(event(T, 1));
    await clock.advance(1_000);
    expect(a.happened).toEqual(['T01 start', 'T01 served', 'T01 took 1']);
    a.live.set(T, 1);
    await clock.advance(20 * 60_000);
    expect(serving([a])).toEqual(['a']);
    a.live.set(T, 0);
    await clock.advance(10 * 60_000);
    expect(a.keeper.list()).toEqual([]);
    expect(database.owner(T)).toBeNull();
    await clock.advance(60_000);
    expect(a.happened.filter((each) => each === 'T01 start')).toHaveLength(1);
    await a.deliver(event(T, 2));
    await clock.advance(1_000);
    expect(a.happened.slice(-1)).toEqual(['T01 took 2']);
  });

  it('are shared by the replicas, each served by one', async () => {
    const ids = Array.from({ length: 40 }, (_, n) => `T${100 + n}`);
    const { replica, clock } = createStage(ids);
    const both = [replica('a'), replica('b')];
    for (const each of both) await each.keeper.start();
    for (const [n, id] of ids.entries()) await both[n % 2]?.deliver(event(id, n));
    await clock.advance(5_000);
    const owners = ids.map((id) => serving(both, id));
    for (const owner of owners) expect(owner).toHaveLength(1);
    for (const name of ['a', 'b']) {
      expect(owners.filter(([owner]) => owner === name).length).toBeGreaterThan(10);
    }
  });

  it('are taken over when their replica is killed, without a delivery', async () => {
    const ids = Array.from({ length: 50 }, (_, n) => `T${100 + n}`);
    const { replica, clock } = createStage(ids);
    const [a, b] = [replica('a'), replica('b')];
    await a.keeper.start();
    for (const [n, id] of ids.entries()) await a.deliver(event(id, n));
    await clock.advance(2_000);
    expect(a.keeper.list()).toHaveLength(ids.length);
    await b.keeper.start();
    a.kill();
    a.freeze();
    await clock.advance(EXPIRY_MS + 2_000);
    expect(b.keeper.list()).toHaveLength(ids.length);
  });

  it('more than a process may serve: those that are idle make room', async () => {
    const ids = ['T01', 'T02', 'T03'];
    const { replica, clock } = createStage(ids);
    const a = replica('a', { most: 2 });
    await a.keeper.start();
    a.live.set('T01', 1);
    for (const [n, id] of ids.entries()) {
      await a.deliver(event(id, n));
      await clock.advance(3_000);
    }
    expect(a.keeper.list().map(({ id }) => id)).toEqual(['T01', 'T03']);
    expect(a.happened).toContain('T03 took 2');
  });
});

describe('a delivery at a replica that does not serve the workspace', () => {
  it('event: stored, then taken by the owner, once and in order', async () => {
    const { a, b, clock, database } = await pair();
    for (let n = 1; n <= 20; n += 1) await (n % 3 === 0 ? a : b).deliver(event(T, n));
    await clock.advance(100);
    const took = a.happened.filter((each) => each.includes('took'));
    expect(took).toHaveLength(20);
    const overTable = took.filter((each) => Number(each.split(' ')[2]) % 3 !== 0);
    expect(overTable).toEqual([...overTable].sort((x, y) => Number(x.split(' ')[2]) - Number(y.split(' ')[2])));
    expect(b.happened).toEqual([]);
    expect(database.inbound).toEqual([]);
  });

  it('command: answered with the reply of the owner', async () => {
    const { a, b, clock } = await pair();
    a.handle = async () => 'from a';
    const reply = b.deliver(command(T, 1));
    await clock.advance(100);
    expect(await reply).toBe('from a');
  });

  it('command that the owner does not answer: the person is told', async () => {
    const { a, b, clock } = await pair();
    a.handle = () => new Promise(() => undefined);
    const reply = b.deliver(command(T, 1));
    await clock.advance(2_500);
    expect(await reply).toMatchObject({ text: expect.stringContaining('Check whether it happened') });
  });

  it('command without an owner: told to try again, never done later', async () => {
    const { a, b, clock } = await pair();
    b.fails = () => Promise.reject(new Error('no way to Slack'));
    a.kill();
    a.freeze();
    const reply = b.deliver(command(T, 1));
    await clock.advance(2_500);
    expect(await reply).toMatchObject({ text: expect.stringContaining('nothing happened') });
    b.fails = async () => undefined;
    await clock.advance(10 * 60_000);
    expect(serving([b])).toEqual(['b']);
    expect(b.happened).not.toContain('T01 took 1');
  });

  it('event without an owner: taken by the next one', async () => {
    const { a, b, clock } = await pair();
    a.kill();
    a.freeze();
    await b.deliver(event(T, 1));
    await clock.advance(EXPIRY_MS + 2_000);
    expect(b.happened).toEqual(['T01 start', 'T01 served', 'T01 took 1']);
  });

  it('database away: not acknowledged, so that Slack delivers it again', async () => {
    const { b } = await pair();
    b.cut();
    await expect(b.deliver(event(T, 1))).rejects.toMatchObject({ code: 'store_failed', retry: true });
  });
});

describe('a delivery in work when the lease is lost', () => {
  it('command: not begun again, and the person is told', async () => {
    const { a, b, clock } = await pair();
    const begun: string[] = [];
    for (const each of [a, b]) {
      each.handle = () => {
        begun.push(each.name);
        return new Promise(() => undefined);
      };
    }
    const reply = a.deliver(command(T, 1));
    await clock.advance(0);
    a.cut();
    await clock.advance(EXPIRY_MS + 2_000);
    expect(await reply).toMatchObject({ text: expect.stringContaining('Check whether it happened') });
    a.heal();
    await clock.advance(60_000);
    expect(begun).toEqual(['a']);
  });

  it('goes on at the next owner', async () => {
    const { a, b, clock, database } = await pair();
    a.handle = () => new Promise(() => undefined);
    const delivered = a.deliver(event(T, 1));
    await clock.settle();
    // Somebody else has it now; the owner learns of it at its next renewal.
    const row = database.leases.get(T);
    if (row) Object.assign(row, { owner: 'c', fence: row.fence + 1, until: clock.monotonic() + 8_000 });
    a.fails = () => Promise.reject(new Error('busy'));
    await clock.advance(6_000);
    await delivered;
    await clock.advance(20_000);
    expect(serving([a, b])).toEqual(['b']);
    expect([...a.happened, ...b.happened].filter((each) => each === 'T01 took 1')).toHaveLength(1);
  });
});

describe('a workspace without a token', () => {
  it('keeps its rows, and is not asked for again and again', async () => {
    const { replica, clock, database } = createStage([]);
    database.leases.set(T, { owner: 'before', fence: 7, until: 0, isServed: true });
    database.rowsOf(`${T}/choices`).set('choices:agent', '{"value":"agent-1"}');
    const a = replica('a');
    await a.keeper.start();
    await clock.advance(60_000);
    expect(a.keeper.list()).toEqual([]);
    expect(database.rowsOf(`${T}/choices`).size).toBe(1);
    expect(database.leases.get(T)).toMatchObject({ isServed: false, fence: 8 });
  });
});
