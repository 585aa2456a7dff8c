import type { Verdict } from './judge.ts';

export interface Row {
  mode: string;
  /** What was done to whom: `bridge killed`. */
  what: string;
  step: string;
  round: number;
  /** Rows of a table stand in this order; stories end in any. */
  order: number;
  verdict: Verdict;
}

export function hasFailed({ verdict }: Row): boolean {
  return verdict.faults.length > 0;
}

/** One line per mode, deed and step; rounds are summed up. */
export function table(rows: readonly Row[]): string {
  const inOrder = [...rows].sort((a, b) => a.order - b.order);
  const groups = Map.groupBy(inOrder, ({ mode, what, step }) => `${mode}\t${what}\t${step}`);
  const head = ['mode', 'what', 'step', 'rounds', 'lost', 'doubled', 'left over', 'outcome', 'settled after'];
  const lines = [...groups].map(([key, group]) => {
    const verdicts = group.map(({ verdict }) => verdict);
    const sum = (count: (verdict: Verdict) => number) => String(verdicts.reduce((all, one) => all + count(one), 0));
    const slowest = Math.max(...verdicts.map(({ settledAfter }) => settledAfter ?? Number.POSITIVE_INFINITY));
    return [
      ...key.split('\t'),
      String(group.length),
      sum(({ lost }) => lost),
      sum(({ doubled }) => doubled),
      sum(({ leftOver }) => leftOver),
      [...new Set(verdicts.map(({ outcome }) => outcome))].sort().join(', '),
      Number.isFinite(slowest) ? `${(slowest / 1_000).toFixed(1)} s` : 'never',
    ];
  });
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all
    .map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => line.trimEnd())
    .join('\n');
}
