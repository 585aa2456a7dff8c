import type {
  AgentEvent,
  ApprovalRequest,
  BackgroundTask,
  CommandEnd,
  Compacted,
  ConnectionEvent,
  HistoryItem,
  LoopStatus,
  StoredRuntime,
} from '../../src/bridge/agent-event.ts';
import type {
  AgentConnection,
  AgentGateway,
  ConnectOptions,
  DeviceFile,
  SeenSchedule,
  Timer,
} from '../../src/bridge/ports.ts';
import type { Schedule } from '../../src/bridge/schedules/schedule.ts';
import { type InputContent, textOfInput } from '../../src/bridge/turn/input-content.ts';
import { BridgeError } from '../../src/errors.ts';
import type { FakeClock } from './clock.ts';

type Emit = (event: AgentEvent | ConnectionEvent) => void;

/** Random numbers from a seed, the same in every run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Running {
  clientMessageId: string | null;
  runId: string;
  text: string;
  asked: ApprovalRequest | null;
  isAborted: boolean;
  timer: Timer | null;
  left: number;
}

/** One conversation as Letta keeps it, with or without a listener. */
class Conversation {
  readonly id: string;
  readonly letta: StoryLetta;
  history: HistoryItem[] = [];
  /** The inputs whose turn began, in order. */
  readonly begun: { clientMessageId: string; content: string }[] = [];
  readonly answers: { requestId: string; behavior: string }[] = [];
  readonly queue: { clientMessageId: string; content: string }[] = [];
  /** An abort left the queue until more input comes (docs/letta-protocol.md, Queue and deduplication). */
  isPaused = false;
  readonly runs: Record<string, string[]> = {};
  running: Running | null = null;
  background = 0;
  link: StoryConnection | null = null;

  constructor(id: string, letta: StoryLetta) {
    this.id = id;
    this.letta = letta;
  }

  get loop(): LoopStatus {
    if (!this.running || this.running.isAborted) return 'idle';
    return this.running.asked ? 'waiting_on_approval' : 'busy';
  }

  emitEvents(...events: AgentEvent[]): void {
    if (this.link?.isUp) for (const event of events) this.link.emit(event);
  }

  emitLoop(): void {
    const activeRunIds = this.running ? [this.running.runId] : [];
    this.emitEvents({ type: 'loop', status: this.loop, activeRunIds, clientMessageIdsByRun: { ...this.runs } });
  }

  receive(input: { clientMessageId: string; content: string }): void {
    const busy = this.running?.clientMessageId === input.clientMessageId;
    if (busy || this.queue.some((waiting) => waiting.clientMessageId === input.clientMessageId)) return;
    this.queue.push(input);
    this.isPaused = false;
    if (this.running) this.emitQueue();
    this.beginNext();
  }

  resumeQueue(): void {
    this.isPaused = false;
    this.beginNext();
  }

  emitQueue(): void {
    const clientMessageIds = this.queue.map(({ clientMessageId }) => clientMessageId);
    this.emitEvents({ type: 'queue', clientMessageIds, paused: this.isPaused ? clientMessageIds : [] });
  }

  beginNext(): void {
    if (this.running || this.isPaused) return;
    const input = this.queue.shift();
    if (!input) return;
    this.emitQueue();
    this.begin(input);
  }

  begin(input: { clientMessageId: string; content: string } | null): void {
    const id = this.letta.count();
    const runId = `run-${id}`;
    const left = 1 + Math.floor(this.letta.random() * 4);
    const clientMessageId = input?.clientMessageId ?? null;
    this.running = { clientMessageId, runId, text: '', asked: null, isAborted: false, timer: null, left };
    if (input) {
      this.begun.push(input);
      this.runs[runId] = [input.clientMessageId];
    }
    const text = input ? 'x' : '<task-notification>x</task-notification>';
    this.history.push({ kind: 'user', id: `u-${id}`, clientMessageId: clientMessageId ?? `cm-q-${id}`, text });
    this.emitLoop();
    if (!input) this.emitEvents({ type: 'user-message', clientMessageId: `cm-q-${id}`, automatic: true });
    this.scheduleStep();
  }

