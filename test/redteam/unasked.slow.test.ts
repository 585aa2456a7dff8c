import { expect, it } from 'vitest';
import { runUnasked } from './unasked-run.ts';

it.each([1, 2, 3])('of 34,000 command lines those that pass show no canary and change nothing (seed %i)', (seed) => {
  const { passed } = runUnasked({ seed, lines: 34_000, runs: 600 });
  expect(passed).toBeGreaterThan(1_000);
});
