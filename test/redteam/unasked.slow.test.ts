import { describe, expect, it } from 'vitest';
import { runUnasked } from './unasked-run.ts';

describe('34,000 command lines', () => {
  it.each([1, 2, 3])('those approved without asking change nothing, show no canary (seed %i)', (seed) => {
    const { passed } = runUnasked({ seed, lines: 34_000, runs: 600 });
    expect(passed).toBeGreaterThan(1_000);
  });
});
