import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import { startSlack } from '../sandbox/slack/server.ts';
import { startApp } from '../src/app.ts';
import { systemClock, systemRandom } from '../src/clock.ts';
import { loadConfig } from '../src/config/config.ts';
import { noMetrics } from '../src/ops/metrics.ts';
import { startRealLetta } from '../test/support/letta/real-letta.ts';
import { SILENT } from './pace/clock.ts';
import { percentile, type Row, row } from './row.ts';
import { channelOf } from './streams/plan.ts';
import { Recorder } from './streams/recorder.ts';
import { firstReadableDelay, readableAt, type Trace } from './streams/trace.ts';

const FIRST_TEXT_MS = 250;
const LATENCY_MS = 100;
const WORDS = 60;
const GAP_MS = 125;

/** First words with a real App Server: without `LETTA_HOME` there are no rows. */
export async function firstWordsRows(): Promise<Row[]> {
  if (process.env.LETTA_HOME === undefined) return [];
  const rows: Row[] = [];
  for (const count of [1, 5, 20]) {
    const id = (figure: string) => `real_first_words_${count}_threads_${figure}`;
    const { traces, end, limited } = await playReal(count);
    const asked = traces.map((trace) => (trace.words[0] ?? end) - trace.asked);
    const delays = traces.map((trace) => {
      return firstReadableDelay(trace, end) - (readableAt(trace, end) - (trace.words[0] ?? 0));
    });
    rows.push(
      row(id('letta_needs_for_first_word_p95'), percentile(asked, 0.95), 'ms'),
      row(id('readable_text_p95'), percentile(delays, 0.95), 'ms', FIRST_TEXT_MS),
      row(id('429s'), limited, 'calls', 0),
    );
  }
  return rows;
}

/** Mentions in as many channels within a second, to the whole bridge between the small Slack and a real App Server. */
async function playReal(count: number): Promise<{ traces: Trace[]; end: number; limited: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-real-'));
  const recorder = new Recorder();
  const channels = Array.from({ length: count }, (_, number) => channelOf(number));
  const letta = await startRealLetta('app-server');
  const tap = await tapServer(letta.env.LETTA_APP_SERVER_URL ?? '', (channel) => recorder.noteWord(channel));
  const slack = await startSlack({ latencyMs: LATENCY_MS, channels, onCall: (call) => recorder.noteCall(call) });
  const config = loadConfig({
    SLACK_API_URL: slack.url,
    SLACK_BOT_TOKEN: slack.tokens.bot,
    SLACK_APP_TOKEN: slack.tokens.app,
    SLACK_ALLOWED_USERS: 'members',
    SLACK_ALLOWED_CHANNELS: channels.join(','),
    LETTA_APP_SERVER_URL: tap.url,
    STORE: `sqlite://${join(folder, 'bridge.db')}`,
  });
  const world = { clock: systemClock, random: systemRandom, log: SILENT, metrics: noMetrics };
  const app = await startApp(config, world, new AbortController().signal);
  try {
    const begin = async (channel: string, number: number) => {
      await sleep((number * 1_000) / count);
      const trace = recorder.noteAsked(channel, WORDS);
      const text = `@agent stream in ${channel}\nslow ${WORDS} words ${GAP_MS} ms`;
      await slack.control.message({ channel, user: 'U01ALICE', text });
      await Promise.race([recorder.waitUntilWhole(trace), sleep(180_000, undefined, { ref: false })]);
    };
    await Promise.all(channels.map(begin));
    const limited = Object.values(recorder.limited).reduce((sum, calls) => sum + calls, 0);
    return { traces: recorder.traces, end: performance.now(), limited };
  } finally {
    await app.stop();
    await slack.close();
    tap.close();
    await letta.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Frame {
  type?: string;
  runtime?: { conversation_id: string };
  delta?: { message_type?: string; content?: unknown };
}

/** A way to that App Server on which each word of an answer is noted, with the channel that its prompt names. */
async function tapServer(url: string, noteWord: (channel: string) => void): Promise<{ url: string; close(): void }> {
  const places = new Map<string, string>();
  const read = (data: unknown): Frame => JSON.parse(String(data)) as Frame;
  const noteInput = (data: unknown) => {
    const { type, runtime } = read(data);
    const place = /stream in (\w+)/.exec(String(data))?.[1];
    if (type === 'input' && runtime && place !== undefined) places.set(runtime.conversation_id, place);
  };
  const noteAnswer = (data: unknown) => {
    const { runtime, delta } = read(data);
    const place = places.get(runtime?.conversation_id ?? '');
    if (delta?.message_type !== 'assistant_message' || place === undefined) return;
    for (const _ of JSON.stringify(delta.content).matchAll(/word\d+/g)) noteWord(place);
  };
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => server.once('listening', resolve));
  server.on('connection', (near) => {
    const far = new WebSocket(url, { perMessageDeflate: false });
    const early: string[] = [];
    far.on('open', () => {
      for (const text of early.splice(0)) far.send(text);
    });
    near.on('message', (data) => {
      noteInput(data);
      if (far.readyState === WebSocket.OPEN) far.send(String(data));
      else early.push(String(data));
    });
    far.on('message', (data) => {
      noteAnswer(data);
      near.send(String(data));
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('close', () => other.close());
      one.on('error', () => other.terminate());
    }
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`, close: () => server.close() };
}
