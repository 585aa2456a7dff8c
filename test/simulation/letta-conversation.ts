import { isClientMessageId } from '../../src/bridge/ids.ts';
import type { VirtualClock } from './clock.ts';
import { SimTurn, type ToolCall, type TruthTurn, type TurnHost, type TurnInput } from './letta-turn.ts';
import type { Chance } from './random.ts';
import { firedIn } from './schedules.ts';
import type { Story } from './story.ts';
import type { TruthCall } from './tools.ts';

type Json = Record<string, unknown>;

/** What a conversation needs of the server it lives in. */
export interface Host {
  clock: VirtualClock;
  chance: Chance;
  story: Story;
  nextRun(): string;
  nextItem(): string;
  nextTurn(): number;
  /** To everybody who listens to this conversation. */
  emitEvent(conversation: SimConversation, type: string, body: Json): void;
  countListeners(conversation: SimConversation): number;
  /** Whether a request comes to mean something else, in worlds where that is common. */
  changesRequest(): boolean;
  /** Called when a request waits for people. */
  onAsked(): void;
  /** Called right before a turn of the conversation emits its end. */
  onTurnEnding(conversation: SimConversation): void;
  /** Notes a call of a tool of the bridge; `resolve` gets its result. */
  openCall(requestId: string, call: TruthCall, resolve: (result: { text: string; isError: boolean }) => void): void;
  sendCall(conversation: SimConversation, frame: Json): void;
  truth: TruthTurn[];
  /** Decisions of clients; `abouts` names the requests that each may concern, the latest first. */
  decisions: {
    abouts: string[];
    /** What the request was about before it changed; clicks on that count up to `until`, in ms since 1970. */
    before: { about: string; until: number } | null;
    conversation: string;
    behavior: string;
    words: string;
    at: number;
    /** Of a request in a turn that ends background tasks: whether it ends one that the turn names. */
    ends: boolean | null;
  }[];
  /** Whether somebody asked to send this message again, so that it may run twice. */
  mayRunAgain(name: string): boolean;
  /** Whether a reaction asks about this message, so that it goes along once more. */
  mayHearAgain(name: string): boolean;
  /** Whether a reaction asked this, was taken back and asked it again later. */
  isAskedLater(name: string): boolean;
  /** Called with each message that a turn gets to answer. */
  onTaken(name: string): void;
}

/** An approval that waits. */
export interface Pending {
  requestId: string;
  request: Json;
  about: string;
  askedAt: number;
  /** What this id asked about before the request changed, and when the bridge heard of the change. */
  before: { about: string; heardAt: number | null } | null;
  turn: SimTurn;
  resolve(decision: { allow: boolean; message: string; input: Json | null }): void;
}

interface QueueItem {
  id: string;
  clientId: string;
  content: string;
  notification: boolean;
  isCron?: boolean;
  /** A turn was stopped while it waited: it stays until the next input or `resume_queue`. */
  isPaused?: boolean;
  /** Set when another client queued it: under which id the history has it. */
  otid?: string;
}

/**
 * An input up to this long after a direct turn's end begins a turn that the server does not track
 * (docs/letta-protocol.md, Queue and deduplication).
 */
const UNTRACKED_MS = 30;
const TIED_RUNS = 32;
const NOTIFICATION_ID = 'auto-';
/** Of an input that Letta ties no run to. */
const UNTIED = 'untied-';
/** A click counts for the old form of a request up to this long after the bridge has heard the new one. */
const CROSSED_MS = 1_000;
/** An input that the bridge sent before it heard of the queue may still be on its way for this long. */
const SENT_MS = 1_000;

/** One conversation: its history, its queue, its turn. */
export class SimConversation implements TurnHost {
  readonly id: string;
  readonly agentId: string;
  readonly host: Host;
  mode = 'unrestricted';
  lastRun: string | null = null;
  /** Oldest first. */
  readonly #history: Json[] = [];
  #loop: Json = { status: 'WAITING_ON_INPUT', active_run_ids: [], executing_tool_call_ids: [] };
  readonly #clientIdsByRun = new Map<string, string[]>();
  #pending: Pending | null = null;
  /** What the last answer to each id was about. */
  readonly #answered = new Map<string, string>();
  #turn: SimTurn | null = null;
  #queue: QueueItem[] = [];
  /** Names of the messages that its inputs told of, as context or to be answered. */
  readonly #known = new Set<string>();
  #queued = 0;
  /** Since when the bridge has known, over the present link, that an id is in the queue. */
  #toldQueued: ReadonlyMap<string, number> = new Map();
  #background: Json[] = [];
  #subagents: Json[] = [];
  #untrackedUntil = 0;
  /** Since when nothing runs here, in ms since 1970. */
  idleSince = 0;
  /** An abort or a restart came before: the next input goes through the queue. */
  #wasInterrupted = false;
  #isPumping = false;
  #epoch = 0;

