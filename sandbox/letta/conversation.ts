import { BoundedMap } from '../bounded-map.ts';
import * as frames from './frames.ts';
import { History, type UserInput } from './history.ts';
import { unknownModel } from './models.ts';
import { type Outlet, runtimeKey } from './outlet.ts';
import { type PermissionScope, saveRule } from './permissions.ts';
import { Queue, type QueueItem } from './queue.ts';
import { TOOLSETS } from './toolsets.ts';
import { type Decision, Turn, type TurnHost } from './turn.ts';
import type { TurnInput } from './turn-input.ts';
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

/** One conversation: its state as clients see it, its queue and its turns. */
export class Conversation implements TurnHost {
  readonly runtime: Runtime;
  readonly history: History;
  readonly #world: World;
  readonly #createdAt = new Date().toISOString();
  #updatedAt = this.#createdAt;
  summary: string | null = null;
  /** Empty while the agent's model applies. */
  #model: Json = {};
  mode: PermissionMode = 'unrestricted';
  cwd: string;
  /** Why every turn here fails: the agent or the conversation does not exist. */
  missing: string | null = null;
  hasCleared = false;
  hasToolset = false;
  /** What a client chose. */
  toolset = 'auto';
  background: Json[] = [];
  subagents: Json[] = [];
  #cwdRevision = 0;
  #allowedTools = new Set<string>();
  #loop: frames.LoopStatus = IDLE;
  readonly #clientIdsByRun = new BoundedMap<string, readonly string[]>(MAX_TIED_RUNS);
  #pending = new Map<string, Pending>();
  #running = new Set<Turn>();
  #turn: Turn | null = null;
  #queue = new Queue();
  #batches = 0;
  #pumpTimer: NodeJS.Timeout | undefined;
  #isAfterQueuedTurn = false;
  #wasInterrupted = false;
  #danglingCalls: readonly ToolCall[] = [];
  #recoverableQuestion: ToolCall | null = null;
  #hasReminded = false;
  #untrackedUntil = 0;

  constructor(runtime: Runtime, world: World) {
    this.runtime = runtime;
    this.#world = world;
    this.cwd = world.bootFolder;
    this.history = new History(runtime, () => world.nextItemId());
  }

