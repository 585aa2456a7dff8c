import { expect, it } from 'vitest';
import type { ThreadKey } from '../../src/bridge/ids.ts';
import type { Recordings } from '../../src/bridge/ports.ts';
import { decodeLine, encodeLine, type Replay, replayLine } from '../../src/bridge/thread/core/recording.ts';
import { NEXT_PHASES } from '../../src/bridge/thread/core/thread.ts';
import { simulate } from './world.ts';

/** Takes each step again as soon as it is recorded. */
class Replaying implements Recordings {
  readonly #threads = new Map<ThreadKey, Replay | null>();
  steps = 0;
  readonly differs: string[] = [];
  /** Each change of a turn's phase, as `from to`. */
  readonly changes = new Set<string>();

  add(key: ThreadKey, text: string, begin: () => string, isAnew: boolean): void {
    const at = isAnew ? replayLine(null, decodeLine(begin())).replay : (this.#threads.get(key) ?? null);
    const line = decodeLine(text);
    const { replay, effects } = replayLine(at, line);
    this.#threads.set(key, replay);
    if (!('event' in line)) return;
    this.steps += 1;
    if (encodeLine({ ...line, effects: effects ?? [] }) !== encodeLine(line))
      this.differs.push(`${line.event.type}: ${line.effects.map((effect) => effect.do)}`);
    const [was, is] = [at?.thread.live, replay?.thread.live];
    if (was && is && was.id === is.id && was.phase !== is.phase) this.changes.add(`${was.phase} ${is.phase}`);
  }
}

it.each([15, 36])('world %i recorded: its steps come out the same, phases as drawn', async (seed) => {
  const recordings = new Replaying();
  const { violations } = await simulate(seed, { recordings });
  expect(violations).toEqual([]);
  expect(recordings.steps).toBeGreaterThan(100);
  expect(recordings.differs).toEqual([]);
  const drawn = Object.entries(NEXT_PHASES).flatMap(([from, next]) => next.map((to) => `${from} ${to}`));
  expect([...recordings.changes].filter((change) => !drawn.includes(change))).toEqual([]);
});
