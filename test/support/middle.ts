import { Bindings } from '../../src/bridge/access/bindings.ts';
import { KillSwitch } from '../../src/bridge/access/kill-switch.ts';
import { closedPolicy, type Policy } from '../../src/bridge/access/policy.ts';
import type {
  AgentEvent,
  BackgroundTask,
  CommandEnd,
  Compacted,
  ConnectionEvent,
  Decision,
  HistoryItem,
  RuntimeRef,
  StoredRuntime,
} from '../../src/bridge/agent-event.ts';
import type { AuditEntry } from '../../src/bridge/approvals/audit-entry.ts';
import { FeedbackBook } from '../../src/bridge/commands/feedback.ts';
import {
  type MessageKey,
  type ModelsPlace,
  makeMessageKey,
  makeThreadKey,
  parseMessageKey,
  type ThreadKey,
} from '../../src/bridge/ids.ts';
import type { ChannelKind, InboundMessage, Span, ThreadAddress } from '../../src/bridge/inbound.ts';
import { ChannelMoves } from '../../src/bridge/intake/channel-moves.ts';
import { BridgeIntake } from '../../src/bridge/intake/intake.ts';
import { RecentKeys } from '../../src/bridge/intake/recent-keys.ts';
import type { PersonKind } from '../../src/bridge/person.ts';
import type {
  AgentConnection,
  AgentGateway,
  Audit,
  Choices,
  ConnectOptions,
  Delivery,
  DetailsStore,
  DeviceFile,
  Log,
  MessageAddress,
  MessageReader,
  People,
  Random,
  Recordings,
  SeenSchedule,
  Surface,
  SurfaceOffer,
  SurfaceTurn,
  ThreadMoves,
  ThreadOwners,
  Threads,
  TurnSurface,
  UserGroups,
  WhisperButtons,
} from '../../src/bridge/ports.ts';
import { isActive, type ThreadRecord } from '../../src/bridge/record/thread-record.ts';
import { waitsFor } from '../../src/bridge/record/waiting.ts';
import type { Schedule } from '../../src/bridge/schedules/schedule.ts';
import type { PastOptions } from '../../src/bridge/thread/perform/read-past.ts';
import { takeTurns } from '../../src/bridge/thread/shared-conversations.ts';
import { ThreadWorkers } from '../../src/bridge/thread/workers.ts';
import type { ToolResult } from '../../src/bridge/tools/result.ts';
import type { ToolHandlers } from '../../src/bridge/tools/tool.ts';
import { type ImagePart, textOfInput } from '../../src/bridge/turn/input-content.ts';
import type { UsedTurn } from '../../src/bridge/turn/steps.ts';
import type { TurnView } from '../../src/bridge/view/turn.ts';
import { BridgeError } from '../../src/errors.ts';
import { createFakeClock, type FakeClock } from './clock.ts';

export const TEAM = 'T01SANDBOX';
export const BOT = 'U0BOT';

/** A channel that another organisation shares. */
export const SHARED = 'C09SHARED';
/** A group direct message, whose id looks like a channel's. */
export const GROUP_DM = 'C08TRIO';

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
};

export function countingRandom(): Random {
  let count = 0;
  return {
    next: () => 0.5,
    id: () => {
      count += 1;
      return `${count.toString(36).padStart(4, 'r')}`.padEnd(32, '0');
    },
  };
}

/** Threads in a map; `failing` makes that many updates reject like a full disk, `failingAfter` after they are stored. */
export class MapThreads implements Threads, ThreadMoves, ThreadOwners {
  readonly records = new Map<ThreadKey, ThreadRecord>();
  failing = 0;
  failingAfter = 0;

  load(key: ThreadKey): Promise<ThreadRecord | null> {
    return Promise.resolve(this.records.get(key) ?? null);
  }

  async update(
    key: ThreadKey,
    change: (record: ThreadRecord | null) => ThreadRecord | null,
  ): Promise<ThreadRecord | null> {
    await Promise.resolve();
    const old = this.records.get(key) ?? null;
    const next = change(old);
    if (this.failing > 0) {
      this.failing -= 1;
      throw new Error('disk full');
    }
    if (!next) return old;
    const stored = structuredClone({ ...next, rev: (old?.rev ?? 0) + 1 });
    this.records.set(key, stored);
    if (this.failingAfter > 0) {
      this.failingAfter -= 1;
      throw new Error('disk full');
    }
    return stored;
  }

