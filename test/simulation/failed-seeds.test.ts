import { describe, expect, it } from 'vitest';
import { IS_FULL } from '../support/runs.ts';
import { failedSeeds } from './failed-seeds.ts';
import { simulate } from './world.ts';

// One seed of every other bug; `.ci/run` plays them all.
const each = failedSeeds
  .filter((_, at) => IS_FULL || at % 2 === 0)
  .flatMap(([found, seeds]) => (IS_FULL ? seeds : seeds.slice(0, 1)).map((seed) => [seed, found] as const));

describe('a seed that failed once', () => {
  it.each(each)('%i passes: %s', async (seed) => {
    expect((await simulate(seed)).violations).toEqual([]);
  });
});