  constructor(id: string, agentId: string, host: Host) {
    this.id = id;
    this.agentId = agentId;
    this.host = host;
  }

  get runtime(): Json {
    return { agent_id: this.agentId, conversation_id: this.id };
  }

  get isBusy(): boolean {
    const waiting = this.#hasRunnable && this.host.countListeners(this) > 0;
    return this.#turn !== null || waiting || this.#background.length > 0 || this.#subagents.length > 0;
  }

  get isIdle(): boolean {
    return this.#turn === null && this.#queue.length === 0;
  }

  /** What runs was not asked for by people. */
  get isActingByItself(): boolean {
    return this.#turn !== null && this.#turn.truth.origin !== 'people';
  }

  // ---- what clients see ------------------------------------------------------------------------

  emitEvent(type: string, body: Json): void {
    this.host.emitEvent(this, type, body);
  }

  emitDelta(delta: Json): void {
    if (typeof delta.run_id === 'string') this.lastRun = delta.run_id;
    this.emitEvent('stream_delta', { delta });
  }

  setLoop(status: string, runs: readonly string[] = [], executing: readonly string[] = []): void {
    this.#loop = { status, active_run_ids: [...runs], executing_tool_call_ids: [...executing] };
    this.emitEvent('update_loop_status', this.#loopBody());
  }

  showDevice(): void {
    this.emitEvent('update_device_status', this.#deviceBody());
  }

  #loopBody(): Json {
    const tied =
      this.#clientIdsByRun.size > 0 ? { client_message_ids_by_run_id: Object.fromEntries(this.#clientIdsByRun) } : {};
    return { loop_status: { ...this.#loop, ...tied } };
  }

  #deviceBody(): Json {
    const pending = this.#pending ? [{ request_id: this.#pending.requestId, request: this.#pending.request }] : [];
    return {
      device_status: {
        is_online: true,
        is_processing: this.#turn !== null,
        current_permission_mode: this.mode,
        current_working_directory: '/project',
        background_processes: this.#background,
        pending_control_requests: pending,
        letta_code_version: null,
      },
    };
  }

  #queueBody(removed: readonly string[] = [], disposition = 'dequeued'): Json {
    const queue = this.#queue.map((item) => ({
      id: item.id,
      client_message_id: item.clientId,
      kind: item.isCron ? 'cron_prompt' : item.notification ? 'task_notification' : 'message',
      source: item.isCron ? 'cron' : item.notification ? 'task_notification' : 'user',
      content: item.content,
      ...(item.isPaused && { paused: true }),
    }));
    return {
      queue,
      removed: removed.map((clientId) => ({ client_message_id: clientId, disposition })),
    };
  }

  /** The bridge has heard what waits in the queue. */
  noteHeardQueue({ queue }: Json): void {
    const ids = new Set((queue as { client_message_id: string }[]).map((item) => item.client_message_id));
    const known = this.#toldQueued;
    const now = this.host.clock.now();
    this.#toldQueued = new Map([...ids].map((id) => [id, known.get(id) ?? now]));
  }

  /** The state, as after `sync` or `runtime_start` (docs/letta-protocol.md, Hosted: socket). */
  replayState(tell: (type: string, body: Json) => void, recover: boolean): void {
    this.#untrackedUntil = 0;
    this.#toldQueued = new Map();
    if (recover && this.#pending) tell('control_request', this.#requestBody(this.#pending));
    tell('update_device_status', this.#deviceBody());
    tell('update_loop_status', this.#loopBody());
    tell('update_queue', this.#queueBody());
    tell('update_subagent_state', { subagents: this.#subagents });
    this.runQueue();
  }

  /** What a device that found its router again says of a turn that goes on. */
  showIfBusy(): void {
    if (!this.#turn) return;
    this.showDevice();
    this.emitEvent('update_loop_status', this.#loopBody());
  }

  /** Unasked, as a device does that has dialled in (docs/letta-protocol.md, A device that dials us). */
  showOpenRequest(): void {
    if (this.#pending) this.emitEvent('control_request', this.#requestBody(this.#pending));
  }

  // ---- tools of the bridge ---------------------------------------------------------------------

  /** Asks the bridge, now and then twice; after 300 s the model is told that nobody answered. */
  callBridge(call: ToolCall): Promise<{ text: string; isError: boolean }> {
    const { host } = this;
    const request_id = `external-tool-${host.nextItem()}`;
    const asked = { tool_call_id: call.id, tool_name: call.name, input: call.input };
    const frame = { type: 'external_tool_call_request', request_id, runtime: this.runtime, ...asked };
    return new Promise((resolve) => {
      host.openCall(request_id, { emoji: String(call.input.emoji), conversation: this.id, told: null }, resolve);
      host.sendCall(this, frame);
      const twice = host.chance.forkStream(request_id);
      if (twice.happens(0.1)) host.clock.after(twice.between(1, 2_000), () => host.sendCall(this, frame));
    });
  }

  // ---- history ---------------------------------------------------------------------------------

  addToHistory(item: Json): void {
    this.#history.push({ date: new Date(this.host.clock.now()).toISOString(), ...item });
  }

  /** A page, newest first. */
  listPage(limit: number, before: unknown = null) {
    const newestFirst = this.#history.toReversed();
    const rest = newestFirst.slice(newestFirst.findIndex(({ id }) => id === before) + 1);
    const messages = rest.slice(0, limit);
    return { messages, next_before: messages.at(-1)?.id ?? null, has_more: rest.length > limit };
  }

  // ---- input -----------------------------------------------------------------------------------

  /** What follows from it happens in `go`, after the answer is sent. */
  submitInput(clientId: string, content: string): { disposition: 'started' | 'queued'; go: () => void } {
    const { host } = this;
    const nothing = () => undefined;
    if (this.#turn?.truth.clientIds.includes(clientId)) return { disposition: 'started', go: nothing };
    if (this.#queue.some((item) => item.clientId === clientId)) {
      if (host.clock.now() - (this.#toldQueued.get(clientId) ?? Number.POSITIVE_INFINITY) > SENT_MS)
        host.story.addViolation(`${clientId} was sent again while it waited in Letta's queue`);
      return { disposition: 'queued', go: nothing };
    }
    if (this.#turn || this.#isPumping || this.#wasInterrupted || this.#queue.length > 0) {
      return { disposition: 'queued', go: () => this.#enqueue(clientId, content, false) };
    }
    if (host.clock.now() < this.#untrackedUntil) {
      host.story.addViolation(`${clientId} was sent right behind a turn's end: Letta does not track its turn`);
    }
    const input: TurnInput = { origin: 'direct', notification: false, messages: [{ clientId, content }] };
    return { disposition: 'started', go: () => this.#startTurn(input) };
  }

  /** Another client asks something (docs/letta-protocol.md, Other clients of a conversation). */
  submitElsewhere(id: string, hasId: boolean, content: string): void {
    const otid = hasId ? id : `uuid-${id}`;
    if (this.#turn || this.#isPumping || this.#wasInterrupted || this.#queue.length > 0) {
      this.#enqueue(hasId ? id : `cm-submit-${id}`, content, false, false, otid);
      return;
    }
    const tie = hasId ? id : `${UNTIED}${id}`;
    this.#startTurn({ origin: 'direct', notification: false, messages: [{ clientId: otid, content, tie }] });
  }

  /** Another client decides what is asked now. */
  decideElsewhere(allow: boolean): void {
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = null;
    this.host.story.addLine('client', `decides ${allow ? 'allow' : 'deny'} for ${pending.about}`);
    this.emitEvent('update_loop_status', this.#loopBody());
    this.showDevice();
    pending.resolve({ allow, message: 'no', input: null });
  }

  /** A turn that nobody asked for (docs/letta-protocol.md, Activity nobody asked for). */
  queueNotification(): void {
    const n = this.host.nextItem();
    this.#enqueue(`cm-q-${n}`, `<task-notification>task ${n} is done</task-notification>`, true);
  }

  /** A schedule fires (docs/letta-protocol.md, Schedules). */
  queueCron(content: string): void {
    this.#enqueue(`cm-q-${this.host.nextItem()}`, content, true, true);
  }

  /** A background command: its end starts a turn. */
  startCommand(ms: number): void {
    const process = { process_id: this.host.nextItem(), status: 'running', kind: 'bash' };
    this.#background = [...this.#background, process];
    this.showDevice();
    this.host.clock.after(ms, () => {
      if (!this.#background.includes(process)) return;
      this.#background = this.#background.filter((other) => other !== process);
      this.showDevice();
      this.queueNotification();
    });
  }

  /** The agent ends what it started, as it was asked to. */
  endBackground(): void {
    this.#background = [];
    this.showDevice();
  }

  /**
   * A subagent: what it says comes under this runtime, marked as its own, and may end while a turn runs
   * (docs/letta-protocol.md, Activity nobody asked for).
   */
  startSubagent(ms: number): void {
    const { clock, chance } = this.host;
    const epoch = this.#epoch;
    const id = `subagent-${this.host.nextItem()}`;
    const show = (status: string) => {
      const others = this.#subagents.filter((other) => other.subagent_id !== id);
      const now = { subagent_id: id, subagent_type: 'general', description: 'helps', status };
      this.#subagents = status === 'running' ? [...others, now] : others;
      this.emitEvent('update_subagent_state', { subagents: [...others, now] });
    };
    const later = (part: number, run: () => void) =>
      clock.after(ms * part, () => {
        if (this.#epoch === epoch) run();
      });
    const say = (seq: number, fields: Json) => {
      const delta = { type: 'message', run_id: 'local-run-1', seq_id: seq, ...fields };
      this.emitEvent('stream_delta', { delta, subagent_id: id });
    };
    show('running');
    const words = 1 + chance.intBelow(4);
    for (let word = 1; word <= words; word += 1) {
      const text = `${id.replace(/\D/g, '')}sub${word}z `;
      const fields = {
        id: `ui-msg-${chance.intBelow(40)}`,
        message_type: 'assistant_message',
        content: [{ type: 'text', text }],
      };
      later(word / (words + 2), () => say(word, fields));
    }
    later((words + 1) / (words + 2), () => say(words + 1, { message_type: 'stop_reason', stop_reason: 'end_turn' }));
    later(1, () => {
      show('completed');
      this.queueNotification();
    });
  }

  get #hasRunnable(): boolean {
    return this.#queue.some(({ isPaused }) => !isPaused);
  }

  /** @returns how many items an abort had paused */
  resumeQueue(): number {
    const paused = this.#queue.filter(({ isPaused }) => isPaused);
    for (const item of paused) item.isPaused = false;
    return paused.length;
  }

  /** Tells what waits, and goes on with it. */
  showQueue(): void {
    this.emitEvent('update_queue', this.#queueBody());
    this.runQueue();
  }

  /** @returns whether it was there */
  removeQueued(id: string): boolean {
    const found = this.#queue.find((item) => item.id === id);
    if (!found) return false;
    this.#queue = this.#queue.filter((item) => item !== found);
    this.emitEvent('update_queue', this.#queueBody([found.clientId], 'cancelled'));
    return true;
  }

  /** Removes and returns the items that may run now. */
  #takeRunnable(): QueueItem[] {
    const taken = this.#queue.filter(({ isPaused }) => !isPaused);
    this.#queue = this.#queue.filter(({ isPaused }) => isPaused);
    return taken;
  }

  #enqueue(clientId: string, content: string, notification: boolean, isCron = false, otid?: string): void {
    this.#queued += 1;
    if (!notification) this.resumeQueue();
    const foreign = otid === undefined ? {} : { otid };
    this.#queue.push({ id: `q-${this.#queued}`, clientId, content, notification, isCron, ...foreign });
    this.showQueue();
  }

  /** All that waits becomes one turn; it waits itself until somebody listens. */
  runQueue(): void {
    if (this.#turn || this.#isPumping || !this.#hasRunnable || this.host.countListeners(this) === 0) return;
    this.#isPumping = true;
    const epoch = this.#epoch;
    this.host.clock.after(5, () => {
      if (this.#epoch !== epoch) return;
      this.#isPumping = false;
      if (this.#turn || !this.#hasRunnable || this.host.countListeners(this) === 0) return;
      const items = this.#takeRunnable();
      const messages = this.#echoItems(items);
      this.#startTurn({ origin: 'queue', notification: items.every((item) => item.notification), messages });
    });
  }

  /** What waits joins the running turn right after a tool (docs/letta-protocol.md, Queue and deduplication). */
  takeQueued(): TurnInput['messages'] {
    const items = this.#takeRunnable();
    if (items.length === 0) return [];
    const messages = this.#echoItems(items);
    for (const message of messages) this.#storeInput(message, this.#turn?.truth ?? null);
    return messages;
  }

  #echoItems(items: readonly QueueItem[]): TurnInput['messages'] {
    const messages = items.map((item) => ({
      clientId: item.notification ? `${NOTIFICATION_ID}${item.clientId}` : (item.otid ?? item.clientId),
      content: item.content,
      ...(item.otid !== undefined && { tie: item.clientId }),
    }));
    for (const { clientId, content } of messages) {
      const id = `user-msg-${this.host.nextItem()}`;
      this.emitDelta({ type: 'message', id, message_type: 'user_message', content, otid: clientId });
    }
    this.emitEvent('update_queue', this.#queueBody(items.map((item) => item.clientId)));
    return messages;
  }

  #startTurn(input: TurnInput): void {
    this.#isPumping = false;
    this.#wasInterrupted = false;
    const { host } = this;
    const truth: TruthTurn = {
      n: host.nextTurn(),
      conversation: this.id,
      origin: originOf(input),
      clientIds: input.messages.map(({ clientId, tie }) => tie ?? clientId),
      carried: [],
      pieces: [],
      wordsBefore: 0,
      startedAt: host.clock.now(),
      endedAt: null,
      end: null,
    };
    host.truth.push(truth);
    for (const message of input.messages) this.#storeInput(message, truth);
    host.story.addLine(
      'letta',
      `turn ${truth.n} begins in ${this.id}: ${[...truth.carried, ...truth.clientIds].join(' ')}`,
    );
    this.lastRun = null;
    this.#turn = new SimTurn(this, input, truth);
    void this.#turn.run();
  }

  #storeInput({ clientId, content }: { clientId: string; content: string }, truth: TruthTurn | null): void {
    const { host } = this;
    const { carried: names, heard } = namesIn(content);
    const firings = firedIn(content);
    if (truth && firings.length > 0) truth.firings = [...(truth.firings ?? []), ...firings];
    const isAgain = names.some((name) => host.mayRunAgain(name));
    for (const [at, name] of heard.entries()) {
      if (heard.indexOf(name) < at) host.story.addViolation(`${name} is context twice in one input`);
      if (names.includes(name)) host.story.addViolation(`${name} is context of its own turn`);
      if (this.#known.has(name) && !isAgain && !host.mayHearAgain(name))
        host.story.addViolation(`${name} was told to ${this.id} twice`);
    }
    for (const name of [...heard, ...names]) this.#known.add(name);
    const placed = names.filter((name) => !host.isAskedLater(name));
    const inOrder = placed.toSorted((a, b) => Number(a.slice(3, -1)) - Number(b.slice(3, -1)));
    if (inOrder.join() !== placed.join()) host.story.addViolation(`${names.join(' ')} are not in the order of Slack`);
    for (const name of names) {
      const before = host.truth.find((turn) => turn.carried.includes(name));
      if (before && !host.mayRunAgain(name))
        host.story.addViolation(`${name} ran in turn ${before.n} and again in ${truth?.n}`);
      host.onTaken(name);
      truth?.carried.push(name);
    }
    const reminder = { type: 'text', text: '<system-reminder>now</system-reminder>' };
    const text = { type: 'text', text: content };
    this.addToHistory({ id: host.nextItem(), message_type: 'user_message', content: [reminder, text], otid: clientId });
  }

  /**
   * Runs are tied to all that their turn answers, what joined it too; notifications are never named
   * (docs/letta-protocol.md, Queue and deduplication; Activity nobody asked for).
   */
  tieRun(runId: string, clientIds: readonly string[]): void {
    const named = clientIds.filter((id) => !id.startsWith(NOTIFICATION_ID) && !id.startsWith(UNTIED));
    if (named.length === 0) return;
    this.#clientIdsByRun.set(runId, named);
    const [oldest] = this.#clientIdsByRun.keys();
    if (this.#clientIdsByRun.size > TIED_RUNS && oldest !== undefined) this.#clientIdsByRun.delete(oldest);
  }

  // ---- approvals -------------------------------------------------------------------------------

  askPerson(turn: SimTurn, call: ToolCall): Promise<{ allow: boolean; message: string; input: Json | null }> {
    const about = /perm\d+z/.exec(JSON.stringify(call.input))?.[0] ?? '';
    const request = {
      subtype: 'can_use_tool',
      tool_name: call.name,
      input: call.input,
      tool_call_id: call.id,
      permission_suggestions: [],
      blocked_path: null,
    };
    return new Promise((resolve) => {
      const askedAt = this.host.clock.now();
      this.#pending = { requestId: `perm-${call.id}`, request, about, askedAt, before: null, turn, resolve };
      this.host.story.addLine('letta', `asks perm-${call.id} about ${about} in turn ${turn.truth.n}`);
      this.setLoop('WAITING_ON_APPROVAL', [this.lastRun ?? '']);
      this.emitEvent('control_request', this.#requestBody(this.#pending));
      this.setLoop('WAITING_ON_APPROVAL', [this.lastRun ?? '']);
      this.showDevice();
      this.host.onAsked();
      const isBash = call.name === 'Bash';
      if (isBash && (this.host.chance.happens(0.05) || this.host.changesRequest()))
        this.#changeLater(this.#pending, call);
    });
  }

  /**
   * The id is the model's (docs/letta-protocol.md, Approvals): now and then it comes to mean something else while
   * people look at it.
   */
  #changeLater(pending: Pending, call: ToolCall): void {
    const { clock, chance, story } = this.host;
    clock.after(chance.between(200, 8_000), () => {
      if (this.#pending !== pending) return;
      pending.before = { about: pending.about, heardAt: null };
      pending.about = `perm${this.host.nextItem().replace(/\D/g, '')}z`;
      call.input = { ...call.input, command: `touch ${pending.about}` };
      pending.request = { ...pending.request, input: call.input };
      story.addLine(
        'letta',
        `asks ${pending.requestId} anew, about ${pending.about} instead of ${pending.before.about}`,
      );
      this.emitEvent('control_request', this.#requestBody(pending));
      this.showDevice();
    });
  }

  /** The bridge has heard a request. */
  noteHeardRequest(request: string): void {
    const pending = this.#pending;
    if (pending?.before && request.includes(pending.about)) pending.before.heardAt ??= this.host.clock.now();
  }

  #requestBody({ requestId, request }: Pending): Json {
    return { request_id: requestId, request, ...this.runtime };
  }

  /** False: nothing of that id is pending. What follows from it happens in `go`, after the answer is sent. */
  answerRequest(requestId: string, decision: Json, sentAt: number): { accepted: boolean; go: () => void } {
    const pending = this.#pending;
    const nothing = { accepted: false, go: () => undefined };
    if (!pending || pending.requestId !== requestId) return nothing;
    this.#pending = null;
    const { before } = pending;
    // An answer that crossed the change belongs to the request as it was shown.
    const until = before?.heardAt == null ? Number.POSITIVE_INFINITY : before.heardAt + CROSSED_MS;
    const { about } = pending;
    const allow = decision.behavior === 'allow';
    const updated = (decision.updated_input as Json | undefined) ?? null;
    const answers = JSON.stringify((updated?.answers as Json | undefined) ?? null);
    const behavior = updated ? `answer ${answers}` : String(decision.behavior);
    this.host.story.addLine('letta', `takes ${behavior} for ${about}`);
    // A delayed answer belongs to the request that had this id when the answer was sent.
    const late = sentAt < pending.askedAt ? this.#answered.get(requestId) : undefined;
    const abouts = [about, ...(before ? [before.about] : []), ...(late === undefined ? [] : [late])];
    this.#answered.set(requestId, about);
    const words = updated ? answers : String(decision.message ?? '');
    const ends = pending.turn.endsTasks?.includes(JSON.stringify(pending.request.input)) ?? null;
    const at = this.host.clock.now();
    const was = before && { about: before.about, until };
    this.host.decisions.push({ abouts, before: was, conversation: this.id, behavior, words, at, ends });
    const go = () => {
      this.emitEvent('update_loop_status', this.#loopBody());
      this.showDevice();
      pending.resolve({ allow, message: String(decision.message ?? ''), input: updated });
    };
    return { accepted: true, go };
  }

  // ---- ends ------------------------------------------------------------------------------------

  /** What follows the answer happens in `go`. */
  abortTurn(): { aborted: boolean; before: () => void } {
    const turn = this.#turn;
    if (!turn || turn.wasCancelled) return { aborted: false, before: () => undefined };
    const before = () => {
      this.#pending = null;
      this.setLoop('WAITING_ON_INPUT');
      this.showDevice();
      this.emitDelta({ id: this.host.nextItem(), message_type: 'status', message: 'Interrupted', level: 'warning' });
      this.#wasInterrupted = true;
      if (this.#queue.length > 0) {
        for (const item of this.#queue) item.isPaused = true;
        this.emitEvent('update_queue', this.#queueBody());
      }
      this.addToHistory({
        id: this.host.nextItem(),
        message_type: 'user_message',
        content: '<system-reminder>The user interrupted the active stream.</system-reminder>',
      });
      turn.cancel();
    };
    return { aborted: true, before };
  }

  finishTurn(turn: SimTurn, reason: string, runId: string | null, error: string | null): void {
    if (this.#turn !== turn) return;
    this.#turn = null;
    this.#pending = null;
    const { host } = this;
    this.idleSince = host.clock.now();
    host.story.addLine('letta', `turn ${turn.truth.n} ends: ${reason}`);
    host.onTurnEnding(this);
    if (reason !== 'cancelled') {
      this.setLoop('WAITING_ON_INPUT');
      this.showDevice();
    }
    const n = host.nextItem();
    this.emitEvent('turn_finished', {
      turn_id: turn.input.origin === 'direct' ? `batch-direct-${n}` : `batch-${n}`,
      stop_reason: reason,
      ...(runId === null ? {} : { run_id: runId }),
      ...(error === null ? {} : { error }),
    });
    this.showDevice();
    if (turn.input.origin === 'direct') this.#untrackedUntil = host.clock.now() + UNTRACKED_MS;
    if (this.#queue.length > 0) host.clock.after(25, () => this.runQueue());
  }

  /** App Server: the last listener is gone, and the turn with it (docs/letta-protocol.md, Loss and restart). */
  dropTurn(): void {
    if (!this.#turn) return;
    this.host.story.addLine('letta', `turn ${this.#turn.truth.n} dies: nobody listens`);
    this.#killTurn(true);
  }

  /** The process is gone. */
  restart(keepsPartial: boolean): void {
    if (this.#turn) this.host.story.addLine('letta', `turn ${this.#turn.truth.n} dies with its process`);
    this.#killTurn(keepsPartial);
    this.#queue = [];
    this.#background = [];
    this.#subagents = [];
    this.#clientIdsByRun.clear();
    this.#epoch += 1;
    this.#isPumping = false;
    this.#untrackedUntil = 0;
  }

  #killTurn(keepsPartial: boolean): void {
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = null;
    this.idleSince = this.host.clock.now();
    this.#wasInterrupted = this.#pending !== null || turn.wasCancelled;
    this.#pending = null;
    turn.dropSilently(keepsPartial);
    this.#loop = { status: 'WAITING_ON_INPUT', active_run_ids: [], executing_tool_call_ids: [] };
  }
}

/** Names of the messages in a prompt: those to be answered, and those that are only context. */
export function namesIn(content: string): { carried: string[]; heard: string[] } {
  const carried: string[] = [];
  const heard: string[] = [];
  let section = carried;
  for (const line of content.split('\n')) {
    const isEnvelope = /^\[[0-9a-z]+\] /.test(line);
    // What the bridge itself wrote may quote a message.
    if (isEnvelope) section = / from yourself /.test(line) ? [] : /, not trusted: /.test(line) ? heard : carried;
    else section.push(...(line.match(/msg\d+z/g) ?? []));
  }
  return { carried, heard };
}

function originOf({ notification, messages }: TurnInput): TruthTurn['origin'] {
  if (notification) return 'agent';
  return messages.some(({ clientId }) => isClientMessageId(clientId)) ? 'people' : 'client';
}
