import type { WorkspaceId } from './bridge/ids.ts';
import type { Clock, Log, Metrics, Random } from './bridge/ports.ts';
import { stayAlive } from './clock.ts';
import type { Config } from './config/config.ts';
import { mayInstall, type Policies, policyIn } from './config/policies.ts';
import { BridgeError } from './errors.ts';
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
import type { WorkspaceMetrics } from './ops/metrics.ts';
import { slackCheck } from './ops/slack-check.ts';
import { watchStore } from './ops/store-watch.ts';
import { acrossTeams } from './slack/api/across-teams.ts';
import { type Identity, identify } from './slack/api/identity.ts';
import type { SelfTestWaits } from './slack/api/self-test.ts';
import type { SlackApi } from './slack/api/slack-api.ts';
import { createSlackTime } from './slack/api/slack-time.ts';
import { fixedToken } from './slack/api/token-source.ts';
import { tellsOfRevocation } from './slack/inbound/revocation.ts';
import type { Installation } from './slack/installations/installations.ts';
import { joinInstallations, staticInstallation } from './slack/installations/static.ts';
import type { TransportState } from './slack/receiver/transport.ts';
import type { StoreHouse } from './storage/house.ts';
import { openHouse } from './storage/open-house.ts';
import type { PostgresParts } from './storage/postgres/open.ts';
import { recordIn } from './storage/recordings.ts';
import { createSharedFolder } from './storage/shared-folder.ts';
import { type Account, type AccountParts, createAccount } from './workspaces/account.ts';
import { createDeliveries } from './workspaces/deliveries.ts';
import { createFrontDoor } from './workspaces/front-door.ts';
import { createGate } from './workspaces/gate.ts';
import { createKeeper, type Keeper } from './workspaces/keeper.ts';
import { createLoadMetrics } from './workspaces/load-metrics.ts';
import { openOAuth } from './workspaces/oauth.ts';
import { watchReplicas } from './workspaces/replica-watch.ts';
import { createRouter } from './workspaces/router.ts';
import { openTransport } from './workspaces/transport.ts';
import { openWorkspace, type Premises, type Workspace } from './workspaces/workspace.ts';

/** How many workspaces one process serves at once. */
const MOST_WORKSPACES = 1_000;
/** After a start without an earlier count: for how long another process may already have received our messages. */
const UNCOUNTED_MS = 10 * 60_000;

export interface World {
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** The metrics of one workspace, where each is counted apart; left out: all are counted together. */
  metricsOf?: (workspace: WorkspaceId) => WorkspaceMetrics;
  /** Called when the bridge is up. */
  onUp?: (api: SlackApi) => void;
  /** Makes the text of `/metrics`; left out: that path does not exist. */
  scrape?: Scrape;
  /** Makes the requests to Slack and to Letta's cloud; left out: the global one. */
  fetch?: typeof globalThis.fetch;
  /** Hides a token in the log from now on. */
  hide?: (secret: string) => void;
  /** Opens what the process stores; left out: as `STORE` says. */
  openHouse?: (uri: string, parts: PostgresParts) => Promise<StoreHouse>;
}

export interface App {
  /** Our bot in the workspace of `SLACK_BOT_TOKEN`; `null`: there is no such token. */
  identity: Identity | null;
  /** Where people install the app; `null`: OAuth is off. */
  installUrl: string | null;
  /** The port of HTTP mode or of the health server; 0 when nothing listens. */
  port: number;
  /** Resolves when Slack permanently refuses a token. No retry helps, so the caller should stop the bridge. */
  refused: Promise<BridgeError>;
  /** Applies this policy from now on to each message, click and command, and to turns that have not begun. */
  usePolicies(policies: Policies): void;
  /** Ends intake, waits for running turns for as long as the configuration says, then stops. */
  drain(): Promise<void>;
  /** Ends intake, then everything else. The next start continues from what is on disk. Stopping twice is fine. */
  stop(): Promise<void>;
}

/**
 * The whole bridge: the parts of the process (store, health, the way from Slack, machines that dial in), and the
 * workspace that it serves. Resolves once Slack can reach it. It keeps the process alive until it is stopped, because
 * nothing else does while Slack is away.
 * @param signal aborts a start that is still waiting for Slack or for the store's lock.
 * @throws BridgeError where no retry helps: a refused token, a store of another program, a port in use.
 */
