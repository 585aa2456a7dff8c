import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { BridgeError } from '../../../src/errors.ts';
import type { StoredDelivery } from '../../../src/storage/house.ts';
import { createFreezableClock } from '../../support/postgres/frozen-clock.ts';
import { type BadNetwork, startProxy } from '../../support/postgres/proxy.ts';
import { openReplica, takeLease } from '../../support/postgres/replica.ts';
import { createSchema, findServer, type Schema } from '../../support/postgres/schema.ts';
import { threadKeyOf, threadRecord } from '../../support/records.ts';
import { until } from '../../support/until.ts';

const server = await findServer();
const KEY = threadKeyOf(1);
const delivery: StoredDelivery = { kind: 'events_api', body: { n: 1 }, retryNum: 0, retryReason: null };

describe.skipIf(server === null)('a Postgres behind a bad network', () => {
  let schema: Schema;
  let workspaces = 0;
  beforeAll(async () => {
    schema = await createSchema(server ?? '');
  });
  afterAll(() => schema.drop());

  /** A workspace with one stored thread; calls are given up after a tenth of the usual time. */
  async function setUp() {
    const proxy = await startProxy(schema.uri);
    onTestFinished(() => proxy.close());
    const house = await openReplica(proxy.uri, { clock: createFreezableClock({ haste: 10 }), expiryMs: 600_000 });
    workspaces += 1;
    const workspace = `T${workspaces}`;
    const lease = await takeLease(house, workspace);
    const store = await house.openWorkspace(workspace, lease);
    await store.threads.update(KEY, () => threadRecord(KEY));
    const mute = () => store.threads.update(KEY, (record) => record && { ...record, muted: true });
    // Past the network.
    const stored = async (namespace: string, key: string) => {
      const [row] = await schema.run<{ value: string }>(
        'SELECT value FROM bridge_rows WHERE workspace = $1 AND namespace = $2 AND key = $3',
        [workspace, namespace, key],
      );
      return row && JSON.parse(row.value).value;
    };
    return { proxy, house, workspace, lease, store, mute, stored };
  }
  const failureOf = async (call: Promise<unknown>): Promise<BridgeError> =>
    call.then(
      () => Promise.reject(new Error('it did not fail')),
      (error: BridgeError) => error,
    );

  it.each<[string, (proxy: BadNetwork) => void]>([
    ['cut', (proxy) => proxy.cut()],
    ['closed by the server’s side', (proxy) => proxy.cut('half')],
  ])('%s while nothing runs: the next call takes a new connection', async (_, cut) => {
    const { proxy, mute } = await setUp();
    cut(proxy);
    await sleep(50);
    expect((await mute())?.rev).toBe(2);
  });

  it('the answer to a read is cut off: it is read again', async () => {
    const { proxy, store, mute } = await setUp();
    proxy.set({ toClient: 'drop' });
    const succeeded = mute();
    await sleep(200);
    proxy.set({ toClient: 'pass' });
    proxy.cut();
    // The read before the write was lost. It is repeated, and the write was never sent before.
    expect(await succeeded).toMatchObject({ rev: 2 });
    expect((await store.threads.load(KEY))?.rev).toBe(2);
  });

  it('the answer to a write is cut off: reading tells its outcome', async () => {
    const { proxy, lease, store, stored } = await setUp();
    const fence = lease.fence;
    proxy.set({ toClient: 'drop' });
    const failed = failureOf(store.choices.set('agent', 'agent-1'));
    while ((await stored('choices', 'agent')) === undefined) await sleep(10);
    proxy.set({ toClient: 'pass' });
    proxy.cut();
    expect(await failed).toMatchObject({ code: 'store_failed', certain: false, retry: true });
    expect(await store.choices.get('agent')).toBe('agent-1');
    expect(Number(lease.fence)).toBeGreaterThan(Number(fence));
    expect(lease.isHeld()).toBe(true);
  });

  it('a write that was given up and arrives later changes nothing', async () => {
    const { proxy, store, lease, stored } = await setUp();
    await store.choices.set('agent', 'agent-1');
    proxy.set({ toServer: 'hold' });
    expect(await failureOf(store.choices.set('agent', 'agent-2'))).toMatchObject({ certain: false });
    // From here on only new connections get through.
    proxy.set({ toServer: 'pass' });
    expect(await store.choices.get('agent')).toBe('agent-1');
    await store.choices.set('agent', 'agent-3');
    expect(proxy.heldBytes()).toBeGreaterThan(0);
    proxy.release();
    await until(
      () => proxy.heldBytes() === 0,
      () => 'still held',
    );
    await sleep(200);
    expect(await stored('choices', 'agent')).toMatchObject({ value: 'agent-3' });
    expect(lease.isHeld()).toBe(true);
  });

  it('a record that was given up and arrives later changes nothing', async () => {
    const { proxy, store, mute, stored } = await setUp();
    proxy.set({ toServer: 'hold' });
    await failureOf(mute());
    proxy.set({ toServer: 'pass' });
    expect((await store.threads.load(KEY))?.rev).toBe(1);
    const next = await store.threads.update(KEY, (record) => record && { ...record, participants: ['U9'] });
    expect(next?.rev).toBe(2);
    proxy.release();
    await sleep(200);
    expect(await stored('threads', KEY)).toMatchObject({ rev: 2, participants: ['U9'] });
  });

  it('of several writes at once, each counts as it was answered', async () => {
    const { proxy, store, stored } = await setUp();
    const names = Array.from({ length: 20 }, (_, n) => `name-${n}`);
    const outcomes: Promise<boolean>[] = [];
    for (const [n, name] of names.entries()) {
      if (n === 10) proxy.set({ toClient: 'drop' });
      outcomes.push(
        store.choices.set(name, 'first').then(
          () => true,
          () => false,
        ),
      );
      await sleep(5);
    }
    proxy.set({ toClient: 'pass' });
    proxy.cut();
    const done = await Promise.all(outcomes);
    for (const [n, name] of names.entries()) {
      const found = await store.choices.get(name);
      if (done[n]) expect(found).toBe('first');
      expect((await stored('choices', name))?.value ?? null).toBe(found);
    }
  });

  it('silence: calls fail in time, readiness says so, and all comes back', async () => {
    const { proxy, house, mute, lease } = await setUp();
    proxy.set({ toServer: 'drop', toClient: 'drop' });
    expect(await failureOf(mute())).toMatchObject({ code: 'store_failed', retry: true });
    await until(
      () => !house.check().ok,
      () => 'still ready',
    );
    expect(house.check().state).toBe('the database does not answer');
    proxy.set({ toServer: 'pass', toClient: 'pass' });
    await until(
      () => house.check().ok,
      () => house.check().state,
    );
    expect((await mute())?.rev).toBe(2);
    expect(lease.isHeld()).toBe(true);
  });

  it('refusal: nothing is acknowledged that is not stored, and all comes back', async () => {
    const { proxy, house, workspace } = await setUp();
    proxy.refuse(true);
    proxy.cut();
    await sleep(50);
    expect(await failureOf(house.inbound.put(workspace, delivery))).toMatchObject({
      code: 'store_failed',
      retry: true,
    });
    proxy.refuse(false);
    await house.inbound.put(workspace, delivery);
    expect(await schema.run('SELECT 1 FROM bridge_inbound WHERE workspace = $1', [workspace])).toHaveLength(1);
  });

  it('a lease without renewal is over by the process’s own clock', async () => {
    const proxy = await startProxy(schema.uri);
    onTestFinished(() => proxy.close());
    const house = await openReplica(proxy.uri, { heartbeatMs: 200, expiryMs: 2_000 });
    const lease = await takeLease(house, 'T-cut');
    const other = await openReplica(schema.uri);
    expect(await other.leases.take('T-cut')).toBeNull();
    proxy.refuse(true);
    proxy.cut();
    const lost = performance.now();
    await new Promise((resolve) => lease.lost.addEventListener('abort', resolve));
    expect(performance.now() - lost).toBeLessThan(20_000);
    let next = null;
    while (next === null) next = await other.leases.take('T-cut');
    proxy.refuse(false);
    await until(
      () => house.check().ok,
      () => house.check().state,
    );
    expect(await house.leases.take('T-cut')).toBeNull();
    await next.release();
    expect(await house.leases.take('T-cut')).not.toBeNull();
  });

  it('the listening connection is lost: nothing that was missed is lost', async () => {
    const house = await openReplica(schema.uri);
    const other = await openReplica(schema.uri);
    const lease = await takeLease(house, 'T-listen');
    const seen: unknown[] = [];
    const serving = house.inbound.serve(lease, async ({ body }) => {
      seen.push(body.n);
      return undefined;
    });
    const listeners = () =>
      schema.run<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' OR query ~ '^SELECT ''[0-9a-f-]{36}'''`,
      );
    const before = await listeners();
    expect(before.length).toBeGreaterThanOrEqual(2);
    for (const { pid } of before) await schema.run('SELECT pg_terminate_backend($1)', [pid]);
    await other.inbound.put('T-listen', { ...delivery, body: { n: 'missed' } });
    await until(
      () => seen.includes('missed'),
      () => String(seen),
    );
    while ((await listeners()).length < 2) await sleep(50);
    await other.inbound.put('T-listen', { ...delivery, body: { n: 'later' } });
    await until(
      () => seen.includes('later'),
      () => String(seen),
    );
    await serving.stop();
  });

  it('keeps the password out of every error and log line', async () => {
    const { proxy, house, store, mute } = await setUp();
    const { password } = new URL(schema.uri);
    proxy.refuse(true);
    proxy.cut();
    const errors = [await failureOf(mute()), await failureOf(store.choices.set('a', 'b'))];
    const text = [
      ...errors.map((error) => `${error.stack}${JSON.stringify(error)}${error.cause}`),
      JSON.stringify(house.lines),
    ];
    expect(password).toMatch(/./);
    for (const one of text) expect(one).not.toContain(password);
    proxy.refuse(false);
  });
});
