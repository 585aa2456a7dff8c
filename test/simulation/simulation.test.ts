import { describe, expect, it } from 'vitest';
import { runs } from '../support/runs.ts';
import { simulate } from './world.ts';

const SEEDS = Number(process.env.SEEDS ?? runs(60));
const WITH_REPLICAS = Number(process.env.SEEDS ?? runs(100));
const FIRST = Number(process.env.SEED ?? 1);

describe('the simulation', () => {
  it('keeps every promise in many worlds', async () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
      const { violations } = await simulate(seed);
      expect(violations, `npm run simulate -- --seed ${seed}`).toEqual([]);
    }
  }, 240_000);

  it('keeps every promise with several processes on one database', async () => {
    for (let seed = FIRST; seed < FIRST + WITH_REPLICAS; seed += 1) {
      const { violations } = await simulate(seed, { replicas: true });
      expect(violations, `npm run simulate -- --replicas --seed ${seed}`).toEqual([]);
    }
  }, 600_000);

  it('tells the same story for the same seed', async () => {
    const [first, second] = [await simulate(7), await simulate(7)];
    expect(second.story.join('\n')).toBe(first.story.join('\n'));
    expect(first.story.length).toBeGreaterThan(100);
  });
});
