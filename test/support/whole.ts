import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { type ScriptedLetta, startScriptedLetta } from '../../sandbox/letta/server.ts';
import { type SlackOptions, type SmallSlack, startSlack } from '../../sandbox/slack/server.ts';
import { type App, startApp } from '../../src/app.ts';
import type { Clock } from '../../src/bridge/ports.ts';
import { systemClock, systemRandom } from '../../src/clock.ts';
import { loadConfig, secretsOf } from '../../src/config/config.ts';
import { createLog } from '../../src/ops/log.ts';
import { createPromMetrics } from '../../src/ops/metrics.ts';
import { createSchema, findServer } from './postgres/schema.ts';

/** Secrets that a test recognises wherever they appear. */
export const MARKED = {
  bot: 'xoxb-MARKED-1-bot-token',
  app: 'xapp-1-A0SANDBOX-MARKED-2-app-token',

  letta: 'MARKED-4-letta-token',
};

export interface Whole {
  slack: SmallSlack;
  letta: ScriptedLetta;
  app: App;
  env: Record<string, string>;
  /** Every line of the log, as it was written. */
  logged: string[];
  /** The same, read. */
  lines(): Record<string, unknown>[];
  get(path: string): Promise<string>;
}

export interface WholeOptions {
  slack?: SlackOptions;
  /** Further settings, or what makes them once Slack is there. */
  env?: Record<string, string> | ((slack: SmallSlack) => Record<string, string>);
  /** Files of the agent's machine, by absolute path. */
  files?: Record<string, Uint8Array>;
  /** The bridge's own; left out: the real one. */
  clock?: Clock;
}

/** Settings of a bridge that machines dial, and not an App Server. */
export const LISTENING = {
  LETTA_APP_SERVER_URL: '',
  LETTA_APP_SERVER_TOKEN: '',
  LETTA_LISTEN: '127.0.0.1:0',
  LETTA_LISTEN_TOKEN: MARKED.letta.padEnd(32, '-'),
};

/** The settings of a bridge between this Slack and this Letta, over Socket Mode, with a store of its own. */
export function settingsFor(slack: SmallSlack, letta: ScriptedLetta, folder: string): Record<string, string> {
  return {
    SLACK_API_URL: slack.url,
    SLACK_BOT_TOKEN: slack.tokens.bot,
    SLACK_APP_TOKEN: slack.tokens.app,
    SLACK_ALLOWED_USERS: 'members',
    SLACK_ALLOWED_CHANNELS: 'C01GEN,C02ENG,dm',
    LETTA_APP_SERVER_URL: letta.url,
    LETTA_APP_SERVER_TOKEN: MARKED.letta,
    STORE: `sqlite://${join(folder, 'bridge.db')}`,
    PORT: '0',
    LOG_LEVEL: 'debug',
    HISTORY: 'off',
  };
}

/** Whether flows run on a Postgres, as TEST_STORE=postgres says, each bridge that names no store on a schema of its own. */
const isOnPostgres = process.env.TEST_STORE === 'postgres';

async function storeFor({ onTestFinished }: Pick<TestContext, 'onTestFinished'>): Promise<Record<string, string>> {
  if (!isOnPostgres) return {};
  const server = await findServer();
  if (server === null) throw new Error('TEST_STORE=postgres needs a Postgres: install it, or set PG_URL');
  const schema = await createSchema(server);
  onTestFinished(() => schema.drop());
  return { STORE: schema.uri };
}

/** Makes a folder and removes it after the test. */
export function temporaryFolder({ onTestFinished }: Pick<TestContext, 'onTestFinished'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts the bridge as `npm start` does, but in this process and between the two doubles; all end with the test. */
export async function startWhole(
  context: Pick<TestContext, 'onTestFinished'>,
  options: WholeOptions = {},
): Promise<Whole> {
  const { onTestFinished } = context;
  const tokens = { bot: MARKED.bot, app: MARKED.app };
  const slack = await startSlack({ limits: 'off', tokens, ...options.slack });
  onTestFinished(() => slack.close());
  const letta = await startScriptedLetta({
    token: MARKED.letta,
    pace: 1,
    seed: { ...(options.files && { files: options.files }) },
  });
  onTestFinished(() => letta.close());
  const more = typeof options.env === 'function' ? options.env(slack) : options.env;
  const env = { ...settingsFor(slack, letta, temporaryFolder(context)), ...(await storeFor(context)), ...more };
  const config = loadConfig(env);
  const logged: string[] = [];
  const to = { write: (line: string) => void logged.push(line) };
  const log = createLog({ level: config.logLevel, pretty: false, secrets: secretsOf(config), to });
  const metrics = createPromMetrics({ byWorkspace: config.metricsByWorkspace });
  const world = {
    ...{ clock: options.clock ?? systemClock, random: systemRandom, log, metrics },
    ...{ scrape: metrics.scrape, hide: log.hide },
    ...(config.metricsByWorkspace && { metricsOf: metrics.ofWorkspace }),
  };
  const app = await startApp(config, world, new AbortController().signal);
  onTestFinished(() => app.stop());
  return {
    slack,
    letta,
    app,
    env,
    logged,
    lines: () => logged.map((line) => JSON.parse(line) as Record<string, unknown>),
    get: async (path) => (await fetch(`http://127.0.0.1:${app.port}${path}`)).text(),
  };
}
