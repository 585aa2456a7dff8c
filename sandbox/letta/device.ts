import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import type { Surface, SurfaceParts } from './app-server.ts';
import { handleFrame } from './commands.ts';
import { LETTA_CODE_VERSION, SUPPORTED_COMMANDS } from './frames.ts';
import type { Outlet } from './outlet.ts';
import type { Peer } from './sockets.ts';
import { isJson, type Json, text } from './types.ts';

/** Where a device dials, and as whom: `LETTA_BASE_URL`, `LETTA_API_KEY`, `--computer-name`. */
export interface DialOptions {
  readonly url: string;
  readonly token: string;
  readonly name?: string;
  /** What it says it speaks; the real one says `v2-input`. */
  readonly protocol?: string;
  /** How far its clock is ahead of this one's, in ms: so are all times that it names. Default 0. */
  readonly clockAheadMs?: number;
}

interface DeviceOptions extends DialOptions {
  readonly deviceId?: string;
  /** All times between two attempts are multiplied by it. */
  readonly scale: number;
}

const PING_EVERY_MS = 30_000;
/** Three pings without an answer. */
const DEAD_AFTER_MS = 120_000;
const LONGEST_PAUSE_MS = 30_000;
/** So long it dials its old address; then it registers anew. */
const REGISTERS_AFTER_MS = 5 * 60_000;
/** So long it tries to register at its start. */
const GIVES_UP_AFTER_MS = 2 * 60_000;

/**
 * A device that registers at a bridge and dials it (docs/letta-protocol.md, A device that dials us). It hears all its
 * conversations over its one socket; its turns go on while the socket is away.
 */
