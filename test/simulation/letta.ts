import { deviceLane } from '../../src/letta/devices/device.ts';
import type { AcceptedSocket, DeviceDoor } from '../../src/letta/devices/devices.ts';
import type { FetchLike } from '../../src/letta/hosted-api.ts';
import type { LaneDialer } from '../../src/letta/link/lane.ts';
import type { VirtualClock } from './clock.ts';
import { type Host, namesIn, SimConversation } from './letta-conversation.ts';
import { SimLane } from './letta-lane.ts';
import type { TruthTurn } from './letta-turn.ts';
import type { Life } from './life.ts';
import type { Chance } from './random.ts';
import type { SimSchedules } from './schedules.ts';
import type { Story } from './story.ts';
import type { TruthCall } from './tools.ts';

type Json = Record<string, unknown>;

/** `device`: it dials the bridge, and all its conversations share its one socket. */
export type LettaKind = 'app-server' | 'hosted' | 'device';

const AGENT = 'agent-1';
const DEVICE = 'device-1';
/** What is late comes within the time after which it is looked for once more. */
const LATE_MS = 9_500;
/** How long Letta waits for the result of a tool of the bridge. */
const CALL_MS = 300_000;
/**
 * What a device sends on its control socket; all else goes on the stream (docs/letta-protocol.md, Hosted: what the
 * device tells the relay).
 */
const isControl = (type: string) => !['stream_delta'].includes(type) && !type.startsWith('update_');

export interface LettaFaults {
  /** Chance that a request is answered late, or never. */
  deaf: number;
  /** ms by which one of the device's two sockets may be behind the other. */
  skew: number;
  /** Chance that a frame is delivered twice. */
  twice: number;
  /** Chance that a REST call fails. */
  rest: number;
  /** Hosted: chance that a message is on its way for seconds, while the socket that it came by is gone. */
  held: number;
  /** Hosted: chance that the device's sockets break at a frame; this and what follows for a while is lost. */
  torn: number;
}

export const noFaults: LettaFaults = { deaf: 0, skew: 0, twice: 0, rest: 0, held: 0, torn: 0 };

/** Letta at the level of lanes and frames: an App Server, a device behind the hosted relay, or one that dials. */
export class SimLetta implements Host {
  readonly kind: LettaKind;
  readonly clock: VirtualClock;
  readonly chance: Chance;
  readonly story: Story;
  readonly truth: TruthTurn[] = [];
  readonly decisions: Host['decisions'] = [];
  readonly conversations = new Map<string, SimConversation>();
  readonly lanes = new Set<SimLane>();
  /** Every lane that the bridge has opened, whether its end is still held. */
  readonly dialled = new Set<{ readonly isHeld: boolean }>();
  /** Conversations of the lanes that the bridge holds over the device's socket. */
  readonly #shared = new Set<{ heard: Set<string> }>();
  /** Where the device dials; `null`: no bridge runs. */
  #door: { life: Life; devices: DeviceDoor } | null = null;
  faults: LettaFaults = { ...noFaults };
  mayRunAgain: Host['mayRunAgain'] = () => false;
  mayHearAgain: Host['mayHearAgain'] = () => false;
  isAskedLater: Host['isAskedLater'] = () => false;
  onTaken: Host['onTaken'] = () => undefined;
  /** When a message came into Letta's queue, behind what runs (ms since 1970). */
  readonly queuedAt = new Map<string, number>();
  /** Called with the conversation of a turn that is about to tell that it has ended. */
  onEnding: (conversation: string) => void = () => undefined;
  /** Called with the conversation of a call that was lost on its way to the bridge. */
  onCallLost: (conversation: string) => void = () => undefined;
  /** Of a stream of its own: how often a call of a tool of the bridge is lost on its way. */
  readonly #losing: Chance;
  readonly #losesCalls: number;
  /** The same: how often its data is lost while a request waits, with its process. */
  readonly #wiping: Chance;
  readonly #wipesOften: number;
  /** The same: how often a request comes to mean something else while people look at it. */
  readonly #changing: Chance;
  readonly #changesOften: number;
  #made = 0;
  /** Every call of a tool of the bridge. */
  readonly calls: TruthCall[] = [];
  readonly #openCalls = new Map<string, (result: { text: string; isError: boolean }) => void>();
  /** The last time that its process was away, in ms since 1970. */
  away = { from: 0, to: 0 };
  /** When the device last came back to its router, in ms since 1970. */
  routedAt = 0;
  /** Chance that it stays away for many minutes. */
  longAway = 0;
  /** Hosted: how the next turn ends is lost with the device's sockets, while those of clients stay. */
  losesNextEnd = false;
  /** A device of before `runtime_start`: it is driven by `sync`. */
  readonly knowsStart: boolean;
  /** The process runs. */
  #isUp = true;
  /** Hosted: the device's own sockets to the router are there. */
  #isRouted = true;
  #lease = 1;
  #eventSeq = 0;
  #runs = 0;
  #items = 0;
  #turns = 0;
  /** When the last frame of each of the device's sockets reaches the router. */
  readonly #routedAt = { control: 0, stream: 0 };

