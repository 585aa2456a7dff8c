import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { installApp, newCodes, uninstallApp } from './app.ts';
import { serveAuthorize } from './authorize.ts';
import type { Control } from './control/api.ts';
import { createControl } from './control/control.ts';
import { controlServer } from './control/http.ts';
import { Deliveries } from './delivery.ts';
import { eventCallback, scopeFor, subscriptionFor } from './events.ts';
import { Faults } from './faults.ts';
import { receiveUpload, serveFile } from './files.ts';
import { sendJson } from './http.ts';
import { HttpDelivery } from './http-delivery.ts';
import { Limits } from './limits.ts';
import { type CallEntry, Log } from './log.ts';
import type { Shortcut } from './model.ts';
import { ResponseUrlStore } from './response-urls.ts';
import { SocketMode } from './socket-mode.ts';
import { type Bot, TEAM, type Team, Workspace } from './state.ts';
import { type Issued, Tokens } from './tokens.ts';
import { Triggers } from './triggers.ts';
import { serveWebApi } from './web-api/web-api.ts';
import type { SlackApp, World } from './world.ts';

const DEFAULT_SCOPES: readonly string[] = [
  'app_mentions:read',
  'assistant:write',
  'channels:history',
  'channels:read',
  'chat:write',
  'commands',
  'files:read',
  'files:write',
  'groups:history',
  'groups:read',
  'im:history',
  'im:read',
  'im:write',
  'mpim:history',
  'mpim:read',
  'reactions:read',
  'reactions:write',
  'team:read',
  'usergroups:read',
  'users:read',
];

/** docs/slack.md, Manifest keys: 10 shortcuts; a name has 24 characters (docs.slack.dev/interactivity/implementing-shortcuts). */
function checkShortcuts(shortcuts: readonly Shortcut[]): readonly Shortcut[] {
  const isWrong = shortcuts.length > 10 || shortcuts.some(({ name }) => name === '' || name.length > 24);
  if (isWrong) throw new Error('Slack takes at most 10 shortcuts with names of 1 to 24 characters');
  return shortcuts;
}

export interface SlackOptions {
  /** Default 0: any free port. Always on 127.0.0.1. */
  port?: number;
  /** Rate limits of docs/slack.md, Tiers; default on. */
  limits?: 'on' | 'off';
  /** How events reach the app; default `socket`. */
  delivery?: 'socket' | { http: string; signingSecret?: string };
  /** The bot's token in the usual workspace, and the app-level one. */
  tokens?: { bot: string; app: string };
  /** The organisation of the usual workspace; default: none. */
  enterprise?: Team['enterprise'];
  /** Whether the app is installed in the usual workspace, with `tokens.bot`; default yes. */
  isInstalled?: boolean;
  /** Workspaces beside the usual one. */
  workspaces?: readonly WorkspaceOption[];
  /** How the app can be installed by its users. */
  oauth?: OAuthOptions;
  /** Bot scopes; default: all that this Slack knows something to do with. */
  scopes?: readonly string[];
  /** `bot_events` of the manifest; default: every event. */
  events?: readonly string[];
  /** Whether the app is declared as an agent; default no. */
  agent?: boolean;
  /** Slash commands of the app; default `/agent`. */
  commands?: readonly string[];
  /** Message shortcuts of the app; default none. */
  shortcuts?: readonly Shortcut[];
  /** ms since 1970; what windows, triggers and timestamps are counted by. */
  now?: () => number;
  /** 0 ≤ n < 1; decides the order of twin events and which socket gets an envelope. */
  random?: () => number;
  /** How long an ack may take; default 3,000. */
  ackTimeoutMs?: number;
  /** Waits before the retries of an event; default 0, 60,000, 300,000. */
  retryDelaysMs?: readonly number[];
  /** Waits before the retries of a click or command; default one at once over a socket, none over HTTP. */
  interactionRetryDelaysMs?: readonly number[];
  /** ms that a Web API call spends on its way, half before and half after its effect; default 0. */
  latencyMs?: number;
  /** Public channels beside the usual ones, with the app and Alice in them. */
  channels?: readonly string[];
  /** Called with each Web API call once it has taken effect; for measuring. */
  onCall?: (call: CallEntry) => void;
  /** Pings of the sockets; default 10,000, at most 30,000. */
  pingIntervalMs?: number;
}

/** Everybody and everything in it is as in the usual workspace, with `suffix` at the end of all ids. */
export interface WorkspaceOption {
  /** `T…` */
  id: string;
  /** Capital letters. */
  suffix: string;
  name?: string;
  domain?: string;
  enterprise?: Team['enterprise'];
  /** Installs the app there with this token; left out: it is not installed. */
  token?: string;
}

