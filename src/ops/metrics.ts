import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { WorkspaceId } from '../bridge/ids.ts';
import { METRICS, type MetricEntry } from '../bridge/metric-table.ts';
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
  const increment = (key: string, by = 1) => set(key, (series.get(key) ?? 0) + by);
  return {
    count: (name, labels, by) => increment(keyOf(name, labels), by),
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

/** The counts of one workspace. */
export interface WorkspaceMetrics extends Metrics {
  /** Its current values are no longer known: it is not served here any more. What was counted stays. */
  forgetGauges(): void;
}

export interface PromMetrics extends Metrics {
  /** The same metrics for one workspace; apart from those of others only if they are made with `byWorkspace`. */
  ofWorkspace(workspace: WorkspaceId): WorkspaceMetrics;
  /** All metrics as Prometheus reads them. */
  scrape(): Promise<Scraped>;
}

export const METRIC_PREFIX = 'letta_slack_';
/** Turns take from a second to an hour. */
const SECONDS = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600];
/** Most series of one metric: its labels take few values, so more are a mistake. */
const SERIES_PER_METRIC = 1_000;
/** As many for metrics that are counted by workspace: a thousand workspaces with a few dozen series each. */
const SERIES_BY_WORKSPACE = 30_000;
const OTHER = 'other';
const WORKSPACE = 'workspace';

/**
 * Metrics for Prometheus, with Node's own (`process_*`, `nodejs_*`: memory, event loop delay).
 * @param byWorkspace whether what belongs to a workspace has its id as a label
 */
export function createPromMetrics({ byWorkspace = false }: { byWorkspace?: boolean } = {}): PromMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  const seriesByMetric = new Map<string, Set<string>>();
  const apart = new Set<string>();
  for (const { name, kind, labels, help, isByWorkspace } of METRICS as readonly MetricEntry[]) {
    const own = byWorkspace && isByWorkspace ? [WORKSPACE] : [];
    if (own.length > 0) apart.add(name);
    const about = { name: METRIC_PREFIX + name, help, labelNames: [...labels, ...own], registers: [registry] };
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
    if (known.size >= (apart.has(name) ? SERIES_BY_WORKSPACE : SERIES_PER_METRIC)) {
      return Object.fromEntries(Object.keys(labels).map((label) => [label, OTHER]));
    }
    known.add(key);
    return labels;
  };

  const metrics: Metrics = {
    count: (name, labels = {}, by = 1) => counters.get(name)?.inc(boundLabels(name, labels), by),
    gauge: (name, value, labels = {}) => gauges.get(name)?.set(boundLabels(name, labels), value),
    observe: (name, seconds) => histograms.get(name)?.observe(seconds),
  };

  return {
    ...metrics,
    ofWorkspace(workspace) {
      const own = { [WORKSPACE]: workspace };
      const labelsOf = (name: string, labels: Readonly<Record<string, string>> = {}) =>
        apart.has(name) ? { ...labels, ...own } : labels;
      return {
        count: (name, labels, by) => metrics.count(name, labelsOf(name, labels), by),
        gauge: (name, value, labels) => metrics.gauge(name, value, labelsOf(name, labels)),
        observe: metrics.observe,
        forgetGauges() {
          for (const [name, gauge] of gauges) {
            if (!apart.has(name)) continue;
            gauge.remove(own);
            seriesByMetric.get(name)?.delete(keyOf(name, own));
          }
        },
      };
    },
    scrape: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}

/** The table of metrics in docs/operating.md, in Markdown. */
export function metricsTable(): string {
  const rows = (METRICS as readonly MetricEntry[]).map(({ name, kind, labels, help, isByWorkspace }) => {
    const full = `${METRIC_PREFIX}${name}${kind === 'counter' ? '_total' : ''}`;
    const by = [...labels.map((label) => `\`${label}\``), ...(isByWorkspace ? [`(\`${WORKSPACE}\`)`] : [])].join(', ');
    return `| \`${full}\` | ${kind} | ${by} | ${help} |`;
  });
  return ['| metric | kind | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
}
