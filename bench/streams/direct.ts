import { runInChild } from '../child.ts';
import { medianRows, percentile, type Row, row } from '../row.ts';
import { channelOf, type Plan } from './plan.ts';
import type { Played } from './play.ts';
import { finalDelay, firstReadableDelay, wordDelays } from './trace.ts';

const THREADS = 5;
const WRITES_MS = 30_000;
const PLAN = { latencyMs: 100, wordGap: 125, isDirect: true, until: 120_000 };

/** Five threads of direct messages that write at once. */
export async function directRows(app: string, times: number, line: number): Promise<Row[]> {
  const runs: Row[][] = [];
  for (let run = 0; run < times; run += 1)
    runs.push(rowsOf(await runInChild<Played>('./streams/main.ts', planOf(app, line))));
  return medianRows(runs);
}

function planOf(app: string, line: number): Plan {
  const threads = Array.from({ length: THREADS }, (_, number) => {
    return { channel: channelOf(number), turns: [{ after: number * 400, ms: WRITES_MS }] };
  });
  return { ...PLAN, app, line, threads };
}

function rowsOf({ end, traces, limited }: Played): Row[] {
  const id = (figure: string) => `direct_${THREADS}_${figure}`;
  const delays = traces.flatMap((trace) => wordDelays(trace, end));
  const calls = traces.reduce((sum, trace) => sum + trace.calls, 0);
  const refused = Object.values(limited).reduce((sum, count) => sum + count, 0);
  return [
    row(id('429s'), refused, 'calls'),
    row(id('first_readable_text_worst'), Math.max(...traces.map((trace) => firstReadableDelay(trace, end))), 'ms'),
    row(id('delta_delay_median'), percentile(delays, 0.5), 'ms'),
    row(id('delta_delay_p95'), percentile(delays, 0.95), 'ms'),
    row(id('final_worst'), Math.max(...traces.map((trace) => finalDelay(trace, end))), 'ms'),
    row(id('calls'), calls, 'calls'),
  ];
}