  scheduleStep(): void {
    const { running } = this;
    if (running) running.timer = this.letta.clock.after(50 + this.letta.random() * 1_500, () => this.runStep());
  }

  runStep(): void {
    const { running } = this;
    if (!running) return;
    running.timer = null;
    running.left -= 1;
    if (running.isAborted) this.end('cancelled');
    else if (running.left <= 0) this.end(this.letta.random() < 0.1 ? 'error' : 'end_turn');
    else if (!running.asked) this.continueRun(running);
  }

  continueRun(running: Running): void {
    if (this.letta.random() < 0.35) {
      const requestId = `perm-${this.letta.count()}`;
      const input = { command: `touch ${requestId}` };
      running.asked = { requestId, callId: null, tool: 'Bash', input, diffs: [], suggestions: [], questions: null };
      this.emitLoop();
      this.emitEvents({ type: 'approval-asked', request: running.asked });
      return;
    }
    const text = `word${this.letta.count()} `;
    running.text += text;
    this.emitEvents({ type: 'text', runId: running.runId, messageId: `m-${running.runId}`, text });
    this.scheduleStep();
  }

  end(stopReason: string): void {
    const { running } = this;
    if (!running) return;
    const wasIdle = this.loop === 'idle';
    this.stopWorking();
    if (!wasIdle) this.emitLoop();
    const error = stopReason === 'error' ? 'model is down' : null;
    this.emitEvents({ type: 'turn-ended', runId: running.runId, stopReason, error });
    this.beginNext();
  }

  /** Ends the running turn without telling the listener; its text stays in the history. */
  stopWorking(): void {
    const { running } = this;
    if (!running) return;
    running.timer?.cancel();
    if (running.text !== '') this.history.push({ kind: 'assistant', id: `m-${running.runId}`, text: running.text });
    this.running = null;
  }

  abort(): boolean {
    const { running } = this;
    if (!running || running.isAborted) return false;
    running.isAborted = true;
    running.asked = null;
    this.emitLoop();
    this.emitEvents({ type: 'approvals-open', requestIds: [] });
    this.isPaused = this.queue.length > 0;
    this.emitQueue();
    running.timer?.cancel();
    // The model's next chunk may take seconds (docs/letta-protocol.md, Errors).
    running.timer = this.letta.clock.after(this.letta.random() * 8_000, () => this.runStep());
    return true;
  }

  answer(requestId: string, behavior: string): boolean {
    const { running } = this;
    if (running?.asked?.requestId !== requestId) return false;
    this.answers.push({ requestId, behavior });
    running.asked = null;
    this.emitEvents({ type: 'approvals-open', requestIds: [] });
    this.emitLoop();
    this.scheduleStep();
    return true;
  }

  /** What comes while the summary is written is lost (docs/letta-protocol.md, Compaction). */
  compact(): Promise<Compacted> {
    const before = [...this.history];
    const kept = before.slice(Math.ceil(before.length * 0.3)).filter(({ kind }) => kind !== 'summary');
    return new Promise((resolve) => {
      this.letta.clock.after(500 + this.letta.random() * 30_000, () => {
        this.history = [{ kind: 'summary', id: `s-${this.letta.count()}` }, ...kept];
        resolve({ messages: { before: before.length, after: this.history.length } });
      });
    });
  }

  setBackground(running: number): void {
    if (this.background === running) return;
    this.background = running;
    this.emitEvents({ type: 'background', tasks: this.tasks });
  }

  get tasks(): BackgroundTask[] {
    return Array.from({ length: this.background }, (_, at) => ({
      ...{ id: `bash_${at + 1}`, process: `bash_${at + 1}` },
      ...{ kind: 'monitor', what: 'sleep 60', runtime: null },
    }));
  }