  listActive(): Promise<ThreadKey[]> {
    return Promise.resolve([...this.records].flatMap(([key, record]) => (isActive(record) ? [key] : [])));
  }

  listOfChannel(team: string, channel: string): Promise<ThreadKey[]> {
    return Promise.resolve([...this.records.keys()].filter((key) => key.startsWith(`${team}:${channel}:`)));
  }

  findByConversation({ agentId, conversationId }: RuntimeRef): Promise<ThreadKey | null> {
    const isIt = ({ runtime }: ThreadRecord) =>
      runtime?.conversationId === conversationId && runtime.agentId === agentId;
    return Promise.resolve([...this.records].find(([, record]) => isIt(record))?.[0] ?? null);
  }

  async move(
    from: ThreadKey,
    to: ThreadKey,
    change: (record: ThreadRecord, there: ThreadRecord | null) => ThreadRecord,
  ): Promise<ThreadRecord | null> {
    const record = this.records.get(from);
    if (!record) return null;
    const moved = await this.update(to, (there) => change(record, there));
    this.records.delete(from);
    return moved;
  }

  findByToken(token: string): Promise<ThreadKey | null> {
    for (const [key, record] of this.records) {
      const owners = [...record.approvals, ...record.offers, ...(record.details ?? [])];
      const tokens = [record.turn?.stopToken, ...owners.map((each) => each.token)];
      if (tokens.some((known) => known === token)) return Promise.resolve(key);
    }
    return Promise.resolve(null);
  }

  loadWaiting(user: string): Promise<ThreadRecord[]> {
    return Promise.resolve([...this.records.values()].filter((record) => waitsFor(record, user)));
  }
}

/** Choices in a map. */
export function mapChoices(): Choices {
  const chosen = new Map<string, string>();
  return {
    get: (name) => Promise.resolve(chosen.get(name) ?? null),
    set: (name, value) => Promise.resolve(void chosen.set(name, value)),
  };
}

/** A background task; by default a command. */
export function task(process: string, change: Partial<BackgroundTask> = {}): BackgroundTask {
  return { id: process, process, kind: 'command', what: `run ${process}`, runtime: null, ...change };
}

/** A connection whose Letta side a test plays by hand. */
export class HandConnection implements AgentConnection {
  readonly options: ConnectOptions;
  readonly submitted: { clientMessageId: string; content: string; tools?: readonly string[] | undefined }[] = [];
  /** Pictures of all inputs. */
  readonly images: ImagePart[] = [];
  /** Text files that were written on the agent's machine. */
  readonly files = new Map<string, string>();
  readonly answers: { requestId: string; decision: Decision }[] = [];
  aborts = 0;
  settles = 0;
  isClosed = false;
  past: HistoryItem[] = [];
  /** What `submit` does next; accepts by default. */
  onSubmit: () => Promise<void> = () => Promise.resolve();
  onAnswer: () => Promise<'accepted' | 'gone'> = () => Promise.resolve('accepted');
  /** Ids of the background tasks that it was asked to end. */
  readonly ended: string[] = [];
  onEndTask: (task: BackgroundTask) => Promise<{ ended: boolean }> = () => Promise.resolve({ ended: false });
  onAbort: () => Promise<{ aborted: boolean }> = () => Promise.resolve({ aborted: true });
  /** Results of tools that the bridge runs. */
  readonly results: { requestId: string; result: ToolResult }[] = [];
  readonly #emit: (event: AgentEvent | ConnectionEvent) => void;

  constructor(options: ConnectOptions, emit: (event: AgentEvent | ConnectionEvent) => void) {
    this.options = options;
    this.#emit = emit;
  }

  emit(...events: (AgentEvent | ConnectionEvent)[]): void {
    if (!this.isClosed) for (const event of events) this.#emit(event);
  }

  ready(change: Partial<ConnectionEvent & { type: 'ready' }> = {}): void {
    const fresh: StoredRuntime = { agentId: 'agent-1', conversationId: 'conv-1', deviceId: null };
    this.emit({
      type: 'ready',
      runtime: this.options.runtime ?? fresh,
      deviceName: null,
      workingDirectory: '/project',
      loop: 'idle',
      activeRunIds: [],
      clientMessageIdsByRun: {},
      approvals: [],
      reconnected: false,
      ...change,
    });
  }

