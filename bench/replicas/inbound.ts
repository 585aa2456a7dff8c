import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { startSlack } from '../../sandbox/slack/server.ts';
import { systemClock } from '../../src/clock.ts';
import { openHouse } from '../../src/storage/open-house.ts';
import { SILENT } from '../pace/clock.ts';
import { percentile, type Row, row } from '../row.ts';
import { startLettaSide } from '../world.ts';
import { startBridgeProcess } from './bridge-process.ts';
import type { BenchDatabase } from './database.ts';

const SECRET = '0123456789abcdef0123456789abcdef';
const TEAM = 'T01SANDBOX';
const PER_SECOND = 500;
const SECONDS = 8;
/** These come before the measure, while the code is compiled. */
const WARM_UP = 1_000;
const EVERY_MS = 10;
/** Slack waits so long for an answer, and gives up. */
const SLACK_WAITS_MS = 3_000;
const GOAL_MS = 250;
/** Events under way at once in the run as fast as it goes. */
const AT_ONCE = 100;

/**
 * A replica takes in events of a workspace that another process serves: each is verified, stored in the database, and
 * answered. The events come at a fixed rate, whatever becomes of earlier ones; times count from when each was due.
 */
export async function inboundRows(database: BenchDatabase): Promise<Row[]> {
  const slack = await startSlack({ limits: 'off' });
  const letta = await startLettaSide(slack, '');
  const STORE = await database.newStore();
  const house = await openHouse(STORE, { clock: systemClock, log: SILENT });
  // It stands for the process that serves the workspace, and handles nothing: that work is another machine's.
  const lease = await house.leases.take(TEAM);
  const env = { ...letta.env, SLACK_APP_TOKEN: '', SLACK_SIGNING_SECRET: SECRET, PORT: '0', STORE };
  const bridge = await startBridgeProcess(env);
  const agent = new Agent({ connections: 150 });
  let count = 0;
  let refused = 0;
  const send = async (from: number): Promise<number> => {
    count += 1;
    const { body, headers } = signedEvent(count);
    const url = `http://127.0.0.1:${bridge.port}/slack/events`;
    try {
      const answer = await request(url, { method: 'POST', headers, body, dispatcher: agent });
      await answer.body.dump();
      if (answer.statusCode === 200) return performance.now() - from;
    } catch {
      // Slack would send it again, as after a refusal.
    }
    refused += 1;
    return SLACK_WAITS_MS;
  };
  const sendQuickly = async (events: number): Promise<void> => {
    let sent = 0;
    const sendNext = async () => {
      while (sent < events) {
        sent += 1;
        await send(performance.now());
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sendNext));
  };
  try {
    await sendQuickly(WARM_UP);
    refused = 0;
    const from = performance.now();
    await sendQuickly(2 * PER_SECOND);
    const asFast = (performance.now() - from) / 2;
    const before = await bridge.usage();
    const times = await sendAtRate(send);
    const after = await bridge.usage();
    return [
      row('inbound_refused', refused, 'calls', 0),
      row(`inbound_${PER_SECOND}_events`, asFast, 'ms', 1_000),
      row(`inbound_${PER_SECOND}_per_s_p50`, percentile(times, 0.5), 'ms'),
      row(`inbound_${PER_SECOND}_per_s_p99`, percentile(times, 0.99), 'ms', GOAL_MS),
      row('inbound_cpu_of_event', (after.cpuMs - before.cpuMs) / times.length, 'ms'),
    ];
  } finally {
    await bridge.stop();
    await agent.close();
    await lease?.release();
    await house.close();
    await letta.close();
    await slack.close();
  }
}

async function sendAtRate(send: (from: number) => Promise<number>): Promise<number[]> {
  const start = performance.now();
  const all: Promise<number>[] = [];
  while (all.length < PER_SECOND * SECONDS) {
    for (let due = start + (all.length / PER_SECOND) * 1_000; due <= performance.now(); ) {
      all.push(send(due));
      due = start + (all.length / PER_SECOND) * 1_000;
    }
    await sleep(EVERY_MS);
  }
  return Promise.all(all);
}

/** A message in a channel, as Slack delivers it over HTTP. */
function signedEvent(n: number): { body: string; headers: Record<string, string> } {
  const at = Math.floor(Date.now() / 1_000);
  const ts = `${at}.${String(n % 1_000_000).padStart(6, '0')}`;
  const body = JSON.stringify({
    token: 'verification-token',
    team_id: TEAM,
    api_app_id: 'A01SANDBOX',
    event: {
      type: 'message',
      channel: 'C01GEN',
      channel_type: 'channel',
      user: 'U01ALICE',
      text: 'The build of main is green again; I will look at the other one after lunch. '.repeat(3),
      ts,
      event_ts: ts,
      team: TEAM,
    },
    type: 'event_callback',
    event_id: `Ev${n}`,
    event_time: at,
    authorizations: [
      { enterprise_id: null, team_id: TEAM, user_id: 'U0BOT', is_bot: true, is_enterprise_install: false },
    ],
  });
  const signature = createHmac('sha256', SECRET).update(`v0:${at}:${body}`).digest('hex');
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'x-slack-request-timestamp': String(at),
      'x-slack-signature': `v0=${signature}`,
    },
  };
}
