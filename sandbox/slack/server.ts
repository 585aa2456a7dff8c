import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
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
import { BOT, Workspace } from './state.ts';
import { Triggers } from './triggers.ts';
import { serveWebApi } from './web-api/web-api.ts';
import type { World } from './world.ts';

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
  /** The only tokens that it accepts. */
  tokens?: { bot: string; app: string };
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

export interface SmallSlack {
  /** Base of the Web API, with the slash at the end. */
  url: string;
  port: number;
  tokens: { bot: string; app: string };
  signingSecret: string;
  control: Control;
  /** Simulates an outage: refuses connections and cuts open ones. */
  goAway(): Promise<void>;
  /** Ends the outage: answers again at the same address. */
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

const SIGNING_SECRET = 'sandbox-signing-secret';
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
  const workspace = new Workspace(now, random, options.channels);
  const delivery = options.delivery ?? 'socket';
  const tokens = options.tokens ?? TOKENS;
  const signingSecret = (delivery === 'socket' ? undefined : delivery.signingSecret) ?? SIGNING_SECRET;
  const pingIntervalMs = Math.min(options.pingIntervalMs ?? 10_000, 30_000);
  const socketMode = new SocketMode({ random, ackTimeoutMs, pingIntervalMs, runAfter });
  const http =
    delivery === 'socket' ? null : new HttpDelivery({ requestUrl: delivery.http, signingSecret, ackTimeoutMs, now });
  const responseUrls = new ResponseUrlStore(() => world.origin, now);

  const world: World = {
    workspace,
    log,
    responseUrls,
    socketMode,
    limits: new Limits(options.limits !== 'off'),
    faults: new Faults(),
    triggers: new Triggers(now),
    deliveries: new Deliveries(http ?? socketMode, {
      log,
      now,
      runAfter,
      retryDelaysMs: options.retryDelaysMs ?? [0, 60_000, 300_000],
      interactionRetryDelaysMs: options.interactionRetryDelaysMs ?? (http ? [] : [0]),
    }),
    tokens,
    scopes: new Set(options.scopes ?? DEFAULT_SCOPES),
    isAgent: options.agent ?? false,
    commands: options.commands ?? ['/agent'],
    shortcuts: checkShortcuts(options.shortcuts ?? []),
    latencyMs: options.latencyMs ?? 0,
    onCall: options.onCall,
    revoked: null,
    origin: '',
    now,
    random,
    runAfter,
    emitEvent(event, channelId) {
      const channel = channelId === undefined ? undefined : workspace.findChannel(channelId);
      if (channel && !channel.members.has(BOT.userId)) return;
      const scope = scopeFor(event, channel);
      if (scope !== null && !world.scopes.has(scope)) return;
      if (options.events && !options.events.includes(subscriptionFor(event, channel))) return;
      void world.deliveries.deliver({ kind: 'events_api', payload: eventCallback(world, event, channel) });
    },
  };
  const control = createControl(world, http);
  const serveControl = controlServer(control);

  const serveRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const path = url.pathname;
    if (path.startsWith('/api/')) return serveWebApi(world, request, response, url);
    if (path.startsWith('/_control/')) return serveControl(request, response, url);
    if (path.startsWith('/actions/') || path.startsWith('/commands/')) {
      return responseUrls.serveUrl(world, request, response, path);
    }
    if (path.startsWith('/upload/v1/')) return receiveUpload(world, request, response, path);
    if (path.startsWith('/files-pri/')) return serveFile(world, request, response, path);
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
  world.origin = `http://127.0.0.1:${port}`;

  let closing: Promise<void> | null = null;
  return {
    url: `${world.origin}/api/`,
    port,
    tokens,
    signingSecret,
    control,
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