  /** Letta begins to work on the input that was submitted last. */
  begin(runId = 'run-1'): void {
    const id = this.submitted.at(-1)?.clientMessageId ?? 'nobody';
    this.emit({ type: 'loop', status: 'busy', activeRunIds: [runId], clientMessageIdsByRun: { [runId]: [id] } });
  }

  say(text: string, runId = 'run-1', messageId = 'm-1'): void {
    this.emit({ type: 'text', runId, messageId, text });
  }

  end(stopReason = 'end_turn', runId: string | null = 'run-1', error: string | null = null): void {
    const ids = this.submitted.at(-1)?.clientMessageId;
    const clientMessageIdsByRun = runId && ids ? { [runId]: [ids] } : {};
    this.emit(
      { type: 'loop', status: 'idle', activeRunIds: [], clientMessageIdsByRun },
      { type: 'turn-ended', runId, stopReason, error },
    );
  }

  async writeFile(path: string, content: string): Promise<boolean> {
    this.files.set(path, content);
    return true;
  }

  async readFile(): Promise<string | null> {
    return null;
  }

  async readBytes(path: string): Promise<DeviceFile> {
    const content = this.files.get(path);
    return content === undefined ? { refused: 'missing', most: 0 } : { bytes: Buffer.from(content) };
  }

  submit(input: Parameters<AgentConnection['submit']>[0]): Promise<void> {
    this.images.push(...((typeof input.content === 'string' ? [] : input.content.slice(1)) as ImagePart[]));
    this.submitted.push({ ...input, content: textOfInput(input.content) });
    return this.onSubmit();
  }

  /** Input that was sent while a turn ran. */
  readonly joins: { clientMessageId: string; content: string }[] = [];
  onJoin: () => Promise<void> = () => Promise.resolve();
  /** Inputs that were to leave Letta's queue. */
  readonly withdrawals: string[] = [];
  onWithdraw: () => Promise<boolean> = () => Promise.resolve(true);

  join(input: Parameters<AgentConnection['join']>[0]): Promise<void> {
    this.images.push(...((typeof input.content === 'string' ? [] : input.content.slice(1)) as ImagePart[]));
    this.joins.push({ ...input, content: textOfInput(input.content) });
    return this.onJoin();
  }

  withdraw(clientMessageId: string): Promise<boolean> {
    this.withdrawals.push(clientMessageId);
    return this.onWithdraw();
  }

  /** How often Letta was to go on with its queue. */
  resumes = 0;

  onResume: () => Promise<void> = () => Promise.resolve();

  resumeQueue(): Promise<void> {
    this.resumes += 1;
    return this.onResume();
  }

  answer(requestId: string, decision: Decision): Promise<'accepted' | 'gone'> {
    this.answers.push({ requestId, decision });
    return this.onAnswer();
  }

  answerCall(requestId: string, result: ToolResult): boolean {
    this.results.push({ requestId, result });
    return !this.isClosed;
  }

  abort(): Promise<{ aborted: boolean }> {
    this.aborts += 1;
    return this.onAbort();
  }

  endTask(task: BackgroundTask): Promise<{ ended: boolean }> {
    this.ended.push(task.id);
    return this.onEndTask(task);
  }

  /** What Letta says of its schedules; at first it does all that is wanted. */
  onAlign = async (wanted: readonly Schedule[]): Promise<SeenSchedule[]> =>
    wanted.map(({ id, wanted: state }) => ({ id, state, lastFiredAt: null }));

  /** The schedules that were asked for, the latest last. */
  readonly aligned: (readonly Schedule[])[] = [];
  readonly ran: string[] = [];

  alignSchedules(wanted: readonly Schedule[]): Promise<SeenSchedule[]> {
    this.aligned.push(wanted);
    return this.onAlign(wanted);
  }

  runSchedule(id: string): Promise<boolean> {
    this.ran.push(id);
    return Promise.resolve(true);
  }

  settle(): Promise<void> {
    this.settles += 1;
    return Promise.resolve();
  }

  compactions = 0;
  onCompact: () => Promise<Compacted> = () => Promise.resolve({ messages: { before: 8, after: 6 } });

  compact(): Promise<Compacted> {
    this.compactions += 1;
    return this.onCompact();
  }

