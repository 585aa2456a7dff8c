import { describe, expect, it } from 'vitest';
import { failedSeeds } from './failed-seeds.ts';
import { simulate } from './world.ts';

const each = failedSeeds.flatMap(([found, seeds]) => seeds.map((seed) => [seed, found] as const));

describe('a seed that failed once', () => {
  it.each(each)('%i passes: %s', async (seed) => {
    expect((await simulate(seed)).violations).toEqual([]);
  });
});
