import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { BoundedMap } from '../bounded-map.ts';
import type { Agents } from './agent.ts';
import type { Surface, SurfaceParts } from './app-server.ts';
import { handleFrame } from './commands.ts';
import { LETTA_CODE_VERSION, SUPPORTED_COMMANDS } from './frames.ts';
import type { Outlet } from './outlet.ts';
import { PairSkew } from './pair-skew.ts';
import type { Peer, PeerHandlers } from './sockets.ts';
import { isJson, type Json, type Runtime, text } from './types.ts';

const MAX_UNACKED = 2000;
const ACTING_USER = 'user-test';

interface HostedOptions {
  /**
   * The device's control and stream sockets are not ordered against each other (docs/letta-protocol.md, Hosted: what
   * the device tells the relay).
   */
  readonly isPaired: boolean;
  readonly deviceId?: string;
  /** Unacked frames come again after this many ms; 0: never. */
  readonly redeliverMs: number;
  /** How long clients stay connected while the device is away. */
  readonly graceMs: number;
}

interface Client {
  readonly peer: Peer;
  readonly runtime: Runtime;
  readonly unacked: Map<number, Json>;
  seq: number;
}

/**
 * The hosted router with one device behind it: REST, status sockets with seq and ack, leases (docs/letta-protocol.md,
 * Hosted relay).
 */
