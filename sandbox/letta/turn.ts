import { randomUUID } from 'node:crypto';
import type { Act } from './acts.ts';
import { isBackground, startInBackground, stopTask, type TaskHost } from './background.ts';
import type { FrozenTools } from './external-tools.ts';
import * as frames from './frames.ts';
import type { History, UserInput } from './history.ts';
import { diffsOf, isAsked, type PermissionScope, suggestion } from './permissions.ts';
import type { QueueItem } from './queue.ts';
import { nextActs, tokens } from './script.ts';
import { runMachineTool, type ToolWorld } from './tools.ts';
import type { TurnInput } from './turn-input.ts';
import type { Json, Runtime, ToolCall, ToolResult } from './types.ts';
import { isJson, text } from './types.ts';
import type { World } from './world.ts';

const MAX_RETRIES = 3;

/** What a person decided about one call. */
export type Decision =
  | { readonly kind: 'allow'; readonly message?: string; readonly updatedInput?: Json }
  | { readonly kind: 'deny'; readonly message: string };

/** What a turn needs of the conversation that it is in. */
export interface TurnHost extends TaskHost {
  readonly history: Pick<History, 'addAssistant' | 'addToolReturn' | 'beginSummary' | 'model'>;
  /** Why every turn fails. */
  readonly missing: string | null;
  /** Why every call of its model fails. */
  readonly wrongModel: string | null;
  hasToolset: boolean;
  readonly toolset: string;
  emitEvent(type: string, body: Json): void;
  setLoop(status: string, runs?: readonly string[], executing?: readonly string[]): void;
  showQueue(dequeued?: readonly string[]): void;
  showFile(path: string, content: string): void;
  permissionScope(): PermissionScope;
  takeQueued(): QueueItem[];
  nextBatchId(): string;
  storeInput(messages: readonly UserInput[], queued: boolean): void;
  tieRun(runId: string, clientIds: readonly string[]): void;
  askPerson(turn: Turn, call: ToolCall, request: Json): Promise<Decision>;
  readonly runtime: Runtime;
  /** Shows the call among what runs; what it answers takes it away again. */
  noteRunning(call: ToolCall): () => void;
  removeTurn(turn: Turn): void;
  closeTurn(turn: Turn): void;
}

type Origin = 'direct' | 'queue' | { readonly recovered: ToolCall; readonly decision: Decision };
type Step = 'first' | 'after tools' | 'joined by queue' | 'retry';
type ModelCall =
  | { kind: 'tools'; calls: Call[] }
  | { kind: 'end' }
  | { kind: 'cut' }
  | { kind: 'failed'; message: string; type: string };

interface Call extends ToolCall {
  /** Id of its approval_request_message, which its start and end carry too. */
  readonly deltaId: string | undefined;
}

function refusalOf(status: number): { message: string; type: string } {
  const body = JSON.stringify({ message: `scripted error ${status}`, type: 'scripted_error', code: `${status}` });
  return { message: `${status}: ${body}`, type: 'local_backend_error' };
}

/** Of the models that the script offers. */
const CONTEXT_WINDOW = 128_000;

/** Unwinds a turn whose process or last listener is gone: it emits nothing more. */
class Gone extends Error {}
/** Unwinds a turn that was aborted. */
class Cancelled extends Error {}

/**
 * One turn of a conversation, from the input to `turn_finished`, in the order the recordings show
 * (docs/letta-protocol.md, A turn).
 */
export class Turn {
  readonly #conversation: TurnHost;
  readonly #world: World;
  readonly #input: TurnInput;
  readonly #gone = new AbortController();
  readonly #stop = new AbortController();
  readonly clientIds: string[];
  readonly origin: Origin;
  /** False if it started in the gap after a direct turn; then abort, queue and deduplication do not see it. */
  readonly isTracked: boolean;
  turnId: string;
  wasCancelled = false;
  /** The run that clients were last told of. */
  runId: string | null = null;
  /** The model's tool calls that have no result yet. */
  openCalls: readonly Call[] = [];
  #run = { id: '', seq: 0 };
  #partial: { id: string; text: string } | null = null;
  readonly #tools: FrozenTools;

  constructor(conversation: TurnHost, world: World, input: TurnInput, origin: Origin, tracked: boolean) {
    this.#conversation = conversation;
    this.#world = world;
    this.#input = input;
    this.origin = origin;
    this.isTracked = tracked;
    this.clientIds = [...input.clientIds];
    this.#tools = world.externalTools.freeze(conversation.runtime);
    this.turnId =
      origin === 'queue'
        ? conversation.nextBatchId()
        : `batch-${typeof origin === 'object' ? 'recovered' : 'direct'}-${randomUUID()}`;
  }

