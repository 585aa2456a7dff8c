import { mapPooled, runInChild, WORLDS_AT_ONCE } from '../child.ts';
import { mean, medianRows, percentile, type Row, row } from '../row.ts';
import { fairStaleness, type Load, stalenessBound, waitsOfLastEdits } from './bound.ts';
import { endingTogether, type Plan, randomThreads, seeded, TURNS } from './plan.ts';
import type { Played } from './play.ts';
import { finalDelay, staleness, type Trace, wholeAt, writingTime, writtenUntil } from './trace.ts';

const RUNS = 3;
const LATENCY_MS = 100;
const WORD_GAP_MS = 125;
/** Begins to be looked at when all threads write and the first window is long over. */
const FROM_MS = 75_000;
const TO_MS = 195_000;
const SPREAD_MS = 20_000;
const SAMPLE_MS = 100;
/** Edits that the small Slack takes in 60 s (docs/slack.md, Tiers). */
const LIMIT = 50;
/** How much older than at best text may be. */
const STALENESS_TARGET = 1.15;
const FINAL_TARGET_MS = 1_500;
const TOGETHER_MS = 100_000;

/** Many threads of one workspace at once. */
export async function workspaceRows(
  appFor: (count: number) => string = () => 'bridge',
  counts: readonly number[] = [5, 20, 50],
  times = RUNS,
  line = 0,
): Promise<Row[]> {
  const runs = Array.from({ length: times }, (_, run) => run);
  const kinds = [...counts.map((count) => ({ count, together: false })), { count: 20, together: true }];
  const jobs = kinds.flatMap((kind) => runs.map((run) => ({ ...kind, run })));
  const rows = await mapPooled(jobs, WORLDS_AT_ONCE, async ({ count, together, run }) => {
    const app = appFor(count);
    const plan = together ? togetherPlan(app, count, run) : randomPlan(app, count, run);
    const played = await runInChild<Played>('./streams/main.ts', { ...plan, line });
    return together ? togetherRows(count, played) : randomRows(count, played);
  });
  return kinds.flatMap((_, kind) => medianRows(rows.slice(kind * times, (kind + 1) * times)));
}

function randomPlan(app: string, count: number, run: number): Plan {
  const threads = randomThreads(count, SPREAD_MS, TO_MS, seeded(count * 100 + run));
  return { app, latencyMs: LATENCY_MS, wordGap: WORD_GAP_MS, threads, until: TO_MS };
}

function togetherPlan(app: string, count: number, run: number): Plan {
  const threads = endingTogether(count, 40_000, TOGETHER_MS, seeded(count * 100 + run));
  return { app, latencyMs: LATENCY_MS, wordGap: WORD_GAP_MS, threads, until: TOGETHER_MS + 60_000 };
}

function randomRows(count: number, { start, end, traces, limited, roundTrip }: Played): Row[] {
  const id = (figure: string) => `workspace_${count}_${figure}`;
  const from = start + FROM_MS;
  const to = start + TO_MS;
  const within = (at: number | undefined | null) => at != null && at >= from && at < to;
  const byThread = groups(traces).map((own) => own.flatMap((trace) => staleness(trace, SAMPLE_MS, from, to)));
  const ages = byThread.flat();
  const finals = traces.filter((trace) => trace.words.length === trace.length && within(writtenUntil(trace)));
  const load: Load = {
    limit: LIMIT,
    window: to - from,
    writing: traces.reduce((sum, trace) => sum + writingTime(trace, from, to), 0),
    ends: finals.length,
    turns: TURNS,
    wordGap: WORD_GAP_MS,
    roundTrip,
  };
  const [median, p95] = [percentile(ages, 0.5), percentile(ages, 0.95)];
  const means = byThread.map(mean);
  // Those whose end is too near the end of the run to be seen are left out, not counted as lost.
  const delays = finals
    .filter((trace) => writtenUntil(trace) < to - 30_000 || wholeAt(trace) !== null)
    .map((trace) => finalDelay(trace, end));
  const finalTarget = count === 20 ? FINAL_TARGET_MS : undefined;
  return [
    row(id('429s'), limitedOf(limited), 'calls', 0),
    row(id('staleness_median'), median, 'ms'),
    row(id('staleness_p95'), p95, 'ms'),
    row(id('staleness_median_to_bound'), median / stalenessBound(load, 0.5), 'x', STALENESS_TARGET),
    row(id('staleness_p95_to_bound'), p95 / stalenessBound(load, 0.95), 'x', STALENESS_TARGET),
    row(id('staleness_median_to_best_fair'), median / fairStaleness(load, 0.5), 'x'),
    row(id('staleness_p95_to_best_fair'), p95 / fairStaleness(load, 0.95), 'x'),
    row(id('final_p95'), percentile(delays, 0.95), 'ms', finalTarget),
    row(id('spread'), Math.max(...means) / mean(means), 'x'),
  ];
}

function togetherRows(count: number, { start, end, traces, edits, limited, roundTrip }: Played): Row[] {
  const id = (figure: string) => `workspace_${count}_end_together_${figure}`;
  const ends = traces.map(writtenUntil);
  const first = Math.min(...ends);
  const before = edits.map(({ at }) => at).filter((at) => at < first);
  const waits = waitsOfLastEdits(before, ends, LIMIT);
  const delays = traces.map((trace) => finalDelay(trace, end));
  return [
    row(id('within'), Math.max(...ends) - first, 'ms'),
    row(id('429s'), limitedOf(limited), 'calls', 0),
    row(id('final_median'), percentile(delays, 0.5), 'ms'),
    row(id('final_p95'), percentile(delays, 0.95), 'ms'),
    row(id('final_worst'), Math.max(...delays), 'ms', FINAL_TARGET_MS),
    // How long whoever only edits would wait at least.
    row(id('edits_bound_p95'), percentile(waits, 0.95) + roundTrip, 'ms'),
    row(id('edits_before'), before.filter((at) => at > first - 60_000 && at > start).length, 'calls'),
  ];
}

function groups(traces: readonly Trace[]): Trace[][] {
  return [...Map.groupBy(traces, ({ channel }) => channel).values()];
}

function limitedOf(limited: Record<string, number>): number {
  return Object.values(limited).reduce((sum, count) => sum + count, 0);
}
