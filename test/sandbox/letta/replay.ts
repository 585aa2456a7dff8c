import { setTimeout as pause } from 'node:timers/promises';
import WebSocket from 'ws';
import { type ScriptedLetta, startScriptedLetta } from '../../../sandbox/letta/server.ts';
import { type Frame, type NormaliseOptions, normalise, type TraceLine } from './trace.ts';

const PATIENCE = 4_000;

interface Client {
  readonly ws: WebSocket;
  readonly heard: Frame[];
  readonly closed: { code: number | null };
}

export interface Heard {
  readonly socket: string;
  readonly expected: string[];
  readonly actual: string[];
  readonly frames: readonly Frame[];
}

export interface ReplayOptions extends NormaliseOptions {
  readonly paired?: boolean;
  readonly files?: Record<string, string | Uint8Array>;
  readonly scale?: number;
  readonly redeliverMs?: number;
  readonly subagent?: number;
  /** How many times slower than usual the scripted Letta is; default 1. */
  readonly slowness?: number;
}

/** Plays the client's part of a recording against the scripted Letta and gathers what both said on each socket. */
export async function replay(trace: readonly TraceLine[], options: ReplayOptions = {}): Promise<Heard[]> {
  const hosted = trace.some((line) => line.request?.includes('/v1/environments') || line.url?.includes('/v1/'));
  const { slowness = 1 } = options;
  const letta = await startScriptedLetta({
    surface: hosted ? 'hosted' : 'app-server',
    token: hosted ? 'TOKEN' : null,
    isPaired: options.paired ?? false,
    seed: seedOf(trace, options),
    redeliverMs: options.redeliverMs ?? 0,
    timings: {
      latency: slowness,
      word: slowness,
      tool: 2 * slowness,
      pump: 12 * slowness,
      settle: 0,
      subagent: slowness * (options.subagent ?? 20),
      scale: slowness * (options.scale ?? 0.05),
    },
  });
  const player = new Player(letta, trace, options, hosted);
  try {
    return await player.play();
  } finally {
    player.stop();
    await letta.close();
  }
}

function seedOf(trace: readonly TraceLine[], options: ReplayOptions) {
  const whole = JSON.stringify(trace);
  const agent = /agent-local-[0-9a-f-]{36}/.exec(whole)?.[0] ?? 'agent-local-1';
  const conversation = Number(/local-conv-(\d+)/.exec(whole)?.[1] ?? 1);
  const call = /call_(\d+)_0/.exec(whole)?.[1];
  const before = whole.slice(0, whole.indexOf(`call_${call}_0`));
  const runs = [...before.matchAll(/"stop_reason":"(?!error)\w+","run_id":"(local-run-\d+)","seq_id"/g)];
  const earlier = new Set(runs.map((match) => match[1])).size;
  return {
    agents: [{ id: agent, name: 'Bridge Agent' }],
    conversations: conversation - 1,
    calls: call === undefined ? 0 : Number(call) - 1 - earlier,
    ...(options.files ? { files: options.files } : {}),
  };
}

class Player {
  readonly #letta: ScriptedLetta;
  readonly #trace: readonly TraceLine[];
  readonly #options: ReplayOptions;
  readonly #hosted: boolean;
  readonly #clients = new Map<string, Client>();
  readonly #recorded = new Map<string, Frame[]>();
  readonly #names = new Map<string, string>();
  #connectionId = '';

  constructor(letta: ScriptedLetta, trace: readonly TraceLine[], options: ReplayOptions, hosted: boolean) {
    this.#letta = letta;
    this.#trace = trace;
    this.#options = options;
    this.#hosted = hosted;
  }

