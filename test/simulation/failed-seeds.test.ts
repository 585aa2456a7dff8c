import { describe, expect, it } from 'vitest';
import { IS_FULL } from '../support/runs.ts';
import { failedReplicaSeeds, failedSeeds, failedSteeredSeeds } from './failed-seeds.ts';
import { simulate } from './world.ts';

// One seed of every other bug; `.ci/run` plays them all.
const pick = (failed: typeof failedSeeds) =>
  failed
    .filter((_, at) => IS_FULL || at % 2 === 0)
    .flatMap(([found, seeds]) => (IS_FULL ? seeds : seeds.slice(0, 1)).map((seed) => [seed, found] as const));

describe('a seed that failed once', () => {
  it.each(pick(failedSeeds))('%i passes: %s', async (seed) => {
    expect((await simulate(seed)).violations).toEqual([]);
  });

  it.each(pick(failedSteeredSeeds))('%i with --steer passes: %s', async (seed) => {
    expect((await simulate(seed, { steer: true })).violations).toEqual([]);
  });

  it.each(pick(failedReplicaSeeds))('%i with --replicas passes: %s', async (seed) => {
    expect((await simulate(seed, { replicas: true })).violations).toEqual([]);
  });
});
