import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import type { App } from '../src/app.ts';
import { systemClock } from '../src/clock.ts';
import { type RunningBridge, startAppHere, startBridgeHere, startBridgeThread } from './bridge.ts';
import { freePort } from './free-port.ts';
import { readFault } from './letta/faults.ts';
import { type ScriptedLetta, startScriptedLetta } from './letta/server.ts';
import type { Shortcut } from './slack/model.ts';
import { type SmallSlack, startSlack } from './slack/server.ts';

export interface SandboxOptions {
  /** Of the small Slack; 0: any free one. */
  port: number;
  limits: 'on' | 'off';
  /** How the scripted Letta is reached; `listen`: it dials the bridge. */
  letta: 'app-server' | 'single' | 'pair' | 'listen';
  /** ms between two words of the scripted Letta; default 20, so that one can watch without waiting long. */
  pace?: number;
  /** With `letta: 'listen'`: how far the clock of the device is ahead of those of Slack and the bridge; default 0. */
  clockAheadMs?: number;
  /** Whether the app is declared as an agent, as the agent variant of the manifest does; default no. */
  agent?: boolean;
  /** `http`: signed HTTP delivery instead of Socket Mode. */
  delivery?: 'socket' | 'http';
  /** Where the bridge runs: `thread` is one of its own, in which it can be killed; default `here`. */
  bridge?: 'here' | 'thread';
  /** Settings of the bridge that override the sandbox's own; with `LETTA_*` the bridge talks to a real agent. */
  env: Readonly<Record<string, string | undefined>>;
  log(line: string): void;
}

export interface Sandbox {
  slack: SmallSlack;
  /** `null` when a real one is used. */
  letta: ScriptedLetta | null;
  readonly bridge: 'up' | 'down' | 'changing';
  /** Whether the app is declared as an agent. */
  readonly isAgent: boolean;
  /** Ends the bridge as SIGTERM does; Slack and Letta go on. */
  stopBridge(): Promise<void>;
  /** Ends it as SIGKILL does, where it has a thread of its own. */
  killBridge(): Promise<void>;
  /** Starts it again on the same store; does nothing if it runs. */
  startBridge(): Promise<void>;
  /**
   * Moves the clocks of Slack and the bridge forward. Best while the bridge is stopped, because its timers do not
   * notice.
   */
  passTime(ms: number): void;
  /** @throws Error when there is no scripted Letta, or no such fault. */
  causeFault(fault: Record<string, unknown>): void;
  close(): Promise<void>;
}

const TOKEN = 'sandbox-letta-token-of-the-machine';
/** What cannot be set in the environment. */
const POLICY = 'reactions: { eyes: "Look at this." }\n';

/** A small Slack, a scripted Letta and the unchanged bridge between them, on loopback. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { letta, env: lettaEnv } = await startLetta(options);
  // Choose the port first: HTTP delivery needs the bridge's address before the bridge starts.
  const http = options.delivery === 'http' ? await freePort() : null;
  const { scopes, events, shortcuts } = readManifest(options.agent ?? false);
  let passedMs = 0;
  const now = () => systemClock.now() + passedMs;
  const slack = await startSlack({
    now,
    port: options.port,
    limits: options.limits,
    scopes,
    shortcuts,
    events,
    agent: options.agent ?? false,
    ...(http !== null && { delivery: { http: `http://127.0.0.1:${http}/slack/events` } }),
  });
  const slackEnv =
    http === null
      ? { SLACK_APP_TOKEN: slack.tokens.app }
      : { SLACK_SIGNING_SECRET: slack.signingSecret, PORT: String(http) };
  const folder = mkdtempSync(join(tmpdir(), 'bridge-sandbox-'));
  const policy = join(folder, 'policy.yml');
  writeFileSync(policy, POLICY);
  const env = {
    POLICY: policy,
    SLACK_API_URL: slack.url,
    SLACK_BOT_TOKEN: slack.tokens.bot,
    ...slackEnv,
    SLACK_ALLOWED_USERS: 'members',
    SLACK_ALLOWED_CHANNELS: 'C01GEN,C02ENG,C03OUT,dm',
    ADMINS: 'U03CARA',
    STORE: `sqlite://${join(folder, 'bridge.db')}`,
    LOG_LEVEL: 'warn',
    ...lettaEnv,
    ...options.env,
  };
  try {
    const run = options.bridge === 'thread' ? startBridgeThread : startBridgeHere;
    let running: RunningBridge | null = null;
    const startBridge = async () => {
      const bridge = await run({ env, aheadMs: passedMs, log: options.log });
      running = bridge;
      void bridge.ended.then(() => {
        if (running === bridge) running = null;
      });
    };
    await startBridge();
    let changing: Promise<void> | null = null;
    /** Runs changes one after another, so that a "stop" never meets a half-started bridge. */
    const queueChange = (act: () => Promise<void>): Promise<void> => {
      const done = Promise.resolve(changing?.catch(() => undefined)).then(act);
      const settled = done.finally(() => {
        if (changing === settled) changing = null;
      });
      changing = settled;
      return settled;
    };
    const endBridge = (how: 'stop' | 'kill') =>
      queueChange(async () => {
        const was = running;
        running = null;
        await was?.[how]();
      });
    const close = async () => {
      await endBridge('stop');
      await slack.close();
      await letta?.close();
      rmSync(folder, { recursive: true, force: true });
    };
    const causeFault = (wanted: Record<string, unknown>) => {
      if (!letta) throw new Error('faults need the scripted Letta');
      const read = readFault(wanted as never);
      if (typeof read === 'string') throw new Error(read);
      letta.addFault(read);
    };
    return {
      slack,
      letta,
      isAgent: options.agent ?? false,
      get bridge() {
        if (changing) return 'changing';
        return running ? 'up' : 'down';
      },
      stopBridge: () => endBridge('stop'),
      killBridge: () => endBridge('kill'),
      startBridge: () =>
        queueChange(async () => {
          if (!running) await startBridge();
        }),
      passTime(ms) {
        passedMs += ms;
        running?.passTime(ms);
      },
      causeFault,
      close,
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    await slack.close();
    await letta?.close();
    throw error;
  }
}

