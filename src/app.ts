import type { Policy } from './bridge/access/policy.ts';
import type { Clock, Log, Metrics, Random } from './bridge/ports.ts';
import { stayAlive } from './clock.ts';
import type { Config } from './config/config.ts';
import { type ChannelKinds, describeMissing, kindsThatMatter, missingScopes, scopesRefused } from './doctor/scopes.ts';
import type { BridgeError } from './errors.ts';
import type { LettaTarget } from './letta/gateway.ts';
import { createSocketDialer } from './letta/link/socket.ts';
import { type Listening, listenForDevices } from './listening.ts';
import { serveControl } from './ops/control.ts';
import {
  type Check,
  type HealthRoutes,
  type HealthServer,
  healthRoutes,
  type Scrape,
  serveHealth,
} from './ops/health.ts';
import { slackCheck } from './ops/slack-check.ts';
import { watchStore } from './ops/store-watch.ts';
import { type Identity, identify } from './slack/api/identity.ts';
import { watchScopes } from './slack/api/scope-watch.ts';
import { createSelfTest, type SelfTestWaits } from './slack/api/self-test.ts';
import type { SlackApi } from './slack/api/slack-api.ts';
import { createSlackTime } from './slack/api/slack-time.ts';
import { watchToken } from './slack/api/token-watch.ts';
import { createUploader } from './slack/api/uploader.ts';
import { createSlackApi } from './slack/api/web-api.ts';
import { createDownloads } from './slack/files/downloads.ts';
import { createSlackInbound, type SlackInbound, type SlackMode } from './slack/inbound/inbound.ts';
import { createHttpTransport, type HttpRoute } from './slack/receiver/http.ts';
import type { TransportState } from './slack/receiver/transport.ts';
import { openStore } from './storage/open.ts';
import { recordIn } from './storage/recordings.ts';
import { createSharedFolder } from './storage/shared-folder.ts';
import { wireBridge } from './wiring.ts';

/** After a start without an earlier count: for how long another process may already have received our messages. */
const UNCOUNTED_MS = 10 * 60_000;

/** With a shorter RETENTION, too, a file stays for the turn that needs it. */
const FILES_KEPT_MS = 60 * 60_000;

export interface World {
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Called when the bridge is up. */
  onUp?: (api: SlackApi) => void;
  /** Makes the text of `/metrics`; left out: that path does not exist. */
  scrape?: Scrape;
}

export interface App {
  identity: Identity;
  /** The port of HTTP mode or of the health server; 0 when nothing listens. */
  port: number;
  /** Resolves when Slack permanently refuses a token. No retry helps, so the caller should stop the bridge. */
  refused: Promise<BridgeError>;
  /** Applies this policy from now on to each message, click and command, and to turns that have not begun. */
  usePolicy(policy: Policy): void;
  /** Ends intake, waits for running turns for as long as the configuration says, then stops. */
  drain(): Promise<void>;
  /** Ends intake, then everything else. The next start continues from what is on disk. Stopping twice is fine. */
  stop(): Promise<void>;
}

/**
 * The whole bridge, in the order in which a message travels: Slack → receiver → intake → thread worker → Letta, and
 * back to the surface. Resolves once Slack can reach it. It keeps the process alive until it is stopped, because
 * nothing else does while Slack is away.
 * @param signal aborts a start that is still waiting for Slack or for the store's lock.
 * @throws BridgeError where no retry helps: a refused token, a store of another program, a port in use.
 */