  async play(): Promise<Heard[]> {
    for (const line of this.#trace) await this.#step(line);
    await this.#caughtUp();
    return [...this.#recorded].map(([socket, recorded]) => ({
      socket,
      expected: normalise(recorded, this.#options),
      actual: normalise(this.#clients.get(socket)?.heard ?? [], this.#options),
      frames: this.#clients.get(socket)?.heard ?? [],
    }));
  }

  stop(): void {
    for (const { ws } of this.#clients.values()) ws.terminate();
  }

  async #step(line: TraceLine): Promise<void> {
    const socket = line.sock ?? '';
    if (line.dir === 'recv' && line.frame) {
      this.#recorded.set(socket, [...(this.#recorded.get(socket) ?? []), line.frame]);
    } else if (line.dir === 'open') {
      await this.#open(socket, line.url ?? '');
    } else if (line.dir === 'send' && line.frame?.type === 'ack') {
      this.#clients.get(socket)?.ws.send(JSON.stringify(line.frame));
    } else if (line.dir === 'send' || line.dir === 'send-raw') {
      await this.#caughtUp();
      this.#clients.get(socket)?.ws.send(line.raw ?? this.#renamed(JSON.stringify(line.frame)));
    } else if (line.dir === 'close') {
      await this.#close(socket, line.code ?? 1005);
    } else if (line.dir === 'note') {
      await this.#note(line.text ?? '');
    } else if (line.dir === 'http') {
      await this.#caughtUp();
      await this.#request(line);
    }
  }

  /** Waits until each open socket has heard as many steps as the recording had at this point. */
  async #caughtUp(): Promise<void> {
    const until = Date.now() + PATIENCE;
    const behind = () =>
      [...this.#recorded].some(([socket, recorded]) => {
        const client = this.#clients.get(socket);
        if (!client || client.closed.code !== null) return false;
        return normalise(client.heard, this.#options).length < normalise(recorded, this.#options).length;
      });
    while (behind() && Date.now() < until) await pause(2);
    for (const [socket, recorded] of this.#recorded) this.#learn(recorded, this.#clients.get(socket)?.heard ?? []);
  }

  /** Ids that only the server makes, paired by the order they came in. */
  #learn(recorded: readonly Frame[], heard: readonly Frame[]): void {
    const ids = (frames: readonly Frame[]) =>
      frames.filter((frame) => frame.type === 'external_tool_call_request').map((frame) => String(frame.request_id));
    const live = ids(heard);
    for (const [index, id] of ids(recorded).entries()) if (live[index]) this.#names.set(id, live[index]);
    const tasks = (frames: readonly Frame[]) =>
      frames.flatMap(({ type, task }) => (type === 'cron_add_response' && task ? [String((task as Frame).id)] : []));
    const liveTasks = tasks(heard);
    for (const [index, id] of tasks(recorded).entries()) if (liveTasks[index]) this.#names.set(id, liveTasks[index]);
    const made = (frames: readonly Frame[]) =>
      frames
        .filter((frame) => (frame.created as Frame | undefined)?.agent === true)
        .map((frame) => frame.agent as Frame);
    const liveAgents = made(heard);
    for (const [index, agent] of made(recorded).entries()) {
      if (liveAgents[index]) this.#names.set(String(agent.id), String(liveAgents[index].id));
    }
  }

  #renamed(text: string): string {
    let renamed = text;
    for (const [from, to] of this.#names) renamed = renamed.replaceAll(from, to);
    return renamed;
  }

  async #open(socket: string, recordedUrl: string): Promise<void> {
    await this.#caughtUp();
    const query = recordedUrl.split('?')[1];
    const path = `/v1/environments/${this.#connectionId}/status/ws?${query}`;
    const until = Date.now() + PATIENCE;
    for (;;) {
      const url = this.#hosted ? `${this.#letta.url.replace('http', 'ws')}${path}` : this.#letta.url;
      const client = await connect(url, this.#hosted ? 'TOKEN' : null);
      if (client) return void this.#clients.set(socket, client);
      if (Date.now() > until) throw new Error(`could not open ${socket}`);
      await pause(10);
    }
  }

