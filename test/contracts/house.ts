import { describe, expect, it, onTestFinished } from 'vitest';
import type { Lease, StoredDelivery, StoreHouse } from '../../src/storage/house.ts';
import { threadKeyOf, threadRecord } from '../support/records.ts';

const KEY = threadKeyOf(1);
const delivery: StoredDelivery = { kind: 'events_api', body: { type: 'event' }, retryNum: 0, retryReason: null };

async function taken(house: StoreHouse, workspace: string): Promise<Lease> {
  const lease = await house.leases.take(workspace);
  if (!lease) throw new Error(`the lease of ${workspace} was refused`);
  return lease;
}

/**
 * What every store of a process does, alone with its rows.
 * @param openEmpty opens one without rows; it is closed with the test
 */
export function houseContract(name: string, openEmpty: () => Promise<StoreHouse>): void {
  const open = async () => {
    const house = await openEmpty();
    onTestFinished(() => house.close());
    return house;
  };

  describe(`a store on ${name}`, () => {
    it('keeps the workspaces apart, and each of them while it is closed', async () => {
      const house = await open();
      const [one, two] = [await house.leases.take('T01'), await house.leases.take('T02')];
      if (!one || !two) throw new Error('a lease was refused');
      const first = await house.openWorkspace('T01', one, { isConfigured: true });
      const second = await house.openWorkspace('T02', two);
      await first.threads.update(KEY, () => threadRecord(KEY, { background: true }));
      await second.choices.set('agent', 'agent-2');
      expect(await second.threads.load(KEY)).toBeNull();
      expect(await second.threads.listActive()).toEqual([]);
      expect(await first.choices.get('agent')).toBeNull();
      await second.close();
      const again = await house.openWorkspace('T02', two);
      expect(await again.choices.get('agent')).toBe('agent-2');
      expect(await first.threads.listActive()).toEqual([KEY]);
    });

    it('lists, replaces and deletes installations', async () => {
      const { installations } = await open();
      for (let n = 0; n < 250; n += 1) await installations.set(`T${n}`, { n });
      await installations.set('T7', { n: 'seven' });
      await installations.delete('T8');
      expect(await installations.get('T7')).toEqual({ n: 'seven' });
      expect(await installations.get('T8')).toBeUndefined();
      let count = 0;
      for await (const _ of installations.keys()) count += 1;
      expect(count).toBe(249);
    });

    it('swaps a row only while it is what was read', async () => {
      const { installations } = await open();
      expect(await installations.swap('T1', { n: 1 }, { n: 2 })).toBe(false);
      expect(await installations.swap('T1', undefined, { n: 1, list: ['a'] })).toBe(true);
      expect(await installations.swap('T1', undefined, { n: 9 })).toBe(false);
      // Both read the same row; one of them is told that it was too late.
      const read = await installations.get('T1');
      const both = [{ n: 2 }, { n: 3 }].map((value) => installations.swap('T1', read, value));
      expect((await Promise.all(both)).sort()).toEqual([false, true]);
      expect(await installations.get('T1')).toEqual({ n: 2 });
      await installations.delete('T1');
      expect(await installations.swap('T1', { n: 2 }, { n: 4 })).toBe(false);
      await installations.set('T1', { n: 5 });
      expect(await installations.swap('T1', { n: 4 }, undefined)).toBe(false);
      expect(await installations.swap('T1', { n: 5 }, undefined)).toBe(true);
      expect(await installations.get('T1')).toBeUndefined();
    });

    it('lists workspaces that must be served and have no owner', async () => {
      const { leases } = await open();
      for (const workspace of ['T01', 'T02', 'T03']) {
        const lease = await leases.take(workspace);
        await lease?.keepServed(true);
        if (workspace !== 'T01') await lease?.release();
      }
      expect((await leases.listUnserved(10)).sort()).toEqual(['T02', 'T03']);
      expect(await leases.listUnserved(1)).toHaveLength(1);
      const lease = await leases.take('T02');
      await lease?.keepServed(false);
      await lease?.release();
      expect(await leases.listUnserved(10)).toEqual(['T03']);
    });

    it('deletes all of one workspace, and nothing of another', async () => {
      const house = await open();
      const stores = await Promise.all(
        ['T01', 'T02', 'T03'].map(async (workspace, n) => {
          const lease = await house.leases.take(workspace);
          if (!lease) throw new Error('the lease was refused');
          return { lease, store: await house.openWorkspace(workspace, lease, { isConfigured: n === 0 }) };
        }),
      );
      for (const { store } of stores) {
        await store.threads.update(KEY, () => threadRecord(KEY, { background: true }));
        await store.choices.set('agent', 'agent-1');
      }
      const [, gone] = stores;
      await gone?.store.close();
      if (gone) await house.deleteWorkspace('T02', gone.lease);
      const left = gone && (await house.openWorkspace('T02', gone.lease));
      expect(await left?.threads.load(KEY)).toBeNull();
      expect(await left?.threads.listActive()).toEqual([]);
      expect(await left?.choices.get('agent')).toBeNull();
      for (const { store } of [stores[0], stores[2]].flatMap((one) => one ?? [])) {
        expect((await store.threads.load(KEY))?.key).toBe(KEY);
        expect(await store.choices.get('agent')).toBe('agent-1');
      }
    });

    it('gives a lease again while it is held, and then another', async () => {
      const { leases } = await open();
      const lease = await leases.take('T01');
      expect(await leases.take('T01')).toBe(lease);
      expect([lease?.isHeld(), lease?.lost.aborted]).toEqual([true, false]);
      await lease?.release();
      await lease?.release();
      expect([lease?.isHeld(), lease?.lost.aborted]).toEqual([false, true]);
      expect(lease?.lost.reason).toMatchObject({ code: 'lease_lost', retry: true });
      const next = await leases.take('T01');
      expect(next?.isHeld()).toBe(true);
      expect(BigInt(next?.fence ?? 0)).toBeGreaterThan(BigInt(lease?.fence ?? 0));
    });

    it('offers a released lease to those who watch it', async () => {
      const { leases } = await open();
      const lease = await leases.take('T01');
      const free = Promise.withResolvers<void>();
      const stop = leases.watch('T01', () => free.resolve());
      await lease?.release();
      await free.promise;
      stop();
      expect((await leases.take('T01'))?.isHeld()).toBe(true);
    });

    it('hands deliveries to whoever serves their workspace, each once', async () => {
      const house = await open();
      const lease = await taken(house, 'T01');
      const seen: unknown[] = [];
      const all = Promise.withResolvers<void>();
      const early = house.inbound.put('T01', { ...delivery, body: { n: 0 } });
      const server = house.inbound.serve(lease, async ({ body }) => {
        seen.push(body.n);
        if (seen.length === 3) all.resolve();
        return undefined;
      });
      await early;
      await house.inbound.put('T01', { ...delivery, body: { n: 1 } });
      await house.inbound.put('T01', { ...delivery, body: { n: 2 } });
      await all.promise;
      await server.stop();
      expect(seen).toEqual([0, 1, 2]);
    });

    it('gives the reply of whoever serves, or its error', async () => {
      const house = await open();
      const server = house.inbound.serve(await taken(house, 'T01'), async ({ body }) => {
        if (body.fails) throw new Error('not today');
        return { text: `hello ${body.name}` };
      });
      const click = { ...delivery, kind: 'interactive' as const };
      expect(await house.inbound.put('T01', { ...click, body: { name: 'Alice' } }, 30_000)).toEqual({
        text: 'hello Alice',
      });
      await expect(house.inbound.put('T01', { ...click, body: { fails: true } }, 30_000)).rejects.toThrow();
      await server.stop();
    });

    it('refuses what needs a reply where no process serves', async () => {
      const house = await open();
      const asked = house.inbound.put('T01', { ...delivery, kind: 'interactive' }, 50);
      await expect(asked).rejects.toMatchObject({ code: 'no_owner', retry: true });
    });

    it('lists other processes only, and is well', async () => {
      const house = await open();
      await house.replicas.announce({ sockets: 1, workspaces: 2 });
      expect(await house.replicas.list()).toEqual([]);
      expect(house.replicas.self).not.toBe('');
      await house.choices.set('agent', 'agent-1');
      expect(house.check()).toMatchObject({ ok: true });
    });

    it('closes twice, and its leases are over then', async () => {
      const house = await open();
      const lease = await taken(house, 'T01');
      await house.close();
      await house.close();
      expect(lease.isHeld()).toBe(false);
    });
  });
}