export function createHosted(parts: SurfaceParts, options: HostedOptions): Surface {
  const { agents, sockets, faults, token } = parts;
  const { world } = agents;
  const clients = new Set<Client>();
  const firstSeenAt = Date.now();
  const environmentId = `env-${randomUUID()}`;
  const deviceId = options.deviceId ?? randomUUID();
  const skew = new PairSkew(routeFrame, options.isPaired);
  let leaseId = `conn-${randomUUID()}`;
  let connectedAt = Date.now();
  let isOnline = true;
  let backTimer: NodeJS.Timeout | undefined;
  let graceTimer: NodeJS.Timeout | undefined;
  let device: Outlet = connectDevice();

  function connectDevice(): Outlet {
    const mayPass = (type: string) => isOnline && (type === 'reply' || faults.mayPass());
    return world.addOutlet({ deliver: (frame) => skew.deliverFrame(frame), hearsEverything: true, mayPass });
  }

  function routeFrame(frame: Json): void {
    const runtime = isJson(frame.runtime) ? frame.runtime : null;
    for (const client of clients) if (!runtime || isFor(client.runtime, runtime)) deliverTo(client, frame);
  }

  function deliverTo(client: Client, frame: Json): void {
    client.seq += 1;
    const numbered = { ...frame, seq: client.seq };
    client.unacked.set(client.seq, numbered);
    client.peer.send(numbered);
  }

  function addClient(peer: Peer, runtime: Runtime): PeerHandlers {
    const client: Client = { peer, runtime, unacked: new BoundedMap(MAX_UNACKED), seq: 0 };
    clients.add(client);
    const redeliver = () => {
      for (const frame of client.unacked.values()) peer.send(frame);
    };
    const again = options.redeliverMs > 0 ? setInterval(redeliver, options.redeliverMs) : undefined;
    return {
      onFrame: (frame) => handleClientFrame(client, frame),
      onClose: () => {
        clearInterval(again);
        clients.delete(client);
      },
    };
  }

  function handleClientFrame(client: Client, frame: unknown): void {
    if (!isJson(frame)) return;
    if (frame.type === 'ping') client.peer.send({ type: 'pong' });
    if (frame.type === 'ack') client.unacked.delete(Number(frame.seq));
    if (!isOnline || frame.type === 'ping' || frame.type === 'ack') return;
    const creates = frame.type === 'input' && isJson(frame.payload) && frame.payload.kind === 'create_message';
    const runtime = isJson(frame.runtime) ? { ...frame.runtime, acting_user_id: ACTING_USER } : frame.runtime;
    handleFrame(agents, device, creates ? { ...frame, runtime } : frame);
  }

  // ---- the device's life -----------------------------------------------------------------------

  function goOffline(ms: number, then: () => void): void {
    isOnline = false;
    clearTimeout(backTimer);
    clearTimeout(graceTimer);
    graceTimer = setTimeout(() => closeClients('environment offline'), options.graceMs);
    backTimer = setTimeout(() => {
      clearTimeout(graceTimer);
      isOnline = true;
      connectedAt = Date.now();
      then();
    }, ms);
  }

  /**
   * The device reconnects with the same lease. It sends its present state; what it sent meanwhile is lost (trace h06).
   */
  function reconnectDevice(): void {
    for (const conversation of agents.allConversations()) conversation.showIfBusy();
    for (const conversation of agents.allConversations()) conversation.runQueue();
  }

  function registerDevice(): void {
    closeClients('environment re-registered');
    leaseId = `conn-${randomUUID()}`;
    device.isClosed = true;
    world.outlets.delete(device);
    world.externalTools.forget(device);
    device = connectDevice();
  }

  function closeClients(reason: string): void {
    for (const client of clients) client.peer.close(1001, reason);
    clients.clear();
  }

  // ---- REST ------------------------------------------------------------------------------------

  function describeEnvironment(): Json {
    const last = agents.allConversations().at(-1);
    return {
      id: environmentId,
      connectionId: isOnline ? leaseId : null,
      deviceId,
      connectionName: world.connectionName,
      organizationId: 'org-test',
      podId: null,
      connectedAt,
      lastHeartbeat: isOnline ? Date.now() : connectedAt,
      lastSeenAt: isOnline ? Date.now() : connectedAt,
      firstSeenAt,
      currentMode: last?.mode ?? 'standard',
      metadata: {
        lettaCodeVersion: LETTA_CODE_VERSION,
        os: 'linux',
        nodeVersion: process.version,
        environmentMessageProtocol: 'v2-input',
        supportsPairedListenerGenerations: true,
        supported_commands: SUPPORTED_COMMANDS,
        self_update: { supported: false },
        ...(last ? { workingDirectory: last.cwd, gitBranch: 'master' } : {}),
      },
    };
  }

  function postMessages(connectionId: string, body: Json): Answer {
    if (!isOnline || connectionId !== leaseId) return NO_ENVIRONMENT;
    const runtime = { agent_id: body.agentId, conversation_id: text(body.conversationId) ?? 'default' };
    const payload = { kind: 'create_message', messages: body.messages };
    handleFrame(agents, device, { type: 'input', runtime, payload });
    return [200, { success: true, message: 'Message sent' }];
  }

  function answerEnvironments(method: string, path: string, query: URLSearchParams, body: Json): Answer | null {
    if (method === 'GET' && path === '/v1/environments') {
      const shown = query.get('onlineOnly') === 'true' && !isOnline ? [] : [describeEnvironment()];
      return [200, { connections: shown, hasNextPage: false }];
    }
    const one = /^\/v1\/environments\/([^/]+)$/.exec(path);
    if (method === 'GET' && one) {
      return decodeURIComponent(one[1] ?? '') === deviceId ? [200, describeEnvironment()] : NO_ENVIRONMENT;
    }
    const messages = /^\/v1\/environments\/([^/]+)\/messages$/.exec(path);
    return method === 'POST' && messages ? postMessages(decodeURIComponent(messages[1] ?? ''), body) : null;
  }

  const mayEnter = (request: IncomingMessage, query: URLSearchParams) =>
    token === null || request.headers.authorization === `Bearer ${token}` || query.get('token') === token;

  return {
    url: (port) => `http://127.0.0.1:${port}`,
    async handleRequest(request, response) {
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      const method = request.method ?? 'GET';
      if (!mayEnter(request, new URLSearchParams())) return sendAnswer(response, [401, { message: 'Unauthorized' }]);
      const body = await readBody(request);
      const answer =
        answerEnvironments(method, url.pathname, url.searchParams, body) ??
        answerStored(agents, isOnline, method, url.pathname, url.searchParams, body);
      sendAnswer(response, answer ?? [404, { message: `Not found: ${method} ${url.pathname}` }]);
    },
    handleUpgrade(request, socket, head) {
      const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://127.0.0.1');
      if (!mayEnter(request, query)) return sockets.refuseUpgrade(socket, 401, 'Unauthorized');
      const connectionId = /^\/v1\/environments\/([^/]+)\/status\/ws$/.exec(pathname)?.[1];
      if (!isOnline || connectionId === undefined || decodeURIComponent(connectionId) !== leaseId) {
        return sockets.refuseUpgrade(socket, 404, 'Not Found');
      }
      const [agentId, conversationId] = [query.get('agentId'), query.get('conversationId')];
      if (!agentId || !conversationId) return sockets.refuseUpgrade(socket, 400, 'Bad Request');
      const runtime = { agent_id: agentId, conversation_id: conversationId };
      sockets.acceptUpgrade(request, socket, head, (peer) => addClient(peer, runtime));
    },
    causeFault(fault) {
      if (fault.kind === 'close') sockets.cutAll();
      if (fault.kind === 'freeze') sockets.freeze(fault.ms ?? 1000);
      if (fault.kind === 'offline') goOffline(fault.ms ?? 700, reconnectDevice);
      if (fault.kind === 'restart') {
        agents.restart();
        goOffline(fault.ms ?? 300, registerDevice);
      }
      if (fault.kind === 'expire') {
        for (const conversation of agents.allConversations()) conversation.restart();
        registerDevice();
      }
    },
    state: () => ({ surface: 'hosted', online: isOnline, deviceId, connectionId: leaseId, sockets: sockets.count }),
    stop: () => {
      clearTimeout(backTimer);
      clearTimeout(graceTimer);
      skew.stop();
    },
  };
}