  /** Commands of the device that were run. */
  readonly commands: [command: string, args: string][] = [];
  onCommand: () => Promise<CommandEnd> = () => Promise.resolve({ ok: true, output: 'done' });

  runCommand(command: string, args: string): Promise<CommandEnd> {
    this.commands.push([command, args]);
    return this.onCommand();
  }

  /** What was to be copied, and up to which item. */
  readonly forks: { id: string; upTo: string | null }[] = [];
  onFork: (id: string) => Promise<StoredRuntime> = () =>
    Promise.resolve({
      agentId: 'agent-1',
      conversationId: `copy-${new Set(this.forks.map(({ id }) => id)).size}`,
      deviceId: null,
    });

  fork(id: string, upTo: string | null): Promise<StoredRuntime> {
    this.forks.push({ id, upTo });
    return this.onFork(id);
  }

  /** How often the permission mode was asked for again. */
  restored = 0;

  restoreMode(): void {
    this.restored += 1;
  }

  fetchHistory(limit: number): Promise<HistoryItem[]> {
    return Promise.resolve(this.past.slice(-limit));
  }

  close(): void {
    this.isClosed = true;
  }
}

/** Keeps what a reader of the threads would see: the views of every turn, and the bridge's own messages. */
export class HandSurface implements Surface {
  readonly views: TurnView[] = [];
  readonly said: { address: ThreadAddress; text: string }[] = [];
  readonly whispered: {
    user: string;
    text: string;
    address: ThreadAddress;
    stop?: string;
    models?: ModelsPlace;
  }[] = [];
  /** The last message of a turn does not show its offer, as in a form without buttons. */
  hidesTails = false;
  /** Every showing of an offer, in the last message of a turn or in its own, in order. */
  readonly offers: SurfaceOffer[] = [];
  delivery: Delivery = { delivered: true };
  /** Whether the last message of each turn is noted in its record. */
  notesPosts = false;
  /** While set, `finish`, `pause` and offers wait for it. */
  gate: Promise<void> | null = null;

  /** Told that text grew; its answer is the surface's. */
  grows: (look: () => TurnView | null) => boolean = () => false;

  /** Reports that Slack refused the last turn's cards in every form. */
  refuseCards: (reason: string) => void = () => undefined;

  openTurn({ onCardRefused, address, onPosts }: SurfaceTurn): TurnSurface {
    if (onCardRefused) this.refuseCards = onCardRefused;
    return {
      show: (view) => void this.views.push(view),
      showGrown: (look) => this.grows(look),
      pause: async (view) => {
        this.views.push(view);
        await this.gate;
      },
      finish: async (view) => {
        this.views.push(view);
        await this.gate;
        const { offer } = view;
        const end = { part: '0.0', ts: `1500.${String(this.turns.length).padStart(6, '0')}`, hash: 'end' };
        if (this.notesPosts && this.delivery.delivered) await onPosts([end]);
        if (!offer || !this.delivery.delivered) return this.delivery;
        const post = {
          part: '0.0',
          ts: `2000.${String(this.offers.length).padStart(6, '0')}`,
          hash: 'text-end',
          ends: true as const,
        };
        this.offers.push({ view: offer, address, posts: [post], resumed: false, onPosts: () => Promise.resolve() });
        return this.hidesTails ? this.delivery : { delivered: true, tail: { post, message: view.turn } };
      },
    };
  }

  async showOffer(options: SurfaceOffer): Promise<Delivery> {
    this.offers.push(options);
    await this.gate;
    if (this.delivery.delivered) {
      const ts = options.posts[0]?.ts ?? `2000.${String(this.offers.length).padStart(6, '0')}`;
      await options.onPosts([{ part: '0.0', ts, hash: `card-${this.offers.length}` }]);
    }
    return this.delivery;
  }

  /** Threads whose "working" status was cleared. */
  readonly clearedStatuses: ThreadAddress[] = [];

  clearWorkingStatus(address: ThreadAddress): Promise<void> {
    this.clearedStatuses.push(address);
    return Promise.resolve();
  }

  /** Messages that have an id, by it: each is posted once. */
  readonly named = new Map<string, string>();

  say(address: ThreadAddress, text: string, _tries?: 'once', id?: string): Promise<Delivery> {
    if (id === undefined || !this.named.has(id)) this.said.push({ address, text });
    if (id !== undefined && this.delivery.delivered) this.named.set(id, text);
    return Promise.resolve(this.delivery);
  }