export function createDevice({ agents, sockets, faults }: SurfaceParts, options: DeviceOptions): Surface {
  const { world } = agents;
  const { scale, token, clockAheadMs = 0 } = options;
  const name = options.name ?? world.connectionName;
  const deviceId = options.deviceId ?? randomUUID();
  let peer: Peer | null = null;
  let socket: WebSocket | null = null;
  let lease: { connectionId: string; wsUrl: string } | null = null;
  /** Why the process has ended, as the real one prints it; `null`: it runs. */
  let ended: string | null = null;
  let isStopped = false;
  let awayUntil = 0;
  let lostAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const isOver = () => isStopped || ended !== null;

  let outlet = connect();

  function connect(): Outlet {
    return world.addOutlet({
      deliver: (frame) => peer?.send(clockAheadMs === 0 ? frame : (moveTimes(frame, clockAheadMs) as Json)),
      hearsEverything: true,
      mayPass: (type) => peer !== null && (type === 'reply' || faults.mayPass()),
    });
  }

  /** Its numbers and what it knows of its listeners begin anew. */
  function disconnect(): void {
    outlet.isClosed = true;
    world.outlets.delete(outlet);
    outlet = connect();
  }

  const later = (ms: number, act: () => void) => {
    clearTimeout(timer);
    if (!isOver()) timer = setTimeout(act, Math.max(ms * scale, awayUntil - Date.now()));
  };

  async function register(since: number, pause: number): Promise<void> {
    if (isOver()) return;
    let status = 0;
    let answer: Json = {};
    try {
      const response = await fetch(`${options.url}/v1/environments/register`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'x-letta-source': 'letta-code',
        },
        body: JSON.stringify(describe()),
      });
      ({ status } = response);
      const body: unknown = await response.json();
      if (isJson(body)) answer = body;
    } catch {
      // No network: tried again below.
    }
    const connectionId = text(answer.connectionId);
    const wsUrl = text(answer.wsUrl);
    if (status === 200 && connectionId !== undefined && wsUrl !== undefined) {
      lease = { connectionId, wsUrl };
      world.connectionId = connectionId;
      return dial(0);
    }
    const isFinal = status !== 0 && status !== 429 && status < 500;
    if (isFinal || (lostAt === 0 && Date.now() - since > GIVES_UP_AFTER_MS * scale)) {
      ended = `Failed to start listener: ${text(answer.message) ?? `HTTP ${status}`}`;
      return;
    }
    later(pause, () => void register(since, Math.min(pause * 2, LONGEST_PAUSE_MS)));
  }

  const describe = (): Json => ({
    deviceId,
    listenerInstanceId: `server-${deviceId.slice(0, 8)}`,
    connectionName: name,
    metadata: {
      lettaCodeVersion: LETTA_CODE_VERSION,
      os: 'linux',
      nodeVersion: process.version,
      environmentMessageProtocol: options.protocol ?? 'v2-input',
      supportsPairedListenerGenerations: true,
      supported_commands: SUPPORTED_COMMANDS,
      self_update: { supported: false },
    },
  });

  function dial(attempt: number): void {
    if (isOver() || lease === null) return;
    const target = new URL(lease.wsUrl);
    target.searchParams.set('deviceId', deviceId);
    target.searchParams.set('connectionName', name);
    const ws = new WebSocket(target, { headers: { authorization: `Bearer ${token}` }, perMessageDeflate: false });
    socket = ws;
    let opened = false;
    let heardAt = Date.now();
    const ping = setInterval(() => {
      if (Date.now() - heardAt > DEAD_AFTER_MS) ws.terminate();
      else if (ws.readyState === ws.OPEN) ws.send('{"type":"ping"}');
    }, PING_EVERY_MS);
    ping.unref();
    ws.on('error', () => {});
    ws.on('open', () => {
      opened = true;
      lostAt = 0;
      sockets.addSocket(ws, (joined) => {
        peer = joined;
        // Not within this call: the peer hears first that it has joined.
        queueMicrotask(showState);
        return {
          onFrame(frame) {
            heardAt = Date.now();
            if (isJson(frame) && frame.type === 'pong') return;
            handleFrame(agents, outlet, frame);
          },
          onClose: () => {
            if (peer === joined) peer = null;
          },
        };
      });
    });
    ws.on('close', (code, reason) => {
      clearInterval(ping);
      if (socket !== ws) return;
      socket = null;
      lostAt ||= Date.now();
      if (code === 1000 && reason.toString() === 'Replaced by new connection') {
        ended = 'Replaced by new connection';
        agents.restart();
      } else if (code === 1008) {
        for (const conversation of agents.allConversations()) conversation.restart();
        disconnect();
        later(0, () => void register(Date.now(), 1_000));
      } else if (Date.now() - lostAt > REGISTERS_AFTER_MS * scale) later(0, () => void register(Date.now(), 1_000));
      // Once a socket had opened it dials again at once, without any pause.
      else later(opened ? 0 : Math.min(1_000 * 2 ** attempt, LONGEST_PAUSE_MS), () => dial(opened ? 0 : attempt + 1));
    });
  }

  /** What runs is shown before the bridge asks, an open request too. */
  function showState(): void {
    for (const conversation of agents.allConversations()) conversation.showIfBusy();
    for (const conversation of agents.allConversations()) conversation.showOpenRequests();
    for (const conversation of agents.allConversations()) conversation.runQueue();
  }

  later(0, () => void register(Date.now(), 1_000));

  return {
    url: () => options.url,
    handleRequest: (_request, response) => void response.writeHead(404).end(),
    handleUpgrade: (_request, upgraded) => void upgraded.destroy(),
    causeFault(fault) {
      if (fault.kind === 'freeze') return sockets.freeze(fault.ms ?? 1000);
      if (fault.kind === 'offline' || fault.kind === 'restart') awayUntil = Date.now() + (fault.ms ?? 300);
      if (fault.kind === 'restart' || fault.kind === 'expire') {
        agents.restart();
        const old = socket;
        socket = null;
        peer = null;
        old?.terminate();
        disconnect();
        later(0, () => void register(Date.now(), 1_000));
      } else socket?.terminate();
    },
    state: () => ({
      surface: 'device',
      online: peer !== null,
      ended,
      deviceId,
      connectionId: lease?.connectionId ?? null,
    }),
    stop() {
      isStopped = true;
      clearTimeout(timer);
      outlet.isClosed = true;
      world.outlets.delete(outlet);
      socket?.terminate();
    },
  };
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** A frame with every time in it moved: `emitted_at`, `date` and the like are whole texts. */
function moveTimes(value: unknown, ms: number): unknown {
  if (typeof value === 'string') return TIME.test(value) ? new Date(Date.parse(value) + ms).toISOString() : value;
  if (Array.isArray(value)) return value.map((each) => moveTimes(each, ms));
  if (!isJson(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, moveTimes(each, ms)]));
}
