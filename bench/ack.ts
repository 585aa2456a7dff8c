import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SmallSlack } from '../sandbox/slack/server.ts';
import { median, percentile, type Row, row } from './row.ts';
import { startWorld, waitFor } from './world.ts';

const RUNS = 3;
const THREADS = 40;
const MESSAGES = 400;
/** Pause between two messages: busier than a large workspace, but within what the bridge can take. */
const GAP_MS = 10;
const SLACK_WAITS_MS = 3_000;

/** From an envelope on the socket to its acknowledgement, which comes after the message is on disk. */
export async function ackTimes(folder: string): Promise<Row[]> {
  const p50: number[] = [];
  const p99: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const times = await runAcks(join(folder, `ack-${run}.db`));
    p50.push(percentile(times, 0.5));
    p99.push(percentile(times, 0.99));
  }
  return [row('ack_p50', median(p50), 'ms'), row('ack_p99', median(p99), 'ms')];
}

/** @param store a SQLite file, or another value of STORE. @returns ms of each acknowledgement */
export async function runAcks(store: string): Promise<number[]> {
  const { slack, startBridge, close } = await startWorld(store);
  const app = await startBridge();
  try {
    const roots: string[] = [];
    for (let at = 0; at < MESSAGES; at += 1) {
      const thread = at % THREADS;
      const root = roots[thread];
      const { ts } = await slack.control.message({
        channel: thread % 2 === 0 ? 'C01GEN' : 'C02ENG',
        user: 'U01ALICE',
        text: '@agent say: ok',
        ...(root !== undefined && { thread_ts: root }),
      });
      roots[thread] ??= ts;
      await sleep(GAP_MS);
    }
    // Answers go on being posted and delivered, so later envelopes are not waited for.
    const sent = listEnvelopes(slack).length;
    const listSent = () => listEnvelopes(slack).slice(0, sent);
    await waitFor('every envelope acknowledged', () => listSent().every(({ outcome }) => outcome !== 'pending'));
    const envelopes = listSent();
    // An envelope without an ack counts with the time that Slack waits for it.
    return envelopes.map(({ ackMs }) => ackMs ?? SLACK_WAITS_MS);
  } finally {
    await app.stop();
    await close();
  }
}

function listEnvelopes({ control }: SmallSlack): { outcome: string; ackMs: number | null }[] {
  return control.log({ type: 'envelope' }) as unknown as { outcome: string; ackMs: number | null }[];
}
