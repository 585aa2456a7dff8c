/**
 * One figure of a benchmark; `target` and `met` (whether `value` is at most `target`) only where a target is set, `range` (the
 * least and the most) only where it was measured more than once.
 */
export interface Row {
  id: string;
  value: number;
  unit: 'ms' | 'µs' | 'x' | 'calls' | 'frames' | 'bytes' | 'kB' | 'MB';
  target?: number;
  met?: boolean;
  range?: [least: number, most: number];
}

export function row(id: string, value: number, unit: Row['unit'], target?: number): Row {
  const rounded = round(value);
  if (target === undefined) return { id, value: rounded, unit };
  const most = round(target);
  return { id, value: rounded, unit, target: most, met: rounded <= most };
}

/** Rounds to two decimals; no figure is more repeatable than that. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** @param share 0.5 for the median, 0.99 for the 99th percentile. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The rows of repeated runs as one list: each figure's median, its target's too, and its range. Every run must have the same
 * rows.
 */
export function medianRows(runs: readonly (readonly Row[])[]): Row[] {
  const [first = []] = runs;
  return first.map(({ id, unit, target }) => {
    const same = runs.flatMap((rows) => rows.filter((other) => other.id === id));
    const targets = same.flatMap((other) => other.target ?? []);
    const value = median(same.map((other) => other.value));
    const all = same.flatMap((other) => other.range ?? other.value);
    const of = row(id, value, unit, target === undefined ? undefined : median(targets));
    return same.length === 1
      ? { ...of, ...(same[0]?.range && { range: same[0].range }) }
      : { ...of, range: [Math.min(...all), Math.max(...all)] };
  });
}

/** A table for people. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ id, value, unit, target, met, range }) => [
    id,
    `${value} ${unit}`,
    range === undefined ? '' : `${range[0]} – ${range[1]}`,
    target === undefined ? '' : `≤ ${target} ${unit}`,
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ]);
  const all = [['figure', 'value', 'range', 'target', ''], ...cells];
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
