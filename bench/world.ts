import { setTimeout as sleep } from 'node:timers/promises';
import { type ScriptedLettaOptions, startScriptedLetta } from '../sandbox/letta/server.ts';
import { type SlackOptions, type SmallSlack, startSlack } from '../sandbox/slack/server.ts';
import { type App, startApp } from '../src/app.ts';
import { systemClock, systemRandom } from '../src/clock.ts';
import { loadConfig } from '../src/config/config.ts';
import { createLog } from '../src/ops/log.ts';
import { noMetrics } from '../src/ops/metrics.ts';

export interface BenchWorld {
  slack: SmallSlack;
  /** The bridge on the SQLite file; one at a time. */
  startBridge(): Promise<App>;
  close(): Promise<void>;
}

const TOKEN = 'bench';
/** Letta takes no time, so that only the bridge's is measured. */
const NO_TIME = { latency: 0, word: 0, tool: 0, pump: 0, settle: 0, subagent: 0, scale: 1 };

/** A small Slack without rate limits and a scripted Letta that answers at once, on loopback. */
export async function startWorld(database: string): Promise<BenchWorld> {
  const slack = await startSlack({ limits: 'off' });
  const { startBridge, close } = await startBridgeSide(slack, database);
  return {
    slack,
    startBridge,
    async close() {
      await slack.close();
      await close();
    },
  };
}

type SideOptions = Pick<ScriptedLettaOptions, 'onFrame'> & Pick<SlackOptions, 'channels'>;

/** The scripted Letta and what it takes to start the bridge between it and that Slack. */
export async function startBridgeSide(
  slack: SmallSlack,
  database: string,
  { policy, ...options }: SideOptions & { policy?: string } = {},
): Promise<Omit<BenchWorld, 'slack'>> {
  const { env, close } = await startLettaSide(slack, database, options);
  const config = policy === undefined ? loadConfig(env) : loadConfig(env, () => policy);
  const log = createLog({ level: 'error', pretty: false, secrets: [], to: process.stderr });
  const world = { clock: systemClock, random: systemRandom, log, metrics: noMetrics };
  return { startBridge: () => startApp(config, world, new AbortController().signal), close };
}

/** The scripted Letta, and the settings of a bridge between it and that Slack. @param database a SQLite file, or STORE */
export async function startLettaSide(
  slack: SmallSlack,
  database: string,
  { onFrame, channels = [], word = 0 }: SideOptions & { word?: number } = {},
): Promise<{ env: Record<string, string>; close(): Promise<void> }> {
  const letta = await startScriptedLetta({
    surface: 'app-server',
    token: TOKEN,
    timings: { ...NO_TIME, word },
    ...(onFrame && { onFrame }),
  });
  const env = {
    SLACK_API_URL: slack.url,
    SLACK_BOT_TOKEN: slack.tokens.bot,
    SLACK_APP_TOKEN: slack.tokens.app,
    SLACK_ALLOWED_USERS: 'members',
    SLACK_ALLOWED_CHANNELS: ['C01GEN', 'C02ENG', 'dm', ...channels].join(','),
    LETTA_APP_SERVER_URL: letta.url,
    LETTA_APP_SERVER_TOKEN: TOKEN,
    STORE: database.includes('://') ? database : `sqlite://${database}`,
  };
  return { env, close: () => letta.close() };
}

/** @throws Error after `ms`, so that a benchmark that hangs fails */
export async function waitFor(what: string, check: () => boolean, seen = () => '', ms = 30_000): Promise<void> {
  const end = performance.now() + ms;
  while (!check()) {
    if (performance.now() > end) throw new Error(`did not come about within ${ms / 1_000} s: ${what} ${seen()}`);
    await sleep(2);
  }
}
