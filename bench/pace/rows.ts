import { percentile, type Row, row } from '../row.ts';
import { finalDelay, firstReadableDelay, readableAt, type Trace, wordDelays } from '../streams/trace.ts';
import { catchUpAfterAMinute } from './catch-up.ts';
import { playVirtually, type VirtualPlay, type VirtualTurn } from './play.ts';

const LATENCY_MS = 100;
/** 30 words a second where a thread is alone, 8 where several write. */
const GAP_MS = { alone: 33, together: 125 };

/**
 * The pace of live text in virtual time (./play.ts). The targets of one thread alone are the figures of the rule before
 * this one that was tried out; none may be worse.
 */
export async function paceRows(): Promise<Row[]> {
  return [
    ...(await aloneRows(5, [467, 816])),
    ...(await aloneRows(10, [455, 858])),
    ...(await aloneRows(30, [577, 1_204])),
    ...(await liveRows()),
    ...(await directRows('edits', 30, false)),
    ...(await directRows('streams', 30, true, [1_000, 2_000])),
    ...(await directRows('streams', 120, true)),
    ...(await burstRows()),
    ...(await firstWordsRows(1)),
    ...(await firstWordsRows(20)),
    ...(await endTogetherRows(20)),
    ...(await refusedRows()),
    ...(await afterRefusalRows()),
    ...(await catchUpRows()),
  ];
}

/** One edit more or less in a window moves the median by a tenth at most. */
const AS_FRESH_AGAIN = 1.1;

const channels = (count: number) => Array.from({ length: count }, (_, number) => `C${number}`);

async function aloneRows(seconds: number, [median, p95]: [number, number]): Promise<Row[]> {
  const id = (figure: string) => `pace_alone_${seconds}_s_${figure}`;
  const turns = [{ channel: 'C0', at: 0, thinks: 1_000, writes: seconds * 1_000 }];
  const play = await playVirtually({ turns, wordGap: GAP_MS.alone, latencyMs: LATENCY_MS });
  return [
    row(id('429s'), limitedIn(play), 'calls', 0),
    ...delayRows(id, play.traces, play.end, median, p95),
    row(id('final_text'), Math.max(...play.traces.map((trace) => finalDelay(trace, play.end))), 'ms', LATENCY_MS),
  ];
}

/** Five threads that write for two minutes. */
async function liveRows(): Promise<Row[]> {
  const id = (figure: string) => `pace_5_live_${figure}`;
  const turns = channels(5).map((channel, n) => ({ channel, at: n * 400, thinks: 1_000, writes: 120_000 }));
  const play = await playVirtually({ turns, wordGap: GAP_MS.together, latencyMs: LATENCY_MS });
  return [row(id('429s'), limitedIn(play), 'calls', 0), ...delayRows(id, play.traces, play.end)];
}

/** Five threads of direct messages that begin within two seconds, by edits or by native streams. */
async function directRows(
  by: 'edits' | 'streams',
  seconds: number,
  nativeStreams: boolean,
  [median, p95]: [number?, number?] = [],
): Promise<Row[]> {
  const id = (figure: string) => `pace_5_dms_${seconds}_s_by_${by}_${figure}`;
  const turns = channels(5).map((channel, n) => {
    return { channel: channel.replace('C', 'D'), at: n * 400, thinks: 1_000, writes: seconds * 1_000 };
  });
  const play = await playVirtually({ turns, wordGap: GAP_MS.together, latencyMs: LATENCY_MS, nativeStreams });
  return [row(id('429s'), limitedIn(play), 'calls', 0), ...delayRows(id, play.traces, play.end, median, p95)];
}

/** One thread has written for half a minute when five others begin. */
async function burstRows(): Promise<Row[]> {
  const id = (figure: string) => `pace_5_after_burst_${figure}`;
  const before: VirtualTurn = { channel: 'C9', at: 0, thinks: 500, writes: 30_000 };
  const five = channels(5).map((channel, n) => ({ channel, at: 31_000 + n * 200, thinks: 1_000, writes: 60_000 }));
  const play = await playVirtually({
    turns: [before, ...five],
    wordGap: GAP_MS.together,
    latencyMs: LATENCY_MS,
  });
  const traces = play.traces.slice(1);
  return [row(id('429s'), limitedIn(play), 'calls', 0), ...delayRows(id, traces, play.end, undefined, 8_600)];
}

const FIRST_TEXT_MS = 250;

/**
 * Threads of as many channels that begin within a second. Their first words come after 2–4 s, as from a real server, or
 * after 11–13 s, when there is a message already that says that the agent works.
 */
