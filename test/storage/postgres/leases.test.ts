import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Lease, StoreHouse } from '../../../src/storage/house.ts';
import { createFreezableClock } from '../../support/postgres/frozen-clock.ts';
import { openReplica, takeLease } from '../../support/postgres/replica.ts';
import { createSchema, findServer, type Schema } from '../../support/postgres/schema.ts';
import { threadKeyOf, threadRecord } from '../../support/records.ts';
import { until } from '../../support/until.ts';

const server = await findServer();
const KEY = threadKeyOf(1);
/** Short, for tests in which a lease runs out. */
const SHORT = { heartbeatMs: 300, expiryMs: 1_500 };

describe.skipIf(server === null)('leases on Postgres', () => {
  let schema: Schema;
  let workspaces = 0;
  beforeAll(async () => {
    schema = await createSchema(server ?? '');
  });
  afterAll(() => schema.drop());
  const newWorkspace = () => {
    workspaces += 1;
    return `T${workspaces}`;
  };
  const replica = (options = {}) => openReplica(schema.uri, options);
  const rowOf = async (workspace: string) => {
    const [row] = await schema.run<{ fence: string; expires: string }>(
      'SELECT fence, expires_at::text AS expires FROM bridge_leases WHERE workspace = $1',
      [workspace],
    );
    return row;
  };

  it('taken by many processes at once: go to one of them', async () => {
    const replicas = await Promise.all([replica(), replica(), replica()]);
    for (let round = 0; round < 20; round += 1) {
      const workspace = newWorkspace();
      const taken = await Promise.all(
        replicas.flatMap((one) => [one.leases.take(workspace), one.leases.take(workspace)]),
      );
      const holders = taken.filter((lease) => lease !== null);
      expect(holders).toHaveLength(2);
      expect(holders[0]).toBe(holders[1]);
    }
  });

  it('have a fence that grows with each owner', async () => {
    const [one, two] = await Promise.all([replica(), replica()]);
    const workspace = newWorkspace();
    const fences: number[] = [];
    for (const owner of [one, two, two, one]) {
      const lease = await takeLease(owner, workspace);
      fences.push(Number(lease.fence));
      await lease.release();
      expect(lease.isHeld()).toBe(false);
    }
    // It grows when a lease is given up, too.
    expect(fences).toEqual([1, 3, 5, 7]);
  });

  it('are renewed by the database’s clock, whatever the process’s own says', async () => {
    const clock = createFreezableClock();
    clock.stepWallClock(-3_600_000);
    const late = await replica({ clock, heartbeatMs: 100 });
    const workspace = newWorkspace();
    const lease = await takeLease(late, workspace);
    const before = await rowOf(workspace);
    let after = before;
    while (after?.expires === before?.expires) after = await rowOf(workspace);
    expect(lease.isHeld()).toBe(true);
    expect(await (await replica()).leases.take(workspace)).toBeNull();
  });

  async function storeOf(
    house: StoreHouse,
    workspace: string,
  ): Promise<{ lease: Lease; store: Awaited<ReturnType<StoreHouse['openWorkspace']>> }> {
    const lease = await takeLease(house, workspace);
    return { lease, store: await house.openWorkspace(workspace, lease) };
  }

  for (const stopsTime of [true, false]) {
    it(`are lost by a process frozen beyond expiry (${stopsTime ? 'its clock stood still' : 'its clock went on'})`, async () => {
      const clock = createFreezableClock();
      const frozen = await replica({ clock, ...SHORT });
      const other = await replica();
      const workspace = newWorkspace();
      const { lease, store } = await storeOf(frozen, workspace);
      await store.threads.update(KEY, () => threadRecord(KEY, { participants: ['U1'] }));
      clock.freeze({ stopsTime });
      let next: Lease | null = null;
      while (next === null) next = await other.leases.take(workspace);
      const taken = await other.openWorkspace(workspace, next);
      await taken.threads.update(KEY, (record) => record && { ...record, participants: ['U2'] });

      if (stopsTime) expect(lease.isHeld()).toBe(true);
      const write = store.threads.update(KEY, (record) => ({ ...(record ?? threadRecord(KEY)), participants: ['U3'] }));
      await expect(write).rejects.toMatchObject({ code: 'lease_lost' });
      expect(lease.isHeld()).toBe(false);
      expect(lease.lost.aborted).toBe(true);
      // Neither may it take what the other one wrote for its own.
      await expect(store.threads.load(KEY)).rejects.toMatchObject({ code: 'lease_lost' });
      await expect(store.choices.set('agent', 'agent-3')).rejects.toMatchObject({ code: 'lease_lost' });
      clock.thaw();
      expect((await taken.threads.load(KEY))?.participants).toEqual(['U2']);
      expect(await taken.choices.get('agent')).toBeNull();
    });
  }

  it.each([
    ['its own clock', (clock: ReturnType<typeof createFreezableClock>) => clock.skip(60_000)],
    ['the wall clock, after the machine slept', (clock) => clock.stepWallClock(60_000)],
  ])('are known to be over by %s, without the database', async (_, pass) => {
    const clock = createFreezableClock();
    const house = await replica({ clock });
    const { lease, store } = await storeOf(house, newWorkspace());
    pass(clock);
    expect(lease.isHeld()).toBe(false);
    expect(lease.lost.reason).toMatchObject({ code: 'lease_lost' });
    await expect(store.choices.set('agent', 'agent-1')).rejects.toMatchObject({ code: 'lease_lost' });
    // For the database it is still this process's, so it need not wait.
    const again = await takeLease(house, lease.workspace);
    expect(Number(again.fence)).toBe(Number(lease.fence) + 1);
    await expect(store.choices.set('agent', 'agent-1')).rejects.toMatchObject({ code: 'lease_lost' });
    await (await house.openWorkspace(lease.workspace, again)).choices.set('agent', 'agent-2');
  });

  it('are offered to a waiting process as soon as they are released', async () => {
    const [one, two] = await Promise.all([replica(), replica()]);
    const workspace = newWorkspace();
    const lease = await takeLease(one, workspace);
    const { promise, resolve } = Promise.withResolvers<number>();
    const stop = two.leases.watch(workspace, () => {
      void two.leases.take(workspace).then((taken) => taken && resolve(performance.now()));
    });
    await sleep(300);
    const released = performance.now();
    await lease.release();
    expect((await promise) - released).toBeLessThan(4_000);
    stop();
  });

  it('of a dead process are offered once they have expired', async () => {
    const clock = createFreezableClock();
    const dead = await replica({ clock, ...SHORT });
    const alive = await replica();
    const workspace = newWorkspace();
    await takeLease(dead, workspace);
    let taken: Lease | null = null;
    const stop = alive.leases.watch(workspace, async () => {
      taken ??= await alive.leases.take(workspace);
    });
    await sleep(2 * SHORT.expiryMs);
    expect(taken).toBeNull();
    clock.freeze();
    await until(
      () => taken !== null,
      () => 'not taken',
    );
    stop();
    clock.thaw();
  });

  it('are lost at the next renewal once another process has them', async () => {
    const house = await replica({ heartbeatMs: 100 });
    const workspace = newWorkspace();
    const lease = await takeLease(house, workspace);
    const lost = new Promise((resolve) => lease.lost.addEventListener('abort', resolve));
    await schema.run(`UPDATE bridge_leases SET holder = 'x', process = 'x', fence = fence + 1 WHERE workspace = $1`, [
      workspace,
    ]);
    await lost;
    expect(lease.isHeld()).toBe(false);
  });

  it('are taken over from a process that vanished during a write', async () => {
    const clock = createFreezableClock();
    const gone = await replica({ clock, ...SHORT });
    const other = await replica();
    const workspace = newWorkspace();
    const lease = await takeLease(gone, workspace);
    // Its connection is open, and holds the row as a write does that never gets its end.
    const stuck = new Client({ connectionString: schema.uri });
    stuck.on('error', () => undefined);
    await stuck.connect();
    onTestFinished(() => stuck.end());
    await stuck.query('BEGIN');
    await stuck.query('SELECT 1 FROM bridge_leases WHERE workspace = $1 AND fence = $2 FOR KEY SHARE', [
      workspace,
      lease.fence,
    ]);
    clock.freeze();
    let next: Lease | null = null;
    while (next === null) next = await other.leases.take(workspace);
    expect(Number(next.fence)).toBe(Number(lease.fence) + 1);
    clock.thaw();
  });

  it('exclude each other and a write that is under way', async () => {
    const [one, two] = await Promise.all([replica(), replica()]);
    const workspace = newWorkspace();
    const { store } = await storeOf(one, workspace);
    await store.choices.set('n', '0');
    // The row is held as a write does; the takeover has to wait for it.
    const writer = new Client({ connectionString: schema.uri });
    await writer.connect();
    onTestFinished(() => writer.end());
    await writer.query('BEGIN');
    await writer.query('SELECT 1 FROM bridge_leases WHERE workspace = $1 FOR KEY SHARE', [workspace]);
    await schema.run(`UPDATE bridge_leases SET expires_at = '-infinity' WHERE workspace = $1`, [workspace]);
    let isTaken = false;
    const taking = two.leases.take(workspace).then((lease) => {
      isTaken = true;
      return lease;
    });
    await sleep(300);
    expect(isTaken).toBe(false);
    await writer.query('COMMIT');
    expect(await taking).not.toBeNull();
    await expect(store.choices.set('n', '1')).rejects.toMatchObject({ code: 'lease_lost' });
  });

  it('given up before a write arrives: refuse it', async () => {
    const [one, two] = await Promise.all([replica(), replica()]);
    const { lease, store } = await storeOf(one, newWorkspace());
    await store.choices.set('n', '0');
    const blocker = new Client({ connectionString: schema.uri });
    await blocker.connect();
    onTestFinished(() => blocker.end());
    await blocker.query('BEGIN');
    await blocker.query('LOCK TABLE bridge_rows IN ACCESS EXCLUSIVE MODE');
    const written = store.choices.set('n', '1').catch((error: unknown) => error);
    // The server has it once it waits for the table.
    const listWaiting = () =>
      schema.run(`SELECT 1 FROM pg_locks WHERE relation = 'bridge_rows'::regclass AND NOT granted`, []);
    while ((await listWaiting()).length === 0) await sleep(10);
    await lease.release();
    await blocker.query('COMMIT');
    expect(await written).toMatchObject({ code: 'lease_lost' });
    const next = await takeLease(two, lease.workspace);
    expect(await (await two.openWorkspace(lease.workspace, next)).choices.get('n')).toBe('0');
  });

  it('of unserved workspaces with work under way are listed', async () => {
    const [one, two] = await Promise.all([replica(), replica()]);
    const [busy, quiet] = [newWorkspace(), newWorkspace()];
    let calls = 0;
    const stop = two.leases.watchUnserved(() => {
      calls += 1;
    });
    const lease = await takeLease(one, busy);
    await lease.keepServed(true);
    await (await takeLease(one, quiet)).release();
    expect(await two.leases.listUnserved(10)).toEqual([]);
    await lease.release();
    await until(
      () => calls > 0,
      () => 'not called back',
    );
    expect(await two.leases.listUnserved(10)).toEqual([busy]);
    const again = await takeLease(two, busy);
    await again.keepServed(false);
    await again.release();
    expect(await two.leases.listUnserved(10)).toEqual([]);
    stop();
  });

  it('tell processes of one another', async () => {
    const [one, two] = await Promise.all([replica(), replica()]);
    await one.replicas.announce({ sockets: 1, workspaces: 3 });
    await two.replicas.announce({ sockets: 2, workspaces: 0 });
    const others = (await one.replicas.list()).filter(({ id }) => id === two.replicas.self);
    expect(others).toEqual([{ id: two.replicas.self, sockets: 2, workspaces: 0, silentMs: expect.any(Number) }]);
    await two.close();
    expect((await one.replicas.list()).map(({ id }) => id)).not.toContain(two.replicas.self);
  });
});
