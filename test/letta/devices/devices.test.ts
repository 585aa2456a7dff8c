import { describe, expect, it } from 'vitest';
import { createDevices, KNOWN_DEVICES, readKnownDevices } from '../../../src/letta/devices/devices.ts';
import { createFakeClock } from '../../support/clock.ts';
import { createMemoryLog } from '../../support/log.ts';

const socket = () => ({ send: () => undefined, close: () => undefined });

/** Devices whose store takes as long as the test wants. */
async function createSlow() {
  const clock = createFakeClock();
  const stored = new Map<string, string>();
  const waiting: (() => void)[] = [];
  const choices = {
    get: async (name: string) => stored.get(name) ?? null,
    set: (name: string, value: string) =>
      new Promise<void>((resolve) => {
        waiting.push(() => {
          stored.set(name, value);
          resolve();
        });
      }),
  };
  const devices = await createDevices({ choices, clock, log: createMemoryLog() });
  /** Carries out the writes that wait, and those that follow. @returns how many there were */
  const write = async () => {
    let count = 0;
    await clock.settle();
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      next();
      count += 1;
      await clock.settle();
    }
    return count;
  };
  const idsOf = (known: readonly { id: string }[]) => known.map(({ id }) => id);
  const idsStored = () => idsOf(readKnownDevices(stored.get(KNOWN_DEVICES) ?? null));
  return { devices, clock, waiting, write, ids: () => idsOf(devices.list()), idsStored };
}

describe('1,000 registrations with as many ids', () => {
  const flood = (devices: Awaited<ReturnType<typeof createDevices>>) => {
    for (let n = 0; n < 1_000; n += 1) devices.noteRegistration({ id: `made-up-${n}`, name: `n${n}`, version: null });
  };

  it('push out no machine that dialled in, nor keep one out', async () => {
    const { devices, ids, write, idsStored } = await createSlow();
    devices.accept({ id: 'away', name: 'away' }, socket()).onClose({ kind: 'closed', code: 1006, text: '' });
    devices.accept({ id: 'calm', name: 'calm' }, socket());
    flood(devices);
    expect(ids()).toHaveLength(100);
    expect(ids()).toEqual(expect.arrayContaining(['away', 'calm']));
    expect(devices.hasRoomFor('late')).toBe(true);
    devices.accept({ id: 'late', name: 'late' }, socket());
    flood(devices);
    expect(ids().slice(0, 2).sort()).toEqual(['calm', 'late']);
    expect(ids()).toHaveLength(100);
    await write();
    expect(idsStored()).toEqual(expect.arrayContaining(['away', 'calm', 'late']));
  });

  it('on a slow disk: one write runs, one follows', async () => {
    const { devices, clock, waiting, write, ids, idsStored } = await createSlow();
    devices.noteRegistration({ id: 'first', name: 'first', version: null });
    await clock.settle();
    flood(devices);
    await clock.settle();
    expect(waiting).toHaveLength(1);
    expect(await write()).toBe(2);
    expect(idsStored().sort()).toEqual(ids().sort());
  });
});
