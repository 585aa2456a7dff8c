import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CallEntry } from '../../sandbox/slack/log.ts';
import { startSlack } from '../../sandbox/slack/server.ts';
import { median } from '../row.ts';
import { startBridgeApp } from './bridge-app.ts';
import type { Plan, PlannedThread } from './plan.ts';
import { type Edit, Recorder } from './recorder.ts';
import type { StreamApp } from './stream-app.ts';
import type { Trace } from './trace.ts';

/** The result of a plan; all times in ms of one clock. */
export interface Played {
  start: number;
  /** When the recording ended. */
  end: number;
  traces: Trace[];
  edits: Edit[];
  limited: Record<string, number>;
  /** Median time of a call by a bare client, ms. */
  roundTrip: number;
}

const PROBES = 21;
const PEOPLE = ['U01ALICE', 'U02BOB', 'U03CARA'];
/** More than the short answer with which a direct thread begins needs. */
const BEGINS_MS = 4_000;

/** Plays a plan in this process and records it. */
export async function playPlan(plan: Plan): Promise<Played> {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-streams-'));
  const recorder = new Recorder();
  const channels = plan.threads.map(({ channel }) => channel);
  /** By the ts of its root and of its messages: the name of each direct thread, several of which share a channel. */
  const directThreads = new Map<unknown, string>();
  const noteCall = (call: CallEntry) => {
    if (!plan.isDirect) return recorder.noteCall(call);
    const { thread_ts, ts } = call.args;
    const thread = directThreads.get(thread_ts) ?? directThreads.get(ts);
    if (thread === undefined) return;
    const answer = call.answer as { ts?: string } | null;
    if (answer?.ts !== undefined) directThreads.set(answer.ts, thread);
    recorder.noteCall({ ...call, args: { ...call.args, channel: thread } });
  };
  const slack = await startSlack({ latencyMs: plan.latencyMs, channels, onCall: noteCall });
  const heard = (channel: string) => recorder.noteWord(channel);
  let app: StreamApp | null = null;
  try {
    const started = plan.app === 'bridge' ? startBridgeApp : await peerStarter(plan.app);
    app = await started(slack, channels, join(folder, 'bridge.db'), heard);
    const { prompt } = app;
    const probes: number[] = [];
    for (let probe = 0; probe < PROBES; probe += 1) probes.push(await measureRoundTrip(slack.url, slack.tokens.bot));
    const start = performance.now();
    const playThread = async ({ channel, turns }: PlannedThread, number: number) => {
      const user = plan.isDirect ? (PEOPLE[number % PEOPLE.length] ?? 'U01ALICE') : 'U01ALICE';
      const place = plan.isDirect ? (await slack.control.openHome({ user, tab: 'messages' })).channel : channel;
      let root: string | undefined;
      if (plan.isDirect) {
        await sleep(number * 1_200);
        root = (await slack.control.message({ channel: place, user, text: 'say: ok' })).ts;
        directThreads.set(root, channel);
        await sleep(BEGINS_MS + (plan.threads.length - number) * 1_200);
      }
      for (const { after, ms } of turns) {
        await sleep(after);
        if (performance.now() - start > plan.until) return;
        const words = Math.max(1, Math.round(ms / plan.wordGap));
        const trace = recorder.noteAsked(channel, words);
        const text = prompt(channel, words, plan.wordGap, plan.line ?? 0);
        const { ts } = await slack.control.message({
          channel: place,
          user,
          text,
          ...(root !== undefined && { thread_ts: root }),
        });
        root ??= ts;
        await Promise.race([recorder.waitUntilWhole(trace), sleep(ms + 120_000, undefined, { ref: false })]);
      }
    };
    const left = new AbortController();
    const stop = sleep(plan.until, undefined, { signal: left.signal }).catch(() => {});
    const all = Promise.all(plan.threads.map(playThread));
    await Promise.race([all, stop]);
    left.abort();
    const { traces, edits, limited } = recorder;
    return { start, end: performance.now(), traces, edits, limited, roundTrip: median(probes) };
  } finally {
    await app?.stop();
    await slack.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Imported by URL, because the peer's packages (`bench/peers/package.json`) may not be installed. */
async function peerStarter(app: string): Promise<typeof startBridgeApp> {
  if (app === 'letta-channel') return (await import('../peers/letta-channel.ts')).startLettaChannel;
  const { peerStarter: starter } = await import(new URL('../peers/app.mjs', import.meta.url).href);
  return starter(app);
}

async function measureRoundTrip(url: string, token: string): Promise<number> {
  const from = performance.now();
  const answer = await fetch(`${url}auth.test`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  await answer.text();
  return performance.now() - from;
}
