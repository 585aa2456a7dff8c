/** One figure of a benchmark. `met` says whether `value` is at most `target`. */
export interface Row {
  id: string;
  value: number;
  unit: 'ms' | 'x';
  target: number;
  met: boolean;
}

export function row(id: string, value: number, unit: Row['unit'], target: number): Row {
  const rounded = Math.round(value * 100) / 100;
  return { id, value: rounded, unit, target, met: rounded <= target };
}

/** @param share 0.5 for the median, 0.99 for the 99th percentile. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** A table for people. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ id, value, unit, target, met }) => [
    id,
    `${value} ${unit}`,
    `≤ ${target} ${unit}`,
    met ? 'met' : 'MISSED',
  ]);
  const all = [['figure', 'value', 'target', ''], ...cells];
  const width = (at: number) => Math.max(...all.map((line) => line[at]?.length ?? 0));
  return all
    .map((line) =>
      line
        .map((cell, at) => cell.padEnd(width(at)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