  /** The first messages of threads. */
  readonly begun: { address: ThreadAddress; text: string; ts: string }[] = [];

  beginThread(address: ThreadAddress, text: string, id?: string): Promise<string | null> {
    if (!this.delivery.delivered) return Promise.resolve(null);
    const known = id !== undefined && this.named.get(id);
    if (known) return Promise.resolve(known);
    const ts = `3000.${String(this.begun.length + 1).padStart(6, '0')}`;
    this.begun.push({ address, text, ts });
    if (id !== undefined) this.named.set(id, ts);
    return Promise.resolve(ts);
  }

  /** Direct messages: to whom, what, and the message that a button opens. */
  readonly directs: { user: string; text: string; open?: MessageAddress }[] = [];
  /** Slack refuses direct messages. */
  refusesDirects = false;

  sendDirectMessage(user: string, _team: string, text: string, _copy: unknown, open?: MessageAddress) {
    if (this.refusesDirects) return Promise.resolve({ delivered: false, reason: 'messages_tab_disabled' } as const);
    this.directs.push({ user, text, ...(open && { open }) });
    return Promise.resolve({ delivered: true } as const);
  }

  whisper(address: ThreadAddress, user: string, text: string, { stop, models }: WhisperButtons = {}): Promise<void> {
    this.whispered.push({ address, user, text, ...(stop !== undefined && { stop }), ...(models && { models }) });
    return Promise.resolve();
  }

  get last(): TurnView {
    const view = this.views.at(-1);
    if (!view) throw new Error('nothing was shown');
    return view;
  }

  /** Turns in the order in which they were first seen. */
  get turns(): string[] {
    return [...new Set(this.views.map((view) => view.turn))];
  }
}

const kinds: Record<string, PersonKind> = { U04GUEST: 'guest', U05EXT: 'external', U06BOT: 'bot' };

export const people: People = {
  getPerson: (user, team) =>
    Promise.resolve({ id: user, team, kind: kinds[user] ?? 'member', name: `Name of ${user}` }),
  getChannelName: (channel) => Promise.resolve(channel === 'C01GEN' ? 'general' : channel),
  getChannelTopic: () => Promise.resolve(''),
  isShared: (channel) => Promise.resolve(channel === SHARED),
  isGroupDm: (channel) => Promise.resolve(channel === GROUP_DM),
};

export interface Middle {
  clock: FakeClock;
  threads: MapThreads;
  surface: HandSurface;
  connections: HandConnection[];
  audit: MapAudit;
  /** A test may change it: the bridge reads it each time. */
  policy: Policy;
  /** Threads that were reported to catch-up, each as often as it was reported. */
  spoken: readonly ThreadKey[];
  /** What turns that have ended used. */
  usedTurns: readonly UsedTurn[];
  /** `failing` makes that many look-ups of people reject; `kinds` overrides who somebody is; look-ups wait for `gate`. */
  people: { failing: number; kinds: Record<string, PersonKind>; gate: Promise<void> | null };
  /** The members of each user group; `failing`: Slack does not answer. */
  groups: { members: Record<string, string[]>; failing: boolean };
  feedback: FeedbackBook | null;
  readonly connection: HandConnection;
  intake: BridgeIntake;
  workers: ThreadWorkers;
  /** A person writes; resolves when the bridge has handled it. */
  write(text: string, options?: WriteOptions): Promise<Awaited<ReturnType<BridgeIntake['handleMessage']>>>;
  /** The bridge crashes and starts again on the same disk. */
  restart(): Promise<void>;
  record(key?: ThreadKey): ThreadRecord;
}

export interface WriteOptions {
  user?: string;
  ts?: string;
  thread?: string | null;
  channel?: string;
  channelKind?: ChannelKind;
  mention?: boolean;
  files?: string[];
  spans?: Span[];
  /** The event does not say the kind, as that of a mention. */
  guessed?: boolean;
  external?: boolean | null;
  userTeam?: string | null;
  bot?: boolean;
  /** Whether its text is in attachments or blocks that the bridge does not read. */
  unread?: boolean;
  /** Whether catch-up found it. */
  caughtUp?: boolean;
}

export const ROOT = '1000.000001';
export const THREAD = makeThreadKey({ team: TEAM, channel: 'C01GEN', root: ROOT });