  toRecord(): Json {
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
      ...this.#model,
    };
  }

  /** For the control API. */
  toState(): Json {
    const { mode, cwd } = this;
    const state = { loop: this.#loop.status, queued: this.#queue.length, pending: [...this.#pending.keys()] };
    return { ...this.runtime, mode, cwd, ...state };
  }

  setSummary(summary: string | null): void {
    this.summary = summary;
    this.#updatedAt = new Date().toISOString();
  }

  /** False: the source has no such item. */
  copyFrom(source: Conversation, upTo: string | null): boolean {
    this.summary = source.summary;
    this.#model = source.#model;
    return this.history.copyFrom(source.history, upTo);
  }

  get wrongModel(): string | null {
    return unknownModel(this.#model.model);
  }

  setModel(model: Json): void {
    const settings = model.model_settings as Json;
    this.#model = { ...model, context_window_limit: settings.context_window_limit };
    this.#updatedAt = new Date().toISOString();
  }

  // ---- what clients see ------------------------------------------------------------------------

  emitEvent(type: string, body: Json): void {
    for (const outlet of this.#world.outletsFor(this.runtime)) this.#emitToOutlet(outlet, type, body);
  }

  #emitToOutlet(outlet: Outlet, type: string, body: Json): void {
    if (type === 'update_device_status') outlet.lastStatus.set(runtimeKey(this.runtime), JSON.stringify(body));
    outlet.emitEvent(type, body, this.runtime);
  }

  emitDelta(delta: Json, marks: Json = {}): void {
    this.emitEvent('stream_delta', { delta, ...marks });
  }

  setLoop(status: string, runs: readonly string[] = [], executing: readonly string[] = []): void {
    this.#loop = { status, runs, executing };
    this.showLoop();
  }

  showLoop(): void {
    this.emitEvent('update_loop_status', this.#loopBody());
  }

  /** Emits what a reconnected device says about a turn that is still running (trace h06). */
  showIfBusy(): void {
    if (!this.#isProcessing()) return;
    this.showDevice();
    this.showLoop();
  }

  /** Unasked, as a device does that has dialled in again (docs/letta-protocol.md, A device that dials us). */
  showOpenRequests(): void {
    for (const [id, { request }] of this.#pending) {
      this.emitEvent('control_request', { request_id: id, request, ...this.runtime });
    }
  }

  showDevice(): void {
    this.emitEvent('update_device_status', this.#deviceBody());
  }

  showSubagents(): void {
    this.emitEvent('update_subagent_state', { subagents: this.subagents });
  }

  showQueue(dequeued: readonly string[] = [], disposition = 'dequeued'): void {
    const removed = dequeued.map((id) => ({ client_message_id: id, disposition }));
    this.emitEvent('update_queue', { queue: this.#queue.toFrames(), removed });
  }

  showFile(path: string, content: string): void {
    this.emitEvent('file_ops', { path, cg_entries: [], ops: [], source: 'agent', document_content: content });
  }

  #loopBody(): Json {
    return { loop_status: frames.loopStatus(this.#loop, this.#clientIdsByRun) };
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
        toolset: this.hasToolset ? (this.toolset === 'auto' ? 'default' : this.toolset) : null,
        chosenToolset: this.toolset,
        toolsets: TOOLSETS,
        tools: this.hasToolset && this.toolset !== 'none' ? frames.LOADED_TOOLS : [],
        background: this.background,
        pending,
      }),
    };
  }

  #isProcessing(): boolean {
    return [...this.#running].some((turn) => !turn.wasCancelled);
  }

  /**
   * Sends the state to one connection, in the order of docs/letta-protocol.md, Hosted: socket. `between` runs before
   * the last, optional status.
   */
  replayState(
    outlet: Outlet,
    options: { force: boolean; recover: boolean; fresh: boolean },
    between?: () => void,
  ): void {
    if (options.recover) this.#repeatRequests(outlet);
    const device = this.#deviceBody();
    const known = outlet.lastStatus.get(runtimeKey(this.runtime));
    const first = !outlet.replayedRuntimes.has(runtimeKey(this.runtime));
    outlet.replayedRuntimes.add(runtimeKey(this.runtime));
    if (options.force || first || known !== JSON.stringify(device))
      this.#emitToOutlet(outlet, 'update_device_status', device);
    this.#emitToOutlet(outlet, 'update_loop_status', this.#loopBody());
    this.#emitToOutlet(outlet, 'update_queue', { queue: this.#queue.toFrames(), removed: [] });
    this.#emitToOutlet(outlet, 'update_subagent_state', { subagents: this.subagents });
    between?.();
    this.#untrackedUntil = 0;
    const waiting = this.#pending.size > 0;
    if (!options.fresh && (waiting || !this.hasToolset)) return;
    if (!this.#isProcessing()) this.hasToolset = false;
    this.showDevice();
  }

  #repeatRequests(outlet: Outlet): void {
    if (this.#recoverableQuestion) {
      const call = this.#recoverableQuestion;
      const request = frames.canUseTool(call, [], undefined);
      const resolve = (decision: Decision): void => {
        this.#startTurn(NO_INPUT, { recovered: call, decision }, true);
      };
      this.#pending.set(`perm-${call.id}`, { call, request, turn: null, resolve });
      this.#loop = { ...IDLE, status: 'WAITING_ON_APPROVAL' };
      this.#recoverableQuestion = null;
    }
    for (const [id, { request }] of this.#pending) {
      this.#emitToOutlet(outlet, 'control_request', { request_id: id, request, ...this.runtime });
    }
  }

  // ---- settings --------------------------------------------------------------------------------

  setMode(mode: PermissionMode): void {
    this.mode = mode;
  }

  /** If an absolute path does not exist, the folder stays as it is and nothing is reported (seen with 0.32.18). */
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
      this.emitDelta(frames.loopError(`Unsupported permission mode: ${change.badMode}`, false));
    } else {
      if (change.mode !== undefined) this.mode = change.mode;
      if (change.cwd !== undefined) {
        this.setFolder(change.cwd);
        this.#cwdRevision += 1;
      }
      if (idle) this.hasToolset = false;
      this.showDevice();
    }
    if (idle) this.setLoop(before.status, before.runs, before.executing);
  }

  get waitingCalls(): string[] {
    return [...this.#pending.values()].map(({ call }) => call.id);
  }

  permissionScope(): PermissionScope {
    return { machine: this.#world.machine, cwd: this.cwd, mode: this.mode, session: this.#allowedTools };
  }

  // ---- input and queue -------------------------------------------------------------------------

  /** Decides at once. Call `go` after the answer is sent: it carries out the decision. */
  submitInput(input: TurnInput): { disposition: 'started' | 'queued'; go: () => void } {
    const [key] = input.clientIds;
    if (key !== undefined && this.#queue.hasHad(key)) return { disposition: 'queued', go: () => {} };
    if (key !== undefined && this.#turn?.clientIds.includes(key)) return { disposition: 'started', go: () => {} };
    const isBusy = this.#turn !== null || this.#isAfterQueuedTurn || this.#pending.size > 0;
    if (!isBusy && !this.#wasInterrupted && this.#queue.length === 0) {
      const isTracked = Date.now() >= this.#untrackedUntil;
      return { disposition: 'started', go: () => this.#startTurn(input, 'direct', isTracked) };
    }
    this.#queue.addMessage(input);
    const go = (): void => {
      this.showQueue();
      if (!isBusy) this.#runQueue();
    };
    return { disposition: 'queued', go };
  }

  /**
   * A turn nobody asked for: a background task or a subagent has finished (docs/letta-protocol.md, Activity nobody
   * asked for).
   */
  queueNotification(content: string): void {
    this.#queue.addNotification(content);
    this.showQueue();
    if (!this.#turn && !this.#isAfterQueuedTurn) this.#runQueue();
  }

  /**
   * A turn of a schedule (docs/letta-protocol.md, Schedules).
   * @param shown as the queue shows it
   * @returns the id of the queue's item
   */
  queueCron(shown: string, content: string): string {
    const id = this.#queue.addCron(shown, content);
    this.showQueue();
    if (!this.#turn && !this.#isAfterQueuedTurn) this.#runQueue();
    return id;
  }

  removeFromQueue(id: string): { success: boolean; go: () => void } {
    const removed = this.#queue.removeItem(id);
    const go = (): void => {
      if (removed === undefined) return;
      this.showQueue();
      this.showQueue([removed], 'cancelled');
    };
    return { success: removed !== undefined, go };
  }

  resumeQueue(): { resumed: number; go: () => void } {
    const resumed = this.#queue.resumeAll();
    const go = (): void => {
      if (resumed === 0) return;
      this.showQueue();
      if (!this.#turn) this.#runQueue();
    };
    return { resumed, go };
  }

  takeQueued(): QueueItem[] {
    return this.#queue.takeRunnable();
  }

  /**
   * All that waits becomes one turn with one answer (docs/letta-protocol.md, Queue and deduplication). Waits itself
   * until somebody listens.
   */
  #runQueue(): void {
    if (this.#turn || this.#world.outlets.size === 0) return;
    const items = this.takeQueued();
    if (items.length === 0) return;
    const input: TurnInput = {
      messages: items.flatMap((item) => item.messages),
      clientIds: items.flatMap((item) => item.clientIds),
      options: items[0]?.input.options ?? {},
      ...actingUser(items),
    };
    this.#startTurn(input, 'queue', true);
  }

  runQueue(): void {
    this.#runQueue();
  }

  #startTurn(input: TurnInput, origin: Turn['origin'], isTracked: boolean): void {
    const turn = new Turn(this, this.#world, input, origin, isTracked);
    this.#running.add(turn);
    if (isTracked) this.#turn = turn;
    turn.run();
  }

  nextBatchId(): string {
    this.#batches += 1;
    return `batch-${this.#batches}`;
  }

  /** Adds a turn's input to the history, after closing what was left open before. */
  storeInput(messages: readonly UserInput[], queued: boolean): void {
    for (const call of this.#danglingCalls) this.history.addToolReturn(call.id, 'error', STALE);
    this.#danglingCalls = [];
    if (queued && this.#wasInterrupted) {
      this.history.addInterrupted(!this.#hasReminded);
      this.#hasReminded = true;
    }
    this.#wasInterrupted = false;
    for (const message of messages) {
      this.history.addUser(message, !this.#hasReminded);
      this.#hasReminded = true;
    }
  }

  tieRun(runId: string, clientIds: readonly string[]): void {
    if (clientIds.length === 0) return;
    this.#clientIdsByRun.set(runId, [...clientIds]);
  }

  removeTurn(turn: Turn): void {
    this.#running.delete(turn);
  }

  closeTurn(turn: Turn): void {
    if (turn.wasCancelled) this.#keepOpenCalls(turn);
    if (!turn.isTracked) return;
    this.#turn = null;
    const fromQueue = turn.origin === 'queue';
    if (turn.origin === 'direct') this.#untrackedUntil = Date.now() + this.#world.timings.settle;
    if (!fromQueue && this.#queue.length === 0) return;
    this.#isAfterQueuedTurn = fromQueue;
    this.#pumpTimer = setTimeout(() => {
      this.#isAfterQueuedTurn = false;
      const runnable = this.#queue.hasRunnable;
      if (this.#queue.length === 0) this.#forgetQueue();
      if (!runnable) this.showQueue();
      if (!runnable && fromQueue) this.showLoop();
      this.#runQueue();
    }, this.#world.timings.pump);
  }

  /** An idle conversation is unloaded, and its queue counts from one again (seen 80). */
  #forgetQueue(): void {
    this.#queue = new Queue();
    this.#batches = 0;
  }

  #keepOpenCalls(turn: Turn): void {
    this.#wasInterrupted = true;
    this.#danglingCalls = [...this.#danglingCalls, ...turn.openCalls];
  }

  // ---- approvals -------------------------------------------------------------------------------

  askPerson(turn: Turn, call: ToolCall, request: Json): Promise<Decision> {
    const id = `perm-${call.id}`;
    return new Promise((resolve) => {
      this.#pending.set(id, { call, request, turn, resolve });
      this.emitEvent('control_request', { request_id: id, request, ...this.runtime });
      this.showLoop();
      this.showDevice();
    });
  }

  /** Only the first answer counts; false: no such request is pending. */
  answerRequest(requestId: string, decision: Decision, saves: boolean): boolean {
    const pending = this.#pending.get(requestId);
    if (!pending) return false;
    this.#pending.delete(requestId);
    if (saves && decision.kind === 'allow') {
      const rule = saveRule(pending.call, this.#world.machine, this.cwd);
      if (rule.mode) this.mode = rule.mode;
      if (rule.allowTool) this.#allowedTools.add(rule.allowTool);
    }
    if (pending.turn) {
      this.showLoop();
      this.showDevice();
    }
    pending.resolve(decision);
    return true;
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
  abortTurn(runId: string | undefined): boolean {
    const waiting = [...this.#pending.values()].find((pending) => pending.turn)?.turn ?? null;
    const turn = this.#turn ?? waiting;
    if (!turn || turn.wasCancelled) return false;
    if (runId !== undefined && runId !== turn.runId) return false;
    turn.cancel();
    if (waiting) {
      this.#pending.clear();
      this.setLoop('WAITING_ON_INPUT');
      this.showDevice();
    }
    this.setLoop('WAITING_ON_INPUT');
    this.showDevice();
    this.emitDelta(frames.interrupted(turn.runId));
    if (this.#queue.length > 0) {
      this.#queue.pauseAll();
      this.showQueue();
    }
    return true;
  }

  /**
   * The last listener of an App Server is gone: whatever runs is cancelled without a word (docs/letta-protocol.md, Loss
   * and restart).
   */
  dropTurns(): void {
    for (const turn of this.#running) {
      this.#storePartial(turn);
      if (turn.openCalls.length > 0) this.#keepOpenCalls(turn);
    }
    this.#running.clear();
    this.#turn = null;
    this.#pending.clear();
    this.#queue.removeAll();
    this.#loop = IDLE;
  }

  #storePartial(turn: Turn): void {
    const partial = turn.dropSilently();
    if (partial) this.history.addAssistant(partial.id.split(':')[0] ?? '', { text: partial.text, calls: [] });
  }

  /**
   * The process dies and comes back: what was in memory only is lost; a pending question is kept
   * (docs/letta-protocol.md, Loss and restart).
   */
  restart(): void {
    clearTimeout(this.#pumpTimer);
    const question = [...this.#pending.values()].find(({ call }) => call.name === 'AskUserQuestion');
    for (const turn of this.#running) this.#storePartial(turn);
    const open = [...this.#running].flatMap((turn) => [...turn.openCalls]);
    this.#running.clear();
    this.#turn = null;
    this.#pending.clear();
    this.#recoverableQuestion = question && open.length === 1 ? question.call : null;
    this.#danglingCalls = this.#recoverableQuestion ? [] : open;
    this.#wasInterrupted = this.#danglingCalls.length > 0;
    this.#loop = IDLE;
    this.#clientIdsByRun.clear();
    this.#allowedTools = new Set();
    this.#queue = new Queue();
    this.#batches = 0;
    this.#isAfterQueuedTurn = false;
    this.#untrackedUntil = 0;
    this.#hasReminded = false;
    this.hasToolset = false;
    this.background = [];
    this.subagents = [];
  }

  /** Ends the turns without events and clears the timers, so that none outlives the server. */
  stop(): void {
    clearTimeout(this.#pumpTimer);
    for (const turn of this.#running) turn.dropSilently();
  }
}

const IDLE: frames.LoopStatus = { status: 'WAITING_ON_INPUT', runs: [], executing: [] };
const NO_INPUT: TurnInput = { messages: [], clientIds: [], options: {} };

function actingUser(items: readonly QueueItem[]): { actingUserId?: string } {
  const id = items.find((item) => item.input.actingUserId !== undefined)?.input.actingUserId;
  return id === undefined ? {} : { actingUserId: id };
}
