import { join } from 'node:path';
import { startSlack } from '../sandbox/slack/server.ts';
import { percentile, type Row, row } from './row.ts';
import { startBridgeSide, waitFor } from './world.ts';

const THREADS = 30;
const REPLIES = 60;
const SLACK_MS = 100;
/** One call of Slack, and what it takes to read and write 50 messages. */
const ADDED_P95_MS = 250;

/**
 * What reading the thread adds to the time from a message to the first frame of its turn, with 100 ms for each call to
 * Slack: a mention in a thread of others, once with its context and once without.
 */
export async function contextTimes(folder: string): Promise<Row[]> {
  const without = await firstFrames(join(folder, 'context-off.db'), 'context: off\n');
  const within = await firstFrames(join(folder, 'context-on.db'), 'context: thread\n');
  const added = (share: number) => percentile(within, share) - percentile(without, share);
  return [
    row('context_off_first_frame_p50', percentile(without, 0.5), 'ms'),
    row('context_first_frame_p50', percentile(within, 0.5), 'ms'),
    row('context_added_p50', added(0.5), 'ms'),
    row('context_added_p95', added(0.95), 'ms', ADDED_P95_MS),
  ];
}

async function firstFrames(database: string, policy: string): Promise<number[]> {
  const slack = await startSlack({ limits: 'off', latencyMs: SLACK_MS });
  let inputs = 0;
  let at = 0;
  const onFrame = (dir: 'in' | 'out', frame: unknown) => {
    const { type } = (frame ?? {}) as { type?: unknown };
    if (dir !== 'in' || type !== 'input') return;
    inputs += 1;
    at = performance.now();
  };
  const { startBridge, close } = await startBridgeSide(slack, database, { onFrame, policy });
  const app = await startBridge();
  const say = (user: string, text: string, thread?: string) =>
    slack.control.message({ channel: 'C01GEN', user, text, ...(thread !== undefined && { thread_ts: thread }) });
  try {
    const times: number[] = [];
    for (let n = 0; n < THREADS; n += 1) {
      const { ts } = await say('U02BOB', 'the build is red');
      for (let reply = 0; reply < REPLIES; reply += 1) await say('U02BOB', `line ${reply} of what I saw`, ts);
      const before = performance.now();
      await say('U01ALICE', '@agent say: ok', ts);
      await waitFor('the input of a turn', () => inputs === n + 1);
      times.push(at - before);
    }
    // The first turn also opens what all later ones share.
    return times.slice(1);
  } finally {
    await app.stop();
    await slack.close();
    await close();
  }
}
