import { expect, it } from 'vitest';
import { createPromMetrics } from '../../src/ops/metrics.ts';
import { createLoadMetrics } from '../../src/workspaces/load-metrics.ts';

const workspace = (id: string, live: number) => ({
  id,
  load: () => ({ waiting: live * 2, openApprovals: 1, live }),
});
const gauges = async (metrics: ReturnType<typeof createPromMetrics>) =>
  (await metrics.scrape()).text.split('\n').filter((line) => /^letta_slack_(live|queue|open)/.test(line));

it('loads of all workspaces: added up', async () => {
  const metrics = createPromMetrics();
  const tell = createLoadMetrics(metrics);
  tell([workspace('T1', 2), workspace('T2', 3)]);
  expect(await gauges(metrics)).toEqual([
    'letta_slack_queue_depth 10',
    'letta_slack_open_approvals 2',
    'letta_slack_live_threads 5',
  ]);
  tell([]);
  expect(await gauges(metrics)).toContain('letta_slack_live_threads 0');
});

it('loads by workspace: told apart, for those that are served', async () => {
  const metrics = createPromMetrics({ byWorkspace: true });
  const tell = createLoadMetrics(metrics, metrics.ofWorkspace);
  tell([workspace('T1', 2), workspace('T2', 3)]);
  expect(await gauges(metrics)).toContain('letta_slack_live_threads{workspace="T1"} 2');
  tell([workspace('T2', 4)]);
  expect(await gauges(metrics)).toEqual([
    'letta_slack_queue_depth{workspace="T2"} 8',
    'letta_slack_open_approvals{workspace="T2"} 1',
    'letta_slack_live_threads{workspace="T2"} 4',
  ]);
});