  readonly schedules: SimSchedules;

  constructor(
    kind: LettaKind,
    knowsStart: boolean,
    clock: VirtualClock,
    chance: Chance,
    story: Story,
    schedules: SimSchedules,
  ) {
    this.schedules = schedules;
    schedules.queueAt = (id, content) => this.#fireSchedule(id, content);
    this.kind = kind;
    this.knowsStart = knowsStart;
    this.clock = clock;
    this.chance = chance;
    this.story = story;
    this.#losing = chance.forkStream('lost calls');
    this.#losesCalls = kind !== 'app-server' && this.#losing.happens(0.15) ? 0.5 : 0;
    this.#changing = chance.forkStream('changed requests');
    this.#changesOften = this.#changing.happens(0.1) ? 0.5 : 0;
    this.#wiping = chance.forkStream('wiped');
    // Behind the hosted relay conversations are kept elsewhere, and schedules go with their conversation.
    this.#wipesOften = kind !== 'hosted' && !schedules.isUsed && this.#wiping.happens(0.2) ? 0.3 : 0;
  }

  nextRun(): string {
    this.#runs += 1;
    return `local-run-${this.#runs}`;
  }

  nextItem(): string {
    this.#items += 1;
    return `ui-msg-${this.#items}`;
  }

  nextTurn(): number {
    this.#turns += 1;
    return this.#turns;
  }

  get connectionId(): string {
    return `conn-${this.#lease}`;
  }

  // ---- lanes -----------------------------------------------------------------------------------

  dialFor(life: Life): LaneDialer {
    return (endpoint, handlers) => {
      const { clock, chance } = this;
      const lane = new SimLane({
        life,
        clock,
        chance,
        endpoint,
        handlers,
        onReceive: (from, frame) => this.#receiveFrame(from, frame),
        onHeard: (frame) => this.#noteHeard(frame),
        onGone: (from) => this.#removeLane(from),
      });
      this.dialled.add(lane);
      clock.after(chance.between(5, 60), () => this.#acceptLane(lane));
      return { send: (text) => lane.send(text), close: () => lane.close() };
    };
  }

  /** A bridge runs that devices can dial. */
  openDoor(life: Life, devices: DeviceDoor) {
    this.#door = { life, devices };
    // While nobody answered, the device has waited longer each time.
    this.#dialBridge(this.chance.between(20, 3_000));
  }

  /** The same dialler, which also notes which conversations the bridge listens to. */
  noteShared(life: Life, dial: LaneDialer): LaneDialer {
    return (endpoint, handlers) => {
      const { runtime } = endpoint;
      const heard = new Set<string>(runtime ? [runtime.conversationId] : []);
      const entry = { heard };
      const held = { isHeld: true };
      this.#shared.add(entry);
      this.dialled.add(held);
      const end = () => {
        held.isHeld = false;
        this.#shared.delete(entry);
        life.offCut(end);
      };
      life.onCut(end);
      const lane = dial(endpoint, {
        ...handlers,
        onClose(loss) {
          end();
          handlers.onClose(loss);
        },
      });
      return {
        send(text, requestId) {
          const { runtime: named } = JSON.parse(text) as { runtime?: { conversation_id: string } };
          if (named) heard.add(named.conversation_id);
          lane.send(text, requestId);
        },
        close() {
          end();
          lane.close();
        },
      };
    };
  }

  #dialBridge(ms: number) {
    const door = this.#door;
    if (door === null) return;
    this.clock.after(ms, () => {
      // Another try was faster, or the process is away, or the bridge.
      if (this.#isUp && this.lanes.size === 0 && !door.life.isOver) this.#joinBridge(door.life, door.devices);
    });
  }

  #joinBridge(life: Life, devices: DeviceDoor) {
    const { clock, chance } = this;
    let accepted: AcceptedSocket | null = null;
    const lane: SimLane = new SimLane({
      life,
      clock,
      chance,
      endpoint: deviceLane(DEVICE, null),
      handlers: {
        onOpen() {
          const socket = { send: (text: string) => lane.send(text), close: () => lane.loseLane() };
          accepted = devices.accept({ id: DEVICE, name: 'studio' }, socket);
        },
        onMessage: (text) => accepted?.onMessage(text),
        onClose: (loss) => accepted?.onClose(loss),
      },
      onReceive: (from, frame) => this.#receiveFrame(from, frame),
      onHeard: (frame) => this.#noteHeard(frame),
      onGone: (from) => {
        this.lanes.delete(from);
        // It dials again at once.
        this.#dialBridge(chance.between(1, 60));
      },
    });
    this.lanes.add(lane);
    lane.openLane();
    this.routedAt = clock.now();
    for (const conversation of this.conversations.values()) {
      conversation.showIfBusy();
      conversation.showOpenRequest();
      conversation.runQueue();
    }
  }

