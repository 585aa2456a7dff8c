import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Agents } from './agent.ts';
import { handleFrame } from './commands.ts';
import type { Fault, Faults } from './faults.ts';
import * as frames from './frames.ts';
import type { Peer, PeerHandlers, Sockets } from './sockets.ts';
import type { Json } from './types.ts';

/** A way to reach the agents: how it handles requests, upgrades and faults. */
export interface Surface {
  readonly url: (port: number) => string;
  readonly handleRequest: (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;
  readonly handleUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly causeFault: (fault: Fault) => void;
  readonly state: () => Record<string, unknown>;
  readonly stop: () => void;
}

export interface SurfaceParts {
  readonly agents: Agents;
  readonly sockets: Sockets;
  readonly faults: Faults;
  readonly token: string | null;
}

/** A client with so many unsent bytes is cut at the next event (docs/letta-protocol.md, The device's files). */
const MOST_UNSENT = 16 * 1024 * 1024;
const MISSING = 'missing websocket bearer token';
const INVALID = 'invalid websocket bearer token';

/**
 * What is wrong with the token; null: nothing. A `token=` in the query does not count (docs/letta-protocol.md, App
 * Server).
 */
function tokenProblem(request: IncomingMessage, token: string | null): string | null {
  if (token === null) return null;
  const given = /^bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (given === undefined) return MISSING;
  return given === token ? null : INVALID;
}

/** The Letta App Server: endpoints, upgrades and their refusals as docs/letta-protocol.md, App Server has them. */
export function createAppServer({ agents, sockets, faults, token }: SurfaceParts): Surface {
  let downUntil = 0;
  const isDown = () => Date.now() < downUntil;

  function addPeer(peer: Peer): PeerHandlers {
    const mayPass = (type: string) => type === 'reply' || faults.mayPass();
    const deliver = (frame: Json) => {
      // Only events are counted: answers are written without back pressure.
      if ('event_seq' in frame && peer.unsentBytes() >= MOST_UNSENT) peer.cutSocket();
      else peer.send(frame);
    };
    const outlet = agents.world.addOutlet({ deliver, mayPass });
    for (const conversation of agents.allConversations()) conversation.runQueue();
    return {
      onFrame: (frame) => handleFrame(agents, outlet, frame),
      onClose: () => {
        const heard = agents.allConversations().filter(({ runtime }) => outlet.hears(runtime));
        outlet.isClosed = true;
        agents.world.outlets.delete(outlet);
        agents.world.externalTools.forget(outlet);
        for (const conversation of heard) {
          if (agents.world.outletsFor(conversation.runtime).length === 0) conversation.dropTurns();
        }
      },
    };
  }

  function sendResponse(response: ServerResponse, status: number, body = '', contentType?: string): void {
    response.writeHead(status, contentType === undefined ? {} : { 'content-type': contentType });
    response.end(body);
  }

  return {
    url: (port) => `ws://127.0.0.1:${port}/ws`,
    handleRequest(request, response) {
      if (isDown()) return void request.socket.destroy();
      if (request.headers.origin !== undefined) return sendResponse(response, 403);
      const { pathname } = new URL(request.url ?? '/', 'http://127.0.0.1');
      if (request.method !== 'GET') return sendResponse(response, 404);
      if (pathname === '/readyz' || pathname === '/healthz') return sendResponse(response, 200, 'ok\n', 'text/plain');
      if (pathname !== '/app-server-info') return sendResponse(response, 404);
      const problem = tokenProblem(request, token);
      if (problem !== null) return sendResponse(response, 401, JSON.stringify({ error: problem }), 'application/json');
      const head = { type: 'app_server_info_response', request_id: 'http-info', success: true };
      sendResponse(response, 200, JSON.stringify({ ...head, ...frames.APP_SERVER_INFO }), 'application/json');
    },
    handleUpgrade(request, socket, head) {
      if (isDown()) return void socket.destroy();
      const url = new URL(request.url ?? '/', 'http://127.0.0.1');
      if (token === null && request.headers.origin !== undefined)
        return sockets.refuseUpgrade(socket, 403, 'Forbidden');
      if (url.pathname !== '/ws' && url.pathname !== '/') return sockets.refuseUpgrade(socket, 404, 'Not Found');
      if (url.searchParams.has('channel')) return sockets.refuseUpgrade(socket, 426, 'Upgrade Required');
      const problem = tokenProblem(request, token);
      if (problem !== null) return sockets.refuseUpgrade(socket, 401, problem);
      sockets.acceptUpgrade(request, socket, head, addPeer);
    },
    causeFault(fault) {
      if (fault.kind === 'restart') agents.restart();
      if (fault.kind === 'restart' || fault.kind === 'offline') downUntil = Date.now() + (fault.ms ?? 300);
      if (fault.kind === 'freeze') sockets.freeze(fault.ms ?? 1000);
      else sockets.cutAll();
    },
    state: () => ({ surface: 'app-server', down: isDown(), sockets: sockets.count }),
    stop: () => {},
  };
}