/** An audit in a list; `failing` makes that many entries reject like a full disk. */
export class MapAudit implements Audit {
  readonly entries: AuditEntry[] = [];
  failing = 0;

  append(entry: AuditEntry): Promise<void> {
    if (this.failing > 0) {
      this.failing -= 1;
      return Promise.reject(new Error('disk full'));
    }
    if (!this.entries.some(({ id, at }) => id === entry.id && at === entry.at)) this.entries.push(entry);
    return Promise.resolve();
  }

  listLatest(limit: number, wanted: (entry: AuditEntry) => boolean): Promise<AuditEntry[]> {
    return Promise.resolve(this.entries.toReversed().filter(wanted).slice(0, limit));
  }
}

/** The whole middle between hand-played ports. */
export interface MiddleOptions {
  /** ms since 1970 at which its clock starts; left out: decades after the messages that `write` gives a ts to. */
  now?: number;
  approvalTimeoutMs?: number;
  turnsDieWithLink?: boolean;
  /** Whether threads of one conversation take turns; left out: each thread is taken to have its own. */
  takesTurns?: boolean;
  users?: string[];
  queue?: { perThread: number; total: number };
  silenceMs?: number;
  staleAfterMs?: number;
  policy?: Partial<Policy>;
  details?: DetailsStore;
  recordings?: Recordings;
  /** How threads are read, and how many messages go along; left out: they are not read. */
  past?: PastOptions;
  /** Single messages of Slack; left out: none can be read. */
  reader?: MessageReader;
  /** What the tools of the bridge do; left out: the agent has none. */
  tools?: ToolHandlers;
  /** Whether what people think of answers is noted. */
  hasFeedback?: boolean;
  /** Left out: a log that drops everything. */
  log?: Log;
  /** The directory of people; left out: the ids say who is a guest, external or a bot. */
  people?: (clock: FakeClock) => People;
  /** Makes the surface of each start of the bridge; left out: a {@link HandSurface}. */
  surface?: (clock: FakeClock) => Surface;
}

