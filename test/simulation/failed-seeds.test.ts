import { expect, it } from 'vitest';
import { failedSeeds } from './failed-seeds.ts';
import { simulate } from './world.ts';

const each = failedSeeds.flatMap(([found, seeds]) => seeds.map((seed) => [seed, found] as const));

it.each(each)('seed %i does not fail again: %s', async (seed) => {
  expect((await simulate(seed)).violations).toEqual([]);
});
