import { randomUUID } from 'node:crypto';
import * as frames from './frames.ts';
import { History, type UserInput } from './history.ts';
import { type Outlet, runtimeKey } from './outlet.ts';
import { type PermissionScope, saveRule } from './permissions.ts';
import { Queue, type QueueItem } from './queue.ts';
import { type Decision, Turn, type TurnInput } from './turn.ts';
import type { Json, PermissionMode, Runtime, ToolCall } from './types.ts';
import type { World } from './world.ts';

const MAX_TIED_RUNS = 32;
const STALE =
  'The agent harness automatically closed this stale pending tool call to recover from a client/server state desync: the server was still waiting on a result for it, but the harness had no matching tool execution in flight and no result was ever recorded. It was not denied by the user or a permissions policy. Re-issue the tool call if you still need it.';

interface Pending {
  readonly call: ToolCall;
  readonly request: Json;
  readonly turn: Turn | null;
  readonly resolve: (decision: Decision) => void;
}

interface ExternalTools {
  readonly outlet: Outlet;
  readonly names: ReadonlySet<string>;
}

/** One conversation: its state as clients see it, its queue, and whoever is at work in it. */
export class Conversation {
  readonly runtime: Runtime;
  readonly history: History;
  readonly #world: World;
  readonly #createdAt = new Date().toISOString();
  #updatedAt = this.#createdAt;
  summary: string | null = null;
  mode: PermissionMode = 'unrestricted';
  cwd: string;
  /** Why every turn here fails: the agent or the conversation does not exist. */
  missing: string | null = null;
  externalTools: ExternalTools | null = null;
  toolset = false;
  background: Json[] = [];
  subagents: Json[] = [];
  #cwdRevision = 0;
  #session = new Set<string>();
  #loop: frames.LoopStatus = IDLE;
  #tied = new Map<string, readonly string[]>();
  #pending = new Map<string, Pending>();
  #running = new Set<Turn>();
  #turn: Turn | null = null;
  #queue = new Queue();
  #batches = 0;
  #pump: NodeJS.Timeout | undefined;
  #afterQueuedTurn = false;
  #interrupted = false;
  #dangling: readonly ToolCall[] = [];
  #recoverable: ToolCall | null = null;
  #reminded = false;
  #untrackedUntil = 0;

  constructor(runtime: Runtime, world: World) {
    this.runtime = runtime;
    this.#world = world;
    this.cwd = world.bootFolder;
    this.history = new History(runtime, () => world.nextItemId());
  }

  record(): Json {
    const speaking = [...this.#running].map((turn) => turn.speakingId).filter((id) => id !== null);
    return {
      id: this.runtime.conversation_id,
      agent_id: this.runtime.agent_id,
      archived: false,
      archived_at: null,
      created_at: this.#createdAt,
      updated_at: this.#updatedAt,
      last_message_at: this.history.lastAt,
      summary: this.summary,
      in_context_message_ids: [...this.history.ids, ...speaking],
    };
  }

