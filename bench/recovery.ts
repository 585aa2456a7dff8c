import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SmallSlack } from '../sandbox/slack/server.ts';
import { makeThreadKey } from '../src/bridge/ids.ts';
import { newRecord } from '../src/bridge/record/inbox.ts';
import { systemClock } from '../src/clock.ts';
import { openStore } from '../src/storage/open.ts';
import { median, type Row, row } from './row.ts';
import { startWorld, waitFor } from './world.ts';

const RUNS = 3;
const STORED = [1, 100, 10_000];
const PEOPLE = ['U01ALICE', 'U02BOB', 'U03CARA'];
/** The start must not take longer when more is stored; a factor of 2 allows for the noise of a small machine. */
const GROWTH = 2;

/** The time from the start of a bridge that was cut off in running turns until all of them are settled in Slack. */
export async function recoveryTimes(folder: string): Promise<Row[]> {
  const rows: Row[] = [];
  const all: { up: number; settled: number }[] = [];
  for (const stored of STORED) {
    const template = join(folder, `stored-${stored}.db`);
    await fillStore(template, stored);
    const runs: { up: number; settled: number }[] = [];
    for (let run = 0; run < RUNS; run += 1) {
      const database = join(folder, `recovery-${stored}-${run}.db`);
      copyFileSync(template, database);
      runs.push(await runOnce(database));
    }
    const times = { up: median(runs.map(({ up }) => up)), settled: median(runs.map(({ settled }) => settled)) };
    all.push(times);
    rows.push(row(`start_${stored}_threads`, times.up, 'ms'));
    rows.push(row(`recovery_${stored}_threads`, times.settled, 'ms'));
  }
  const [least, most] = [all[0], all.at(-1)];
  if (least && most) {
    rows.push(row('start_growth', most.up / least.up, 'x', GROWTH));
    rows.push(row('recovery_growth', most.settled / least.settled, 'x', GROWTH));
  }
  return rows;
}

/** Stores finished threads, as a bridge has after some months. */
async function fillStore(database: string, stored: number): Promise<void> {
  const nothing = () => undefined;
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => log };
  const store = await openStore(`sqlite://${database}`, { clock: systemClock, log });
  for (let at = 0; at < stored; at += 1) {
    const root = `1700000000.${String(at).padStart(6, '0')}`;
    const key = makeThreadKey({ team: 'T01SANDBOX', channel: 'C01GEN', root });
    const address = { team: 'T01SANDBOX', channel: 'C01GEN', threadTs: root };
    const runtime = { agentId: 'agent-1', conversationId: `conv-${at}`, deviceId: null };
    await store.threads.update(key, () => ({ ...newRecord(key, address, 'U01ALICE', 0), runtime }));
  }
  await store.close();
}

async function runOnce(database: string): Promise<{ up: number; settled: number }> {
  const { slack, startBridge, close } = await startWorld(database);
  let app = await startBridge();
  try {
    // Only one turn in each place, because Slack takes one new message a second there, which we do not want to measure.
    const places = ['C01GEN', 'C02ENG', ...(await Promise.all(PEOPLE.map((user) => directMessage(slack, user))))];
    const author = (channel: string) => PEOPLE[places.indexOf(channel) - 2] ?? 'U01ALICE';
    const say = (channel: string, text: string, thread_ts?: string) =>
      slack.control.message({ channel, user: author(channel), text, ...(thread_ts !== undefined && { thread_ts }) });
    const seen = (channel: string) =>
      JSON.stringify(slack.control.messages(channel).filter((message) => message.bot_id !== null));
    for (const channel of places) {
      const { ts } = await say(channel, '@agent slow 3000 words');
      await waitFor('the turn runs', () => seen(channel).includes('word1'));
      await say(channel, '@agent say: after the break', channel.startsWith('D') ? undefined : ts);
    }
    await waitFor('all is stored', () => slack.control.state().pending === 0);
    await app.stop();

    const from = performance.now();
    app = await startBridge();
    const up = performance.now() - from;
    const settled = (channel: string) => {
      const shown = seen(channel);
      return shown.includes('after the break') && shown.includes('Interrupted') && !shown.includes('"Stop"');
    };
    const open = () =>
      places
        .filter((channel) => !settled(channel))
        .map(seen)
        .join('\n');
    await waitFor('all turns settled', () => places.every(settled), open);
    return { up, settled: performance.now() - from };
  } finally {
    await app.stop();
    await close();
  }
}

async function directMessage(slack: SmallSlack, user: string): Promise<string> {
  return (await slack.control.openHome({ user, tab: 'messages' })).channel;
}
