// Stand-in for the hosted environment router, for tests on loopback. A REAL device process connects
// to it outbound (start-letta.sh --hosted); clients use the hosted surface:
//   GET  /v1/environments?onlineOnly=true   GET /v1/environments/{deviceId}
//   GET|POST /v1/agents/  GET /v1/agents/{id}  GET|POST /v1/conversations/?agent_id=  GET /v1/conversations/{id}
//   POST /v1/environments/{connectionId}/messages
//   WS   /v1/environments/{connectionId}/status/ws?agentId=&conversationId=&channel=   (+ token=)
// Test levers: POST /test/drop-clients, /test/drop-device?hold=MS (transport loss), /test/expire-device (re-register).
//   node router.mjs PORT TOKEN         env RESEND_MS: redeliver unacked frames; GRACE_MS: see offline();
//   PAIRED=1: ask the device for its control+stream pair; LETTA_DIR: a folder whose node_modules has ws

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const { WebSocketServer } = await import('ws').catch(() =>
  createRequire(`${process.env.LETTA_DIR}/package.json`)('ws'),
);

const [port = '0', TOKEN = 'test-token'] = process.argv.slice(2);
const RESEND_MS = +(process.env.RESEND_MS ?? 0),
  GRACE_MS = +(process.env.GRACE_MS ?? 3000),
  PAIRED = process.env.PAIRED === '1';
const devices = new Map(); // deviceId -> record
let holdUntil = 0; // device upgrades are refused until then
const live = (d) => !!d.control && d.control.readyState === 1;
const byConnection = (id) => [...devices.values()].find((d) => d.connectionId === id);
const view = (d) => ({
  id: d.id,
  connectionId: live(d) ? d.connectionId : null,
  deviceId: d.deviceId,
  connectionName: d.name,
  organizationId: 'org-test',
  podId: null,
  connectedAt: d.connectedAt,
  lastHeartbeat: d.lastHeartbeat,
  lastSeenAt: d.lastHeartbeat ?? d.firstSeenAt,
  firstSeenAt: d.firstSeenAt,
  currentMode: d.mode ?? 'standard',
  metadata: d.metadata,
});

// ---- device side -----------------------------------------------------------------------------
function register({ deviceId, connectionName, metadata }) {
  const old = devices.get(deviceId);
  if (old) closeClients(old, 'environment re-registered'); // the lease rotates
  const d = {
    id: old?.id ?? `env-${randomUUID()}`,
    deviceId,
    connectionId: `conn-${randomUUID()}`,
    name: connectionName,
    metadata,
    firstSeenAt: old?.firstSeenAt ?? Date.now(),
    connectedAt: null,
    lastHeartbeat: null,
    clients: new Set(),
    asked: new Map(),
  };
  devices.set(deviceId, d);
  return {
    connectionId: d.connectionId,
    wsUrl: `ws://127.0.0.1:${server.address().port}/device/${d.connectionId}`,
    supportsSplitStatusChannels: PAIRED,
    supportsPairedListenerGenerations: PAIRED,
  };
}
function deviceSocket(ws, d, q) {
  const stream = q.get('channel') === 'stream';
  if (stream) d.stream = ws;
  else {
    d.control = ws;
    d.connectedAt = d.lastHeartbeat = Date.now();
    clearTimeout(d.grace);
  }
  if (q.has('connectionGeneration'))
    ws.send(
      JSON.stringify({
        type: 'listener_ready',
        connection_generation: q.get('connectionGeneration'),
        connection_attempt: +q.get('connectionAttempt'),
      }),
    );
  ws.on('message', (data) => {
    const f = JSON.parse(data.toString());
    if (f.type === 'ping') {
      d.lastHeartbeat = Date.now();
      return ws.send('{"type":"pong"}');
    }
    if (d.asked.has(f.request_id)) {
      d.asked.get(f.request_id)(f);
      d.asked.delete(f.request_id);
      return;
    }
    if (f.type === 'update_device_status') {
      d.mode = f.device_status.current_permission_mode;
      d.metadata = {
        ...d.metadata,
        workingDirectory: f.device_status.current_working_directory,
        gitBranch: f.device_status.git_context?.branch ?? undefined,
      };
    }
    for (const c of d.clients)
      if (!f.runtime || (f.runtime.agent_id === c.agentId && f.runtime.conversation_id === c.conversationId))
        deliver(c, f);
  });
  ws.on('close', () => {
    if (!stream && d.control === ws) offline(d);
  });
}
/** A short transport loss keeps the lease and the clients; after GRACE_MS the clients are closed. */
function offline(d) {
  d.control = null;
  d.grace = setTimeout(() => closeClients(d, 'environment offline'), GRACE_MS);
}
function closeClients(d, reason) {
  for (const c of d.clients) c.ws.close(1001, reason);
  d.clients.clear();
}
/** One request of the router itself to the device (REST endpoints that the device can answer). */
function ask(frame) {
  const d = [...devices.values()].find(live);
  if (!d) return Promise.resolve(null);
  const request_id = `router-${randomUUID()}`;
  return new Promise((ok) => {
    d.asked.set(request_id, ok);
    setTimeout(() => ok(null), 10_000).unref();
    d.control.send(JSON.stringify({ ...frame, request_id }));
  });
}

