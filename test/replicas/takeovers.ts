/** How long nobody served a workspace, by what happened to whoever did; ms. */
export type Takeovers = ReadonlyMap<string, readonly number[]>;

/** The `part` of the values that are at most the result, 0 < part ≤ 1. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
}

/** One line for each kind. @param goalOf ms; `null`: there is none */
export function takeoverTable(takeovers: Takeovers, goalOf: (what: string) => number | null): string {
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;
  const lines = [...takeovers].map(([what, values]) => {
    const goal = goalOf(what);
    const worst = percentile(values, 0.99);
    const says = goal === null ? '' : `${worst <= goal ? 'met' : 'missed'} (≤ ${seconds(goal)})`;
    return [what, String(values.length), seconds(percentile(values, 0.5)), seconds(worst), says];
  });
  const all = [['takeover after', 'times', 'p50', 'p99', 'goal'], ...lines];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? [];
  return all
    .map((line) =>
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
