import type { PermissionMode } from './bridge/agent-event.ts';
import { CatchUp } from './bridge/catch-up.ts';
import { BridgeIntake } from './bridge/intake.ts';
import type { Clock, Log, Random } from './bridge/ports.ts';
import { RecentThreads } from './bridge/recent-threads.ts';
import { ThreadWorkers } from './bridge/thread-workers.ts';
import type { Config } from './config.ts';
import { createGateway } from './letta/gateway.ts';
import { createSocketDialer } from './letta/link/socket.ts';
import { type Check, type HealthServer, healthRoutes, serveHealth } from './ops/health.ts';
import { createHistory } from './slack/history.ts';
import { type Identity, identify } from './slack/identity.ts';
import { plainPosts } from './slack/outbox/plain.ts';
import { createSurface } from './slack/outbox/surface.ts';
import { createPeople } from './slack/people.ts';
import { noticePosts } from './slack/render/notice.ts';
import { offerPosts } from './slack/render/offer.ts';
import { createRenderer } from './slack/render/posts.ts';
import { createSlackInbound, type SlackMode } from './slack/slack-inbound.ts';
import { createSlackApi } from './slack/web-api.ts';
import { openStore } from './storage/open.ts';

/** Without a connection to Slack for this long the bridge counts as deaf (PLATFORM.md 13). */
const DEAF_AFTER_MS = 30_000;

export interface World {
  clock: Clock;
  random: Random;
  log: Log;
}

export interface App {
  identity: Identity;
  /** The port of HTTP mode or of the health server; 0 when nothing listens. */
  port: number;
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
  const { clock, random, log } = world;
  const closing: (() => Promise<void> | void)[] = [];
  let stopped: Promise<void> | null = null;
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
    const store = await openStore(config.store, { clock, log });
    closing.push(() => store.close());

    const { botToken, apiUrl } = config.slack;
    const api = createSlackApi({ token: botToken, slackApiUrl: apiUrl, clock, random, log });
    const identity = await identify({ api, clock, random, log, signal });
    const people = createPeople({ api, clock, enterpriseId: identity.enterpriseId });
    const surface = createSurface({
      api,
      renderer: createRenderer,
      fallback: plainPosts,
      notice: noticePosts,
      offer: offerPosts,
      clock,
      random,
      log,
    });
    closing.push(() => surface.close());

    const { letta, agentId } = config;
    const gateway = createGateway({
      target: letta,
      agentId,
      clock,
      random,
      dial: createSocketDialer(clock),
      fetch: globalThis.fetch,
      choices: store.choices,
      log,
    });

    const mode: PermissionMode = config.permissions;
    const middle = {
      threads: store.threads,
      surface,
      people,
      clock,
      log,
      policy: config.access,
      botUser: identity.botUserId,
      staleAfterMs: config.staleAfterMs,
    };
    const turnsDieWithLink = letta.mode === 'app-server';
    const workers = new ThreadWorkers({ ...middle, gateway, random, mode, turnsDieWithLink });
    closing.push(() => workers.close());
    const shared = { choices: store.choices, clock, log, team: identity.teamId };
    const recent = new RecentThreads({ ...shared, most: config.catchUp?.threads ?? 0 });
    const intake = new BridgeIntake({
      ...middle,
      random,
      workers,
      onSpoken: (thread) => void (catchUp && recent.note(thread)),
      onMissed: ({ ts }) => catchUp?.missed(ts),
    });
    let catchUp: CatchUp | null = null;
    if (config.catchUp) {
      const { tier, ...limits } = config.catchUp;
      const history = createHistory({ api, identity, tier, clock, random, log });
      catchUp = new CatchUp({ ...shared, history, intake, recent, limits });
      closing.push(catchUp.stop.bind(catchUp), history.stop);
    }

    const checks = (): Check[] => {
      const { connected, since } = inbound.state();
      // Slack renews connections every few hours: a gap of seconds is no outage.
      const ok = connected || clock.now() - since < DEAF_AFTER_MS;
      return [{ name: 'slack', ok, state: connected ? 'connected' : 'not connected' }];
    };
    const health = healthRoutes(checks);
    const inbound = createSlackInbound({
      botToken,
      mode: slackMode(config, health),
      slackApiUrl: apiUrl,
      intake,
      api,
      clock,
      random,
      log,
      identity,
      onState: ({ connected }) => catchUp?.connection(connected),
    });
    closing.push(() => inbound.stop());

    await catchUp?.start();
    await workers.start();
    await inbound.start();
    let served: HealthServer | null = null;
    if (config.slack.mode.kind === 'socket' && config.port !== null) {
      served = await serveHealth(health, { port: config.port });
      closing.push(served.stop);
    }
    log.info({ team: identity.teamId, bot: identity.botUserId, letta: letta.mode }, 'the bridge is up');
    return { identity, port: served?.port ?? inbound.port(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function slackMode(config: Config, health: ReturnType<typeof healthRoutes>): SlackMode {
  const { mode } = config.slack;
  if (mode.kind === 'socket') return { socket: { appToken: mode.appToken } };
  const route = (request: Parameters<typeof health>[0], response: Parameters<typeof health>[1]) => {
    health(request, response);
  };
  const routes = { '/healthz': route, '/readyz': route };
  return { http: { signingSecret: mode.signingSecret, port: mode.port, routes } };
}