export async function startApp(config: Config, world: World, signal: AbortSignal): Promise<App> {
  const { clock, random, log, metrics } = world;
  const closing: (() => Promise<void> | void)[] = [];
  const refused = Promise.withResolvers<BridgeError>();
  const keepAlive = stayAlive();
  let stopping: Promise<void> | null = null;
  let isUp = false;
  let isDraining = false;
  let { policy } = config;
  const policies = { current: () => policy };
  const stop = () => {
    stopping ??= (async () => {
      for (const close of closing.toReversed()) {
        try {
          await close();
        } catch (error) {
          log.warn({ err: error }, 'closing a part of the bridge failed');
        }
      }
      keepAlive.letGo();
    })();
    return stopping;
  };

  try {
    const { auditKeptForMs } = config.approvals;
    const store = await openStore(config.store, { clock, log, auditKeptForMs, signal });
    closing.push(() => store.close());
    const storeWatch = watchStore({ ...store, clock, log });
    closing.push(storeWatch.stop);
    const { threads } = storeWatch;
    const recordings = () => {
      const { recordThreads } = config;
      if (recordThreads === null) return undefined;
      log.warn(
        { folder: recordThreads },
        'RECORD_THREADS is set: what people and the agent write is recorded in files',
      );
      return recordIn(recordThreads, log);
    };
    const keepsDetails = config.retentionMs > 0;
    // With RETENTION=0s this deletes what an earlier setting kept.
    store.details.start(config.retentionMs);

    const { botToken, apiUrl } = config.slack;
    const slackTime = createSlackTime({ clock, log });
    const slackClock: Clock = { ...clock, now: () => clock.now() - slackTime.aheadMs() };
    // Serve health while Slack is unreachable, so that a monitor does not take a waiting bridge for a dead one.
    const scrape = async () => {
      const { waiting = 0, openApprovals = 0, live = 0 } = wired?.workers ?? {};
      metrics.gauge('queue_depth', waiting);
      metrics.gauge('open_approvals', openApprovals);
      metrics.gauge('live_threads', live);
      const online = listening?.devices.list().filter(({ isOnline }) => isOnline);
      if (online) metrics.gauge('devices_online', online.length);
      for (const { name, ok } of checks()) metrics.gauge('ready', ok ? 1 : 0, { part: name });
      return (await world.scrape?.()) ?? { contentType: 'text/plain', text: '' };
    };
    let wired: ReturnType<typeof wireBridge> | null = null;
    let inbound: SlackInbound | null = null;
    let kinds: ChannelKinds = new Map();
    const checkSlack = (): Check => {
      const check = { name: 'slack', ok: false };
      if (inbound === null || !isUp) return { ...check, state: 'starting' };
      if (isDraining) return { ...check, state: 'stopping' };
      const granted = scopeWatch.scopes();
      const { breaking } = granted === null ? { breaking: [] } : missingScopes(granted, policy, kinds);
      if (breaking.length > 0) return { ...check, state: `the bot token lacks ${breaking.join(', ')}` };
      return slackCheck(inbound.state(), clock.monotonic());
    };
    const checks = (): Check[] => [checkSlack(), storeWatch.check(), ...(wired === null ? [] : [wired.checkLetta()])];
    const health = healthRoutes(checks, world.scrape ? scrape : null);
    let counted: { foreign: number; at: number } | null = null;
    const onState = ({ isConnected, foreignConnections, countedAt }: TransportState) => {
      wired?.catchUp?.setConnected(isConnected);
      if (countedAt === null || countedAt === counted?.at) return;
      // Connections come and go between two counts, so assume the larger number for the whole time between them.
      const others = Math.max(foreignConnections, counted?.foreign ?? 0);
      if (others > 0) wired?.catchUp?.noteTaken(counted ? countedAt - counted.at : UNCOUNTED_MS);
      counted = { foreign: foreignConnections, at: countedAt };
    };
    let listening: Listening | null = null;
    if (config.letta.mode === 'listen') {
      const onChanged = () => inbound?.noteHomeChange(null);
      listening = await listenForDevices(config.letta, { choices: store.choices, clock, log, onChanged });
      closing.push(listening.stop);
    }
    const guest = listening?.guest ?? undefined;
    let served: HealthServer | null = null;
    let mode: SlackMode;
    let listenEarly = () => {};
    if (config.slack.mode.kind === 'socket') {
      mode = { socket: { appToken: config.slack.mode.appToken } };
      if (config.port !== null) {
        served = await serveHealth(health, { port: config.port, clock, guest });
        closing.push(served.stop);
      }
    } else {
      const { signingSecret, port } = config.slack.mode;
      const common = { clock: slackClock, log, onState };
      const transport = createHttpTransport({ signingSecret, port, routes: routesOf(health), guest, ...common });
      mode = { transport };
      closing.push(() => transport.stop());
      // Listen only when the start has to wait for Slack: deliveries during the start are refused, and Slack repeats
      // them in any order.
      listenEarly = () => void transport.listen().catch(() => undefined);
    }

    const onTime = slackTime.noteSlackTime;
    // After all that calls Slack: what still runs or waits then is of no use to anybody.
    const calling = new AbortController();
    closing.push(() => calling.abort());
    const calls = { slackApiUrl: apiUrl, clock, random, log, metrics, onTime, signal: calling.signal };
    const scopeWatch = watchScopes(createSlackApi({ token: botToken, ...calls }));
    const tokenWatch = watchToken({
      api: scopeWatch.api,
      clock,
      log,
      onRefused: refused.resolve,
      onAccepted: () => wired?.retryRefusedPosts(),
    });
    closing.push(tokenWatch.stop);
    const { api } = tokenWatch;
    const identity = await identify({ api, clock, random, log, signal, onFailed: () => listenEarly() });
    const granted = scopeWatch.scopes();
    if (granted !== null) {
      kinds = await kindsThatMatter(api, granted, policy);
      const { breaking, lesser } = missingScopes(granted, policy, kinds);
      if (breaking.length > 0) throw scopesRefused(breaking);
      if (lesser.length > 0)
        log.warn({ scopes: lesser, without: describeMissing(lesser) }, 'the bot token lacks scopes');
    }
    wired = wireBridge({
      clock,
      random,
      log,
      metrics,
      api,
      identity,
      store: {
        threads,
        choices: store.choices,
        audit: store.audit,
        moves: store.threads,
        ...(keepsDetails && { details: store.details }),
      },
      dial: createSocketDialer(clock),
      fetch: globalThis.fetch,
      target: targetOf(config, listening),
      ...(listening && { machines: listening.machines }),
      agentId: config.agentId,
      policies,
      longAnswers: {
        send: createUploader({ slackApiUrl: apiUrl, fetch: globalThis.fetch }),
        maxMessages: config.maxMessages,
      },
      files: {
        slack: createDownloads({ api, botToken, slackApiUrl: apiUrl, fetch: globalThis.fetch }),
        folder: config.sharedFiles && createSharedFolder(config.sharedFiles.home, config.sharedFiles),
        keptMs: Math.max(config.retentionMs, FILES_KEPT_MS),
      },
      queue: config.queue,
      silenceMs: config.turnSilenceMs,
      recordings: recordings(),
      notifyAfterMs: config.notifyAfterMs,
      feedbackKeptMs: config.retentionMs,
      onHomeChanged: (users) => inbound?.noteHomeChange(users),
      staleAfterMs: config.staleAfterMs,
      clockAheadMs: slackTime.aheadMs,
      catchUp: config.catchUp,
      past: config.past,
      checks,
      approvalTimeoutMs: config.approvals.timeoutMs,
    });
    const { intake, workers, catchUp, ...bridge } = wired;
    closing.push(
      () => bridge.stop(),
      () => catchUp?.stop(),
    );

    const selfTest = createSelfTest({ api, clock, random });
    const slack = createSlackInbound({
      botToken,
      mode,
      slackApiUrl: apiUrl,
      intake,
      api,
      whispers: bridge.surface,
      clock,
      random,
      log,
      metrics,
      identity,
      onDelivery(envelope) {
        selfTest.noteDelivery(envelope);
        bridge.noteDelivery(envelope);
      },
      onRefused: refused.resolve,
      onState,
    });
    inbound = slack;
    closing.push(() => slack.stop());
    signal.addEventListener('abort', () => isUp || void slack.stop(), { once: true });

    await catchUp?.start();
    await workers.start();
    await slack.start();
    isUp = true;
    tokenWatch.start();
    storeWatch.start();
    if (store.path !== null) {
      const run = ({ channel, ...waits }: { channel: string } & SelfTestWaits, tell: (step: object) => void) =>
        selfTest.run(channel, waits, tell);
      const devices = () => ({ url: listening?.publicUrl() ?? '', devices: listening?.devices.list() ?? [] });
      const control = await serveControl({ storePath: store.path, checks, devices, selfTest: run, log });
      closing.push(() => control?.stop());
    }
    log.info({ team: identity.teamId, bot: identity.botUserId, letta: config.letta.mode }, 'the bridge is up');
    world.onUp?.(api);
    const drain = async () => {
      isDraining = true;
      // Begin nothing and accept nothing new: Slack repeats every delivery that we did not acknowledge.
      const [left] = await Promise.all([workers.drain(config.drainMs), slack.stop(), catchUp?.stop()]);
      log.info(left, 'drained: turns that did not end in time continue after the next start');
      await stop();
    };
    const usePolicy = (next: Policy) => {
      policy = next;
    };
    return { identity, port: served?.port ?? slack.port(), refused: refused.promise, usePolicy, drain, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function targetOf({ letta }: Config, listening: Listening | null): LettaTarget {
  if (letta.mode !== 'listen') return letta;
  if (listening === null) throw new Error('nothing listens for devices');
  return { mode: 'listen', environment: letta.environment, devices: listening.devices };
}

function routesOf(health: HealthRoutes): Record<string, HttpRoute> {
  const route: HttpRoute = (request, response) => {
    if (!health(request, response)) response.writeHead(404).end();
  };
  return { '/healthz': route, '/readyz': route, '/metrics': route };
}
