import type { VirtualClock } from './clock.ts';
import type { Chance } from './random.ts';

type Json = Record<string, unknown>;

export interface ToolCall {
  id: string;
  name: string;
  input: Json;
}

/** What the agent really said and did in one turn, whether or not anybody received it. */
export interface TruthTurn {
  n: number;
  conversation: string;
  /** `client`: no one but another client asked. */
  origin: 'people' | 'agent' | 'client';
  clientIds: string[];
  /** Ids of the schedules that began it, or are a part of its input. */
  firings?: string[];
  /** Messages of people that it was given to answer. */
  carried: string[];
  /**
   * In the order in which they were said. A retry makes a piece void; `wasVoidHeard`: the bridge received that retry.
   */
  pieces: { runId: string; messageId: string; words: string[]; void: boolean; wasVoidHeard?: boolean }[];
  /** Number of words said before input joined the turn: they answer no message. */
  wordsBefore: number;
  startedAt: number;
  endedAt: number | null;
  /** `lost`: its process or its last listener went away. */
  end: 'end_turn' | 'cancelled' | 'error' | 'lost' | null;
  /** Whether the bridge received the end. */
  wasEndHeard?: boolean;
}

export interface TurnInput {
  origin: 'direct' | 'queue';
  notification: boolean;
  messages: { clientId: string; content: string; tie?: string }[];
}

interface Run {
  id: string;
  seq: number;
  messageId: string;
  piece: TruthTurn['pieces'][number] | null;
  text: string;
}

const isOfBridge = ({ name }: ToolCall) => name.startsWith('slack_');

type Decision = { allow: boolean; message: string; input: Json | null };

/** What a turn needs of the conversation that it is in. */
export interface TurnHost {
  readonly host: { clock: VirtualClock; chance: Chance; nextRun(): string; nextItem(): string };
  /** The run that was heard of last. */
  readonly lastRun: string | null;
  emitDelta(delta: Json): void;
  setLoop(status: string, runs?: readonly string[], executing?: readonly string[]): void;
  showDevice(): void;
  addToHistory(item: Json): void;
  tieRun(runId: string, clientIds: readonly string[]): void;
  /** What waits in the queue and joins the turn. */
  takeQueued(): TurnInput['messages'];
  endBackground(): void;
  askPerson(turn: SimTurn, call: ToolCall): Promise<Decision>;
  /** A tool of the bridge; the promise waits for its answer, up to 300 s. */
  callBridge(call: ToolCall): Promise<{ text: string; isError: boolean }>;
  finishTurn(turn: SimTurn, reason: string, runId: string | null, error: string | null): void;
}

/**
 * One turn of the agent, by chance: text, tools, consent, retries, errors; its frames as docs/letta-protocol.md,
 * Deltas; Errors has them.
 */
export class SimTurn {
  readonly truth: TruthTurn;
  readonly input: TurnInput;
  readonly #conversation: TurnHost;
  #isOver = false;
  wasCancelled = false;
  #run: Run | null = null;
  readonly #pace: number;
  readonly #length: number;
  #lastCall: string | null = null;
  readonly #calls: Chance;
  #isCalling = false;

  constructor(conversation: TurnHost, input: TurnInput, truth: TruthTurn) {
    this.#conversation = conversation;
    this.input = input;
    this.truth = truth;
    const { chance } = conversation.host;
    this.#calls = chance.forkStream(`calls ${truth.n}`);
    this.#pace = chance.happens(0.15) ? chance.between(2, 20) : chance.between(0.2, 1.5);
    this.#length = chance.happens(0.05) ? 2 + chance.intBelow(20) : 1;
  }

  /**
   * What it was told where it shall end what runs in the background, and do nothing else: with its first input, or with
   * one that joined it (docs/letta-protocol.md, Queue and deduplication).
   */
  get endsTasks(): string | null {
    const told = this.input.messages.find(({ content }) => content.startsWith('Someone in Slack pressed Stop'));
    return told?.content ?? null;
  }

