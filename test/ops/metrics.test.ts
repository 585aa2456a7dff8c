import { describe, expect, it } from 'vitest';
import { METRICS } from '../../src/bridge/metric-table.ts';
import { createPromMetrics, METRIC_PREFIX } from '../../src/ops/metrics.ts';

describe('metrics for Prometheus', () => {
  it('are all present from the first scrape, with Node’s own', async () => {
    const { text, contentType } = await createPromMetrics().scrape();
    for (const { name, kind } of METRICS)
      expect(text).toMatch(new RegExp(`# TYPE ${METRIC_PREFIX}${name}\\w* ${kind}`));
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
    expect(text).toContain('process_resident_memory_bytes');
    expect(contentType).toContain('text/plain');
  });

  it('show counts, gauges and observations by their labels', async () => {
    const metrics = createPromMetrics();
    metrics.count('api_calls', { method: 'chat.update', result: 'limited' });
    metrics.count('api_calls', { method: 'chat.update', result: 'limited' });
    metrics.gauge('queue_depth', 3);
    metrics.gauge('queue_depth', 2);
    metrics.observe('turn_seconds', 1.5);
    const { text } = await metrics.scrape();
    expect(text).toContain('letta_slack_api_calls_total{method="chat.update",result="limited"} 2\n');
    expect(text).toContain('letta_slack_queue_depth 2\n');
    expect(text).toContain('letta_slack_turn_seconds_bucket{le="1"} 0\n');
    expect(text).toContain('letta_slack_turn_seconds_bucket{le="2"} 1\n');
    expect(text).toContain('letta_slack_turn_seconds_sum 1.5\n');
  });

  it('count further values of a label together as “other”', async () => {
    const metrics = createPromMetrics();
    for (let n = 0; n < 3_000; n += 1) metrics.count('turns', { outcome: `made up ${n}` });
    const { text } = await metrics.scrape();
    expect(text.split('\n').filter((line) => line.startsWith('letta_slack_turns_total{')).length).toBe(1_001);
    expect(text).toContain('letta_slack_turns_total{outcome="other"} 2000\n');
  });

  it('by workspace: count each apart, and forget what is left', async () => {
    const metrics = createPromMetrics({ byWorkspace: true });
    const [one, two] = [metrics.ofWorkspace('T1'), metrics.ofWorkspace('T2')];
    one.count('api_calls', { method: 'chat.update', result: 'ok' });
    two.count('api_calls', { method: 'chat.update', result: 'ok' }, 2);
    metrics.count('inbound_events', { kind: 'message', outcome: 'ignored', reason: 'other_workspace' });
    one.gauge('live_threads', 3);
    two.gauge('live_threads', 4);
    one.observe('turn_seconds', 1);
    metrics.gauge('ready', 1, { part: 'slack' });
    const { text } = await metrics.scrape();
    expect(text).toContain('letta_slack_api_calls_total{method="chat.update",result="ok",workspace="T1"} 1\n');
    expect(text).toContain('letta_slack_api_calls_total{method="chat.update",result="ok",workspace="T2"} 2\n');
    expect(text).toContain('letta_slack_live_threads{workspace="T1"} 3\n');
    expect(text).toContain('letta_slack_ready{part="slack"} 1\n');
    expect(text).toContain('letta_slack_turn_seconds_count 1\n');
    one.forgetGauges();
    const { text: later } = await metrics.scrape();
    expect(later).not.toContain('letta_slack_live_threads{workspace="T1"}');
    expect(later).toContain('letta_slack_live_threads{workspace="T2"} 4\n');
    expect(later).toContain('workspace="T1"} 1\n');
  });

  it('not by workspace: count all together', async () => {
    const metrics = createPromMetrics();
    for (const id of ['T1', 'T2']) metrics.ofWorkspace(id).count('turns', { outcome: 'done' });
    expect((await metrics.scrape()).text).toContain('letta_slack_turns_total{outcome="done"} 2\n');
  });

  it('have names that Prometheus accepts, each once', () => {
    const names = METRICS.map(({ name }) => name);
    expect(names.filter((name) => !/^[a-z][a-z_]*$/.test(name))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });
});
