import type { Metrics } from '../bridge/ports.ts';

/** For where nobody looks. */
export const noMetrics: Metrics = { count: () => undefined, gauge: () => undefined };

export interface MemoryMetrics extends Metrics {
  /** The value of one series; 0 where nothing was said yet. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
}

/** Labels take few values; whatever goes beyond is a mistake that must not eat the memory. */
const SERIES_LIMIT = 10_000;

/** Keeps every series in memory. */
export function createMemoryMetrics(): MemoryMetrics {
  const series = new Map<string, number>();
  const set = (key: string, value: number) => {
    if (series.has(key) || series.size < SERIES_LIMIT) series.set(key, value);
  };
  return {
    count(name, labels) {
      const key = keyOf(name, labels);
      set(key, (series.get(key) ?? 0) + 1);
    },
    gauge: (name, value, labels) => set(keyOf(name, labels), value),
    value: (name, labels) => series.get(keyOf(name, labels)) ?? 0,
  };
}

function keyOf(name: string, labels: Readonly<Record<string, string>> = {}): string {
  return JSON.stringify([name, ...Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