  async run(): Promise<void> {
    const conversation = this.#conversation;
    const { chance } = conversation.host;
    conversation.setLoop('SENDING_API_REQUEST');
    conversation.showDevice();
    await this.#pause(30);
    conversation.setLoop('WAITING_FOR_API_RESPONSE');
    const rounds = chance.intBelow(this.endsTasks === null ? 4 : 3);
    for (let round = 0; ; round += 1) {
      await this.#speakRun(round >= rounds);
      const luck = chance.next();
      // A model that never answers again: only a stop ends the turn. Nobody here stops what another client asked.
      if (luck > 0.996 && this.truth.origin !== 'client') return this.#whileAlive(new Promise<void>(() => undefined));
      if (luck < 0.06) {
        await this.#retryRun();
        continue;
      }
      if (luck < 0.1) return this.#failTurn();
      if (round >= rounds) {
        if (this.endsTasks !== null) conversation.endBackground();
        this.#stopRun('end_turn');
        return this.#finishTurn('end_turn');
      }
      await this.#useTools();
    }
  }

  /** Ends the turn without events: its process or last listener is gone. */
  dropSilently(keepsPartial: boolean): void {
    this.#isOver = true;
    if (keepsPartial) this.#storeText();
    this.truth.end ??= 'lost';
    this.truth.endedAt ??= this.#conversation.host.clock.now();
  }

  /** The model goes on until its next chunk; only then the turn has ended (docs/letta-protocol.md, Errors). */
  cancel(): void {
    const { chance, clock } = this.#conversation.host;
    this.wasCancelled = true;
    // It ends when the bridge answers the call (docs/letta-protocol.md, External tools: loss).
    if (this.#isCalling) return;
    this.#isOver = true;
    const ms = chance.happens(0.3) ? chance.between(500, 7_000) : chance.between(5, 200);
    clock.after(ms, () => {
      if (this.truth.end === null) this.#finishTurn('cancelled');
    });
  }

  // ---- speaking --------------------------------------------------------------------------------

  async #speakRun(mustSay: boolean): Promise<void> {
    const { host } = this.#conversation;
    const { chance } = host;
    const run: Run = { id: host.nextRun(), seq: 0, messageId: host.nextItem(), piece: null, text: '' };
    this.#run = run;
    await this.#pause(chance.happens(0.1) ? 4_000 : 150);
    this.#conversation.tieRun(run.id, this.truth.clientIds);
    this.#conversation.setLoop('PROCESSING_API_RESPONSE', [run.id]);
    if (chance.happens(0.3)) {
      this.#emitDelta({ id: `${run.messageId}:reasoning:0`, message_type: 'reasoning_message', reasoning: 'hm' });
      await this.#pause(100);
    }
    const chunks = mustSay && chance.happens(0.95) ? 1 + chance.intBelow(6) : chance.intBelow(4);
    for (let chunk = 0; chunk < chunks * this.#length; chunk += 1) {
      this.#sayWords(run);
      await this.#pause(chance.happens(0.05) ? 1_500 : 60);
    }
  }