export function createMiddle(options: MiddleOptions = {}): Middle {
  const log = options.log ?? silentLog;
  const clock = createFakeClock(options.now);
  const threads = new MapThreads();
  const surface = new HandSurface();
  const connections: HandConnection[] = [];
  const gateway: AgentGateway = {
    connect(wanted, onEvent) {
      const connection = new HandConnection(wanted, onEvent);
      connections.push(connection);
      return connection;
    },
  };
  const ways = options.takesTurns ? takeTurns(gateway, clock) : gateway;
  const directory: Middle['people'] = { failing: 0, kinds: {}, gate: null };
  const known = options.people?.(clock) ?? people;
  const person: People['getPerson'] = async (user, team, maxAgeMs) => {
    await directory.gate;
    if (directory.failing > 0) {
      directory.failing -= 1;
      throw new Error('slack is away');
    }
    const found = await known.getPerson(user, team, maxAgeMs);
    return { ...found, kind: directory.kinds[user] ?? found.kind };
  };
  const userGroups: Middle['groups'] = { members: {}, failing: false };
  const groups: UserGroups = {
    getHandle: (group) => Promise.resolve(group === 'S01ONCALL' ? 'oncall' : null),
    listMembers: async (group) => {
      if (userGroups.failing) throw new BridgeError('slack_failed', 'slack is away', { retry: true });
      return new Set(userGroups.members[group]);
    },
  };
  const policies = { current: () => policy };
  const policy: Policy = {
    ...closedPolicy,
    users: { ...closedPolicy.users, members: options.users === undefined, ids: options.users ?? [] },
    channels: { everywhere: true, directMessages: true, ids: [] },
    ...options.policy,
  };
  const random = countingRandom();
  const choices = mapChoices();
  const audit = new MapAudit();
  const usedTurns: UsedTurn[] = [];
  const spoken: ThreadKey[] = [];
  const onSpoken = (key: ThreadKey) => void spoken.push(key);
  const feedback = options.hasFeedback ? new FeedbackBook({ choices, clock, team: TEAM, keptMs: 86_400_000 }) : null;
  const build = () => {
    const { staleAfterMs } = options;
    const bindings = new Bindings({ policies, choices, log });
    const shared = {
      staleAfterMs,
      details: options.details,
      recordings: options.recordings,
      past: options.past,
      reader: options.reader,
      tools: options.tools,
      ...(feedback && { feedback }),
      threads,
      surface: options.surface?.(clock) ?? surface,
      people: { ...known, getPerson: person },
      groups,
      clock,
      log,
      policies: bindings,
      bindings,
      killSwitch: new KillSwitch({ choices, clock, log }),
      botUser: BOT,
      audit,
    };
    const turnsDieWithLink = options.turnsDieWithLink ?? true;
    const { queue, silenceMs, approvalTimeoutMs } = options;
    const silence = silenceMs === undefined ? {} : { silenceMs };
    const workers = new ThreadWorkers({
      ...shared,
      gateway: ways,
      random,
      turnsDieWithLink,
      approvalTimeoutMs,
      onTurnUsed: (used) => void usedTurns.push(used),
      ...silence,
    });
    const channels = new ChannelMoves({ moves: threads, workers, log });
    const row = { choices, clock, log, name: 'handled', parse: parseMessageKey, limit: 100 };
    const handled = new RecentKeys<MessageKey>(row);
    return {
      workers,
      handled,
      intake: new BridgeIntake({ ...shared, random, workers, channels, onSpoken, handled, ...(queue && { queue }) }),
    };
  };
  let built = build();
  let count = 0;
  return {
    clock,
    threads,
    surface,
    connections,
    audit,
    policy,
    people: directory,
    groups: userGroups,
    feedback,
    spoken,
    usedTurns,
    get connection() {
      const last = connections.at(-1);
      if (!last) throw new Error('nobody has connected yet');
      return last;
    },
    get intake() {
      return built.intake;
    },
    get workers() {
      return built.workers;
    },
    async write(text, write = {}) {
      count += 1;
      const ts =
        write.ts ?? (count === 1 && write.thread === undefined ? ROOT : `1000.${String(count * 10).padStart(6, '0')}`);
      const mention = write.mention ?? count === 1;
      const channel = write.channel ?? 'C01GEN';
      const written: Span[] = write.spans ?? [
        ...(mention ? [{ kind: 'user', id: BOT } as const] : []),
        { kind: 'text', text: mention ? ` ${text}` : text },
      ];
      const message: InboundMessage = {
        key: makeMessageKey({ team: TEAM, channel, ts }),
        team: TEAM,
        channel,
        channelKind: write.channelKind ?? 'channel',
        ...(write.guessed && { isKindGuessed: true as const }),
        ts,
        threadTs: write.thread === undefined ? (ts === ROOT ? null : ROOT) : write.thread,
        user: write.user ?? 'U01ALICE',
        ...(write.bot && { bot: { user: null, name: null } }),
        userTeam: write.userTeam ?? null,
        external: write.external === undefined ? false : write.external,
        spans: written,
        ...(write.unread && { unread: true as const }),
        files: (write.files ?? []).map((name, at) => ({ id: `F${at}`, name, mimetype: null, size: null })),
        mentionsBot: mention,
      };
      const outcome = await built.intake.handleMessage(message, { caughtUp: write.caughtUp ?? false });
      await clock.settle();
      return outcome;
    },
    async restart() {
      built.intake.close();
      built.workers.close();
      built = build();
      await built.handled.load();
      await built.workers.start();
      await clock.settle();
    },
    record(key = THREAD) {
      const record = threads.records.get(key);
      if (!record) throw new Error(`nothing is stored for ${key}`);
      return record;
    },
  };
}

/**
 * From now on a thread's write is done, but the bridge hears of it only after the returned function is called.
 * @param isHeld which writes; left out: all
 */
export function holdWrites(
  { threads }: Middle,
  isHeld: (record: ThreadRecord | null) => boolean = () => true,
): () => void {
  const told = Promise.withResolvers<void>();
  const update = threads.update.bind(threads);
  threads.update = async (key, change) => {
    const stored = await update(key, change);
    if (isHeld(stored)) await told.promise;
    return stored;
  };
  return told.resolve;
}

/** The same with a running turn of Alice, so that further messages wait. */
export async function createRunning(options: MiddleOptions = {}): Promise<Middle> {
  const middle = createMiddle(options);
  await middle.write('list the files');
  middle.connection.ready();
  await middle.clock.settle();
  middle.connection.begin();
  await middle.clock.settle();
  return middle;
}