  /** The only listener's socket closed, which may end the turn (docs/letta-protocol.md, Loss and restart). */
  loseListener(): void {
    this.link = null;
    if (!this.letta.turnsDieWithLink) return;
    this.stopWorking();
    this.queue.length = 0;
    this.isPaused = false;
  }
}

/**
 * A consistent Letta for random tests: a history with ids, turns that survive or die with the link, one answer per request.
 */
export class StoryLetta implements AgentGateway {
  readonly clock: FakeClock;
  readonly random: () => number;
  readonly turnsDieWithLink: boolean;
  readonly conversations = new Map<string, Conversation>();
  readonly connections: StoryConnection[] = [];
  isReachable = true;
  /** The chance that a request, or its answer, is lost with the link; half of it again that a request is refused. */
  faults = 0;
  #count = 0;

  constructor(clock: FakeClock, random: () => number, turnsDieWithLink: boolean) {
    this.clock = clock;
    this.random = random;
    this.turnsDieWithLink = turnsDieWithLink;
  }

  count(): number {
    this.#count += 1;
    return this.#count;
  }

  conversation(id: string | null): Conversation {
    const known = id === null ? undefined : this.conversations.get(id);
    if (known) return known;
    const fresh = new Conversation(id ?? `conv-${this.count()}`, this);
    this.conversations.set(fresh.id, fresh);
    return fresh;
  }

  connect(options: ConnectOptions, onEvent: Emit): AgentConnection {
    const connection = new StoryConnection(this, options, onEvent);
    this.connections.push(connection);
    return connection;
  }
}

const lost = (certain: boolean) => new BridgeError('link_lost', 'the link was lost', { certain, retry: true });

class StoryConnection implements AgentConnection {
  readonly emit: Emit;
  readonly #letta: StoryLetta;
  #conversation: Conversation | null = null;
  #wanted: string | null;
  #waiting = new Set<(error: Error) => void>();
  #wasEverReady = false;
  isUp = false;
  closed = false;