  #sayWords(run: Run): void {
    const { chance } = this.#conversation.host;
    const { pieces, n } = this.truth;
    run.piece ??= { runId: run.id, messageId: run.messageId, words: [], void: false };
    if (!pieces.includes(run.piece)) pieces.push(run.piece);
    const count = 1 + chance.intBelow(3);
    let text = '';
    for (let word = 0; word < count; word += 1) {
      const name = `t${n}w${pieces.reduce((sum, piece) => sum + piece.words.length, 0)}z`;
      run.piece.words.push(name);
      const gap = run.text === '' && text === '' ? '' : chance.happens(0.1) ? '\n\n' : ' ';
      text += `${gap}${name}${this.#length > 1 ? ' and so on'.repeat(30) : ''}`;
    }
    run.text += text;
    this.#emitDelta({ id: run.messageId, message_type: 'assistant_message', content: [{ type: 'text', text }] });
  }

  #stopRun(reason: string): void {
    const run = this.#run;
    if (!run) return;
    this.#emitDelta({ message_type: 'usage_statistics', prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 });
    this.#emitDelta({ message_type: 'stop_reason', stop_reason: reason });
    this.#storeText();
    this.#run = null;
  }

  /** What was said goes into the history. */
  #storeText(): void {
    const run = this.#run;
    if (!run?.piece || run.piece.void) return;
    this.#conversation.addToHistory({
      id: run.messageId,
      message_type: 'assistant_message',
      content: [{ type: 'text', text: run.text }],
    });
    this.#run = null;
  }

  async #retryRun(): Promise<void> {
    const run = this.#run;
    if (!run) return;
    if (run.piece) run.piece.void = true;
    const message = 'terminated';
    this.#emitDelta({ message_type: 'error_message', message, error_type: 'llm_api_error', retryable: true });
    this.#emitDelta({ message_type: 'stop_reason', stop_reason: 'llm_api_error' });
    const retry = { message: 'Unexpected error, retrying...', reason: 'llm_api_error', attempt: 1, max_attempts: 3 };
    this.#emitLifecycle('retry', { ...retry, delay_ms: 1_000 });
    this.#run = null;
    await this.#pause(700);
  }

  #failTurn(): void {
    const run = this.#run;
    const message = 'the model is down';
    this.#emitLifecycle('loop_error', { message, stop_reason: 'error', is_terminal: false });
    if (run) {
      this.#emitDelta({ message_type: 'error_message', message, error_type: 'local_backend_error', detail: message });
      this.#emitDelta({ message_type: 'stop_reason', stop_reason: 'error' });
    }
    this.#finishTurn('error', message);
  }

  #emitDelta(fields: Json): void {
    const run = this.#run;
    if (!run) return;
    run.seq += 1;
    this.#conversation.emitDelta({ ...fields, run_id: run.id, seq_id: run.seq, type: 'message' });
  }

  #emitLifecycle(messageType: string, fields: Json): void {
    const id = `lifecycle-${this.#conversation.host.nextItem()}`;
    const run = this.#run ?? null;
    this.#conversation.emitDelta({ id, message_type: messageType, ...(run ? { run_id: run.id } : {}), ...fields });
  }

  // ---- tools -----------------------------------------------------------------------------------

  async #useTools(): Promise<void> {
    const conversation = this.#conversation;
    const { host } = conversation;
    const { chance } = host;
    const run = this.#run;
    if (!run) return;
    const calls: ToolCall[] = [];
    for (let count = chance.happens(0.25) ? 2 : 1; count > 0; count -= 1) calls.push(this.#nextCall(calls));
    for (const call of calls) {
      const toolCall = { tool_call_id: call.id, name: call.name, arguments: JSON.stringify(call.input) };
      this.#emitDelta({ id: host.nextItem(), message_type: 'approval_request_message', tool_call: toolCall });
    }
    this.#stopRun('requires_approval');
    for (const call of calls) {
      const toolCall = { tool_call_id: call.id, name: call.name, arguments: JSON.stringify(call.input) };
      conversation.addToHistory({ id: host.nextItem(), message_type: 'approval_request_message', tool_call: toolCall });
    }
    this.#run = { ...run, piece: null, text: '' };
    const mustAsk = ({ name }: ToolCall) => name === 'AskUserQuestion' || this.endsTasks !== null;
    const asked = calls.filter((call) => (mustAsk(call) || chance.happens(0.6)) && !isOfBridge(call));
    this.#emitLifecycle('approval_classification_end', { user_input_tool_call_ids: asked.map((call) => call.id) });
    const decisions = new Map<ToolCall, Decision>();
    const results = new Map<ToolCall, { text: string; isError: boolean }>();
    for (const call of asked) {
      const decision = await this.#whileAlive(conversation.askPerson(this, call));
      decisions.set(call, decision);
    }
    const free: Decision = { allow: true, message: '', input: null };
    const going = calls.filter((call) => (decisions.get(call) ?? free).allow);
    if (going.length > 0) {
      conversation.setLoop(
        'EXECUTING_CLIENT_SIDE_TOOL',
        [run.id],
        going.map((call) => call.id),
      );
      for (const call of going) {
        const input = decisions.get(call)?.input ?? call.input;
        this.#emitLifecycle('client_tool_start', {
          tool_call_id: call.id,
          tool_name: call.name,
          tool_args: JSON.stringify(input),
        });
        if (isOfBridge(call)) {
          results.set(call, await this.#callBridge(call));
          continue;
        }
        await this.#pause(chance.happens(0.2) ? 3_000 : 80);
        if (chance.happens(0.4))
          this.#emitToolReturn(`synthetic-tool-return-stream-${call.id}`, call, 'success', 'so far');
      }
    }
    for (const call of calls) {
      const ran = going.includes(call) && results.get(call)?.isError !== true;
      this.#emitLifecycle('client_tool_end', { tool_call_id: call.id, status: ran ? 'success' : 'error' });
      const text = results.get(call)?.text ?? (ran ? 'made' : (decisions.get(call)?.message ?? ''));
      const id = host.nextItem();
      this.#emitToolReturn(id, call, ran ? 'success' : 'error', text);
      conversation.addToHistory({ id, message_type: 'tool_return_message', tool_call_id: call.id, name: call.name });
    }
    this.#run = null;
    const joined = conversation.takeQueued();
    this.input.messages.push(...joined);
    this.truth.clientIds.push(...joined.map(({ clientId, tie }) => tie ?? clientId));
    if (joined.length > 0)
      this.truth.wordsBefore = this.truth.pieces.reduce((sum, piece) => sum + piece.words.length, 0);
    conversation.setLoop('SENDING_API_REQUEST');
    await this.#pause(30);
    conversation.setLoop('WAITING_FOR_API_RESPONSE');
  }

  /** The model's ids are its own: now and then one comes twice. */
  #nextCall(others: readonly ToolCall[]): ToolCall {
    const { host } = this.#conversation;
    const again = this.#lastCall !== null && others.length === 0 && host.chance.happens(0.3);
    const id = again && this.#lastCall !== null ? this.#lastCall : `call_${host.nextItem()}`;
    this.#lastCall = id;
    const named = [...(this.endsTasks ?? '').matchAll(/"task_id":"([^"]+)"/g)].map(([, task = '']) => task);
    if (this.endsTasks !== null && host.chance.happens(0.5))
      return { id, name: 'TaskStop', input: { task_id: named[host.chance.intBelow(named.length)] ?? '' } };
    if (this.endsTasks === null && this.#calls.happens(0.2))
      return { id, name: 'slack_react', input: { emoji: `e${host.nextItem().replace(/\D/g, '')}z` } };
    const about = `perm${host.nextItem().replace(/\D/g, '')}z`;
    if (host.chance.happens(0.12)) {
      const option = (label: string) => ({ label, description: `it is ${label}` });
      const question = {
        question: `Which ${about}?`,
        header: 'Pick',
        multiSelect: false,
        options: [option('Blue'), option('Red')],
      };
      return { id, name: 'AskUserQuestion', input: { questions: [question] } };
    }
    return { id, name: 'Bash', input: { command: `touch ${about}`, description: 'scripted' } };
  }

  /** After an abort the turn ends with the answer. */
  #callBridge(call: ToolCall): Promise<{ text: string; isError: boolean }> {
    this.#isCalling = true;
    return new Promise((resolve) => {
      void this.#conversation.callBridge(call).then((result) => {
        this.#isCalling = false;
        if (this.#isOver) return;
        if (this.wasCancelled) this.#finishTurn('cancelled');
        else resolve(result);
      });
    });
  }

  #emitToolReturn(id: string, call: ToolCall, status: string, text: string): void {
    const run = this.#run;
    this.#conversation.emitDelta({
      type: 'message',
      message_type: 'tool_return_message',
      id,
      ...(run ? { run_id: run.id } : {}),
      status,
      tool_call_id: call.id,
      tool_return: text,
      tool_returns: [{ tool_call_id: call.id, status, tool_return: text }],
    });
  }

  // ---- the end ---------------------------------------------------------------------------------

  #finishTurn(reason: 'end_turn' | 'cancelled' | 'error', error?: string): void {
    this.#isOver = true;
    const lastRun = this.truth.pieces.at(-1)?.runId ?? this.#run?.id ?? null;
    this.truth.end = reason;
    this.truth.endedAt = this.#conversation.host.clock.now();
    this.#conversation.finishTurn(this, reason, this.#conversation.lastRun ?? lastRun, error ?? null);
    if (error) {
      this.#run = null;
      this.#emitLifecycle('loop_error', { message: error, stop_reason: 'error', is_terminal: true });
    }
  }

  #pause(ms: number): Promise<void> {
    const { clock, chance } = this.#conversation.host;
    return this.#whileAlive(
      new Promise((resolve) => void clock.after(ms * this.#pace * chance.between(0.3, 1.7), resolve)),
    );
  }

  /** Never resolves once the turn is over, so that the turn does not continue. */
  #whileAlive<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      void promise.then((value) => {
        if (!this.#isOver) resolve(value);
      });
    });
  }
}
