import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { StoredDelivery, StoreHouse } from '../../src/storage/house.ts';
import { openStore } from '../../src/storage/open.ts';
import { openHouse } from '../../src/storage/open-house.ts';
import { houseContract } from '../contracts/house.ts';
import { createFakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';
import { threadKeyOf, threadRecord } from '../support/records.ts';

const KEY = threadKeyOf(1);
const delivery: StoredDelivery = { kind: 'events_api', body: { type: 'event' }, retryNum: 0, retryReason: null };

function temporaryStore(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-house-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return `sqlite://${join(folder, 'bridge.db')}`;
}

async function open(uri = 'memory://', clock = createFakeClock()): Promise<StoreHouse> {
  const house = await openHouse(uri, { clock, log: createMemoryLog() });
  onTestFinished(() => house.close());
  return house;
}

houseContract('memory', () => openHouse('memory://', { clock: systemClock, log: createMemoryLog() }));
houseContract('SQLite', () => openHouse(temporaryStore(), { clock: systemClock, log: createMemoryLog() }));

describe('a store of one process', () => {
  it('finds what a bridge of one workspace stored', async () => {
    const uri = temporaryStore();
    const before = await openStore(uri, { clock: createFakeClock(), log: createMemoryLog() });
    await before.threads.update(KEY, () => threadRecord(KEY));
    await before.choices.set('agent', 'agent-1');
    await before.close();
    const house = await open(uri);
    const lease = await house.leases.take('T01');
    if (!lease) throw new Error('the lease was refused');
    const store = await house.openWorkspace('T01', lease, { isConfigured: true });
    expect((await store.threads.load(KEY))?.key).toBe(KEY);
    expect(await house.choices.get('agent')).toBe('agent-1');
  });

  it('gives every lease, the same one while it is held', async () => {
    const { leases } = await open();
    const free: string[] = [];
    const stop = leases.watch('T01', () => free.push('T01'));
    const lease = await leases.take('T01');
    expect(await leases.take('T01')).toBe(lease);
    expect(lease?.isHeld()).toBe(true);
    await lease?.release();
    await lease?.release();
    expect([lease?.isHeld(), lease?.lost.aborted, free]).toEqual([false, true, ['T01']]);
    const next = await leases.take('T01');
    expect(Number(next?.fence)).toBeGreaterThan(Number(lease?.fence));
    stop();
    await next?.release();
    expect(free).toEqual(['T01']);
  });

  it('gives a waiting delivery to whoever comes to serve the workspace', async () => {
    const house = await open();
    const lease = await house.leases.take('T01');
    if (!lease) throw new Error('the lease was refused');
    const early = house.inbound.put('T01', delivery);
    const seen: StoredDelivery[] = [];
    const server = house.inbound.serve(lease, async (one) => {
      seen.push(one);
      return 'ok';
    });
    expect(await early).toBe('ok');
    expect(await house.inbound.put('T01', { ...delivery, retryNum: 1 })).toBe('ok');
    expect(seen).toEqual([delivery, { ...delivery, retryNum: 1 }]);
    await server.stop();
  });

  it('refuses a delivery that is not taken in time', async () => {
    const clock = createFakeClock();
    const house = await open('memory://', clock);
    const refused = expect(house.inbound.put('T01', delivery, 1_000)).rejects.toMatchObject({
      code: 'no_owner',
      certain: true,
      retry: true,
    });
    await clock.advance(1_000);
    await refused;
    expect(clock.waiting).toBe(0);
  });
});