  constructor(letta: StoryLetta, options: ConnectOptions, onEvent: Emit) {
    this.#letta = letta;
    this.#wanted = options.runtime?.conversationId ?? null;
    this.emit = (event) => {
      if (!this.closed) onEvent(event);
    };
    letta.clock.after(letta.random() * 300, () => this.#dial());
  }

  #dial(): void {
    const letta = this.#letta;
    if (this.closed || this.isUp) return;
    if (!letta.isReachable) {
      this.emit({ type: 'unavailable', code: 'letta_unreachable', notice: 'Away.', retryInMs: 2_000 });
      letta.clock.after(2_000, () => this.#dial());
      return;
    }
    const conversation = letta.conversation(this.#wanted);
    this.#wanted = conversation.id;
    this.#conversation = conversation;
    conversation.link = this;
    this.isUp = true;
    this.emit({
      type: 'ready',
      runtime: { agentId: 'agent-1', conversationId: conversation.id, deviceId: null },
      deviceName: null,
      workingDirectory: '/project',
      loop: conversation.loop,
      activeRunIds: conversation.running ? [conversation.running.runId] : [],
      clientMessageIdsByRun: { ...conversation.runs },
      approvals: conversation.running?.asked ? [conversation.running.asked] : [],
      reconnected: this.#wasEverReady,
    });
    this.#wasEverReady = true;
    conversation.emitEvents({ type: 'background', tasks: conversation.tasks });
  }

  alignSchedules(wanted: readonly Schedule[]): Promise<SeenSchedule[]> {
    return this.#request(() => wanted.map(({ id, wanted: state }) => ({ id, state, lastFiredAt: null })));
  }

  runSchedule(): Promise<boolean> {
    return this.#request(() => true);
  }

  lose(): void {
    if (!this.isUp) return;
    this.isUp = false;
    this.#conversation?.loseListener();
    this.emit({ type: 'lost', reason: 'closed' });
    for (const reject of [...this.#waiting]) reject(lost(false));
    this.#waiting.clear();
    if (!this.closed) this.#letta.clock.after(200 + this.#letta.random() * 1_500, () => this.#dial());
  }

  /** Sends a request and waits for its answer; the link may break on the way there or back. */
  restoreMode(): void {}

  #request<Answer>(work: (conversation: Conversation) => Answer): Promise<Answer> {
    const { clock, random, faults } = this.#letta;
    if (!this.isUp) return Promise.reject(lost(true));
    if (random() < faults / 2) return Promise.reject(new BridgeError('letta_unreachable', 'too many', { retry: true }));
    const luck = random();
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      const done = (settle: () => void) => {
        this.#waiting.delete(reject);
        settle();
      };
      clock.after(random() * 200, () => {
        if (!this.#waiting.has(reject)) return;
        if (luck < faults) return this.lose();
        const { isUp } = this;
        const answer = this.#conversation && isUp ? work(this.#conversation) : null;
        if (luck < faults * 2) return this.lose();
        clock.after(random() * 200, () => {
          if (this.#waiting.has(reject)) done(() => resolve(answer as Answer));
        });
      });
    });
  }

  submit({ clientMessageId, content }: { clientMessageId: string; content: InputContent }): Promise<void> {
    const input = { clientMessageId, content: textOfInput(content) };
    return this.#request((conversation) => conversation.receive(input));
  }

  join(input: { clientMessageId: string; content: InputContent }): Promise<void> {
    return this.submit(input);
  }

  withdraw(clientMessageId: string): Promise<boolean> {
    return this.#request((conversation) => {
      const { queue } = conversation;
      const at = queue.findIndex((waiting) => waiting.clientMessageId === clientMessageId);
      if (at >= 0) queue.splice(at, 1);
      if (at >= 0) conversation.emitQueue();
      return at >= 0;
    });
  }

  resumeQueue(): Promise<void> {
    return this.#request((conversation) => conversation.resumeQueue());
  }

  answerCall(): boolean {
    return this.isUp;
  }

  async writeFile(): Promise<boolean> {
    return true;
  }

  async readFile(): Promise<string | null> {
    return null;
  }

  async readBytes(): Promise<DeviceFile> {
    return { refused: 'missing', most: 0 };
  }

  answer(requestId: string, decision: { behavior: string }): Promise<'accepted' | 'gone'> {
    return this.#request((conversation) => (conversation.answer(requestId, decision.behavior) ? 'accepted' : 'gone'));
  }

  abort(): Promise<{ aborted: boolean }> {
    return this.#request((conversation) => ({ aborted: conversation.abort() }));
  }

  endTask(): Promise<{ ended: boolean }> {
    return this.#request((conversation) => {
      conversation.setBackground(Math.max(0, conversation.background - 1));
      return { ended: true };
    });
  }

  settle(): Promise<void> {
    return this.#request(() => undefined);
  }

  async compact(): Promise<Compacted> {
    const { done } = await this.#request((conversation) => ({ done: conversation.compact() }));
    return new Promise((resolve, reject) => {
      if (!this.isUp) return reject(lost(false));
      this.#waiting.add(reject);
      void done.then((compacted) => {
        this.#waiting.delete(reject);
        resolve(compacted);
      });
    });
  }

  runCommand(): Promise<CommandEnd> {
    return this.#request(() => ({ ok: true, output: '' }));
  }

  fork(id: string): Promise<StoredRuntime> {
    return this.#request((conversation) => {
      const copy = this.#letta.conversation(`copy-${id}`);
      if (copy.history.length === 0) copy.history = [...conversation.history];
      return { agentId: 'agent-1', conversationId: copy.id, deviceId: null };
    });
  }

  fetchHistory(limit: number): Promise<HistoryItem[]> {
    return this.#request((conversation) => conversation.history.slice(-limit));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { isUp } = this;
    this.isUp = false;
    for (const reject of [...this.#waiting]) reject(lost(false));
    this.#waiting.clear();
    if (isUp) this.#conversation?.loseListener();
  }
}