  #noteHeard(frame: Json) {
    if (frame.type === 'stream_delta') this.#heardRetry(frame);
    if (frame.type === 'turn_finished') this.#heardEnd(frame);
    const { conversation_id: id } = (frame.runtime ?? {}) as Json;
    if (frame.type === 'update_queue') this.conversations.get(String(id))?.noteHeardQueue(frame);
    if (frame.type !== 'control_request') return;
    this.conversations.get(String(id))?.noteHeardRequest(JSON.stringify(frame.request));
  }

  #heardRetry(frame: Json) {
    const { message_type: type, run_id: run } = frame.delta as Json;
    const { conversation_id: id } = frame.runtime as Json;
    if (type !== 'retry') return;
    for (const { conversation, pieces } of this.truth) {
      for (const piece of pieces)
        if (conversation === id && piece.runId === run && piece.void) piece.wasVoidHeard = true;
    }
  }

  #heardEnd(frame: Json) {
    const { conversation_id: id } = frame.runtime as Json;
    const ended = this.truth.filter(({ conversation, end }) => conversation === id && end !== null);
    const turn = ended.findLast(({ pieces }) => pieces.some(({ runId }) => runId === frame.run_id)) ?? ended.at(-1);
    if (turn) turn.wasEndHeard = true;
  }

  #acceptLane(lane: SimLane) {
    if (lane.isGone) return;
    if (this.kind === 'app-server') {
      if (!this.#isUp) return lane.refuseLane({ kind: 'unreachable', text: 'ECONNREFUSED' });
    } else {
      const connection = /environments\/([^/]+)\/status/.exec(lane.url.pathname)?.[1];
      if (connection !== this.connectionId || !this.#isUp)
        return lane.refuseLane({ kind: 'refused', status: 404, text: '' });
    }
    this.lanes.add(lane);
    lane.openLane();
    for (const conversation of this.conversations.values()) conversation.runQueue();
  }

  #removeLane(lane: SimLane) {
    this.lanes.delete(lane);
    if (this.kind !== 'app-server') return;
    for (const id of lane.subscribed) {
      const conversation = this.conversations.get(id);
      if (conversation && this.countListeners(conversation) === 0) conversation.dropTurn();
    }
  }

  hasOtherClients = false;
  /** Whether another client is connected to the conversation. */
  isUsedElsewhere: (conversation: SimConversation) => boolean = () => false;

  countListeners(conversation: SimConversation): number {
    if (this.kind !== 'app-server') return this.#isUp ? 1 : 0;
    const others = this.#isUp && this.isUsedElsewhere(conversation) ? 1 : 0;
    return others + [...this.lanes].filter((lane) => lane.subscribed.has(conversation.id)).length;
  }

  openCall(requestId: string, call: TruthCall, resolve: (result: { text: string; isError: boolean }) => void) {
    this.calls.push(call);
    this.#openCalls.set(requestId, (result) => {
      this.#openCalls.delete(requestId);
      call.told = result;
      resolve(result);
    });
    this.clock.after(CALL_MS, () => {
      if (!this.#openCalls.delete(requestId)) return;
      resolve({ text: 'External tool execution error: External tool call timed out', isError: true });
    });
  }

  /** Without an envelope, and never again by itself. */
  sendCall(conversation: SimConversation, frame: Json) {
    if (!this.#isUp) return;
    if (this.faults !== noFaults && this.#losing.happens(this.#losesCalls)) return this.#loseCall(conversation);
    if (this.kind === 'hosted') {
      if (this.#isRouted) this.#routeFrame(conversation.id, frame);
      return;
    }
    const lanes = [...this.lanes].filter((lane) => this.kind === 'device' || lane.subscribed.has(conversation.id));
    lanes[0]?.deliverFrame(frame);
  }

  /** The device's way to the bridge breaks as it asks; the model waits (docs/letta-protocol.md, External tools: loss). */
  #loseCall({ id }: SimConversation) {
    this.story.addLine('letta', `its call in ${id} is lost on the way`);
    if (this.kind === 'hosted') {
      if (this.#isRouted) this.#leaveRouter(this.#losing.between(1, 400));
    } else for (const lane of [...this.lanes]) lane.loseLane();
    this.onCallLost(id);
  }

  changesRequest(): boolean {
    return this.#changing.happens(this.#changesOften);
  }

  /** A request waits: now and then the process dies, and the folder with its conversations is gone. */
  onAsked() {
    if (!this.#wiping.happens(this.#wipesOften)) return;
    this.clock.after(this.#wiping.between(200, 6_000), () => {
      if (!this.#isUp || this.faults === noFaults) return;
      this.restartProcess();
      this.story.addLine('letta', 'its conversations are gone');
      this.conversations.clear();
    });
  }

  emitEvent(conversation: SimConversation, type: string, body: Json) {
    const { runtime } = conversation;
    if (this.kind === 'app-server') {
      for (const lane of this.lanes) {
        if (lane.subscribed.has(conversation.id)) this.#emitToLane(lane, runtime, type, body);
      }
      return;
    }
    if (this.kind === 'device') {
      const [lane] = this.lanes;
      if (!this.#isUp || !lane) return;
      this.#eventSeq += 1;
      return lane.deliverFrame(this.#envelope(type, body, runtime, this.#eventSeq));
    }
    // What the device says while its own socket is away is dropped without a trace (docs/letta-protocol.md, Envelope,
    // order, duplicates).
    if (!this.#isUp) return;
    if (this.chance.happens(this.faults.torn)) this.loseRouter();
    if (!this.#isRouted) return;
    this.#eventSeq += 1;
    this.#routeFrame(conversation.id, this.#envelope(type, body, runtime, this.#eventSeq));
  }

  /** To one listener; behind the relay there is no such thing. */
  #emitToLane(lane: SimLane, runtime: Json, type: string, body: Json) {
    lane.eventSeq += 1;
    lane.deliverFrame(this.#envelope(type, body, runtime, lane.eventSeq));
  }

  #envelope(type: string, body: Json, runtime: Json, eventSeq: number): Json {
    return {
      type,
      ...body,
      runtime,
      event_seq: eventSeq,
      emitted_at: new Date(this.clock.now()).toISOString(),
      idempotency_key: `${type}:${eventSeq}:${this.chance.id()}`,
    };
  }

  /** From the device over one of its two sockets to the router, and from there to every socket of the conversation. */
  #routeFrame(conversationId: string, frame: Json) {
    const { clock, chance, faults } = this;
    const which = isControl(String(frame.type)) ? 'control' : 'stream';
    const ms = chance.between(0, 5) + (chance.happens(0.2) ? chance.between(0, faults.skew) : 0);
    this.#routedAt[which] = Math.max(this.#routedAt[which], clock.now() + ms);
    clock.after(this.#routedAt[which] - clock.now(), () => {
      for (const lane of this.lanes) {
        const { searchParams } = lane.url;
        if (searchParams.get('conversationId') !== conversationId) continue;
        lane.seq += 1;
        const numbered = { ...frame, seq: lane.seq };
        lane.unacked.set(lane.seq, numbered);
        lane.deliverFrame(numbered);
        if (chance.happens(faults.twice)) lane.deliverFrame(numbered);
      }
    });
  }

  #sendReply(lane: SimLane, conversationId: string | null, frame: Json) {
    if (this.kind !== 'hosted') return lane.deliverFrame(frame);
    if (this.#isRouted && this.#isUp)
      this.#routeFrame(conversationId ?? String(lane.url.searchParams.get('conversationId')), frame);
  }

  // ---- frames that come ------------------------------------------------------------------------

  #receiveFrame(lane: SimLane, frame: Json) {
    if (this.kind === 'hosted') {
      if (frame.type === 'ack') return void lane.unacked.delete(Number(frame.seq));
      if (frame.type === 'ping') return lane.deliverFrame({ type: 'pong' });
      if (!this.#isRouted || !this.#isUp) return;
    }
    if (!this.#isUp) return;
    const { chance, clock, faults } = this;
    if (chance.happens(faults.deaf)) {
      this.story.addLine('letta', `does not hear ${String(frame.type)}`);
      return;
    }
    const isMessage = frame.type === 'input' && (frame.payload as Json | undefined)?.kind === 'create_message';
    const isHeld = this.kind === 'hosted' && isMessage && chance.happens(faults.held);
    // Frames of one socket keep their order: an input that came behind a sync of later would be taken for lost.
    const keepsOrder = isMessage && this.kind === 'app-server' && this.hasOtherClients;
    if (isHeld || (chance.happens(faults.deaf) && !keepsOrder)) {
      this.story.addLine('letta', `hears ${String(frame.type)} late`);
      const sentAt = clock.now();
      if (this.kind === 'hosted' && (isHeld || chance.happens(0.5))) lane.loseLane();
      clock.after(chance.between(500, LATE_MS), () => {
        // What the relay has taken comes to the device, whatever became of the client's socket.
        if (this.#isUp && (this.kind === 'hosted' || this.lanes.has(lane))) this.#handleFrame(lane, frame, sentAt);
      });
      return;
    }
    this.#handleFrame(lane, frame);
  }

  #handleFrame(lane: SimLane, frame: Json, sentAt = this.clock.now()) {
    const { request_id } = frame;
    switch (frame.type) {
      case 'external_tool_call_response': {
        const { content = [], is_error } = (frame.result ?? {}) as {
          content?: { text?: string }[];
          is_error?: boolean;
        };
        const text = content.map((part) => part.text ?? '').join('\n');
        this.#openCalls.get(String(request_id))?.({ text, isError: is_error === true });
        return;
      }
      case 'runtime_external_tools_update':
        return this.#sendReply(lane, null, {
          type: 'runtime_external_tools_update_response',
          request_id,
          success: true,
        });
      case 'runtime_start':
        if (this.knowsStart) this.#runtimeStart(lane, frame);
        return;
      case 'agent_list': {
        const agents = [{ id: AGENT, name: 'Ada' }];
        return this.#sendReply(lane, null, { type: 'agent_list_response', request_id, success: true, agents });
      }
      case 'write_file':
        return this.#sendReply(lane, null, {
          type: 'write_file_response',
          request_id,
          path: frame.path,
          success: true,
        });
      case 'conversation_messages_list': {
        const query = (frame.query ?? {}) as Json;
        const conversation = this.conversations.get(String(frame.conversation_id));
        const page = conversation?.listPage(Number(query.limit ?? 50), query.before) ?? { messages: [] };
        const type = 'conversation_messages_list_response';
        return this.#sendReply(lane, conversation?.id ?? null, { type, request_id, success: true, ...page });
      }
      default:
        if (String(frame.type).startsWith('cron_')) return this.#handleCron(lane, frame);
        return this.#handleScoped(lane, frame, sentAt);
    }
  }

  #handleCron(lane: SimLane, frame: Json) {
    const answer = this.schedules.handle(frame);
    if (!answer) return;
    const { body, changed } = answer;
    this.#sendReply(lane, null, { type: `${String(frame.type)}_response`, request_id: frame.request_id, ...body });
    if (!changed) return;
    const { agent_id, conversation_id } = changed;
    this.#sendReply(lane, null, { type: 'crons_updated', timestamp: this.clock.now(), agent_id, conversation_id });
  }

  #fireSchedule(id: string, content: string): boolean {
    const conversation = this.conversations.get(id);
    if (!conversation || !this.#isUp) return false;
    this.emitEvent(conversation, 'crons_updated', { timestamp: this.clock.now(), ...conversation.runtime });
    conversation.queueCron(content);
    return true;
  }

  #handleScoped(lane: SimLane, frame: Json, sentAt: number) {
    const { request_id } = frame;
    const ref = (frame.runtime ?? {}) as Json;
    const conversation = this.conversations.get(String(ref.conversation_id));
    if (!conversation) return;
    const { id, runtime } = conversation;
    lane.subscribed.add(id);
    switch (frame.type) {
      case 'sync':
        this.#replayState(lane, conversation, frame.recover_approvals !== false);
        return this.#sendReply(lane, id, { type: 'sync_response', request_id, runtime, success: true });
      case 'change_device_state': {
        const { mode } = (frame.payload ?? {}) as Json;
        if (typeof mode === 'string') conversation.mode = mode;
        return conversation.showDevice();
      }
      case 'abort_message': {
        const { aborted, before } = conversation.abortTurn();
        before();
        return this.#sendReply(lane, id, {
          type: 'abort_message_response',
          request_id,
          runtime,
          aborted,
          success: true,
        });
      }
      case 'remove_queue_item': {
        const { item_id } = frame;
        const success = conversation.removeQueued(String(item_id));
        return this.#sendReply(lane, id, { type: 'remove_queue_item_response', request_id, success, item_id });
      }
      case 'resume_queue': {
        const resumed = conversation.resumeQueue();
        const type = 'resume_queue_response';
        this.#sendReply(lane, id, { type, request_id, runtime, resumed, success: true });
        return conversation.showQueue();
      }
      case 'input':
        return this.#handleInput(lane, conversation, frame, sentAt);
      default:
        return undefined;
    }
  }

  #handleInput(lane: SimLane, conversation: SimConversation, frame: Json, sentAt: number) {
    const { request_id } = frame;
    const { id, runtime } = conversation;
    const payload = (frame.payload ?? {}) as Json;
    const answer = (body: Json) => this.#sendReply(lane, id, { type: 'input_accepted', request_id, runtime, ...body });
    if (payload.kind === 'approval_response') {
      const decision = (payload.decision ?? {}) as Json;
      const { accepted, go } = conversation.answerRequest(String(payload.request_id), decision, sentAt);
      answer(accepted ? { accepted } : { accepted, error: 'Approval request is no longer pending' });
      return go();
    }
    const [message] = payload.messages as { content: string; client_message_id: string }[];
    if (!message) return;
    if (conversation.mode !== 'standard') this.story.addViolation(`${id} runs in ${conversation.mode} mode`);
    const { disposition, go } = conversation.submitInput(message.client_message_id, message.content);
    this.story.addLine('letta', `gets ${message.client_message_id} for ${id}: ${disposition}`);
    if (disposition === 'queued')
      for (const name of namesIn(message.content).carried) this.queuedAt.set(name, this.clock.now());
    answer({ accepted: true, disposition });
    go();
  }

  #runtimeStart(lane: SimLane, frame: Json) {
    const { request_id, agent_id, conversation_id } = frame;
    const no = (error: string) =>
      this.#sendReply(lane, null, { type: 'runtime_start_response', request_id, success: false, runtime: null, error });
    if (agent_id !== AGENT) return no(`Agent ${String(agent_id)} not found`);
    const known =
      typeof conversation_id === 'string' ? this.conversations.get(conversation_id) : this.createConversation();
    if (!known) return no(`Conversation ${String(conversation_id)} not found`);
    lane.subscribed.add(known.id);
    if (typeof frame.mode === 'string') known.mode = frame.mode;
    this.#replayState(lane, known, frame.recover_approvals !== false);
    const body = { request_id, success: true, runtime: known.runtime };
    this.#sendReply(lane, known.id, { type: 'runtime_start_response', ...body });
  }

  #replayState(lane: SimLane, conversation: SimConversation, recover: boolean) {
    const tell = (type: string, body: Json) =>
      this.kind === 'app-server'
        ? this.#emitToLane(lane, conversation.runtime, type, body)
        : this.emitEvent(conversation, type, body);
    conversation.replayState(tell, recover);
  }

  createConversation(): SimConversation {
    this.#made += 1;
    const conversation = new SimConversation(`local-conv-${this.#made}`, AGENT, this);
    this.conversations.set(conversation.id, conversation);
    return conversation;
  }

  // ---- REST ------------------------------------------------------------------------------------

  fetchFor(life: Life): FetchLike {
    return (url, init) =>
      new Promise((resolve, reject) => {
        const { chance, clock } = this;
        const luck = chance.next();
        const ms = chance.between(10, 150);
        let over = false;
        init.signal.addEventListener('abort', () => {
          over = true;
          reject(new Error('aborted'));
        });
        clock.after(ms, () => {
          if (life.isOver || over) return;
          if (luck < this.faults.rest / 3) return life.enter(() => reject(new Error('ECONNRESET')));
          const down = luck < this.faults.rest * (2 / 3);
          // A call that hangs is ended by the caller.
          if (!down && luck < this.faults.rest) return;
          const { status, body } = down ? { status: 503, body: null } : this.#answerRest(init.method, new URL(url));
          life.enter(() => resolve({ status, text: () => Promise.resolve(JSON.stringify(body)) }));
        });
      });
  }

  #answerRest(method: string, url: URL): { status: number; body: unknown } {
    const { pathname, searchParams } = url;
    const environment = {
      id: 'env-1',
      deviceId: DEVICE,
      connectionId: this.#isUp ? this.connectionId : null,
      connectionName: 'studio',
      lastHeartbeat: this.clock.now() - 1_000,
    };
    if (pathname === '/v1/environments') {
      return { status: 200, body: { connections: this.#isUp ? [environment] : [], hasNextPage: false } };
    }
    if (pathname === `/v1/environments/${DEVICE}`) return { status: 200, body: environment };
    if (pathname === '/v1/agents/') return { status: 200, body: [{ id: AGENT, name: 'Ada' }] };
    if (!this.#isUp) return { status: 503, body: null };
    if (pathname === '/v1/conversations/' && method === 'POST')
      return { status: 200, body: { id: this.createConversation().id } };
    const [, id, messages] = /^\/v1\/conversations\/([^/]+)(\/messages)?$/.exec(pathname) ?? [];
    const conversation = this.conversations.get(id ?? '');
    if (!conversation) return { status: 404, body: null };
    const limit = Number(searchParams.get('limit') ?? 50);
    return {
      status: 200,
      body: messages ? conversation.listPage(limit).messages : { id: conversation.id, agent_id: AGENT },
    };
  }

  // ---- faults ----------------------------------------------------------------------------------

  /** The network between the bridge and Letta breaks at one place. */
  loseLane() {
    const lanes = [...this.lanes];
    if (lanes.length === 0) return;
    this.story.addLine('net', 'a lane breaks');
    this.chance.pickOne(lanes).loseLane();
  }

  freezeLane() {
    const lanes = [...this.lanes];
    if (lanes.length === 0) return;
    const ms = this.chance.between(1_000, 90_000);
    this.story.addLine('net', `a lane is frozen for ${Math.round(ms / 1000)} s`);
    this.chance.pickOne(lanes).freezeLane(ms);
  }

  redeliverFrames() {
    for (const lane of this.lanes) lane.redeliverFrames();
  }

  /** The process dies with everything that runs, and is back after a while. */
  restartProcess() {
    if (!this.#isUp) return;
    const long = this.chance.happens(this.longAway);
    const ms = long ? this.chance.between(60_000, 25 * 60_000) : this.chance.between(1_500, 40_000);
    const from = this.clock.now();
    this.story.addLine('letta', `its process dies, for ${Math.round(ms / 1000)} s`);
    this.#isUp = false;
    // A device writes an answer down when its run has ended; the App Server's own loss of a client keeps a part.
    const keepsPartial = this.kind === 'app-server' && this.chance.happens(0.5);
    for (const conversation of this.conversations.values()) conversation.restart(keepsPartial);
    this.queuedAt.clear();
    for (const lane of [...this.lanes]) lane.loseLane({ kind: 'closed', code: 1006, text: '' });
    this.#eventSeq = 0;
    this.#runs = 0;
    this.#lease += 1;
    this.clock.after(ms, () => {
      this.#isUp = true;
      this.away = { from, to: this.clock.now() };
      this.story.addLine('letta', 'its process is back');
      for (const conversation of this.conversations.values()) conversation.runQueue();
      if (this.kind === 'device') this.#dialBridge(this.chance.between(5, 500));
    });
  }

  /** Hosted: the device's sockets to the router are away for a while; clients may not notice. */
  loseRouter() {
    if (this.kind !== 'hosted' || !this.#isRouted || !this.#isUp) return;
    const { chance, clock } = this;
    // A device dials its router again at once (docs/letta-protocol.md, Hosted: what the device tells the relay): often
    // only a few frames of a run are lost.
    const ms = chance.happens(0.7) ? chance.between(1, chance.happens(0.6) ? 20 : 400) : chance.between(500, 25_000);
    this.#leaveRouter(ms);
    if (ms > 3_000 && chance.happens(0.5)) {
      clock.after(3_000, () => {
        if (!this.#isRouted)
          for (const lane of [...this.lanes]) lane.loseLane({ kind: 'closed', code: 1001, text: '' });
      });
    }
  }

  /** The device's sockets to the router are away for `ms`: what it sends is lost, and clients do not notice. */
  #leaveRouter(ms: number) {
    this.story.addLine('letta', `the device's sockets are away for ${Math.round(ms)} ms`);
    this.#isRouted = false;
    this.clock.after(ms, () => {
      this.#isRouted = true;
      this.routedAt = this.clock.now();
      for (const conversation of this.conversations.values()) conversation.showIfBusy();
    });
  }

  /** A turn is about to tell that it has ended. */
  onTurnEnding({ id }: SimConversation) {
    this.onEnding(id);
    if (!this.losesNextEnd || this.kind !== 'hosted' || !this.#isRouted) return;
    this.losesNextEnd = false;
    this.#leaveRouter(this.chance.between(1, 400));
  }

  /** How much longer than usual something runs in the background. */
  taskLength = 1;

  /** The agent starts something by itself. */
  startSomething() {
    const all = [...this.conversations.values()];
    if (all.length === 0 || !this.#isUp) return;
    const conversation = this.chance.pickOne(all);
    if (this.chance.happens(0.6)) {
      const ms = this.chance.between(500, 30_000) * this.taskLength;
      const delegates = this.chance.happens(0.4);
      this.story.addLine('letta', `a ${delegates ? 'subagent' : 'background task'} begins in ${conversation.id}`);
      if (delegates) conversation.startSubagent(ms);
      else conversation.startCommand(ms);
    } else if (this.countListeners(conversation) > 0) {
      this.story.addLine('letta', `a task of ${conversation.id} is done`);
      conversation.queueNotification();
    }
  }

  #isHeard({ id }: SimConversation): boolean {
    if (this.kind === 'device') return [...this.#shared].some(({ heard }) => heard.has(id));
    return [...this.lanes].some(
      (lane) => lane.subscribed.has(id) || lane.url.searchParams.get('conversationId') === id,
    );
  }

  /**
   * Whether something runs. A turn that Letta started itself does not count if it waits for an approval that no client
   * can see.
   */
  get isBusy(): boolean {
    return [...this.conversations.values()].some(
      (conversation) => conversation.isBusy && !(conversation.isActingByItself && !this.#isHeard(conversation)),
    );
  }
}
