import { describe, expect, it, onTestFinished } from 'vitest';
import { watchReplicas } from '../../src/workspaces/replica-watch.ts';
import { createFakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';
import { connectReplica, SharedDatabase } from '../support/shared-house.ts';

function start(names: readonly string[]) {
  const clock = createFakeClock();
  const database = new SharedDatabase(clock);
  const log = createMemoryLog();
  return {
    clock,
    all: names.map((name, n) => {
      const replica = connectReplica(database, name, { clock, log });
      const gone: number[] = [];
      const watch = watchReplicas({
        ...{ replicas: replica.house.replicas, clock, log },
        countServed: () => n,
        onGone: (ms) => void gone.push(ms),
      });
      onTestFinished(watch.stop);
      watch.start();
      return { ...replica, watch, gone };
    }),
  };
}

describe('replicas', () => {
  it('know each other, their sockets and what they serve', async () => {
    const { clock, all } = start(['a', 'b', 'c']);
    all[1]?.watch.noteOwnSockets(2);
    all[2]?.watch.noteOwnSockets(1);
    await clock.advance(10_000);
    expect(await all[0]?.watch.countSockets()).toBe(3);
    const seen = all[0]?.watch.list().map(({ id, sockets, workspaces }) => [id, sockets, workspaces]);
    expect(seen).toEqual([
      ['b', 2, 1],
      ['c', 1, 2],
    ]);
  });

  it('one falls silent: noticed once, its sockets count a while', async () => {
    const { clock, all } = start(['a', 'b', 'c']);
    const [a, b, c] = all;
    b?.watch.noteOwnSockets(1);
    await clock.advance(10_000);
    b?.kill();
    await clock.advance(60_000);
    expect([a?.gone.length, c?.gone.length]).toEqual([1, 1]);
    expect(a?.gone[0]).toBeGreaterThan(20_000);
    expect(a?.watch.list().map(({ id }) => id)).toEqual(['c']);
    expect(await a?.watch.countSockets()).toBe(1);
    await clock.advance(60_000);
    expect(await a?.watch.countSockets()).toBe(0);
  });

  it('one ends as it should: not missed', async () => {
    const { clock, all } = start(['a', 'b']);
    const [a, b] = all;
    await clock.advance(10_000);
    b?.watch.stop();
    await b?.house.close();
    await clock.advance(60_000);
    expect(a?.gone).toEqual([]);
    expect(a?.watch.list()).toEqual([]);
  });
});
