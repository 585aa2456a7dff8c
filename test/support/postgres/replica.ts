import { onTestFinished } from 'vitest';
import type { Clock } from '../../../src/bridge/ports.ts';
import { systemClock } from '../../../src/clock.ts';
import type { Lease, StoreHouse } from '../../../src/storage/house.ts';
import { openHouse } from '../../../src/storage/open-house.ts';
import { createMemoryLog, type LogLine } from '../log.ts';

export interface ReplicaOptions {
  clock?: Clock;
  heartbeatMs?: number;
  expiryMs?: number;
  connections?: number;
}

/** What one process of several has of the store; closed with the test. Its leases are long, for busy machines. */
export async function openReplica(
  uri: string,
  { clock = systemClock, ...postgres }: ReplicaOptions = {},
): Promise<StoreHouse & { lines: LogLine[] }> {
  const log = createMemoryLog();
  const house = await openHouse(uri, { clock, log, postgres: { heartbeatMs: 5_000, expiryMs: 60_000, ...postgres } });
  onTestFinished(() => house.close());
  return { ...house, lines: log.lines };
}

export async function takeLease(house: StoreHouse, workspace: string): Promise<Lease> {
  const lease = await house.leases.take(workspace);
  if (lease === null) throw new Error(`another process serves ${workspace}`);
  return lease;
}