  /** Id of the message that is being streamed. */
  get speakingId(): string | null {
    return this.#partial?.id.split(':')[0] ?? null;
  }

  async run(): Promise<void> {
    try {
      await this.#runSteps();
    } catch (error) {
      if (error instanceof Cancelled) this.#finishTurn('cancelled');
      else if (!(error instanceof Gone)) throw error;
    }
  }

  /** Cancels the turn. Tools and waiting end at once; the model's answer ends with its next chunk. */
  cancel(): void {
    this.wasCancelled = true;
    this.#stop.abort();
  }

  /** Ends the turn without events, as when the process dies. Returns what the model had said so far. */
  dropSilently(): { id: string; text: string } | null {
    this.#gone.abort();
    return this.#partial;
  }

  async #runSteps(): Promise<void> {
    const step = await this.#beginTurn();
    if (step === null) return;
    let next: Step = step;
    let retries = 0;
    for (;;) {
      await this.#pause(this.#world.timings.latency);
      this.#showProcessing(next);
      const call = await this.#callModel();
      if (call.kind === 'end') return this.#finishTurn('end_turn');
      if (call.kind === 'failed') return this.#failModel(call);
      if (call.kind === 'tools') {
        retries = 0;
        const after = await this.#runTools(call.calls);
        if (after === 'broken image') return this.#failEarly(UNREADABLE);
        next = after;
        continue;
      }
      if (retries === MAX_RETRIES) return this.#finishTurn('llm_api_error');
      retries += 1;
      await this.#waitForRetry(retries);
      next = 'retry';
    }
  }

  /** Runs until WAITING_FOR_API_RESPONSE; null when the turn failed before the model was called. */
  async #beginTurn(): Promise<Step | null> {
    const conversation = this.#conversation;
    if (typeof this.origin === 'object') {
      await this.#answerRecovered(this.origin.recovered, this.origin.decision);
      return 'first';
    }
    if (this.origin === 'queue') {
      for (const message of this.#input.messages) this.#echoMessage(message);
      conversation.showQueue();
      conversation.setLoop('WAITING_ON_INPUT');
    } else {
      conversation.hasToolset = false;
    }
    conversation.setLoop('SENDING_API_REQUEST');
    conversation.showDevice();
    if (this.origin === 'queue') conversation.showQueue(this.clientIdsTaken());
    await this.#pause(this.#world.timings.latency);
    if (conversation.missing !== null) {
      this.#failEarly(conversation.missing);
      return null;
    }
    conversation.setLoop('WAITING_FOR_API_RESPONSE');
    if (this.#hasBrokenImage()) {
      await this.#pause(this.#world.timings.latency);
      this.#failEarly(UNREADABLE);
      return null;
    }
    conversation.storeInput(this.#input.messages.map(withoutBrokenImages), this.origin === 'queue');
    return 'first';
  }

  clientIdsTaken(): string[] {
    return this.#input.messages.map((message) => message.queueId ?? message.otid ?? '').filter((id) => id !== '');
  }

  #echoMessage(message: UserInput): void {
    const otid = message.otid?.startsWith('cm-q-') ? randomUUID() : (message.otid ?? randomUUID());
    this.#conversation.emitDelta(frames.userMessage(message.content, otid, this.#input.actingUserId));
  }

  #hasBrokenImage(): boolean {
    if (this.#input.options.image_failure_mode === 'drop') return false;
    return this.#input.messages.some((message) => hasBrokenImage(message.content));
  }

  #showProcessing(step: Step): void {
    const conversation = this.#conversation;
    const runs = step === 'joined by queue' || step === 'retry' ? this.#runs() : [];
    conversation.hasToolset = true;
    conversation.setLoop('PROCESSING_API_RESPONSE', runs);
    if (step === 'first' || step === 'retry') return;
    conversation.setLoop('PROCESSING_API_RESPONSE', runs);
    conversation.showDevice();
  }

  #runs(): string[] {
    return this.runId === null ? [] : [this.runId];
  }

  // ---- the model -----------------------------------------------------------------------------

  async #callModel(): Promise<ModelCall> {
    const acts = nextActs(this.#conversation.history.model);
    this.#run = { id: this.#world.nextRunId(), seq: 0 };
    const failure = acts.find((act) => act.kind === 'fail');
    if (failure?.kind === 'fail') return { kind: 'failed', ...refusalOf(failure.status) };
    const wrong = this.#conversation.wrongModel;
    if (wrong !== null) return { kind: 'failed', message: wrong, type: 'llm_error' };
    const number = this.#world.nextModelCall();
    const id = this.#world.nextItemId();
    const said = await this.#streamActs(acts, id);
    this.#partial = null;
    if (said === 'cut') {
      this.#modelDelta(this.#world.nextDeltaId(), frames.errorMessage('terminated', 'llm_error', true));
      this.#stopReason('llm_api_error');
      return { kind: 'cut' };
    }
    const tools = acts.filter((act) => act.kind === 'tool');
    const calls = tools.map((act, index) => this.#announceCall(`call_${number}_${index}`, act.name, act.input));
    const used = acts.find((act) => act.kind === 'context')?.tokens;
    this.#modelDelta(this.#world.nextDeltaId(), frames.usage(used));
    if (used !== undefined && used > CONTEXT_WINDOW) {
      this.#conversation.history.beginSummary('sliding_window', [])();
      for (const delta of frames.compacted()) this.#modelDelta(this.#world.nextDeltaId(), delta);
    }
    this.#conversation.history.addAssistant(id, { ...said, calls });
    this.openCalls = calls;
    this.#stopReason(calls.length > 0 ? 'requires_approval' : 'end_turn');
    return calls.length > 0 ? { kind: 'tools', calls } : { kind: 'end' };
  }

  async #streamActs(acts: readonly Act[], id: string): Promise<'cut' | { reasoning?: string; text?: string }> {
    let reasoning: string | undefined;
    let spoken: string | undefined;
    for (const act of acts) {
      if (act.kind === 'cut') return 'cut';
      if (act.kind === 'hang') await this.#pause(this.#scaled(act.ms));
      if (act.kind === 'think') {
        reasoning = (reasoning ?? '') + act.text;
        for (const token of tokens(act.text)) {
          this.#modelDelta(`${id}:reasoning:0`, { message_type: 'reasoning_message', reasoning: token });
          await this.#pause(this.#world.timings.word);
        }
      }
      if (act.kind !== 'say') continue;
      const textId = reasoning === undefined ? id : `${id}:assistant:1`;
      // Time words by the clock, not by adding pauses: late timers must not make a slow answer longer than it says.
      const begun = performance.now();
      const words = tokens(act.text);
      for (const [at, token] of words.entries()) {
        spoken = (spoken ?? '') + token;
        this.#partial = { id: textId, text: spoken };
        const content = [{ type: 'text', text: token }];
        this.#modelDelta(textId, { message_type: 'assistant_message', content });
        const due = act.ms === null ? null : begun + (at + 1) * this.#scaled(act.ms) - performance.now();
        // No pause after the last word of a slow answer.
        if (due !== null && at === words.length - 1) break;
        await this.#pause(due === null ? this.#world.timings.word : Math.max(0, due));
      }
    }
    return { ...(reasoning === undefined ? {} : { reasoning }), ...(spoken === undefined ? {} : { text: spoken }) };
  }

  #announceCall(id: string, name: string, input: Json): Call {
    const deltaId = this.#world.nextDeltaId();
    const toolCall = { tool_call_id: id, name, arguments: JSON.stringify(input) };
    this.#modelDelta(deltaId, { message_type: 'approval_request_message', tool_call: toolCall });
    return { id, name, input, deltaId };
  }

  /** Tells clients of the run before its first delta. */
  #announceRun(): void {
    if (this.runId === this.#run.id) return;
    this.runId = this.#run.id;
    this.#conversation.tieRun(this.runId, this.clientIds);
    this.#conversation.setLoop('PROCESSING_API_RESPONSE', this.#runs());
  }

  #modelDelta(id: string, fields: Json): void {
    this.#announceRun();
    this.#run.seq += 1;
    const { runtime } = this.#conversation;
    this.#conversation.emitDelta(frames.modelDelta(id, runtime, fields, this.#run.id, this.#run.seq));
  }

  #stopReason(reason: string): void {
    this.#announceRun();
    this.#run.seq += 1;
    this.#conversation.emitDelta(frames.stopReason(reason, this.#run.id, this.#run.seq));
  }

  async #waitForRetry(attempt: number): Promise<void> {
    const delay = 1000 * 2 ** (attempt - 1);
    this.#conversation.emitDelta(frames.retry(this.#run.id, attempt, delay));
    await this.#pause(this.#scaled(delay), this.#stop.signal);
    this.#conversation.setLoop('SENDING_API_REQUEST', this.#runs());
    this.#conversation.setLoop('WAITING_FOR_API_RESPONSE', this.#runs());
  }

  #failModel({ message, type }: { message: string; type: string }): void {
    this.#announceRun();
    const whole = frames.modelErrorText(message, this.#run.id, type);
    const api = frames.apiError(message, this.#run.id, type);
    this.#conversation.emitDelta(frames.loopError(whole, false, this.#run.id, api));
    this.#modelDelta(this.#world.nextDeltaId(), frames.errorMessage(message, type, false));
    this.#stopReason('error');
    this.#finishTurn('error', whole, frames.loopError(whole, true, this.#run.id, api));
  }

  #failEarly(message: string): void {
    this.#finishTurn('error', message, frames.loopError(message, true));
  }

  // ---- tools ---------------------------------------------------------------------------------

  async #runTools(calls: readonly Call[]): Promise<Step | 'broken image'> {
    const conversation = this.#conversation;
    const scope = conversation.permissionScope();
    const asked = calls.filter((call) => isAsked(call, scope));
    const free = calls.filter((call) => !asked.includes(call));
    const ids = (some: readonly Call[]) => some.map((call) => call.id);
    conversation.emitDelta(frames.classification(this.#run.id, ids(free), ids(asked)));
    const decided = await this.#askAll(asked);
    const allowed = decided.filter(({ decision }) => decision.kind === 'allow');
    const going = [
      ...free.map((call) => ({ call, comment: undefined as string | undefined })),
      ...allowed.map(applyApproval),
    ];
    conversation.setLoop('EXECUTING_CLIENT_SIDE_TOOL', this.#runs(), ids(going.map(({ call }) => call)));
    conversation.setLoop('EXECUTING_CLIENT_SIDE_TOOL', this.#runs(), ids(going.map(({ call }) => call)));
    conversation.showDevice();
    await this.#pause(1, this.#stop.signal);
    for (const { call } of going) conversation.emitDelta(frames.toolStart(call.deltaId, this.runId, call));
    const results: { call: Call; result: ToolResult; comment?: string | undefined }[] = [];
    for (const { call, comment } of going) results.push({ call, result: await this.#runTool(call), comment });
    for (const { call, decision } of decided) {
      if (decision.kind === 'deny') results.push({ call, result: { status: 'error', text: decision.message } });
    }
    this.#reportResults(results);
    this.openCalls = [];
    if (this.wasCancelled) throw new Cancelled();
    if (results.some(({ result }) => isBrokenResult(result))) return 'broken image';
    const joined = conversation.takeQueued();
    for (const item of joined) for (const message of item.messages) this.#echoMessage(message);
    if (joined.length > 0) {
      this.turnId = conversation.nextBatchId();
      this.clientIds.push(...joined.flatMap((item) => item.clientIds));
      conversation.storeInput(
        joined.flatMap((item) => item.messages),
        true,
      );
    }
    conversation.setLoop('SENDING_API_REQUEST', this.#runs());
    conversation.setLoop('WAITING_FOR_API_RESPONSE', this.#runs());
    if (joined.length > 0) conversation.showQueue(joined.map((item) => item.clientMessageId));
    return joined.length > 0 ? 'joined by queue' : 'after tools';
  }

  /** Asks one after another, each when the one before is answered (docs/letta-protocol.md, Approvals). */
  async #askAll(asked: readonly Call[]): Promise<{ call: Call; decision: Decision }[]> {
    const conversation = this.#conversation;
    const decided: { call: Call; decision: Decision }[] = [];
    if (asked.length > 0) conversation.setLoop('WAITING_ON_APPROVAL', this.#runs());
    for (const call of asked) {
      const diffs = diffsOf(call, this.#world.machine, conversation.cwd);
      const request = frames.canUseTool(call, [{ id: 'save-default', text: suggestion(call) }], diffs);
      const decision = await this.#untilStopped(conversation.askPerson(this, call, request));
      decided.push({ call, decision });
    }
    return decided;
  }

  async #runTool(call: Call): Promise<ToolResult> {
    if (this.wasCancelled) return INTERRUPTED;
    const conversation = this.#conversation;
    if (call.name === 'AskUserQuestion' && this.#input.options.exclude_interactive_tools === true) {
      return this.#toolNotFound(call.name);
    }
    const allowed = this.#input.options.client_tool_allowlist;
    if (Array.isArray(allowed) && !allowed.includes(call.name)) {
      return { status: 'error', text: `Tool not found: ${call.name}. Available tools: ${allowed.join(', ')}` };
    }
    if (conversation.toolset === 'none' && frames.LOADED_TOOLS.includes(call.name)) {
      return { status: 'error', text: `Tool not found: ${call.name}. Available tools: ` };
    }
    if (call.name === 'TaskStop') return stopTask(call, conversation);
    const running = call.name === 'Bash' ? conversation.noteRunning(call) : () => {};
    try {
      if (isBackground(call)) return await startInBackground(call, conversation, this.#world, this.#toolPause);
      const local = await runMachineTool(call, this.#toolWorld(call));
      return local ?? (await this.#callExternal(call));
    } catch (error) {
      if (error instanceof Cancelled) return INTERRUPTED;
      throw error;
    } finally {
      running();
    }
  }

  readonly #toolPause = (ms: number): Promise<void> => this.#pause(ms, this.#stop.signal);

  #toolWorld(call: Call): ToolWorld {
    const conversation = this.#conversation;
    return {
      machine: this.#world.machine,
      cwd: conversation.cwd,
      work: () => this.#toolPause(this.#world.timings.tool),
      sleep: (seconds) => this.#toolPause(this.#scaled(seconds * 1000)),
      onSnapshot: (output) => conversation.emitDelta(frames.toolSnapshot(this.runId, call.id, output)),
      onFile: (path, content) => conversation.showFile(path, content),
    };
  }

  #toolNotFound(wanted: string): ToolResult {
    const others = frames.LOADED_TOOLS.filter((name) => name !== wanted).map((name) =>
      name === 'Agent' ? 'Task' : name,
    );
    const names = [...others, ...this.#tools.keys()].join(', ');
    return { status: 'error', text: `Tool not found: ${wanted}. Available tools: ${names}` };
  }

  async #callExternal(call: Call): Promise<ToolResult> {
    const answer = this.#world.externalTools.call({
      runtime: this.#conversation.runtime,
      call,
      tools: this.#tools,
      sender: this.#input.sender ?? null,
      timeoutMs: this.#scaled(ANSWERS_WITHIN_MS),
      gone: this.#gone.signal,
    });
    if (answer === null) return this.#toolNotFound(call.name);
    // An abort ends the turn only with the owner's answer (trace 67).
    const gone = sleep(null, [this.#gone.signal]).then(() => INTERRUPTED);
    const result = await Promise.race([answer, gone]);
    if (this.#gone.signal.aborted) throw new Gone();
    return this.wasCancelled ? { ...result, status: 'error' } : result;
  }

  /** Emits all ends, then all results; calls that ran come first, denied ones last. */
  #reportResults(results: readonly { call: Call; result: ToolResult; comment?: string | undefined }[]): void {
    const conversation = this.#conversation;
    for (const { call, result } of results) {
      conversation.emitDelta(frames.toolEnd(call.deltaId, this.runId, call.id, result.status));
    }
    for (const { call, result, comment } of results) {
      conversation.emitDelta(frames.toolReturn(this.runId, call.id, result));
      const said = comment === undefined ? '' : `${COMMENT} "${comment}"\n`;
      conversation.history.addToolReturn(call.id, result.status, said + result.text);
    }
  }

  /**
   * Continues after a question that survived a restart: its answer belongs to no run, then the model goes on (trace
   * 34b).
   */
  async #answerRecovered(question: ToolCall, decision: Decision): Promise<void> {
    const conversation = this.#conversation;
    const call: Call = { ...question, deltaId: undefined };
    const [going] = decision.kind === 'allow' ? [applyApproval({ call, decision })] : [];
    conversation.setLoop('EXECUTING_CLIENT_SIDE_TOOL', [], going ? [call.id] : []);
    conversation.showDevice();
    if (going) conversation.emitDelta(frames.toolStart(undefined, null, going.call));
    const denial: ToolResult = { status: 'error', text: decision.message ?? '' };
    const result = going ? await this.#runTool(going.call) : denial;
    await this.#pause(this.#world.timings.tool, this.#stop.signal);
    this.#reportResults([{ call: going?.call ?? call, result }]);
    conversation.setLoop('SENDING_API_REQUEST');
    conversation.setLoop('SENDING_API_REQUEST');
    conversation.hasToolset = true;
    conversation.showDevice();
    conversation.setLoop('SENDING_API_REQUEST');
    conversation.showDevice();
    await this.#pause(this.#world.timings.latency);
    conversation.setLoop('WAITING_FOR_API_RESPONSE');
  }

  // ---- the end -------------------------------------------------------------------------------

  #finishTurn(reason: string, error?: string, last?: Json): void {
    const conversation = this.#conversation;
    conversation.removeTurn(this);
    if (reason !== 'cancelled') {
      conversation.setLoop('WAITING_ON_INPUT');
      conversation.showDevice();
    }
    const run = this.runId === null ? {} : { run_id: this.runId };
    const failure = error === undefined ? {} : { error };
    conversation.emitEvent('turn_finished', { turn_id: this.turnId, stop_reason: reason, ...run, ...failure });
    if (last) conversation.emitDelta(last);
    conversation.showDevice();
    conversation.closeTurn(this);
  }

  #scaled(ms: number): number {
    return ms * this.#world.timings.scale;
  }

  /** Waits; `until` ends the wait early. Throws if the turn is gone or was cancelled. */
  async #pause(ms: number, until?: AbortSignal): Promise<void> {
    const signals = until ? [this.#gone.signal, until] : [this.#gone.signal];
    await sleep(ms, signals);
    this.#throwIfEnded();
  }

  async #untilStopped<T>(promise: Promise<T>): Promise<T> {
    const stopped = sleep(null, [this.#gone.signal, this.#stop.signal]);
    const value = await Promise.race([promise, stopped]);
    this.#throwIfEnded();
    return value as T;
  }

  #throwIfEnded(): void {
    if (this.#gone.signal.aborted) throw new Gone();
    if (this.wasCancelled) throw new Cancelled();
  }
}

const UNREADABLE = 'Failed to prepare image for model: Input buffer contains unsupported image format';
/** How long the server waits for the result of a client's tool. */
const ANSWERS_WITHIN_MS = 300_000;
const INTERRUPTED: ToolResult = { status: 'error', text: 'Interrupted by user' };
const COMMENT = 'The user approved the tool execution with the following comment:';

function applyApproval({ call, decision }: { call: Call; decision: Decision }): {
  call: Call;
  comment: string | undefined;
} {
  const updated = decision.kind === 'allow' ? decision.updatedInput : undefined;
  return { call: updated === undefined ? call : { ...call, input: updated }, comment: decision.message };
}

/** `ms` null: for ever. Resolves early when a signal fires. */
function sleep(ms: number | null, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some((signal) => signal.aborted)) return resolve();
    if (ms === 0) return void setImmediate(resolve);
    const timer = ms === null ? undefined : setTimeout(end, ms);
    for (const signal of signals) signal.addEventListener('abort', end);
    function end(): void {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', end);
      resolve();
    }
  });
}

/** PNG, JPEG, GIF, WebP, TIFF (docs/letta-protocol.md, Images and files in a message). */
const IMAGE_STARTS = ['89504e47', 'ffd8ff', '47494638', '52494646', '49492a00', '4d4d002a'];

function isBrokenImage(part: Json): boolean {
  if (part.type !== 'image') return false;
  const source = isJson(part.source) ? part.source : {};
  const bytes = Buffer.from((text(source.data) ?? '').slice(0, 2_000), 'base64');
  const start = bytes.subarray(0, 4).toString('hex');
  const isAvif = bytes.subarray(4, 12).toString('latin1') === 'ftypavif';
  const isSvg = bytes.toString('utf8').includes('<svg');
  return !isAvif && !isSvg && !IMAGE_STARTS.some((magic) => start.startsWith(magic));
}

/** Stricter than the start of an image: one that was cut off cannot be scaled either. */
function isBrokenResult({ image }: ToolResult): boolean {
  if (image === undefined) return false;
  if (isBrokenImage({ type: 'image', source: { data: image } })) return true;
  const bytes = Buffer.from(image, 'base64');
  if (image.startsWith('iVBOR')) return !bytes.subarray(-12).includes('IEND');
  return image.startsWith('/9j/') && bytes.subarray(-2).toString('hex') !== 'ffd9';
}

function hasBrokenImage(content: unknown): boolean {
  return Array.isArray(content) && content.filter(isJson).some(isBrokenImage);
}

function withoutBrokenImages(message: UserInput): UserInput {
  if (!Array.isArray(message.content)) return message;
  return { ...message, content: message.content.filter((part) => !(isJson(part) && isBrokenImage(part))) };
}
