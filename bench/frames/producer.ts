import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { startSlack } from '../../sandbox/slack/server.ts';
import { channelOf } from '../streams/plan.ts';

/*
 * All of the world around the bridge for the frame benchmarks, in a process of its own so that its work is not
 * counted: a small Slack, and a device behind the hosted relay that says nothing but text, as fast and as evenly as it
 * is told. With `?floor` in the path a socket gets the same frames without asking for them.
 * Usage: producer.ts CHANNELS DELTAS_PER_SECOND; prints where it is as JSON.
 */

const TICK_MS = 5;

interface Client {
  socket: WebSocket;
  runtime: { agent_id: string; conversation_id: string };
  seq: number;
  deltas: number;
  runId: string | null;
}

const channels = Array.from({ length: Number(process.argv[2]) }, (_, number) => channelOf(number));
const perSecond = Number(process.argv[3]);
/** Latency spreads the two hundred calls for channel names, which are not part of the measurement. */
const slack = await startSlack({ limits: 'off', latencyMs: 100, channels });
let acked = 0;
const clients: Client[] = [];
let runs = 0;

function sendEvent(client: Client, type: string, body: object): void {
  client.seq += 1;
  const { seq, runtime } = client;
  const now = new Date().toISOString();
  // Fields and their order as recorded from the real relay.
  const idempotency_key = `${type}:${seq}:0d6048bf-a863-4b94-80b6-22840830a0c4`;
  const frame = { type, ...body, runtime, event_seq: seq, emitted_at: now, idempotency_key, seq };
  client.socket.send(JSON.stringify(frame));
}

function sendDelta(client: Client): void {
  client.deltas += 1;
  const { agent_id, conversation_id } = client.runtime;
  sendEvent(client, 'stream_delta', {
    delta: {
      id: 'ui-msg-273',
      date: '2026-11-22T20:08:35.756Z',
      agent_id,
      conversation_id,
      message_type: 'assistant_message',
      content: [{ type: 'text', text: ` word${client.deltas}` }],
      run_id: client.runId,
      seq_id: client.deltas,
      type: 'message',
    },
  });
}

function sendLoopStatus(client: Client, status: string, clientMessageId: string | null): void {
  const { runId } = client;
  const active_run_ids = runId === null ? [] : [runId];
  const client_message_ids_by_run_id = runId === null || clientMessageId === null ? {} : { [runId]: [clientMessageId] };
  sendEvent(client, 'update_loop_status', { loop_status: { status, active_run_ids, client_message_ids_by_run_id } });
}

function beginTurn(client: Client, clientMessageId: string | null): void {
  runs += 1;
  client.runId = `run-${runs}`;
  sendLoopStatus(client, 'PROCESSING_API_RESPONSE', clientMessageId);
}

function endTurn(client: Client): void {
  const { runId } = client;
  const delta = { message_type: 'stop_reason', stop_reason: 'end_turn', run_id: runId, seq_id: client.deltas + 1 };
  sendEvent(client, 'stream_delta', { delta });
  client.runId = null;
  sendEvent(client, 'turn_finished', { turn_id: `turn-${runId}`, stop_reason: 'end_turn', run_id: runId });
  sendLoopStatus(client, 'WAITING_ON_INPUT', null);
}

function receiveFrame(client: Client, text: string): void {
  const { type, request_id, ...frame } = JSON.parse(text);
  if (type === 'ack') {
    acked += 1;
    return;
  }
  const { runtime } = client;
  const reply = (body: object) => client.socket.send(JSON.stringify({ ...body, request_id, success: true, runtime }));
  if (type === 'runtime_start') {
    const device_status = {
      current_permission_mode: frame.mode,
      current_working_directory: '/home/user',
      pending_control_requests: [],
      background_processes: [],
    };
    sendEvent(client, 'update_device_status', { device_status });
    sendLoopStatus(client, 'WAITING_ON_INPUT', null);
    reply({ type: 'runtime_start_response', created: { agent: false, conversation: false } });
  } else if (type === 'input') {
    reply({ type: 'input_accepted', accepted: true, disposition: 'started' });
    beginTurn(client, /"client_message_id":"([^"]+)"/.exec(text)?.[1] ?? null);
  } else if (type === 'sync') {
    reply({ type: 'sync_response' });
  } else if (type === 'ping') {
    client.socket.send('{"type":"pong"}');
  } else if (type === 'conversation_messages_list') {
    reply({ type: 'conversation_messages_list_response', messages: [] });
  }
}

/** Sends deltas evenly over sockets and time, even if timers are late. */
let last = performance.now();
let owed = 0;
let turn = 0;
setInterval(() => {
  const now = performance.now();
  const writing = clients.filter(({ runId }) => runId !== null);
  owed = Math.min(owed + ((now - last) / 1000) * perSecond * writing.length, writing.length * 5);
  last = now;
  for (; owed >= 1 && writing.length > 0; owed -= 1) {
    turn += 1;
    const client = writing[turn % writing.length];
    if (client) sendDelta(client);
  }
}, TICK_MS);

/** Mentions the app in further channels, until `count` channels have had a mention. */
let mentioned = 0;
async function mentionUpTo(count: number): Promise<void> {
  for (const channel of channels.slice(mentioned, count)) {
    mentioned += 1;
    await slack.control.message({ channel, user: 'U01ALICE', text: '@agent go' });
  }
}

let conversations = 0;

/** The few REST calls that come before a socket: one device, one agent, a new conversation for each thread. */
function answerRest({ method, url = '/' }: IncomingMessage): unknown {
  const { pathname } = new URL(url, 'http://127.0.0.1');
  // In the future, so that the heartbeat is fresh for a bridge whose clock has jumped, too.
  const lastHeartbeat = Date.now() + 7 * 24 * 3_600_000;
  const device = { id: 'd1', deviceId: 'd1', connectionId: 'c1', connectionName: 'd1', lastHeartbeat };
  if (pathname.endsWith('/messages')) return [];
  if (pathname.includes('/conversations')) {
    if (method === 'POST') conversations += 1;
    return { id: `conv-${conversations}` };
  }
  if (pathname.includes('/agents')) return { id: 'agent-1', name: 'agent' };
  return pathname.endsWith('/d1') ? device : { connections: [device], hasNextPage: false };
}

const DEEDS: Readonly<Record<string, (count: number) => unknown>> = {
  '/mention': (count) => void mentionUpTo(count),
  '/end': () => {
    for (const client of clients) if (client.runId !== null) endTurn(client);
  },
  '/state': () => ({
    acked,
    writing: clients.filter(({ runId }) => runId !== null).length,
    open: clients.length,
    listening: slack.control.state().connections.length,
  }),
};

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
  const deed = DEEDS[pathname];
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(deed ? (deed(Number(searchParams.get('count'))) ?? {}) : answerRest(request)));
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket, request) => {
  const { searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1');
  const runtime = {
    agent_id: searchParams.get('agentId') ?? 'agent-1',
    conversation_id: searchParams.get('conversationId') ?? 'conv-1',
  };
  const client: Client = { socket, runtime, seq: 0, deltas: 0, runId: null };
  clients.push(client);
  socket.on('message', (data) => receiveFrame(client, String(data)));
  socket.on('close', () => clients.splice(clients.indexOf(client), 1));
  socket.on('error', () => {});
  if (searchParams.has('floor')) beginTurn(client, null);
});
// Keep idle connections open, or a late request could meet a connection that is just closing.
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ port, slackUrl: slack.url, tokens: slack.tokens })}\n`);
});
process.stdin.on('end', () => process.exit(0)).resume();
