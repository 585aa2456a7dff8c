import { expect, it } from 'vitest';
import type { UsedTurn } from '../../src/bridge/turn/steps.ts';
import { createMemoryMetrics } from '../../src/ops/metrics.ts';
import { countUseByModel } from '../../src/ops/use.ts';

const used = (model: string | null, tokens: UsedTurn['tokens'] = { input: 100, cached: 40, output: 10 }): UsedTurn => ({
  user: 'U1',
  channel: 'C1',
  model,
  tokens,
  context: null,
  compactions: 0,
});

it('counts tokens by model, and models beyond fifty together', () => {
  const metrics = createMemoryMetrics();
  const count = countUseByModel(metrics);
  count(used(null));
  count(used('a/b', null));
  for (let n = 0; n < 60; n += 1) count(used(`m/${n}`));
  const value = (kind: string, model: string) => metrics.value('tokens', { kind, model });
  expect([value('input', 'unknown'), value('cached', 'm/0'), value('output', 'm/48')]).toEqual([100, 40, 10]);
  expect([value('input', 'm/49'), value('input', 'other')]).toEqual([0, 1_100]);
});

it('counts turns by how full their context was, and summaries', () => {
  const metrics = createMemoryMetrics();
  const count = countUseByModel(metrics);
  for (const context of [null, 0, 49, 50, 84, 85, 100]) count({ ...used('a/b', null), context, compactions: 1 });
  const turns = (percent: string) => metrics.value('turn_context', { percent });
  expect(['unknown', '0-49', '50-84', '85-100'].map(turns)).toEqual([1, 2, 2, 2]);
  expect(metrics.value('compactions')).toBe(7);
});