/**
 * A scripted Letta (or a real one, where `LETTA_*` is set) behind the bridge in a real Slack workspace: `SLACK_*` says
 * which.
 */
export async function startInRealSlack(
  options: SandboxOptions,
): Promise<Pick<Sandbox, 'letta' | 'close'> & { app: App }> {
  const { letta, env } = await startLetta(options);
  try {
    const app = await startAppHere({ env: { ...env, ...options.env }, aheadMs: 0, log: options.log });
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
  const isReal = ['LETTA_APP_SERVER_URL', 'LETTA_API_KEY', 'LETTA_LISTEN'].some((name) => options.env[name]);
  if (isReal) return { letta: null, env: {} };
  if (options.letta === 'listen') return startDevice(options);
  const isHosted = options.letta !== 'app-server';
  const letta = await startScriptedLetta({
    surface: isHosted ? 'hosted' : 'app-server',
    isPaired: options.letta === 'pair',
    token: TOKEN,
    pace: options.pace ?? 20,
  });
  const env: Record<string, string> = isHosted
    ? { LETTA_API_KEY: TOKEN, LETTA_BASE_URL: letta.url, LETTA_RELAY: options.letta }
    : { LETTA_APP_SERVER_URL: letta.url, LETTA_APP_SERVER_TOKEN: TOKEN };
  return { letta, env };
}

/** A scripted device that dials the bridge. The port is chosen first, because it stays over restarts of the bridge. */
async function startDevice({
  pace = 20,
  clockAheadMs = 0,
}: SandboxOptions): Promise<{ letta: ScriptedLetta; env: Record<string, string> }> {
  const at = `127.0.0.1:${await freePort()}`;
  const dials = { url: `http://${at}`, token: TOKEN, name: 'sandbox', clockAheadMs };
  const letta = await startScriptedLetta({ dials, pace });
  return { letta, env: { LETTA_LISTEN: at, LETTA_LISTEN_TOKEN: TOKEN } };
}

const manifest = z.object({
  features: z.object({ shortcuts: z.array(z.object({ name: z.string(), callback_id: z.string() })) }),
  oauth_config: z.object({ scopes: z.object({ bot: z.array(z.string()), bot_optional: z.array(z.string()) }) }),
  settings: z.object({ event_subscriptions: z.object({ bot_events: z.array(z.string()) }) }),
});

/** Installs the app with the manifest's scopes and events, so that a missing one shows in the sandbox. */
function readManifest(agent: boolean): { scopes: string[]; events: string[]; shortcuts: Shortcut[] } {
  const read = manifest.parse(parse(readFileSync(new URL('../manifest.yml', import.meta.url), 'utf8')));
  const { bot: needed, bot_optional: optional } = read.oauth_config.scopes;
  const bot = [...needed, ...optional];
  const { bot_events } = read.settings.event_subscriptions;
  const shortcuts = read.features.shortcuts.map(({ name, callback_id: callbackId }) => ({ name, callbackId }));
  if (!agent) return { scopes: bot, events: bot_events, shortcuts };
  return { scopes: [...bot, 'assistant:write'], events: [...bot_events, 'agent_session_stopped'], shortcuts };
}