  async #close(socket: string, code: number): Promise<void> {
    const client = this.#clients.get(socket);
    if (!client) return;
    if (code === 1001) return void (await until(() => client.closed.code !== null));
    await this.#caughtUp();
    await pause(5);
    if (client.closed.code !== null) return;
    if (code === 1006) client.ws.terminate();
    else client.ws.close();
    await until(() => client.closed.code !== null);
  }

  async #note(text: string): Promise<void> {
    if (/SIGKILL$|server SIGTERM$|process SIGTERM/.test(text)) {
      await this.#caughtUp();
      this.#letta.addFault({ kind: 'restart', ms: 60 });
    }
    if (text.includes('terminate') || text.includes('is cut') || text.startsWith('client gone')) await this.#caughtUp();
    if (text.startsWith('binary frame')) {
      const frame = { type: 'app_server_info', request_id: 'bin-1' };
      this.#clients.get('c1')?.ws.send(Buffer.from(JSON.stringify(frame)), { binary: true });
    }
  }

  async #request(line: TraceLine): Promise<void> {
    const [method = 'GET', path = '/'] = this.#renamed(line.request ?? '').split(' ');
    if (path.startsWith('/test/expire-device')) return this.#letta.addFault({ kind: 'expire' });
    if (path.startsWith('/test/drop-device'))
      return this.#letta.addFault({ kind: 'offline', ms: path.includes('hold') ? 50 : 5 });
    const authorization = line.auth === false ? {} : { authorization: 'Bearer TOKEN' };
    const body = line.body && method === 'POST' ? { body: this.#renamed(JSON.stringify(line.body)) } : {};
    const ask = async (): Promise<Response> =>
      fetch(`${this.#letta.controlUrl}${path}`, { method, headers: authorization, ...body });
    let response = await ask();
    let given = (await response.json()) as Frame;
    const wantsOnline = /"connectionId":"conn/.test(JSON.stringify(line.response));
    for (
      let tries = 0;
      wantsOnline && JSON.stringify(given).includes('"connectionId":null') && tries < 200;
      tries += 1
    ) {
      await pause(10);
      response = await ask();
      given = (await response.json()) as Frame;
    }
    if (response.status !== line.status) throw new Error(`${line.request}: ${response.status}, not ${line.status}`);
    this.#compareShape(line, given);
    this.#pairEnvironment(line.response as Frame, given);
  }

  #compareShape(line: TraceLine, given: Frame): void {
    const [expected, actual] = [shape(line.response), shape(given)].map((one) => JSON.stringify(one));
    if (expected !== actual) throw new Error(`${line.request}: ${actual}, not ${expected}`);
  }

  #pairEnvironment(recorded: Frame, given: Frame): void {
    const one = (frame: Frame): Frame | undefined =>
      'deviceId' in frame ? frame : ((frame.connections as Frame[] | undefined) ?? [])[0];
    const [before, now] = [one(recorded), one(given)];
    if (!before || !now) return;
    this.#names.set(String(before.deviceId), String(now.deviceId));
    if (typeof now.connectionId !== 'string') return;
    this.#connectionId = now.connectionId;
    this.#names.set(String(before.connectionId), now.connectionId);
  }
}

/** Keys and kinds of values, to any depth. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  // The folder is known once the device has spoken; whether it had depends on what ran before the recording.
  const known = entries.filter(([key]) => !['workingDirectory', 'gitBranch', 'self_update'].includes(key));
  return Object.fromEntries(known.map(([key, one]) => [key, shape(one)]));
}

async function until(done: () => boolean): Promise<void> {
  const end = Date.now() + PATIENCE;
  while (!done() && Date.now() < end) await pause(2);
}

export function connect(url: string, token: string | null): Promise<Client | null> {
  return new Promise((resolve) => {
    const ws = new WebSocket(url, token === null ? {} : { headers: { authorization: `Bearer ${token}` } });
    const client: Client = { ws, heard: [], closed: { code: null } };
    ws.on('message', (data) => client.heard.push(JSON.parse(String(data)) as Frame));
    ws.on('error', () => resolve(null));
    ws.on('open', () => resolve(client));
    ws.on('close', (code) => {
      client.closed.code = code;
    });
  });
}