// ---- client side -----------------------------------------------------------------------------
function deliver(c, f) {
  const seq = ++c.seq,
    text = JSON.stringify({ ...f, seq });
  if (RESEND_MS) c.unacked.set(seq, text);
  c.ws.send(text);
}
function clientSocket(ws, d, q) {
  const c = { ws, agentId: q.get('agentId'), conversationId: q.get('conversationId'), seq: 0, unacked: new Map() };
  d.clients.add(c);
  const again = RESEND_MS && setInterval(() => c.unacked.forEach((text) => ws.send(text)), RESEND_MS);
  ws.on('message', (data) => {
    let f;
    try {
      f = JSON.parse(data.toString());
    } catch {
      return;
    }
    if (f.type === 'ping') return ws.send('{"type":"pong"}');
    if (f.type === 'ack') return void c.unacked.delete(f.seq);
    if (f.type === 'input' && f.payload?.kind === 'create_message')
      f.runtime = { ...f.runtime, acting_user_id: 'user-test' };
    if (live(d)) d.control.send(JSON.stringify(f));
  });
  ws.on('close', () => {
    clearInterval(again);
    d.clients.delete(c);
  });
}

// ---- http ------------------------------------------------------------------------------------
const authorized = (req, q) => req.headers.authorization === `Bearer ${TOKEN}` || q?.get('token') === TOKEN;
async function rest(method, path, q, body) {
  let m;
  if (method === 'POST' && path === '/v1/environments/register') return [200, register(body)];
  if (method === 'GET' && path === '/v1/environments')
    return [
      200,
      {
        connections: [...devices.values()].filter((d) => q.get('onlineOnly') !== 'true' || live(d)).map(view),
        hasNextPage: false,
      },
    ];
  if (method === 'GET' && (m = /^\/v1\/environments\/([^/]+)$/.exec(path))) {
    const d = devices.get(decodeURIComponent(m[1]));
    return d ? [200, view(d)] : [404, { message: 'Environment not found' }];
  }
  if (method === 'POST' && (m = /^\/v1\/environments\/([^/]+)\/messages$/.exec(path))) {
    const d = byConnection(m[1]);
    if (!d || !live(d)) return [404, { message: 'Environment not found' }];
    d.control.send(
      JSON.stringify({
        type: 'input',
        runtime: { agent_id: body.agentId, conversation_id: body.conversationId ?? 'default' },
        payload: { kind: 'create_message', messages: body.messages },
      }),
    );
    return [200, { success: true, message: 'Message sent' }];
  }
  if ((m = /^\/v1\/agents\/([^/]+)\/runtime-status$/.exec(path)))
    return [
      200,
      {
        statuses: (q.get('conversation_ids') ?? '')
          .split(',')
          .map((conversation_id) => ({ conversation_id, state: 'IDLE', has_conflicting_listeners: false })),
      },
    ];
  const pass = async (frame, key) => {
    const r = await ask(frame);
    return !r ? [503, { message: 'No device online' }] : r.success ? [200, r[key]] : [404, { message: r.error }];
  };
  if (method === 'GET' && /^\/v1\/agents\/?$/.test(path))
    return pass({ type: 'agent_list', query: { limit: +(q.get('limit') ?? 50) } }, 'agents');
  if (method === 'POST' && /^\/v1\/agents\/?$/.test(path)) return pass({ type: 'agent_create', body }, 'agent');
  if (method === 'GET' && (m = /^\/v1\/agents\/([^/]+)$/.exec(path)))
    return pass({ type: 'agent_retrieve', agent_id: m[1] }, 'agent');
  if (method === 'POST' && /^\/v1\/conversations\/?$/.test(path))
    return pass({ type: 'conversation_create', body: { ...body, agent_id: q.get('agent_id') } }, 'conversation');
  if (method === 'GET' && /^\/v1\/conversations\/?$/.test(path))
    return pass(
      { type: 'conversation_list', query: { agent_id: q.get('agent_id'), limit: +(q.get('limit') ?? 50) } },
      'conversations',
    );
  if (method === 'GET' && (m = /^\/v1\/conversations\/([^/]+)$/.exec(path)))
    return pass({ type: 'conversation_retrieve', conversation_id: m[1] }, 'conversation');
  if (path === '/test/drop-clients') {
    for (const d of devices.values()) for (const c of d.clients) c.ws.terminate();
    return [200, {}];
  }
  if (path === '/test/drop-device') {
    holdUntil = Date.now() + +(q.get('hold') ?? 0);
    for (const d of devices.values()) d.control?.terminate();
    return [200, {}];
  }
  if (path === '/test/expire-device') {
    for (const d of devices.values()) d.control?.close(1008, 'Environment not found');
    return [200, {}];
  }
  if (process.env.ROUTER_VERBOSE) console.error('no route', method, path);
  return [404, { message: `Not found: ${method} ${path}` }];
}
const server = createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x');
  let raw = '';
  for await (const part of req) raw += part;
  const [status, body] = authorized(req)
    ? await rest(req.method, url.pathname, url.searchParams, raw ? JSON.parse(raw) : {})
    : [401, { message: 'Unauthorized' }];
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(body));
});
const wss = new WebSocketServer({ noServer: true });
server.on('upgrade', (req, socket, head) => {
  const url = new URL(req.url, 'http://x'),
    q = url.searchParams;
  const no = (status, text) =>
    socket.end(`HTTP/1.1 ${status} ${text}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  if (!authorized(req, q)) return no(401, 'Unauthorized');
  const dev = /^\/device\/([^/]+)$/.exec(url.pathname),
    cli = /^\/v1\/environments\/([^/]+)\/status\/ws$/.exec(url.pathname);
  const d = byConnection(decodeURIComponent((dev ?? cli)?.[1] ?? ''));
  if (!d || (cli && !live(d))) return no(404, 'Not Found');
  if (dev && Date.now() < holdUntil) return no(503, 'Unavailable');
  if (cli && !(q.get('agentId') && q.get('conversationId'))) return no(400, 'Bad Request');
  wss.handleUpgrade(req, socket, head, (ws) => (dev ? deviceSocket : clientSocket)(ws, d, q));
});
server.listen(+port, '127.0.0.1', () => console.log(`router on http://127.0.0.1:${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
