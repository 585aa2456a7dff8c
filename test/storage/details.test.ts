import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeToken, makeTurnId } from '../../src/bridge/ids.ts';
import type { TurnDetails } from '../../src/bridge/turn/steps.ts';
import { openStore, type Store } from '../../src/storage/open.ts';
import { createFakeClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/log.ts';

const HOUR = 3_600_000;
const details: TurnDetails = {
  turn: makeTurnId('a'),
  endedAt: 1,
  steps: [
    { kind: 'thought', text: 'hm' },
    { kind: 'call', tool: 'Bash', input: 'command: ls', output: 'a b', status: 'ok' },
  ],
  earlier: 3,
};

describe.each(['memory://', 'sqlite'])('details of turns in %s', (kind) => {
  async function withStore(run: (store: Store, clock: ReturnType<typeof createFakeClock>) => Promise<void>) {
    const folder = mkdtempSync(join(tmpdir(), 'details-'));
    const clock = createFakeClock();
    const uri = kind === 'sqlite' ? `sqlite://${join(folder, 'bridge.db')}` : kind;
    const store = await openStore(uri, { clock, log: createMemoryLog() });
    try {
      await run(store, clock);
    } finally {
      await store.close();
      rmSync(folder, { recursive: true });
    }
  }

  it('are returned as stored, until dropped', () =>
    withStore(async (store, clock) => {
      store.details.start(HOUR);
      const ref = { token: makeToken('one'), turn: details.turn, at: clock.now() };
      expect(await store.details.get(ref)).toBeNull();
      await store.details.put(ref, details);
      expect(await store.details.get(ref)).toEqual(details);
      await store.details.drop([ref, { ...ref, token: makeToken('two') }]);
      expect(await store.details.get(ref)).toBeNull();
    }));

  it('are deleted once too old, younger ones stay', () =>
    withStore(async (store, clock) => {
      store.details.start(HOUR);
      const old = { token: makeToken('old'), turn: details.turn, at: clock.now() };
      await store.details.put(old, details);
      await clock.advance(HOUR / 2);
      const young = { ...old, token: makeToken('young'), at: clock.now() };
      await store.details.put(young, details);
      await clock.advance(HOUR / 2 + 120_000);
      expect(await store.details.get(old)).toBeNull();
      expect(await store.details.get(young)).toEqual(details);
      expect(await store.details.deleteOld()).toBe(0);
      store.details.stop();
      await clock.advance(5 * HOUR);
      expect(await store.details.deleteOld()).toBe(1);
    }));

  it('are all deleted when retention is 0', () =>
    withStore(async (store, clock) => {
      store.details.start(HOUR);
      const ref = { token: makeToken('one'), turn: details.turn, at: clock.now() };
      await store.details.put(ref, details);
      store.details.start(0);
      await clock.advance(60_000);
      expect(await store.details.deleteOld()).toBe(0);
      expect(await store.details.get(ref)).toBeNull();
    }));
});
