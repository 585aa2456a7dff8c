import type { Policy } from './bridge/policy.ts';
import type { Clock, Log, Metrics, Random } from './bridge/ports.ts';
import type { Config } from './config.ts';
import type { BridgeError } from './errors.ts';
import { createSocketDialer } from './letta/link/socket.ts';
import { serveControl } from './ops/control.ts';
import { type Check, type HealthServer, healthRoutes, type Scrape, serveHealth } from './ops/health.ts';
import { slackCheck } from './ops/slack-check.ts';
import { watchStore } from './ops/store-watch.ts';
import { type Identity, identify } from './slack/identity.ts';
import type { HttpRoute } from './slack/receiver/http.ts';
import { createSelfTest, type SelfTestWaits } from './slack/self-test.ts';
import type { SlackApi } from './slack/slack-api.ts';
import { createSlackInbound, type SlackMode } from './slack/slack-inbound.ts';
import { watchToken } from './slack/token-watch.ts';
import { createUploader } from './slack/uploader.ts';
import { createSlackApi } from './slack/web-api.ts';
import { openStore } from './storage/open.ts';
import { wireBridge } from './wiring.ts';

export interface World {
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Told when the bridge is up, with its way to Slack. */
  onUp?: (api: SlackApi) => void;
  /** What was counted, for `/metrics`; left out: nothing is served there. */
  scrape?: Scrape;
}

export interface App {
  identity: Identity;
  /** The port of HTTP mode or of the health server; 0 when nothing listens. */
  port: number;
  /** Resolves when Slack refuses a token for good: no retry heals that, and somebody should stop us. */
  refused: Promise<BridgeError>;
  /** From now on this policy holds: for each message, click and command, and for turns that have not begun. */
  usePolicy(policy: Policy): void;
  /** Ends intake, lets running turns end for as long as the configuration says, then stops. */
  drain(): Promise<void>;
  /** Ends intake first; what is on disk is enough to go on after a start. Stopping twice is fine. */
  stop(): Promise<void>;
}

/**
 * The whole bridge, in the order in which a message travels: Slack → receiver → intake → thread worker → Letta,
 * and back to the surface. Resolves once Slack can reach it.
 * @param signal aborts a start that still waits for Slack or for the store's lock.
 * @throws BridgeError for what no retry heals: a refused token, a store of somebody else, a port in use.
 */
export async function startApp(config: Config, world: World, signal: AbortSignal): Promise<App> {
  const { clock, random, log, metrics } = world;
  const closing: (() => Promise<void> | void)[] = [];
  const refused = Promise.withResolvers<BridgeError>();
  let stopped: Promise<void> | null = null;
  let draining = false;
  let { policy } = config;
  const policies = { current: () => policy };
  const stop = () => {
    stopped ??= (async () => {
      for (const close of closing.toReversed()) {
        try {
          await close();
        } catch (error) {
          log.warn({ err: error }, 'a part did not close cleanly');
        }
      }
    })();
    return stopped;
  };

  try {
    const store = await openStore(config.store, { clock, log, auditKeptForMs: config.approvals.auditKeptForMs });
    closing.push(() => store.close());
    const storeWatch = watchStore({ ...store, clock, log });
    closing.push(storeWatch.stop);
    const { threads } = storeWatch;
    const keepsDetails = config.retentionMs > 0;
    // With nothing to be kept, what an earlier setting kept is deleted.
    store.details.start(config.retentionMs);

    const { botToken, apiUrl } = config.slack;
    const tokenWatch = watchToken({
      api: createSlackApi({ token: botToken, slackApiUrl: apiUrl, clock, random, log, metrics }),
      clock,
      log,
      onRefused: refused.resolve,
    });
    closing.push(tokenWatch.stop);
    const { api } = tokenWatch;
    const identity = await identify({ api, clock, random, log, signal });
    const { intake, workers, catchUp, ...bridge } = wireBridge({
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
      target: config.letta,
      agentId: config.agentId,
      policies,
      longAnswers: {
        send: createUploader({ slackApiUrl: apiUrl, fetch: globalThis.fetch }),
        maxMessages: config.maxMessages,
      },
      queue: config.queue,
      silenceMs: config.turnSilenceMs,
      notifyAfterMs: config.notifyAfterMs,
      staleAfterMs: config.staleAfterMs,
      catchUp: config.catchUp,
      checks: () => checks(),
      approvalTimeoutMs: config.approvals.timeoutMs,
    });
    closing.push(
      () => bridge.stop(),
      () => catchUp?.stop(),
    );

    const checks = (): Check[] => {
      const slack = slackCheck(inbound.state(), clock.now());
      const slackNow = draining ? { ...slack, ok: false, state: 'stopping' } : slack;
      return [slackNow, storeWatch.check(), bridge.lettaCheck()];
    };
    const scrape = async () => {
      metrics.gauge('queue_depth', workers.waiting);
      metrics.gauge('open_approvals', workers.openApprovals);
      metrics.gauge('live_threads', workers.live);
      for (const { name, ok } of checks()) metrics.gauge('ready', ok ? 1 : 0, { part: name });
      return (await world.scrape?.()) ?? { contentType: 'text/plain', text: '' };
    };
    const health = healthRoutes(checks, world.scrape ? scrape : null);
    const selfTest = createSelfTest({ api, clock, random });
    const inbound = createSlackInbound({
      botToken,
      mode: slackMode(config, health),
      slackApiUrl: apiUrl,
      intake,
      api,
      clock,
      random,
      log,
      metrics,
      identity,
      watch: selfTest.see,
      onRefused: refused.resolve,
      onState: ({ connected }) => catchUp?.connection(connected),
    });
    closing.push(() => inbound.stop());

    await catchUp?.start();
    await workers.start();
    await inbound.start();
    tokenWatch.start();
    storeWatch.start();
    let served: HealthServer | null = null;
    if (config.slack.mode.kind === 'socket' && config.port !== null) {
      served = await serveHealth(health, { port: config.port });
      closing.push(served.stop);
    }
    if (store.path !== null) {
      const run = ({ channel, ...waits }: { channel: string } & SelfTestWaits, tell: (step: object) => void) =>
        selfTest.run(channel, waits, tell);
      const control = await serveControl({ storePath: store.path, checks, selfTest: run, log });
      closing.push(() => control?.stop());
    }
    log.info({ team: identity.teamId, bot: identity.botUserId, letta: config.letta.mode }, 'the bridge is up');
    world.onUp?.(api);
    const drain = async () => {
      draining = true;
      // Nothing begins any more, and nothing new comes in: what Slack has not heard an "ok" for it delivers again.
      const [left] = await Promise.all([workers.drain(config.drainMs), inbound.stop(), catchUp?.stop()]);
      log.info(left, 'running turns were let end; what is left waits on disk');
      await stop();
    };
    const usePolicy = (next: Policy) => {
      policy = next;
    };
    return { identity, port: served?.port ?? inbound.port(), refused: refused.promise, usePolicy, drain, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function slackMode(config: Config, health: ReturnType<typeof healthRoutes>): SlackMode {
  const { mode } = config.slack;
  if (mode.kind === 'socket') return { socket: { appToken: mode.appToken } };
  const route: HttpRoute = (request, response) => {
    if (!health(request, response)) response.writeHead(404).end();
  };
  const routes = { '/healthz': route, '/readyz': route, '/metrics': route };
  return { http: { signingSecret: mode.signingSecret, port: mode.port, routes } };
}