export async function startApp(config: Config, world: World, signal: AbortSignal): Promise<App> {
  const { clock, random, log, metrics, fetch = globalThis.fetch } = world;
  const closing: (() => Promise<void> | void)[] = [];
  const refused = Promise.withResolvers<BridgeError>();
  const keepAlive = stayAlive();
  let stopping: Promise<void> | null = null;
  let isUp = false;
  let isDraining = false;
  let { policies } = config;
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
    const house = await (world.openHouse ?? openHouse)(config.store, {
      ...{ clock, log, auditKeptForMs, signal },
      postgres: config.postgres,
    });
    closing.push(() => house.close());
    const { isAlone = false } = house.replicas;
    const storeWatch = watchStore({ choices: house.choices, clock, log });
    closing.push(storeWatch.stop);

    const slackTime = createSlackTime({ clock, log });
    const slackClock: Clock = { ...clock, now: () => clock.now() - slackTime.aheadMs() };
    // Serve health while Slack is unreachable, so that a monitor does not take a waiting bridge for a dead one.
    const tellLoads = createLoadMetrics(metrics, world.metricsOf);
    const scrape = async () => {
      tellLoads(workspaces());
      const online = listening?.devices.list().filter(({ isOnline }) => isOnline);
      if (online) metrics.gauge('devices_online', online.length);
      for (const { name, ok } of checks()) metrics.gauge('ready', ok ? 1 : 0, { part: name });
      return (await world.scrape?.()) ?? { contentType: 'text/plain', text: '' };
    };
    let keeper: Keeper | null = null;
    const workspaces = () => keeper?.list() ?? [];
    const checkSlack = (): Check => {
      const check = { name: 'slack', ok: false };
      if (!isUp) return { ...check, state: 'starting' };
      if (isDraining) return { ...check, state: 'stopping' };
      const missing = workspaces().flatMap((workspace) => workspace.missingScopes());
      if (missing.length > 0) return { ...check, state: `the bot token lacks ${missing.join(', ')}` };
      return slackCheck(transport.state(), clock.monotonic());
    };
    const checkStore = (): Check => {
      const { ok, state } = house.check();
      return ok ? storeWatch.check() : { name: 'store', ok, state };
    };
    const ownChecks = (): Check[] => [checkSlack(), checkStore()];
    const checks = (): Check[] => [...ownChecks(), ...checkLettaOf(workspaces())];
    const health = healthRoutes(checks, world.scrape ? scrape : null, () => workspaces().map(({ id }) => id));
    let counted: { foreign: number; at: number } | null = null;
    const noteTaken = (ms: number) => {
      for (const workspace of workspaces()) workspace.noteTaken(ms);
    };
    const onState = ({ isConnected, foreignConnections, countedAt }: TransportState) => {
      for (const workspace of workspaces()) workspace.setConnected(isConnected);
      if (countedAt === null || countedAt === counted?.at) return;
      // Connections come and go between two counts, so assume the larger number for the whole time between them.
      const foreign = Math.max(foreignConnections, counted?.foreign ?? 0);
      if (foreign > 0) noteTaken(counted ? countedAt - counted.at : UNCOUNTED_MS);
      counted = { foreign: foreignConnections, at: countedAt };
    };
    let listening: Listening | null = null;
    if (config.letta.mode === 'listen') {
      const onChanged = () => {
        for (const workspace of workspaces()) workspace.noteHomeChange();
      };
      listening = await listenForDevices(config.letta, {
        ...{ choices: house.choices, clock, log, onChanged, isServing: isAlone },
      });
      closing.push(listening.stop);
    }
    const guest = listening?.guest ?? undefined;
    let identity: Identity | null = null;
    const oauth =
      config.slack.oauth &&
      (await openOAuth({
        ...{ oauth: config.slack.oauth, slackApiUrl: config.slack.apiUrl, rows: house.installations },
        news: house.installationNews,
        ...{ clock, random, log, hide: world.hide },
        mayInstall: (workspace, enterpriseId) => mayInstall(policies, workspace, enterpriseId),
        isConfigured: (workspace) => workspace === identity?.teamId,
      }));
    // With a bot token, too, it is not known whose until Slack was asked.
    const pages: HealthRoutes | undefined = oauth
      ? (request, response) => isUp && oauth.installer.handle(request, response)
      : undefined;
    let served: HealthServer | null = null;
    if (config.slack.mode.kind === 'socket' && config.port !== null) {
      const routes: HealthRoutes = (...both) => health(...both) || (pages?.(...both) ?? false);
      served = await serveHealth(routes, { port: config.port, clock, guest });
      closing.push(served.stop);
    }
    const others = watchReplicas({
      ...{ replicas: house.replicas, clock, log, countServed: () => workspaces().length },
      onGone: (ms) => noteTaken(ms),
    });
    closing.push(others.stop);
    if (!isAlone) others.start();
    const transport = openTransport(config.slack, {
      ...{ clock, slackClock, random, log, metrics, health, pages, guest, onState },
      siblings: isAlone ? undefined : others,
      onRefused: refused.resolve,
    });
    closing.push(() => transport.stop());

    const accounts: Omit<AccountParts, 'token' | 'onRefused'> = {
      ...{ fetch, slackApiUrl: config.slack.apiUrl, clock, random, log, metrics },
      onTime: slackTime.noteSlackTime,
    };
    const { botToken } = config.slack;
    const own =
      botToken === null
        ? null
        : createAccount({ ...accounts, token: fixedToken(botToken), onRefused: refused.resolve });
    // What still calls Slack after all that does is of no use to anybody.
    closing.push(() => own?.close());
    if (own) {
      const onFailed = transport.listenEarly;
      identity = await identify({ api: own.api, clock, random, log, signal, onFailed });
    }
    /** Who the bot is in a workspace that somebody installed the app in. */
    const identifyBot = async ({ workspace }: Installation, { api }: Account, ended: AbortSignal) => {
      const tokenName = `the token of ${workspace}`;
      const found = await identify({ api, clock, random, log, signal: ended, tokenName });
      if (found.teamId === workspace) return found;
      throw new BridgeError('slack_failed', `${tokenName} is one of ${found.teamId}`);
    };
    const recordings = openRecordings(config, log);
    closing.push(() => recordings?.flush());
    const premises: Premises = {
      ...{ config, clock, random, log, metrics, checks: ownChecks },
      target: targetOf(config, listening),
      dial: createSocketDialer(clock),
      ...(listening && { machines: listening.machines }),
      sharedFolder: config.sharedFiles && createSharedFolder(config.sharedFiles.home, config.sharedFiles),
      recordings,
      clockAheadMs: slackTime.aheadMs,
      transportState: transport.state,
      watchThreads: storeWatch.watchThreads,
    };
    const policiesOf = (installation: Installation) => ({ current: () => policyIn(policies, installation) });
    const configured = botToken !== null && identity ? staticInstallation(botToken, identity) : null;
    const installations = joinInstallations(configured, oauth?.installations ?? null);
    const removeIfRevoked = oauth && ((workspace: WorkspaceId) => oauth.installations.removeIfRevoked(workspace));
    keeper = createKeeper({
      ...{ installations, clock, random, log, most: MOST_WORKSPACES },
      house: {
        ...house,
        async deleteWorkspace(workspace, lease) {
          await house.deleteWorkspace(workspace, lease);
          await oauth?.installations.forgetRemoved(workspace);
        },
      },
      isRemoved: oauth ? (workspace) => oauth.installations.isRemoved(workspace) : undefined,
      async open(installation, lease, store, ended) {
        const isConfigured = installation === configured;
        const gate = createGate(lease, fetch);
        const token = installation.openToken(lease.isHeld);
        const metered = { metrics: world.metricsOf?.(installation.workspace) ?? metrics };
        const account = createAccount({
          ...{ ...accounts, ...metered, token, fetch: gate.fetch, scopes: isConfigured ? own?.scopes() : null },
          // Another token may follow: the app is installed again, or the store works again.
          onRefused: isConfigured ? refused.resolve : undefined,
        });
        ended.addEventListener('abort', account.close, { once: true });
        const who = isConfigured && identity ? identity : await identifyBot(installation, account, ended);
        // With RETENTION=0s this deletes what an earlier setting kept.
        store.details.start(config.retentionMs);
        const api = who.isEnterpriseInstall ? acrossTeams(account.api, clock) : account.api;
        const workspace = await openWorkspace(
          { ...premises, ...metered },
          {
            ...{ account: { ...account, api }, identity: who, store, gate, policies: policiesOf(installation) },
          },
        );
        // From now on the workspace closes it, after its last words.
        ended.removeEventListener('abort', account.close);
        return removeIfRevoked && !isConfigured ? hearRevocations(workspace, removeIfRevoked) : workspace;
      },
      onServing(workspace) {
        workspace.setConnected(transport.state().isConnected);
        listening?.setServing(true);
      },
      // Of several processes only the one that serves the workspace takes its devices.
      onLeaving: () => listening?.setServing(isAlone),
    });
    closing.push(keeper.stop);
    const router = createRouter({ installations, appId: identity?.appId ?? null, clock });
    closing.push(router.stop);
    const deliver = createDeliveries({
      ...{ router, keeper, inbound: house.inbound, removeIfRevoked: removeIfRevoked ?? undefined, log, metrics },
      ...{ fetch, slackApiUrl: config.slack.apiUrl },
    });
    const door = createFrontDoor({ transport, deliver, clock });
    closing.push(door.stop);
    signal.addEventListener('abort', () => isUp || void door.stop(), { once: true });

    await keeper.start();
    await door.start();
    isUp = true;
    storeWatch.start();
    if (oauth) {
      const ending = new AbortController();
      closing.push(() => ending.abort());
      void oauth.sealAgain(ending.signal);
      for (const workspace of await oauth.installations.listRemoved()) keeper.want(workspace);
    }
    if (house.path !== null) {
      const run = async ({ channel, ...waits }: { channel: string } & SelfTestWaits, tell: (step: object) => void) =>
        (identity ? keeper?.find(identity.teamId) : workspaces()[0])?.selfTest.run(channel, waits, tell);
      const devices = () => ({ url: listening?.publicUrl() ?? '', devices: listening?.devices.list() ?? [] });
      const control = await serveControl({ storePath: house.path, checks, devices, selfTest: run, log });
      closing.push(() => control?.stop());
    }
    const installUrl = oauth?.installer.url ?? null;
    log.info(
      { team: identity?.teamId, bot: identity?.botUserId, install: installUrl ?? undefined, letta: config.letta.mode },
      'the bridge is up',
    );
    if (own) world.onUp?.(own.api);
    const drain = async () => {
      isDraining = true;
      // Begin nothing and accept nothing new: Slack repeats every delivery that we did not acknowledge.
      const [left] = await Promise.all([keeper?.drain(config.drainMs), door.stop()]);
      log.info(left ?? {}, 'drained: turns that did not end in time continue after the next start');
      await stop();
    };
    const usePolicies = (next: Policies) => {
      policies = next;
    };
    return {
      identity,
      installUrl,
      port: served?.port ?? transport.port(),
      refused: refused.promise,
      usePolicies,
      drain,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The workspace, which is left when Slack tells it, and confirms, that the app was uninstalled. */
function hearRevocations(workspace: Workspace, removeIfRevoked: (id: WorkspaceId) => Promise<boolean>): Workspace {
  return {
    ...workspace,
    async accept(envelope) {
      if (!tellsOfRevocation(envelope)) return workspace.accept(envelope);
      await removeIfRevoked(workspace.id);
      return undefined;
    },
  };
}

/** All workspaces talk to the same Letta, so the bridge is as well as the best of them is. */
function checkLettaOf(served: readonly Workspace[]): Check[] {
  const found = served.map((workspace) => workspace.checkLetta());
  return found.length === 0 ? [] : [found.find(({ ok }) => ok) ?? found[0]].filter((check) => check !== undefined);
}

function targetOf({ letta }: Config, listening: Listening | null): LettaTarget {
  if (letta.mode !== 'listen') return letta;
  if (listening === null) throw new Error('nothing listens for devices');
  return { mode: 'listen', environment: letta.environment, devices: listening.devices };
}

function openRecordings({ recordThreads }: Config, log: Log) {
  if (recordThreads === null) return undefined;
  log.warn({ folder: recordThreads }, 'RECORD_THREADS is set: what people and the agent write is recorded in files');
  return recordIn(recordThreads, log);
}