  /** For the control API. */
  summarise(): Json {
    const { mode, cwd } = this;
    const state = { loop: this.#loop.status, queued: this.#queue.length, pending: [...this.#pending.keys()] };
    return { ...this.runtime, mode, cwd, ...state };
  }

  rename(summary: string | null): void {
    this.summary = summary;
    this.#updatedAt = new Date().toISOString();
  }

  // ---- what clients see ------------------------------------------------------------------------

  emit(type: string, body: Json): void {
    for (const outlet of this.#world.listeners(this.runtime)) this.#emitTo(outlet, type, body);
  }

  #emitTo(outlet: Outlet, type: string, body: Json): void {
    if (type === 'update_device_status') outlet.shownStatus.set(runtimeKey(this.runtime), JSON.stringify(body));
    outlet.emit(type, body, this.runtime);
  }

  delta(delta: Json, marks: Json = {}): void {
    this.emit('stream_delta', { delta, ...marks });
  }

  setLoop(status: string, runs: readonly string[] = [], executing: readonly string[] = []): void {
    this.#loop = { status, runs, executing };
    this.showLoop();
  }

  showLoop(): void {
    this.emit('update_loop_status', this.#loopBody());
  }

  /** What a device that found its router again says of a turn that goes on (trace h06). */
  showIfBusy(): void {
    if (!this.#isProcessing()) return;
    this.showDevice();
    this.showLoop();
  }

  showDevice(): void {
    this.emit('update_device_status', this.#deviceBody());
  }

  showSubagents(): void {
    this.emit('update_subagent_state', { subagents: this.subagents });
  }

  showQueue(dequeued: readonly string[] = [], disposition = 'dequeued'): void {
    const removed = dequeued.map((id) => ({ client_message_id: id, disposition }));
    this.emit('update_queue', { queue: this.#queue.shown(), removed });
  }

  showFile(path: string, content: string): void {
    this.emit('file_ops', { path, cg_entries: [], ops: [], source: 'agent', document_content: content });
  }

  #loopBody(): Json {
    return { loop_status: frames.loopStatus(this.#loop, this.#tied) };
  }

  #deviceBody(): Json {
    const pending = [...this.#pending].map(([request_id, { request }]) => ({ request_id, request }));
    return {
      device_status: frames.deviceStatus({
        runtime: this.runtime,
        connectionId: this.#world.connectionId,
        connectionName: this.#world.connectionName,
        isProcessing: this.#isProcessing(),
        mode: this.mode,
        cwd: this.cwd,
        cwdRevision: this.#cwdRevision,
        isRepository: this.cwd.startsWith(this.#world.bootFolder),
        toolset: this.toolset,
        tools: this.toolset ? frames.LOADED_TOOLS : [],
        background: this.background,
        pending,
      }),
    };
  }

  #isProcessing(): boolean {
    return [...this.#running].some((turn) => !turn.cancelled);
  }

  /**
   * The state, to one connection: docs/letta-protocol.md, Hosted: socket has the order. `between` goes before what may
   * still follow.
   */
  replay(outlet: Outlet, options: { force: boolean; recover: boolean; fresh: boolean }, between?: () => void): void {
    if (options.recover) this.#askAgain(outlet);
    const device = this.#deviceBody();
    const known = outlet.shownStatus.get(runtimeKey(this.runtime));
    const first = !outlet.replayed.has(runtimeKey(this.runtime));
    outlet.replayed.add(runtimeKey(this.runtime));
    if (options.force || first || known !== JSON.stringify(device))
      this.#emitTo(outlet, 'update_device_status', device);
    this.#emitTo(outlet, 'update_loop_status', this.#loopBody());
    this.#emitTo(outlet, 'update_queue', { queue: this.#queue.shown(), removed: [] });
    this.#emitTo(outlet, 'update_subagent_state', { subagents: this.subagents });
    between?.();
    this.#untrackedUntil = 0;
    const waiting = this.#pending.size > 0;
    if (!options.fresh && (waiting || !this.toolset)) return;
    if (!this.#isProcessing()) this.toolset = false;
    this.showDevice();
  }

  #askAgain(outlet: Outlet): void {
    if (this.#recoverable) {
      const call = this.#recoverable;
      const request = frames.canUseTool(call, [], undefined);
      const resolve = (decision: Decision): void => {
        this.#start(NO_INPUT, { recovered: call, decision }, true);
      };
      this.#pending.set(`perm-${call.id}`, { call, request, turn: null, resolve });
      this.#loop = { ...IDLE, status: 'WAITING_ON_APPROVAL' };
      this.#recoverable = null;
    }
    for (const [id, { request }] of this.#pending) {
      this.#emitTo(outlet, 'control_request', { request_id: id, request, ...this.runtime });
    }
  }

  // ---- settings --------------------------------------------------------------------------------

  setMode(mode: PermissionMode): void {
    this.mode = mode;
  }

  /** A whole path that is not there leaves the folder as it is, without a word (seen with 0.32.18). */
  setFolder(cwd: string): void {
    if (cwd.startsWith('/') && !this.#world.machine.isFolder(cwd.replace(/(.)\/+$/, '$1'))) return;
    this.cwd = cwd;
  }

  /** `change_device_state`: idle, the loop flickers; in a turn it only repeats its state (trace 24). */
  changeState(change: { mode?: PermissionMode; cwd?: string; badMode?: string }): void {
    const before = this.#loop;
    const idle = this.#running.size === 0 && this.#pending.size === 0;
    if (idle) this.setLoop('EXECUTING_COMMAND');
    else this.showLoop();
    if (change.badMode !== undefined) {
      this.delta(frames.loopError(`Unsupported permission mode: ${change.badMode}`, false));
    } else {
      if (change.mode !== undefined) this.mode = change.mode;
      if (change.cwd !== undefined) {
        this.setFolder(change.cwd);
        this.#cwdRevision += 1;
      }
      if (idle) this.toolset = false;
      this.showDevice();
    }
    if (idle) this.setLoop(before.status, before.runs, before.executing);
  }

  permissionScope(): PermissionScope {
    return { machine: this.#world.machine, cwd: this.cwd, mode: this.mode, session: this.#session };
  }

  // ---- input and queue -------------------------------------------------------------------------

  /** Decides at once; what follows from it happens in `go`, after the answer is sent. */
  submit(input: TurnInput): { disposition: 'started' | 'queued'; go: () => void } {
    const [key] = input.clientIds;
    if (this.#turn && key !== undefined) {
      if (this.#turn.clientIds.includes(key)) return { disposition: 'started', go: () => {} };
      if (this.#queue.holds(key)) return { disposition: 'queued', go: () => {} };
    }
    const busy = this.#turn !== null || this.#afterQueuedTurn || this.#pending.size > 0;
    if (!busy && !this.#interrupted && this.#queue.length === 0) {
      const tracked = Date.now() >= this.#untrackedUntil;
      return { disposition: 'started', go: () => this.#start(input, 'direct', tracked) };
    }
    this.#queue.addMessage(input);
    const go = (): void => {
      this.showQueue();
      if (!busy) this.#runQueue();
    };
    return { disposition: 'queued', go };
  }

  /**
   * A turn nobody asked for: a background task or a subagent has finished (docs/letta-protocol.md, Activity nobody
   * asked for).
   */
  notify(content: string): void {
    this.#queue.addNotification(content);
    this.showQueue();
    if (!this.#turn && !this.#afterQueuedTurn) this.#runQueue();
  }

  removeFromQueue(id: string): { success: boolean; go: () => void } {
    const removed = this.#queue.remove(id);
    const go = (): void => {
      if (removed === undefined) return;
      this.showQueue();
      this.showQueue([removed], 'cancelled');
    };
    return { success: removed !== undefined, go };
  }

  resumeQueue(): { resumed: number; go: () => void } {
    const resumed = this.#queue.resume();
    const go = (): void => {
      if (resumed === 0) return;
      this.showQueue();
      if (!this.#turn) this.#runQueue();
    };
    return { resumed, go };
  }

  takeQueue(): QueueItem[] {
    return this.#queue.take();
  }

  /**
   * All that waits becomes one turn with one answer (docs/letta-protocol.md, Queue and deduplication). Waits itself
   * until somebody listens.
   */
  #runQueue(): void {
    if (this.#turn || this.#world.outlets.size === 0) return;
    const items = this.takeQueue();
    if (items.length === 0) return;
    const input: TurnInput = {
      messages: items.flatMap((item) => item.messages),
      clientIds: items.flatMap((item) => item.clientIds),
      options: items[0]?.input.options ?? {},
      ...actingUser(items),
    };
    this.#start(input, 'queue', true);
  }

  wake(): void {
    this.#runQueue();
  }

  #start(input: TurnInput, origin: Turn['origin'], tracked: boolean): void {
    const turn = new Turn(this, this.#world, input, origin, tracked);
    this.#running.add(turn);
    if (tracked) this.#turn = turn;
    turn.play();
  }

  nextBatchId(): string {
    this.#batches += 1;
    return `batch-${this.#batches}`;
  }

  /** Puts the input of a turn into the history, behind what has to be closed first. */
  takeIn(messages: readonly UserInput[], queued: boolean): void {
    for (const call of this.#dangling) this.history.addToolReturn(call.id, 'error', STALE);
    this.#dangling = [];
    if (queued && this.#interrupted) {
      this.history.addInterrupted(!this.#reminded);
      this.#reminded = true;
    }
    this.#interrupted = false;
    for (const message of messages) {
      this.history.addUser(message, !this.#reminded);
      this.#reminded = true;
    }
  }

  tieRun(runId: string, clientIds: readonly string[]): void {
    if (clientIds.length === 0) return;
    this.#tied.set(runId, [...clientIds]);
    const [oldest] = this.#tied.keys();
    if (this.#tied.size > MAX_TIED_RUNS && oldest !== undefined) this.#tied.delete(oldest);
  }

  remove(turn: Turn): void {
    this.#running.delete(turn);
  }

  afterTurn(turn: Turn): void {
    if (turn.cancelled) this.#leaveOpen(turn);
    if (!turn.tracked) return;
    this.#turn = null;
    const fromQueue = turn.origin === 'queue';
    if (turn.origin === 'direct') this.#untrackedUntil = Date.now() + this.#world.timings.settle;
    if (!fromQueue && this.#queue.length === 0) return;
    this.#afterQueuedTurn = fromQueue;
    this.#pump = setTimeout(() => {
      this.#afterQueuedTurn = false;
      const runnable = this.#queue.hasRunnable;
      if (!runnable) this.showQueue();
      if (!runnable && fromQueue) this.showLoop();
      this.#runQueue();
    }, this.#world.timings.pump);
  }

  #leaveOpen(turn: Turn): void {
    this.#interrupted = true;
    this.#dangling = [...this.#dangling, ...turn.openCalls];
  }

  // ---- approvals -------------------------------------------------------------------------------

  ask(turn: Turn, call: ToolCall, request: Json): Promise<Decision> {
    const id = `perm-${call.id}`;
    return new Promise((resolve) => {
      this.#pending.set(id, { call, request, turn, resolve });
      this.emit('control_request', { request_id: id, request, ...this.runtime });
      this.showLoop();
      this.showDevice();
    });
  }

  /** The first answer counts; false: nothing of that id is pending. */
  answer(requestId: string, decision: Decision, saves: boolean): boolean {
    const pending = this.#pending.get(requestId);
    if (!pending) return false;
    this.#pending.delete(requestId);
    if (saves && decision.kind === 'allow') {
      const rule = saveRule(pending.call, this.#world.machine, this.cwd);
      if (rule.mode) this.mode = rule.mode;
      if (rule.allowTool) this.#session.add(rule.allowTool);
    }
    if (pending.turn) {
      this.showLoop();
      this.showDevice();
    }
    pending.resolve(decision);
    return true;
  }

  /** The tool's request to the client that brought it; null when nobody did. */
  callExternal(call: ToolCall): Promise<Json> | null {
    const tools = this.externalTools;
    if (!tools?.names.has(call.name) || tools.outlet.closed) return null;
    const request_id = `external-tool-${randomUUID()}`;
    return new Promise((resolve) => {
      this.#world.externalCalls.set(request_id, resolve);
      const asked = { tool_call_id: call.id, tool_name: call.name, input: call.input };
      tools.outlet.reply({ type: 'external_tool_call_request', request_id, runtime: this.runtime, ...asked });
    });
  }

  noteRunning(call: ToolCall): () => void {
    const process: Json = {
      process_id: `bash_${this.#world.nextTask()}`,
      kind: 'bash',
      command: call.input.command,
      started_at_ms: Date.now(),
      status: 'running',
      exit_code: null,
    };
    this.background = [...this.background, process];
    return () => {
      this.background = this.background.filter((one) => one !== process);
    };
  }

  // ---- ends ------------------------------------------------------------------------------------

  /**
   * False when nothing was there to abort. The turn itself ends later, with the model's next chunk
   * (docs/letta-protocol.md, Errors).
   */
  abort(runId: string | undefined): boolean {
    const waiting = [...this.#pending.values()].find((pending) => pending.turn)?.turn ?? null;
    const turn = this.#turn ?? waiting;
    if (!turn || turn.cancelled) return false;
    if (runId !== undefined && runId !== turn.runId) return false;
    turn.cancel();
    if (waiting) {
      this.#pending.clear();
      this.setLoop('WAITING_ON_INPUT');
      this.showDevice();
    }
    this.setLoop('WAITING_ON_INPUT');
    this.showDevice();
    this.delta(frames.interrupted(turn.runId));
    if (this.#queue.length > 0) {
      this.#queue.pause();
      this.showQueue();
    }
    return true;
  }

  /**
   * The last listener of an App Server is gone: whatever runs is cancelled without a word (docs/letta-protocol.md, Loss
   * and restart).
   */
  lose(): void {
    for (const turn of this.#running) {
      this.#keepPartial(turn);
      if (turn.openCalls.length > 0) this.#leaveOpen(turn);
    }
    this.#running.clear();
    this.#turn = null;
    this.#pending.clear();
    this.#loop = IDLE;
  }

  #keepPartial(turn: Turn): void {
    const partial = turn.vanish();
    if (partial) this.history.addAssistant(partial.id.split(':')[0] ?? '', { text: partial.text, calls: [] });
  }

  /**
   * The process dies and comes back: what was in memory only is lost; a pending question is kept
   * (docs/letta-protocol.md, Loss and restart).
   */
  restart(): void {
    clearTimeout(this.#pump);
    const question = [...this.#pending.values()].find(({ call }) => call.name === 'AskUserQuestion');
    for (const turn of this.#running) this.#keepPartial(turn);
    const open = [...this.#running].flatMap((turn) => [...turn.openCalls]);
    this.#running.clear();
    this.#turn = null;
    this.#pending.clear();
    this.#recoverable = question && open.length === 1 ? question.call : null;
    this.#dangling = this.#recoverable ? [] : open;
    this.#interrupted = this.#dangling.length > 0;
    this.#loop = IDLE;
    this.#tied = new Map();
    this.#session = new Set();
    this.#queue = new Queue();
    this.#batches = 0;
    this.#afterQueuedTurn = false;
    this.#untrackedUntil = 0;
    this.#reminded = false;
    this.externalTools = null;
    this.toolset = false;
    this.background = [];
    this.subagents = [];
  }

  /** Not in use anymore: no timer may outlive the server. */
  stop(): void {
    clearTimeout(this.#pump);
    for (const turn of this.#running) turn.vanish();
  }
}

const IDLE: frames.LoopStatus = { status: 'WAITING_ON_INPUT', runs: [], executing: [] };
const NO_INPUT: TurnInput = { messages: [], clientIds: [], options: {} };

function actingUser(items: readonly QueueItem[]): { actingUserId?: string } {
  const id = items.find((item) => item.input.actingUserId !== undefined)?.input.actingUserId;
  return id === undefined ? {} : { actingUserId: id };
}