async function firstWordsRows(count: number): Promise<Row[]> {
  const id = (figure: string) => `first_words_${count}_begun_within_1_s_${figure}`;
  const delays: number[] = [];
  let limited = 0;
  for (const thinks of [2_000, 11_000]) {
    const turns = channels(count).map((channel, n) => {
      return { channel, at: (n * 1_000) / count, thinks: thinks + ((n * 7) % 10) * 200, writes: 20_000 };
    });
    const play = await playVirtually({ turns, wordGap: GAP_MS.together, latencyMs: LATENCY_MS });
    limited += limitedIn(play);
    for (const trace of play.traces) {
      const readable = readableAt(trace, play.end) - (trace.words[0] ?? 0);
      delays.push(firstReadableDelay(trace, play.end) - readable);
    }
  }
  return [
    row(id('429s'), limited, 'calls', 0),
    row(id('readable_text_p95'), percentile(delays, 0.95), 'ms', FIRST_TEXT_MS),
  ];
}

/** Threads that write for a minute and end within a second, when the window of edits is used up. */
async function endTogetherRows(count: number): Promise<Row[]> {
  const id = (figure: string) => `last_words_${count}_end_together_${figure}`;
  const turns = channels(count).map((channel, n) => {
    return { channel, at: 0, thinks: 2_000 + (n * 1_000) / count, writes: 60_000 };
  });
  const play = await playVirtually({ turns, wordGap: GAP_MS.together, latencyMs: LATENCY_MS, rest: 200_000 });
  const delays = play.traces.map((trace) => finalDelay(trace, play.end));
  return [
    row(id('429s'), limitedIn(play), 'calls', 0),
    row(id('final_median'), percentile(delays, 0.5), 'ms'),
    row(id('final_worst'), Math.max(...delays), 'ms', 1_500),
  ];
}

/** Slack refuses all edits for 40 s, from some moment in or at the end of an answer of 30 s. */
async function refusedRows(): Promise<Row[]> {
  const delays: number[] = [];
  for (const from of [3_000, 15_000, 30_000, 31_900]) {
    const play = await playVirtually({
      turns: [{ channel: 'C0', at: 0, thinks: 2_000, writes: 30_000 }],
      wordGap: GAP_MS.alone,
      latencyMs: LATENCY_MS,
      refuses: { method: 'chat.update', from, until: from + 40_000 },
      rest: 200_000,
    });
    delays.push(...play.traces.map((trace) => finalDelay(trace, play.end)));
  }
  return [row('last_words_edits_refused_for_40_s_final_worst', Math.max(...delays), 'ms', 2_000)];
}

/** Slack refuses all edits for 10 s: a minute later live text is as fresh again as if nothing had been. */
async function afterRefusalRows(): Promise<Row[]> {
  const [from, until, fresh] = [30_000, 40_000, 100_000];
  const freshness = async (refuses?: { method: string; from: number; until: number }) => {
    const turns = [{ channel: 'C0', at: 0, thinks: 1_000, writes: 180_000 }];
    const play = await playVirtually({
      turns,
      wordGap: GAP_MS.together,
      latencyMs: LATENCY_MS,
      ...(refuses && { refuses }),
    });
    const delays = play.traces.flatMap((trace) => {
      return wordDelays(trace, play.end).filter((_, word) => (trace.words[word] ?? 0) >= fresh);
    });
    return percentile(delays, 0.5);
  };
  const after = await freshness({ method: 'chat.update', from, until });
  return [row('pace_60_s_after_429_median_to_undisturbed', after / (await freshness()), 'x', AS_FRESH_AGAIN)];
}

/** 50 channels, 200 threads, down for a minute: a reply in the thread used last, and one in each of the seven channels used last. */
async function catchUpRows(): Promise<Row[]> {
  const id = (figure: string) => `catch_up_50_channels_200_threads_${figure}`;
  const one = await catchUpAfterAMinute((number) => number === 0);
  const seven = await catchUpAfterAMinute((number) => number % 50 < 7 && number >= 150);
  return [
    row(id('429s'), one.refused + seven.refused, 'calls', 0),
    row(id('last_thread'), Math.max(...one.delays), 'ms', 10_000),
    row(id('seven_missed_worst'), Math.max(...seven.delays), 'ms', 10_000),
  ];
}

/** How long words wait until they can be seen. */
function delayRows(
  id: (figure: string) => string,
  traces: readonly Trace[],
  end: number,
  median?: number,
  p95?: number,
): Row[] {
  const delays = traces.flatMap((trace) => wordDelays(trace, end));
  return [
    row(id('delta_delay_median'), percentile(delays, 0.5), 'ms', median),
    row(id('delta_delay_p95'), percentile(delays, 0.95), 'ms', p95),
  ];
}

const limitedIn = ({ limited }: VirtualPlay) => Object.values(limited).reduce((sum, count) => sum + count, 0);
