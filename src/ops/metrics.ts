import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { METRICS } from '../bridge/metric-table.ts';
import type { Metrics } from '../bridge/ports.ts';

/** Counts nothing: for tests and tools. */
export const noMetrics: Metrics = { count: () => undefined, gauge: () => undefined, observe: () => undefined };

export interface MemoryMetrics extends Metrics {
  /** The value of one series; for a histogram, the number of observations. 0 if there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
}

/** Labels take few values, so more series are a mistake, which must not fill the memory. */
const SERIES_LIMIT = 10_000;

/** Keeps every series in memory. */
export function createMemoryMetrics(): MemoryMetrics {
  const series = new Map<string, number>();
  const set = (key: string, value: number) => {
    if (series.has(key) || series.size < SERIES_LIMIT) series.set(key, value);
  };
  const increment = (key: string) => set(key, (series.get(key) ?? 0) + 1);
  return {
    count: (name, labels) => increment(keyOf(name, labels)),
    gauge: (name, value, labels) => set(keyOf(name, labels), value),
    observe: (name) => increment(keyOf(name)),
    value: (name, labels) => series.get(keyOf(name, labels)) ?? 0,
  };
}

function keyOf(name: string, labels: Readonly<Record<string, string>> = {}): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

export interface Scraped {
  contentType: string;
  text: string;
}

export interface PromMetrics extends Metrics {
  /** All metrics as Prometheus reads them. */
  scrape(): Promise<Scraped>;
}

export const METRIC_PREFIX = 'letta_slack_';
/** Turns take from a second to an hour. */
const SECONDS = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600];
/** Most series of one metric: its labels take few values, so more are a mistake. */
const SERIES_PER_METRIC = 1_000;
const OTHER = 'other';

/** Metrics for Prometheus, with Node's own (`process_*`, `nodejs_*`: memory, event loop delay). */
export function createPromMetrics(): PromMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  const seriesByMetric = new Map<string, Set<string>>();
  for (const { name, kind, labels, help } of METRICS) {
    const about = { name: METRIC_PREFIX + name, help, labelNames: [...labels], registers: [registry] };
    if (kind === 'counter') counters.set(name, new Counter({ ...about, name: `${about.name}_total` }));
    else if (kind === 'gauge') gauges.set(name, new Gauge(about));
    else histograms.set(name, new Histogram({ ...about, buckets: SECONDS }));
  }

  /** The labels; if the metric has too many series already, `other` for each label. */
  const boundLabels = (name: string, labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
    const known = seriesByMetric.get(name) ?? new Set();
    seriesByMetric.set(name, known);
    const key = keyOf(name, labels);
    if (known.has(key)) return labels;
    if (known.size >= SERIES_PER_METRIC) {
      return Object.fromEntries(Object.keys(labels).map((label) => [label, OTHER]));
    }
    known.add(key);
    return labels;
  };

  return {
    count: (name, labels = {}) => counters.get(name)?.inc(boundLabels(name, labels)),
    gauge: (name, value, labels = {}) => gauges.get(name)?.set(boundLabels(name, labels), value),
    observe: (name, seconds) => histograms.get(name)?.observe(seconds),
    scrape: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

/** The table of metrics in docs/operating.md, in Markdown. */
export function metricsTable(): string {
  const rows = METRICS.map(({ name, kind, labels, help }) => {
    const full = `${METRIC_PREFIX}${name}${kind === 'counter' ? '_total' : ''}`;
    const by = labels.map((label) => `\`${label}\``).join(', ');
    return `| \`${full}\` | ${kind} | ${by} | ${help} |`;
  });
  return ['| metric | kind | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
