import { describe, expect, it } from 'vitest';
import { NotifyTimes } from '../../../src/bridge/commands/notify-times.ts';
import { createMemoryLog } from '../../support/log.ts';

function disk() {
  const rows = new Map<string, string>();
  const failure: { now: Error | null } = { now: null };
  const choices = {
    async get(name: string) {
      if (failure.now) throw failure.now;
      return rows.get(name) ?? null;
    },
    async set(name: string, value: string) {
      if (failure.now) throw failure.now;
      rows.set(name, value);
    },
  };
  const begin = () => new NotifyTimes({ choices, team: 'T1', log: createMemoryLog(), usual: 120_000 });
  return { rows, failure, begin };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('the time after which an end notifies', () => {
  it('is as usual until a person chooses, for that person only', async () => {
    const times = disk().begin();
    await times.choose('U1', 0);
    expect([times.get('U1'), times.get('U2'), times.getChosen('U2')]).toEqual([0, 120_000, null]);
    await times.choose('U1', null);
    expect([times.get('U1'), times.getChosen('U1')]).toEqual([120_000, null]);
  });

  it('outlives a restart', async () => {
    const { begin } = disk();
    await Promise.all([begin().choose('U1', 900_000)]);
    const next = begin();
    await settle();
    expect(next.get('U1')).toBe(900_000);
  });

  it('chosen by two people at once keeps both', async () => {
    const { begin } = disk();
    const times = begin();
    await Promise.all([times.choose('U1', 60_000), times.choose('U2', 0)]);
    const next = begin();
    await settle();
    expect([next.get('U1'), next.get('U2')]).toEqual([60_000, 0]);
  });

  it('stays as it was when the disk fails, and forgets no one', async () => {
    const { begin, failure } = disk();
    await begin().choose('U1', 0);
    failure.now = new Error('disk');
    const times = begin();
    await settle();
    await expect(times.choose('U2', 0)).rejects.toThrow('disk');
    expect(times.get('U2')).toBe(120_000);
    failure.now = null;
    await times.choose('U2', 0);
    expect([times.get('U1'), times.get('U2')]).toEqual([0, 0]);
  });

  it('ignores stored rows that are no choice', async () => {
    const { rows, begin } = disk();
    rows.set('notify-after:T1', '[["U1",5],["U2",0],7,null]');
    const times = begin();
    await settle();
    expect([times.get('U1'), times.get('U2')]).toEqual([120_000, 0]);
    rows.set('notify-after:T1', 'nonsense');
    const other = begin();
    await settle();
    expect(other.get('U2')).toBe(120_000);
  });
});