export interface OAuthOptions {
  clientId?: string;
  clientSecret?: string;
  /** Default: none, so that Slack sends nobody back. */
  redirectUrls?: readonly string[];
  /** `token_rotation_enabled` */
  isRotated?: boolean;
  lifetimeMs?: number;
  graceMs?: number;
  /** `org_deploy_enabled` */
  isOrgWide?: boolean;
}

/** One workspace of a small Slack. */
export interface SlackWorkspace {
  team: Team;
  bot: Bot;
  control: Control;
}

export interface SmallSlack {
  /** Base of the Web API, with the slash at the end. */
  url: string;
  port: number;
  tokens: { bot: string; app: string };
  signingSecret: string;
  /** For SLACK_CLIENT_ID and SLACK_CLIENT_SECRET. */
  client: { id: string; secret: string };
  /** Of the usual workspace. */
  control: Control;
  /** All workspaces by team, the usual one first. */
  workspaces: ReadonlyMap<string, SlackWorkspace>;
  /** Installs the app in a workspace (`T…`) or an organisation (`E…`), as somebody at Slack does without the bridge. */
  install(id: string, scopes?: readonly string[]): Issued;
  /** Somebody removes the app from the workspace or organisation. */
  uninstall(id: string): void;
  /** Simulates an outage: refuses connections and cuts open ones. */
  goAway(): Promise<void>;
  /** Ends the outage: answers again at the same address. */
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

const SIGNING_SECRET = 'sandbox-signing-secret';
const CLIENT = { id: '101010101010.202020202020', secret: 'sandbox-client-secret' } as const;
const TOKENS = { bot: 'xoxb-sandbox-bot', app: 'xapp-1-A0SANDBOX-sandbox-app' } as const;

/** Timers that `close` cancels; they do not keep the process alive. */
function createTimers() {
  const timers = new Set<NodeJS.Timeout>();
  let isClosed = false;
  return {
    runAfter(ms: number, run: () => void) {
      if (isClosed) return;
      const timer = setTimeout(() => {
        timers.delete(timer);
        run();
      }, ms);
      timer.unref();
      timers.add(timer);
    },
    close() {
      isClosed = true;
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}

/** Starts the small strict Slack on 127.0.0.1: Web API, delivery of events, and the control API (`/_control/…`). */
export async function startSlack(options: SlackOptions = {}): Promise<SmallSlack> {
  const now = options.now ?? Date.now;
  const random = options.random ?? Math.random;
  const ackTimeoutMs = options.ackTimeoutMs ?? 3_000;
  const timers = createTimers();
  const { runAfter } = timers;
  const log = new Log();
  const delivery = options.delivery ?? 'socket';
  const tokens = options.tokens ?? TOKENS;
  const signingSecret = (delivery === 'socket' ? undefined : delivery.signingSecret) ?? SIGNING_SECRET;
  const pingIntervalMs = Math.min(options.pingIntervalMs ?? 10_000, 30_000);
  const socketMode = new SocketMode({ random, ackTimeoutMs, pingIntervalMs, runAfter });
  const http =
    delivery === 'socket' ? null : new HttpDelivery({ requestUrl: delivery.http, signingSecret, ackTimeoutMs, now });
  let origin = '';
  const worlds = new Map<string, World>();
  const { oauth = {} } = options;
  const client = { id: oauth.clientId ?? CLIENT.id, secret: oauth.clientSecret ?? CLIENT.secret };
  const app: SlackApp = {
    clientId: client.id,
    clientSecret: client.secret,
    appToken: tokens.app,
    redirectUrls: oauth.redirectUrls ?? [],
    isOrgWide: oauth.isOrgWide ?? false,
    tokens: new Tokens({ now, ...oauth }),
    codes: newCodes(),
    worlds,
  };
  const shared = {
    app,
    log,
    socketMode,
    faults: new Faults(),
    deliveries: new Deliveries(http ?? socketMode, {
      log,
      now,
      runAfter,
      retryDelaysMs: options.retryDelaysMs ?? [0, 60_000, 300_000],
      interactionRetryDelaysMs: options.interactionRetryDelaysMs ?? (http ? [] : [0]),
    }),
    isAgent: options.agent ?? false,
    commands: options.commands ?? ['/agent'],
    shortcuts: checkShortcuts(options.shortcuts ?? []),
    latencyMs: options.latencyMs ?? 0,
    onCall: options.onCall,
    now,
    random,
    runAfter,
  };
  const addWorld = (team: Team, suffix: string, moreChannels?: readonly string[]): World => {
    const sister = [...worlds.values()].find(({ workspace: { team: other } }) => {
      return team.enterprise !== null && other.enterprise?.id === team.enterprise.id;
    });
    const workspace = new Workspace({ now, random, moreChannels, team, suffix, bot: sister?.workspace.bot });
    const world: World = {
      ...shared,
      workspace,
      responseUrls: new ResponseUrlStore(team.id, () => origin, now),
      limits: new Limits(options.limits !== 'off'),
      triggers: new Triggers(now),
      installedAs: null,
      scopes: new Set(),
      revoked: null,
      get origin() {
        return origin;
      },
      emitEvent(event, channelId) {
        if (world.installedAs === null) return;
        const channel = channelId === undefined ? undefined : workspace.findChannel(channelId);
        if (channel && !channel.members.has(workspace.bot.userId)) return;
        const scope = scopeFor(event, channel);
        if (scope !== null && !world.scopes.has(scope)) return;
        if (options.events && !options.events.includes(subscriptionFor(event, channel))) return;
        void world.deliveries.deliver({ kind: 'events_api', payload: eventCallback(world, event, channel) });
      },
    };
    worlds.set(team.id, world);
    return world;
  };
  const scopes = options.scopes ?? DEFAULT_SCOPES;
  const installWith = (token: string, id: string) => {
    app.tokens.add(token, { id, scopes, by: '' });
    installApp(app, { id, scopes, by: '' });
  };
  const world = addWorld({ ...TEAM, enterprise: options.enterprise ?? null }, '', options.channels);
  if (options.isInstalled !== false) installWith(tokens.bot, TEAM.id);
  for (const { id, suffix, token, ...given } of options.workspaces ?? []) {
    addWorld(
      { id, name: given.name ?? id, domain: given.domain ?? id.toLowerCase(), enterprise: given.enterprise ?? null },
      suffix,
    );
    if (token !== undefined) installWith(token, id);
  }
  const control = createControl(world, http);
  const workspaces = new Map<string, SlackWorkspace>();
  for (const [id, each] of worlds) {
    workspaces.set(id, {
      team: each.workspace.team,
      bot: each.workspace.bot,
      control: each === world ? control : createControl(each, http),
    });
  }
  const controls = new Map([...workspaces].map(([id, { control }]) => [id, controlServer(control)]));
  const controlOf = (id: string | null) => controls.get(id ?? TEAM.id);
  const worldOfPath = (path: string) => worlds.get(/^\/[a-z-]+\/([A-Z0-9]+)/.exec(path)?.[1] ?? '') ?? world;

  const serveRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const path = url.pathname;
    if (path.startsWith('/api/')) return serveWebApi(world, request, response, url);
    if (path === '/oauth/v2/authorize') return serveAuthorize(app, request, response, url);
    const serveControl = path.startsWith('/_control/') && controlOf(url.searchParams.get('team'));
    if (serveControl) return serveControl(request, response, url);
    if (path.startsWith('/actions/') || path.startsWith('/commands/')) {
      const at = worldOfPath(path);
      return at.responseUrls.serveUrl(at, request, response, path);
    }
    if (path.startsWith('/upload/v1/')) {
      const upload = path.replace('/upload/v1/', '');
      const at = [...worlds.values()].find(({ workspace }) => workspace.uploads.has(upload)) ?? world;
      return receiveUpload(at, request, response, path);
    }
    if (path.startsWith('/files-pri/')) return serveFile(worldOfPath(path), request, response, path);
    sendJson(response, 404, { ok: false, error: 'not_found' });
  };
  const server = createServer((request, response) => {
    // Node would tell the machine's time, which is another one once time has been passed.
    response.setHeader('date', new Date(now()).toUTCString());
    serveRequest(request, response).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, 500, { ok: false, error: `sandbox: ${String(error)}` });
      else response.destroy();
    });
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    try {
      socketMode.handleUpgrade(request, socket, head);
    } catch {
      // The path is not a URL.
      socket.destroy();
    }
  });
  const listen = (at: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, '127.0.0.1', resolve);
    });
  await listen(options.port ?? 0);
  const { port } = server.address() as AddressInfo;
  origin = `http://127.0.0.1:${port}`;

  let closing: Promise<void> | null = null;
  return {
    url: `${origin}/api/`,
    port,
    tokens,
    signingSecret,
    client,
    control,
    workspaces,
    install: (id, given = scopes) => installApp(app, { id, scopes: given, by: 'U01ALICE' }),
    uninstall: (id) => uninstallApp(app, id),
    goAway() {
      socketMode.causeFault({ socket: 'close' });
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
    comeBack: () => listen(port),
    close() {
      closing ??= new Promise((resolve) => {
        timers.close();
        socketMode.close();
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closing;
    },
  };
}
