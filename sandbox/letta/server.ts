import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agents, type SeedAgent } from './agent.ts';
import { createAppServer, type Surface, type SurfaceParts } from './app-server.ts';
import { handleControl, isControl } from './control.ts';
import { createDevice, type DialOptions } from './device.ts';
import { type Fault, Faults } from './faults.ts';
import type { LogEntry } from './frame-log.ts';
import { createHosted } from './hosted.ts';
import { type OnFrame, Sockets } from './sockets.ts';
import { type Json, RECORDED_TIMINGS, type Timings } from './types.ts';
import { World } from './world.ts';

export interface ScriptedLettaOptions {
  /** 0: any free port. */
  readonly port?: number;
  readonly surface?: 'app-server' | 'hosted';
  /** A device that dials this bridge, instead of a server; the rest of `url` is where `/_control/…` is. */
  readonly dials?: DialOptions;
  /** Bearer token clients must bring; null: none. */
  readonly token?: string | null;
  /** Hosted only: the device speaks over a pair of sockets, so control frames and deltas are not in order. */
  readonly isPaired?: boolean;
  readonly seed?: ScriptedLettaSeed;
  /** Milliseconds per word of a plain `say`. */
  readonly pace?: number;
  readonly timings?: Partial<Timings>;
  /** Hosted only: unacked frames come again after this many ms; 0: never. */
  readonly redeliverMs?: number;
  /** Hosted only: how long clients stay connected while the device is away. */
  readonly graceMs?: number;
  /** Called at once with each frame that comes in or goes out; for measuring. */
  readonly onFrame?: OnFrame;
}

export interface ScriptedLettaSeed {
  readonly agents?: readonly SeedAgent[];
  readonly connectionName?: string;
  readonly deviceId?: string;
  /** The number of conversations and of model calls so far, for ids that go on from there. */
  readonly conversations?: number;
  readonly calls?: number;
  /** Files of the fake machine, by absolute path. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

export interface ScriptedLetta {
  /**
   * `ws://127.0.0.1:PORT/ws` for the App Server, `http://127.0.0.1:PORT` for the hosted surface; where it dials, for a
   * device.
   */
  readonly url: string;
  /** Where `/_control/…` is. */
  readonly controlUrl: string;
  readonly port: number;
  addFault(fault: Fault): void;
  state(): Json;
  /** The last frames over any socket, oldest first. */
  log(): readonly LogEntry[];
  /**
   * Deletes an agent with its conversations, or one conversation; who is connected to it stays so, as with the real
   * one.
   */
  deleteStored(what: { agent: string } | { conversation: string }): boolean;
  /** A file of the fake machine; `undefined`: there is none. */
  readFile(path: string): Buffer | undefined;
  /** Lets the scheduler look at the clock, which shows `now` (ms since 1970; left out: the real one). */
  tickCrons(now?: number): void;
  /** Makes an agent. @returns its id */
  addAgent(name: string): string;
  /** Back to the seed; all sockets are cut. */
  reset(): void;
  close(): Promise<void>;
}

export const DEFAULT_AGENT: SeedAgent = {
  id: 'agent-local-00000000-0000-4000-8000-000000000001',
  name: 'Sandbox Agent',
};

interface Running {
  readonly agents: Agents;
  readonly sockets: Sockets;
  readonly faults: Faults;
  readonly surface: Surface;
}

function start(options: ScriptedLettaOptions): Running {
  const hosted = options.surface === 'hosted';
  const { seed = {} } = options;
  const pace = options.pace === undefined ? {} : { word: options.pace };
  const timings = { ...RECORDED_TIMINGS, ...pace, ...options.timings };
  const name = seed.connectionName ?? options.dials?.name ?? (hosted ? 'sandbox' : 'host');
  const world = new World(timings, hosted ? 'relay' : options.dials ? 'bridge' : 'app-server', name, seed);
  for (const [path, content] of Object.entries(seed.files ?? {})) world.machine.write(path, content);
  const agents = new Agents(world, seed.agents ?? [DEFAULT_AGENT]);
  const sockets = new Sockets(options.onFrame);
  const faults = new Faults((fault) => surface.causeFault(fault));
  const cronTimer = setInterval(() => agents.crons.tick(Date.now()), 60_000);
  cronTimer.unref();
  world.stopping.addEventListener('abort', () => clearInterval(cronTimer), { once: true });
  const parts: SurfaceParts = { agents, sockets, faults, token: options.token ?? null };
  const deviceId = seed.deviceId === undefined ? {} : { deviceId: seed.deviceId };
  const surface: Surface = options.dials
    ? createDevice(parts, { ...options.dials, ...deviceId, scale: timings.scale })
    : hosted
      ? createHosted(parts, {
          isPaired: options.isPaired ?? false,
          redeliverMs: options.redeliverMs ?? 5000,
          graceMs: options.graceMs ?? 3000,
          ...deviceId,
        })
      : createAppServer(parts);
  return { agents, sockets, faults, surface };
}

function stop({ agents, sockets, surface }: Running): void {
  surface.stop();
  agents.stop();
  sockets.stop();
}

/** A Letta that answers by directives, over the real protocol, on 127.0.0.1. Runs nothing real. */
export async function startScriptedLetta(options: ScriptedLettaOptions = {}): Promise<ScriptedLetta> {
  let running = start(options);
  const letta = {
    addFault: (fault: Fault) => running.faults.addFault(fault),
    state: (): Json => ({
      ...running.surface.state(),
      faults: running.faults.armed,
      agents: running.agents.listAgents(100).map(({ id, name }) => ({ id, name })),
      crons: running.agents.crons.tasks,
      conversations: running.agents.allConversations().map((conversation) => conversation.toState()),
    }),
    log: () => running.sockets.log.entries,
    deleteStored: (what: { agent: string } | { conversation: string }) =>
      'agent' in what ? running.agents.deleteAgent(what.agent) : running.agents.deleteConversation(what.conversation),
    readFile: (path: string) => running.agents.world.machine.readBytes(path),
    tickCrons: (now = Date.now()) => running.agents.crons.tick(now),
    addAgent: (name: string) => String(running.agents.createAgent({ name }).id),
    reset: () => {
      stop(running);
      running = start(options);
    },
  };
  const server = createServer(async (request, response) => {
    try {
      if (isControl(request)) await handleControl(request, response, letta);
      else await running.surface.handleRequest(request, response);
    } catch {
      // The path is not a URL, or the client disconnected in the middle of the body.
      request.socket.destroy();
    }
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    try {
      running.surface.handleUpgrade(request, socket, head);
    } catch {
      socket.destroy();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    ...letta,
    url: running.surface.url(port),
    controlUrl: `http://127.0.0.1:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        stop(running);
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