type Answer = readonly [number, unknown];
const NO_ENVIRONMENT: Answer = [404, { message: 'Environment not found' }];

function isFor(wanted: Runtime, runtime: Json): boolean {
  return runtime.agent_id === wanted.agent_id && runtime.conversation_id === wanted.conversation_id;
}

/** REST answers for which the router asks the device: agents, conversations, history. */
function answerStored(
  agents: Agents,
  online: boolean,
  method: string,
  path: string,
  query: URLSearchParams,
  body: Json,
): Answer | null {
  const match = /^\/v1\/(agents|conversations)(?:\/([^/]+))?(\/messages|\/cancel)?\/?$/.exec(path);
  if (!match) return null;
  if (!online) return [503, { message: 'No device online' }];
  const [, kind, id, rest] = match;
  const limit = Number(query.get('limit') ?? 50);
  if (kind === 'agents') {
    if (method === 'POST' && id === undefined) return [200, agents.createAgent(body)];
    if (method === 'DELETE' && id !== undefined) {
      const gone = agents.deleteAgent(decodeURIComponent(id));
      return gone ? [200, { message: 'deleted' }] : [404, { message: `Agent ${id} not found` }];
    }
    if (method !== 'GET') return null;
    if (id === undefined) return [200, agents.listAgents(limit)];
    const agent = agents.getAgent(decodeURIComponent(id));
    return agent ? [200, agent] : [404, { message: `Agent ${id} not found` }];
  }
  const agentId = query.get('agent_id') ?? '';
  if (id === undefined) {
    if (method === 'GET') return [200, agents.listConversations(agentId, limit).map((one) => one.toRecord())];
    const made = agents.createConversation(agentId, text(body.summary) ?? null);
    return made ? [200, made.toRecord()] : [404, { message: `Agent ${agentId} not found` }];
  }
  const conversation = agents.conversationById(decodeURIComponent(id));
  if (!conversation) return [404, { message: `Conversation ${id} not found` }];
  if (method === 'DELETE' && rest === undefined) {
    agents.deleteConversation(conversation.runtime.conversation_id);
    return [200, { message: 'deleted' }];
  }
  if (rest === '/cancel' && method === 'POST') return [200, { success: conversation.abortTurn(undefined) }];
  if (method !== 'GET') return null;
  if (rest === undefined) return [200, conversation.toRecord()];
  return [
    200,
    conversation.history.listPage({ limit, order: query.get('order'), before: query.get('before') }).messages,
  ];
}

async function readBody(request: IncomingMessage): Promise<Json> {
  let raw = '';
  for await (const part of request) raw += String(part);
  try {
    const parsed: unknown = JSON.parse(raw);
    return isJson(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

function sendAnswer(response: ServerResponse, [status, body]: Answer): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}
