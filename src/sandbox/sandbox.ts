import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { type App, startApp } from '../app.ts';
import { systemClock, systemRandom } from '../clock.ts';
import { loadConfig, secretsOf } from '../config.ts';
import { createLog } from '../ops/log.ts';
import { readFault } from './letta/faults.ts';
import { type ScriptedLetta, startScriptedLetta } from './letta/server.ts';
import { type SmallSlack, startSlack } from './slack/server.ts';

export interface SandboxOptions {
  /** Of the small Slack; 0: any free one. */
  port: number;
  limits: 'on' | 'off';
  /** How the scripted Letta is reached. */
  letta: 'app-server' | 'single' | 'pair';
  /** ms between two words of the scripted Letta; default 20: slow enough to be seen, fast enough to be waited for. */
  pace?: number;
  /** `http`: signed HTTP delivery instead of Socket Mode. */
  delivery?: 'socket' | 'http';
  /** Settings of the bridge that override the sandbox's own; `LETTA_*` among them bring the real agent in. */
  env: Readonly<Record<string, string | undefined>>;
  log(line: string): void;
}

export interface Sandbox {
  slack: SmallSlack;
  /** `null` when a real one is used. */
  letta: ScriptedLetta | null;
  /** The bridge as it runs now. */
  readonly app: App;
  /** Ends the bridge as SIGTERM does; Slack and Letta go on. */
  stopBridge(): Promise<void>;
  /** Starts it again on the same store. */
  startBridge(): Promise<void>;
  /** So much time passes for Slack and the bridge; best while the bridge is stopped, as no timer hears of it. */
  later(ms: number): void;
  /** @throws Error when there is no scripted Letta, or no such fault. */
  fault(fault: Record<string, unknown>): void;
  close(): Promise<void>;
}

const TOKEN = 'sandbox-letta-token';

/** A small Slack, a scripted Letta and the unchanged bridge between them, on loopback. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { letta, env: lettaEnv } = await startLetta(options);
  // HTTP delivery needs the bridge's address before the bridge can ask Slack who it is: the port is fixed first.
  const http = options.delivery === 'http' ? await freePort() : null;
  const { scopes, events } = readManifest();
  let passed = 0;
  const now = () => systemClock.now() + passed;
  const slack = await startSlack({
    now,
    port: options.port,
    limits: options.limits,
    scopes,
    events,
    ...(http !== null && { delivery: { http: `http://127.0.0.1:${http}/slack/events` } }),
  });
  const slackEnv =
    http === null
      ? { SLACK_APP_TOKEN: slack.tokens.app }
      : { SLACK_SIGNING_SECRET: slack.signingSecret, PORT: String(http) };
  const folder = mkdtempSync(join(tmpdir(), 'bridge-sandbox-'));
  const env = {
    SLACK_API_URL: slack.url,
    SLACK_BOT_TOKEN: slack.tokens.bot,
    ...slackEnv,
    SLACK_ALLOWED_USERS: 'members',
    SLACK_ALLOWED_CHANNELS: 'C01GEN,C02ENG,dm',
    STORE: `sqlite://${join(folder, 'bridge.db')}`,
    LOG_LEVEL: 'warn',
    ...lettaEnv,
  };
  try {
    const start = () => startBridge(env, options, now);
    let app = await start();
    const close = async () => {
      await app.stop();
      await slack.close();
      await letta?.close();
      rmSync(folder, { recursive: true, force: true });
    };
    const fault = (wanted: Record<string, unknown>) => {
      if (!letta) throw new Error('faults need the scripted Letta');
      const read = readFault(wanted as never);
      if (typeof read === 'string') throw new Error(read);
      letta.fault(read);
    };
    return {
      slack,
      letta,
      get app() {
        return app;
      },
      stopBridge: () => app.stop(),
      async startBridge() {
        app = await start();
      },
      later(ms) {
        passed += ms;
      },
      fault,
      close,
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    await slack.close();
    await letta?.close();
    throw error;
  }
}

/** A scripted Letta (or a real one, where `LETTA_*` is set) behind the bridge in a real Slack workspace: `SLACK_*` says which. */
export async function startInRealSlack(options: SandboxOptions): Promise<Pick<Sandbox, 'letta' | 'app' | 'close'>> {
  const { letta, env } = await startLetta(options);
  try {
    const app = await startBridge(env, options);
    const close = async () => {
      await app.stop();
      await letta?.close();
    };
    return { letta, app, close };
  } catch (error) {
    await letta?.close();
    throw error;
  }
}

async function startLetta(
  options: SandboxOptions,
): Promise<{ letta: ScriptedLetta | null; env: Record<string, string> }> {
  const real = options.env.LETTA_APP_SERVER_URL !== undefined || options.env.LETTA_API_KEY !== undefined;
  if (real) return { letta: null, env: {} };
  const hosted = options.letta !== 'app-server';
  const letta = await startScriptedLetta({
    surface: hosted ? 'hosted' : 'app-server',
    paired: options.letta === 'pair',
    token: TOKEN,
    pace: options.pace ?? 20,
  });
  const env: Record<string, string> = hosted
    ? { LETTA_API_KEY: TOKEN, LETTA_BASE_URL: letta.url, LETTA_RELAY: options.letta }
    : { LETTA_APP_SERVER_URL: letta.url, LETTA_APP_SERVER_TOKEN: TOKEN };
  return { letta, env };
}

/** The bridge as `npm start` runs it, in this process; it forgets everything at the end unless `STORE` says otherwise. */
function startBridge(
  env: Record<string, string | undefined>,
  options: SandboxOptions,
  now: () => number = systemClock.now,
): Promise<App> {
  // A policy.yml that lies here is for the real bridge.
  const noFile = options.env.POLICY === undefined ? () => null : undefined;
  const config = loadConfig({ STORE: 'memory://', ...env, ...options.env }, noFile);
  const to = { write: options.log };
  const log = createLog({ level: config.logLevel, pretty: false, secrets: secretsOf(config), to });
  const metrics = { count: () => undefined, gauge: () => undefined, observe: () => undefined };
  const world = { clock: { ...systemClock, now }, random: systemRandom, log, metrics };
  return startApp(config, world, new AbortController().signal);
}

const manifest = z.object({
  oauth_config: z.object({ scopes: z.object({ bot: z.array(z.string()) }) }),
  settings: z.object({ event_subscriptions: z.object({ bot_events: z.array(z.string()) }) }),
});

/** The app is installed with what the manifest asks for, so that a scope or event that is missing there shows here. */
function readManifest(): { scopes: string[]; events: string[] } {
  const read = manifest.parse(parse(readFileSync(new URL('../../manifest.yml', import.meta.url), 'utf8')));
  return { scopes: read.oauth_config.scopes.bot, events: read.settings.event_subscriptions.bot_events };
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address ? address.port : 0;
}
