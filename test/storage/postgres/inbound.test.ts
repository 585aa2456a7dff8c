import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { makeMessageKey } from '../../../src/bridge/ids.ts';
import { BridgeError } from '../../../src/errors.ts';
import type { StoredDelivery, StoredReply } from '../../../src/storage/house.ts';
import { createFreezableClock } from '../../support/postgres/frozen-clock.ts';
import { openReplica, takeLease } from '../../support/postgres/replica.ts';
import { createSchema, findServer, type Schema } from '../../support/postgres/schema.ts';
import { threadKeyOf, threadRecord } from '../../support/records.ts';
import { until } from '../../support/until.ts';

const server = await findServer();
const KEY = threadKeyOf(1);
const event = (n: number | string): StoredDelivery => ({
  kind: 'events_api',
  body: { n },
  retryNum: 0,
  retryReason: null,
});
const click = (n: number | string): StoredDelivery => ({ ...event(n), kind: 'interactive' });

describe.skipIf(server === null)('deliveries on Postgres', () => {
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
  interface Serving {
    house?: Awaited<ReturnType<typeof openReplica>>;
    handle?: (n: unknown) => Promise<StoredReply>;
    /** No delivery comes to an end before the test does. */
    isStuck?: boolean;
  }
  /** Serves a workspace and notes what comes. */
  async function serve(workspace: string, { house, handle, isStuck = false }: Serving = {}) {
    const owner = house ?? (await openReplica(schema.uri));
    const lease = await takeLease(owner, workspace);
    const seen: unknown[] = [];
    const { promise: end, resolve } = Promise.withResolvers<undefined>();
    const serving = owner.inbound.serve(lease, async ({ body }) => {
      seen.push(body.n);
      return isStuck ? end : handle?.(body.n);
    });
    onTestFinished(() => serving.stop());
    onTestFinished(() => resolve(undefined));
    return { owner, lease, seen, serving };
  }
  const left = (workspace: string) =>
    schema.run<{ tries: number; failed: boolean }>(
      'SELECT tries, failed_at IS NOT NULL AS failed FROM bridge_inbound WHERE workspace = $1',
      [workspace],
    );

  it('stored before there is an owner: come to it in their order', async () => {
    const receiver = await openReplica(schema.uri);
    const workspace = newWorkspace();
    const numbers = Array.from({ length: 60 }, (_, n) => n);
    for (const n of numbers) await receiver.inbound.put(workspace, event(n));
    expect(await left(workspace)).toHaveLength(60);
    const { seen, serving } = await serve(workspace);
    await until(
      () => seen.length === 60,
      () => String(seen),
    );
    expect(seen).toEqual(numbers);
    await serving.stop();
    expect(await left(workspace)).toEqual([]);
  });

  it('of many processes at once: all come to the owner, each once', async () => {
    const receivers = await Promise.all([openReplica(schema.uri), openReplica(schema.uri)]);
    const workspace = newWorkspace();
    const { owner, seen, serving } = await serve(workspace);
    const numbers = Array.from({ length: 300 }, (_, n) => n);
    await Promise.all(numbers.map((n) => [...receivers, owner][n % 3]?.inbound.put(workspace, event(n))));
    await until(
      () => seen.length >= 300,
      () => String(seen.length),
    );
    await serving.stop();
    expect(seen.toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers);
    expect(await left(workspace)).toEqual([]);
  });

  it('go to the owner of their workspace only', async () => {
    const [one, other] = [newWorkspace(), newWorkspace()];
    const [first, second] = [await serve(one), await serve(other)];
    await Promise.all([first.owner.inbound.put(other, event('b')), second.owner.inbound.put(one, event('a'))]);
    await until(
      () => first.seen.length + second.seen.length === 2,
      () => '',
    );
    expect([first.seen, second.seen]).toEqual([['a'], ['b']]);
  });

  it('are there for the next owner when the first one is killed', async () => {
    const workspace = newWorkspace();
    const { owner, lease, seen } = await serve(workspace, { isStuck: true });
    await owner.inbound.put(workspace, event(1));
    await until(
      () => seen.length === 1,
      () => '',
    );
    // As after a kill: nothing of it goes on, and its lease has run out.
    await schema.run(`UPDATE bridge_leases SET expires_at = '-infinity' WHERE workspace = $1`, [workspace]);
    const next = await serve(workspace);
    await until(
      () => next.seen.length === 1,
      () => '',
    );
    expect(lease.fence).not.toBe(next.lease.fence);
    await next.serving.stop();
    expect(await left(workspace)).toEqual([]);
  });

  it('handled by an owner without the lease: are not deleted', async () => {
    const workspace = newWorkspace();
    const { promise: goOn, resolve } = Promise.withResolvers<undefined>();
    const { owner, seen, serving } = await serve(workspace, { handle: () => goOn });
    await owner.inbound.put(workspace, event(1));
    await until(
      () => seen.length === 1,
      () => '',
    );
    await schema.run(`UPDATE bridge_leases SET holder = 'x', process = 'x', fence = fence + 1 WHERE workspace = $1`, [
      workspace,
    ]);
    resolve(undefined);
    await serving.stop();
    expect(await left(workspace)).toHaveLength(1);
  });

  describe('of a message', () => {
    const about = { channel: 'C1', ts: '1767603600.100000' };
    const key = makeMessageKey({ team: 'T', ...about });
    const seen = (other?: string) => [
      { key: other ? makeMessageKey({ team: 'T', channel: 'C1', ts: other }) : key, at: Date.now() },
    ];

    /** Serves a workspace whose handler stores a thread, and then never ends. */
    async function store(change: () => ReturnType<typeof threadRecord>, isTaken = false) {
      const owner = await openReplica(schema.uri);
      const workspace = newWorkspace();
      const lease = await takeLease(owner, workspace);
      const { threads } = await owner.openWorkspace(workspace, lease);
      const stored = Promise.withResolvers<unknown>();
      const end = Promise.withResolvers<undefined>();
      for (const n of [1, 2]) await owner.inbound.put(workspace, { ...event(n), about });
      await owner.inbound.put(workspace, event('other'));
      // So that the row of the thread is all that is left to be written.
      if (isTaken) await threads.update(KEY, () => threadRecord(KEY, {}));
      const taken = `UPDATE bridge_leases SET holder = 'x', process = 'x', fence = fence + 1 WHERE workspace = $1`;
      const serving = owner.inbound.serve(lease, async ({ body }) => {
        if (body.n !== 1) return end.promise;
        if (isTaken) await schema.run(taken, [workspace]);
        threads.update(KEY, change).then(stored.resolve, stored.resolve);
        return end.promise;
      });
      onTestFinished(() => serving.stop());
      onTestFinished(() => end.resolve(undefined));
      await stored.promise;
      const rows = await schema.run<{ delivery: string }>(
        'SELECT delivery FROM bridge_inbound WHERE workspace = $1 ORDER BY id',
        [workspace],
      );
      return rows.map(({ delivery }) => (JSON.parse(delivery) as StoredDelivery).body.n);
    }

    it('are gone, twins too, when the thread has it', async () => {
      expect(await store(() => threadRecord(KEY, { seen: seen() }))).toEqual(['other']);
    });

    it('stay when the thread stores something else', async () => {
      expect(await store(() => threadRecord(KEY, { seen: seen('1767603600.100001') }))).toEqual([1, 2, 'other']);
    });

    it('stay when another process has the lease by then', async () => {
      expect(await store(() => threadRecord(KEY, { seen: seen() }), true)).toEqual([1, 2, 'other']);
    });
  });

  it('failing again and again: are tried later, then kept', async () => {
    const house = await openReplica(schema.uri, { clock: createFreezableClock({ haste: 10 }), expiryMs: 600_000 });
    const workspace = newWorkspace();
    let isBroken = true;
    const { seen } = await serve(workspace, {
      house,
      handle: async () => {
        if (isBroken) throw new BridgeError('store_failed', 'the disk is full');
        return undefined;
      },
    });
    await house.inbound.put(workspace, event('later'));
    // The database's clock is not in haste.
    const makeDue = () =>
      schema.run('UPDATE bridge_inbound SET due_at = clock_timestamp() WHERE workspace = $1', [workspace]);
    while (seen.length < 3) {
      await makeDue();
      await sleep(20);
    }
    isBroken = false;
    while ((await left(workspace)).length > 0) {
      await makeDue();
      await sleep(20);
    }
    isBroken = true;
    await house.inbound.put(workspace, event('never'));
    while (!(await left(workspace))[0]?.failed) {
      await makeDue();
      await sleep(20);
    }
    expect(await left(workspace)).toEqual([{ tries: 8, failed: true }]);
    expect(house.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  describe('with a reply', () => {
    it('get the owner’s, from another process', async () => {
      const workspace = newWorkspace();
      const { owner } = await serve(workspace, {
        handle: async (n) => (n === 'errors' ? { response_action: 'errors', errors: { a: 'No.' } } : undefined),
      });
      const receiver = await openReplica(schema.uri);
      expect(await receiver.inbound.put(workspace, click('errors'), 20_000)).toEqual({
        response_action: 'errors',
        errors: { a: 'No.' },
      });
      expect(await receiver.inbound.put(workspace, click('none'), 20_000)).toBeUndefined();
      expect(await owner.inbound.put(workspace, click('own'), 20_000)).toBeUndefined();
      expect(await left(workspace)).toEqual([]);
    });

    it('hear that the owner could not handle them', async () => {
      const workspace = newWorkspace();
      await serve(workspace, {
        handle: async () => {
          throw new BridgeError('slack_failed', 'Slack does not answer', { certain: false });
        },
      });
      const receiver = await openReplica(schema.uri);
      await expect(receiver.inbound.put(workspace, click(1), 20_000)).rejects.toMatchObject({
        code: 'no_owner',
        certain: false,
        retry: true,
      });
      expect(await left(workspace)).toEqual([]);
    });

    it('are taken back when no owner begins them in time', async () => {
      const receiver = await openReplica(schema.uri);
      const workspace = newWorkspace();
      const refused = { code: 'no_owner', certain: true, retry: true };
      await expect(receiver.inbound.put(workspace, click('late'), 200)).rejects.toMatchObject(refused);
      const { seen, serving } = await serve(workspace);
      await receiver.inbound.put(workspace, event('after'));
      await until(
        () => seen.length === 1,
        () => String(seen),
      );
      await serving.stop();
      expect(seen).toEqual(['after']);
      expect(await left(workspace)).toEqual([]);
    });

    it('left behind by who asked: are not begun after their time', async () => {
      const receiver = await openReplica(schema.uri);
      const workspace = newWorkspace();
      // The one who asks is killed: nobody takes it back.
      void receiver.inbound.put(workspace, click('late'), 60_000).catch(() => undefined);
      await until(
        () => true,
        () => '',
      );
      while ((await left(workspace)).length === 0) await sleep(20);
      await schema.run(
        `UPDATE bridge_inbound SET reply_by = clock_timestamp() - interval '1 ms' WHERE workspace = $1`,
        [workspace],
      );
      const { seen, serving } = await serve(workspace);
      while ((await left(workspace)).length > 0) await sleep(20);
      await serving.stop();
      expect(seen).toEqual([]);
    });

    it('are begun at most once, whatever happens to the owner', async () => {
      const receiver = await openReplica(schema.uri);
      const workspace = newWorkspace();
      const first = await serve(workspace, { isStuck: true });
      const asked = receiver.inbound.put(workspace, click(1), 3_000).catch((error: unknown) => error);
      await until(
        () => first.seen.length === 1,
        () => '',
      );
      await schema.run(`UPDATE bridge_leases SET expires_at = '-infinity' WHERE workspace = $1`, [workspace]);
      const next = await serve(workspace);
      expect(await asked).toMatchObject({ code: 'no_owner', certain: false });
      expect(next.seen).toEqual([]);
    });
  });

  it('are refused beyond a bound, workspace by workspace', async () => {
    const receiver = await openReplica(schema.uri);
    const [full, other] = [newWorkspace(), newWorkspace()];
    await schema.run(
      `INSERT INTO bridge_inbound (token, workspace, delivery) SELECT 'full-' || n, $1, '{}' FROM generate_series(1, 10000) AS n`,
      [full],
    );
    await expect(receiver.inbound.put(full, event(1))).rejects.toMatchObject({ code: 'store_failed', retry: true });
    await receiver.inbound.put(other, event(1));
    expect(await receiver.leases.listUnserved(10)).toEqual(expect.arrayContaining([full, other]));
    await schema.run('DELETE FROM bridge_inbound WHERE workspace = $1', [full]);
  });
});
