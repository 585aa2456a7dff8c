import { mapPooled, runInChild } from '../child.ts';
import { medianRows, percentile, type Row, row } from '../row.ts';
import { channelOf, type Plan } from './plan.ts';
import type { Played } from './play.ts';
import { finalDelay, firstReadableDelay, readableAt, wordDelays } from './trace.ts';

const RUNS = 3;
const LATENCY_MS = 100;
/**
 * First text, and first readable text: at most so long after enough of it was written to be read, and a call's way there
 * and back. The bridge shows nothing shorter, because a notification says what the first post says.
 */
const FIRST_TEXT_MS = 50;
/** A process that has just started still compiles what it runs for the first time; that is not looked at. */
const WARM_UP = { after: 500, ms: 2_000 };
const STREAMS = [30, 60].flatMap((perSecond) => [5, 30].map((seconds) => ({ perSecond, seconds })));

/** One thread alone, with lines of so many words (0: one line); so many streams are played at once. A text counts as shown when the small Slack has it, half a round trip after the call was made. */
export async function singleRows(app = 'bridge', times = RUNS, line = 0, atOnce = STREAMS.length): Promise<Row[]> {
  const runs: Row[][] = [];
  for (let run = 0; run < times; run += 1) {
    const rows = await mapPooled(STREAMS, atOnce, async (stream) =>
      rowsOf(stream, await runInChild<Played>('./streams/main.ts', planOf(app, stream, line))),
    );
    runs.push(rows.flat());
  }
  return medianRows(runs);
}

type Stream = (typeof STREAMS)[number];

function planOf(app: string, { perSecond, seconds }: Stream, line: number): Plan {
  const ms = seconds * 1_000;
  return {
    app,
    latencyMs: LATENCY_MS,
    wordGap: Math.round(10_000 / perSecond) / 10,
    line,
    threads: [{ channel: channelOf(0), turns: [WARM_UP, { after: 1_000, ms }] }],
    until: WARM_UP.ms + ms + 30_000,
  };
}

function rowsOf({ perSecond, seconds }: Stream, { end, traces, limited, roundTrip }: Played): Row[] {
  const id = (figure: string) => `stream_${perSecond}_per_s_${seconds}_s_${figure}`;
  const trace = traces[1];
  if (!trace) throw new Error('nothing was played');
  const delays = wordDelays(trace, end);
  const first = trace.words[0] ?? 0;
  const firstText = (trace.shown[0]?.at ?? end) - first;
  const writing = readableAt(trace, end) - first;
  return [
    row(
      id('429s'),
      Object.values(limited).reduce((sum, count) => sum + count, 0),
      'calls',
    ),
    row(id('round_trip'), roundTrip, 'ms'),
    row(id('first_sign'), (trace.firstSign ?? end) - trace.asked, 'ms'),
    row(id('first_text'), firstText, 'ms', writing + FIRST_TEXT_MS + roundTrip),
    row(id('first_readable_text'), firstReadableDelay(trace, end), 'ms', writing + FIRST_TEXT_MS + roundTrip),
    row(id('final_text'), finalDelay(trace, end), 'ms', roundTrip),
    row(id('delta_delay_median'), percentile(delays, 0.5), 'ms'),
    row(id('delta_delay_p95'), percentile(delays, 0.95), 'ms'),
    row(id('calls'), trace.calls, 'calls'),
    row(id('bytes'), trace.bytes, 'bytes'),
  ];
}
