import type { Binding, GroupId } from './access/policy.ts';
import type {
  AgentEvent,
  BackgroundTask,
  CommandEnd,
  Compacted,
  ConnectionEvent,
  Decision,
  FoundConversation,
  HistoryItem,
  ModelChange,
  ModelEntry,
  ModelsSeen,
  PermissionMode,
  RuntimeRef,
  StoredRuntime,
  ToolsetChange,
} from './agent-event.ts';
import type { AuditEntry } from './approvals/audit-entry.ts';
import type { ChannelId, MessageKey, ModelsPlace, SlackTs, TeamId, ThreadKey, Token, TurnId, UserId } from './ids.ts';
import type {
  ActionOutcome,
  ChannelKind,
  FileRef,
  InboundAsk,
  InboundChannelChange,
  InboundClick,
  InboundCommand,
  InboundForm,
  InboundJoin,
  InboundMessage,
  InboundModelForm,
  InboundModels,
  InboundQuestion,
  InboundReaction,
  InboundRevision,
  InboundSessionStop,
  MessageOutcome,
  ModelOutcome,
  ReactionOutcome,
  RevisionOutcome,
  SubmissionOutcome,
  ThreadAddress,
} from './inbound.ts';
import type { CounterName, GaugeName, HistogramName } from './metric-table.ts';
import type { Person } from './person.ts';
import type { TailMessage } from './record/offers.ts';
import type { DetailsRef, OwnKind, PostRecord, ThreadRecord } from './record/thread-record.ts';
import type { Schedule } from './schedules/schedule.ts';
import type { ToolName } from './tools/catalogue.ts';
import type { ToolResult } from './tools/result.ts';
import type { InputContent } from './turn/input-content.ts';
import type { TurnDetails } from './turn/steps.ts';
import type { HomeView } from './view/home.ts';
import type { OfferView } from './view/offer.ts';
import type { TurnView } from './view/turn.ts';

// ---- the world ---------------------------------------------------------------------------------

export interface Timer {
  /** Cancelling twice, or after it fired, does nothing. */
  cancel(): void;
}

export interface Clock {
  /**
   * ms since 1970, for ages that are stored, shown, or compared with other machines' clocks. It may step back or forward
   * while the bridge runs, so no wait may be measured by it.
   */
  now(): number;
  /** ms since some moment in the life of the process; never steps. For budgets, deadlines, windows, silence. */
  monotonic(): number;
  /** Calls `run` once after `ms`; `run` must not throw. A timer alone does not keep the process alive. */
  after(ms: number, run: () => void): Timer;
}

export interface Random {
  /** 0 ≤ n < 1 */
  next(): number;
  /** At least 128 random bits, letters and digits only. */
  id(): string;
}

/** pino's shape: fields first, then a constant sentence. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Log;
}

/** The metrics (metric-table.ts). `labels` take few, known values: never ids or texts. */
export interface Metrics {
  /** Adds one, or `by`. */
  count(name: CounterName, labels?: Readonly<Record<string, string>>, by?: number): void;
  /** Sets the current value. */
  gauge(name: GaugeName, value: number, labels?: Readonly<Record<string, string>>): void;
  /** Adds one duration, in seconds. */
  observe(name: HistogramName, seconds: number): void;
}

// ---- Letta -------------------------------------------------------------------------------------

export interface ConnectOptions {
  /** The thread's runtime; `null` asks for a new conversation with the configured agent. */
  runtime: StoredRuntime | null;
  /** What a new conversation is called in Letta's own clients: foreign text without secrets; left out: not known. */
  title?: string;
  mode: PermissionMode;
  /**
   * Where a new conversation is held: a stored runtime stays with its agent and device. The directory holds for both.
   */
  binding?: Binding | null;
  /** Whether other threads belong to the conversation, too. */
  isShared?: boolean;
  /** Whether the thread has something under way there: a turn that was sent, background tasks, schedules. */
  hasWork?: boolean;
  /** The tools that the bridge runs for this runtime; left out: none. */
  tools?: readonly ToolName[];
}

/**
 * A file of the agent's machine; or why it cannot be had, and how many bytes it might have:
 * - `missing`, `folder`, `unreadable`: there is no such file, it is a folder, its machine cannot read it.
 * - `too_large`: it has more bytes than `most`.
 * - `size_needed`: its size must be told first.
 * - `other_size`: it has another size than was told.
 */
export type DeviceFile = { bytes: Uint8Array } | { refused: DeviceFileTrouble; most: number };

export type DeviceFileTrouble = 'missing' | 'folder' | 'unreadable' | 'too_large' | 'size_needed' | 'other_size';

/**
 * One runtime over one link at a time. It dials, reconnects, replays and drops repeats by itself, and reports through
 * `onEvent`, in order. Methods reject with a BridgeError; `certain: false` when the outcome is unknown.
 */
export interface AgentConnection {
  /**
   * Sends the turn's input. Resolves when Letta accepted it; the caller makes sure that no turn is open.
   * `tools`: the only ones that the model is offered; left out: all.
   */
  submit(input: {
    clientMessageId: string;
    content: InputContent;
    tools?: readonly string[] | undefined;
  }): Promise<void>;
  /**
   * Sends more input while a turn runs. Resolves when Letta has it in its queue: it joins the turn right after the current
   * tool, or begins the next turn by itself where no tool follows (docs/letta-protocol.md, Queue and deduplication).
   */
  join(input: { clientMessageId: string; content: InputContent }): Promise<void>;
  /**
   * Takes an input out of Letta's queue. `false`: it is not there, because Letta has begun it or never got it. Letta
   * ignores another input with its id from then on.
   */
  withdraw(clientMessageId: string): Promise<boolean>;
  /** Has Letta go on with what an abort left in its queue. Resolves when Letta has heard it. */
  resumeQueue(): Promise<void>;
  /**
   * Writes a text file on the agent’s machine, and the folders above it; a path may begin with `~`. `false`: the machine
   * refused, or did not answer. Over a file with the same content it changes nothing.
   */
  writeFile(path: string, content: string): Promise<boolean>;
  /** A text file of the agent’s machine, by its absolute path; `null` when it cannot be read. */
  readFile(path: string): Promise<string | null>;
  /**
   * Any file of the agent's machine, by its absolute path. An App Server is asked over a socket of its own, because a
   * large frame would end the turn of the socket that it comes on; where there is only the turn's socket, files are small.
   * @param bytes how many the agent says it has, which must be told where the file comes on the turn's socket
   */
  readBytes(path: string, bytes: number | null): Promise<DeviceFile>;
  /** `gone` when the request is no longer pending (answered elsewhere, turn over). */
  answer(requestId: string, decision: Decision): Promise<'accepted' | 'gone'>;
  /**
   * Sends the result of a call; `false`: there is no link to send it over. Letta confirms nothing, and ignores the result of
   * a call that is not open.
   */
  answerCall(requestId: string, result: ToolResult): boolean;
  /** `aborted`: whether Letta had something to stop; the end of the turn still comes as `turn-ended`. */
  abort(): Promise<{ aborted: boolean }>;
  /**
   * Asks Letta to end a background task; `ended`: whether it did. Letta cannot end commands and subagents that are
   * processes of the device (docs/letta-protocol.md, Activity nobody asked for): only the agent itself can.
   */
  endTask(task: BackgroundTask): Promise<{ ended: boolean }>;
  /**
   * The `sync` round trip that is needed between `turn-ended` and the next input (docs/letta-protocol.md, Queue and
   * deduplication).
   */
  settle(): Promise<void>;
  /**
   * Has Letta summarise the earlier messages of the conversation, which takes a while. What Letta gets meanwhile may be
   * lost (docs/letta-protocol.md, Compaction).
   */
  compact(): Promise<Compacted>;
  /** Runs a command of the device's own. Resolves when it is over; it may have begun a turn then. */
  runCommand(command: string, args: string): Promise<CommandEnd>;
  /**
   * Makes a copy of the conversation, with the tools and the model that it has. Asked again with the same `id`, it finds the
   * copy that was made before, where Letta copies titles.
   * @param upTo the id of the last item of the history that goes along; `null`: all do
   */
  fork(id: string, upTo: string | null): Promise<StoredRuntime>;
  /** Asks Letta for the permission mode that the connection was made with; Letta confirms nothing but its device status. */
  restoreMode(): void;
  /** The newest `limit` items, oldest first. */
  fetchHistory(limit: number): Promise<HistoryItem[]>;
  /**
   * Makes the schedules at Letta what they are to be: makes, changes, pauses, resumes and deletes them there, and deletes
   * doubles. It first asks what Letta has, so after an answer that was lost it can be called again.
   * @param orphan the id of a schedule that no thread has: it is deleted, too
   */
  alignSchedules(wanted: readonly Schedule[], orphan?: string): Promise<SeenSchedule[]>;
  /** Lets a schedule run now. `false`: Letta has no such schedule, or refused. */
  runSchedule(id: string): Promise<boolean>;
  /** Stops for good; no event comes afterwards. Closing twice is fine. */
  close(): void;
}

/** What Letta has of a schedule. */
export interface SeenSchedule {
  id: string;
  /**
   * - `fired`, `missed`: it was to run once, and did, or did not because the machine was off.
   * - `gone`: Letta does not have it.
   * - `refused`: Letta did not make it; `error` is Letta's word for it.
   */
  state: 'active' | 'paused' | 'fired' | 'missed' | 'gone' | 'refused';
  error?: string;
  /** ms since 1970; `null`: never. */
  lastFiredAt: number | null;
}

export interface AgentGateway {
  connect(options: ConnectOptions, onEvent: (event: AgentEvent | ConnectionEvent) => void): AgentConnection;
}

/** Asks about models over a link of its own, so that no turn is disturbed. Rejects with a BridgeError. */
export interface Models {
  /**
   * Lists the models, and has the one used that `pick` takes of them; `null`: it takes none, and nothing is changed.
   * An error that is not `certain`: it may be used all the same.
   */
  choose(runtime: StoredRuntime, pick: (seen: ModelsSeen) => ModelEntry | null): Promise<ModelChange | null>;
  /** Has the conversation use another toolset, by its id. An error that is not `certain`: it may be used all the same. */
  chooseToolset(runtime: StoredRuntime, toolset: string): Promise<ToolsetChange>;
  /** The models for a new conversation there; `current` is not known. */
  listFor(binding: Binding | null): Promise<ModelsSeen>;
}

/** Looks at conversations over links of its own, so that no turn is disturbed. Rejects with a BridgeError. */
export interface Conversations {
  /**
   * Looks a conversation up by its id alone and reads its newest items; nothing of it changes.
   * @param where `device` is looked at in place of the binding's; `null`: as the binding says
   * @param most how many items
   * @throws BridgeError `conversation_not_found`, `agent_not_found`, or one that tells why it cannot be looked up
   */
  find(
    conversationId: string,
    where: { binding: Binding | null; device: string | null },
    most: number,
  ): Promise<FoundConversation>;
  /**
   * Rules on the conversation's machine that let tools run there without asking, whoever saved them. Texts are foreign.
   * @param directory where the conversation works: an absolute path there
   */
  readRules(runtime: StoredRuntime, directory: string): Promise<string[]>;
}

// ---- Slack -------------------------------------------------------------------------------------

export type Delivery =
  /** `tail`: of the end of a turn with an offer, the last message, which shows it; left out: no message shows it. */
  | { delivered: true; tail?: TailMessage }
  /** The thread cannot be written to any more: archived, bot removed, message deleted, token revoked. */
  | { delivered: false; reason: string };

/**
 * Shows one turn by throttled edits, or in a thread of a direct message by Slack's native streaming, which falls back to
 * edits (docs/slack.md, Edits or native streaming).
 */
export interface TurnSurface {
  /** Asks to show this view; it replaces earlier ones that were not shown yet. Never throws. */
  show(view: TurnView): void;
  /**
   * The view of the last {@link show} only has more text. True: the surface looks when it next shows something, so that
   * no view is made for each word; false: it wants the view now.
   */
  showGrown?(look: () => TurnView | null): boolean;
  /**
   * Shows the view that ends the turn; resolves when Slack confirmed all of it, or refused it for half a day.
   * @param endedAt ms since 1970 from which the half day counts; left out: now
   */
  finish(view: TurnView, endedAt?: number): Promise<Delivery>;
  /** Checks that Slack still shows the cards of the turn; called before people are reminded of them. */
  recheckCards?(): void;
  /**
   * Shows the last view before the process ends, in the turn's existing messages, ahead of other live edits. Resolves when
   * Slack shows it or refused it; callers need not wait. Never rejects.
   */
  pause?(view: TurnView): Promise<void>;
}

/** What Slack does not let the bridge show in the thread for now, and Slack's error code for it. */
export interface HeldUp {
  what: 'end' | 'card';
  reason: string;
}

export interface SurfaceTurn {
  turn: TurnId;
  address: ThreadAddress;
  /** The turn's messages in Slack, from the record: they are edited, not posted again. */
  posts: readonly PostRecord[];
  /** Set after a restart: Slack may have messages of the turn that `posts` does not name, so the surface looks first. */
  resumed?: boolean;
  /** Its first message is also shown in the channel. */
  inChannel?: boolean;
  /** The turn was over long ago, and another one may run: no status or session tells of it. */
  isLate?: boolean;
  /** Told after each confirmed post or edit; the surface waits for it before it counts the call as done. */
  onPosts(posts: PostRecord[]): Promise<void>;
  /** Called before the surface shows text that may still change; the surface waits for the promise. */
  onText?(): Promise<void> | undefined;
  /**
   * Slack refused cards in every form for half a day, or has no such thread, so people cannot decide them. May be called
   * several times. `cards`: the first letters of their tokens; left out: all.
   */
  onCardRefused?(reason: string, cards?: readonly string[]): void;
  /** The turn's end, or a card of it, waits until Slack lets us write there again. Called once. */
  onHeldUp?(held: HeldUp): void;
}

export interface SurfaceOffer {
  view: OfferView;
  address: ThreadAddress;
  /** All that the message of the offer shows, which is the last message of a turn: only the offer's part is changed. */
  message?: string;
  /** Messages that show an earlier view of the same offer: they are edited. */
  posts: readonly PostRecord[];
  /** Slack may have a message of the offer that `posts` does not name, so the surface looks first. */
  resumed: boolean;
  /** Told after each confirmed post or edit; the surface waits for it before it counts the call as done. */
  onPosts(posts: PostRecord[]): Promise<void>;
}

/** A message in Slack; `threadTs`: the root of its thread, `null` when it is in none. */
export interface MessageAddress {
  channel: ChannelId;
  ts: SlackTs;
  threadTs: SlackTs | null;
}

/** Buttons below a private message. */
export interface WhisperButtons {
  /** Stops the turn with that token. */
  stop?: Token | undefined;
  /** Opens the dialog of models. */
  models?: ModelsPlace | undefined;
}

export interface Surface {
  openTurn(options: SurfaceTurn): TurnSurface;
  /**
   * Shows an offer, or what became of it. Resolves when Slack confirmed or finally refused it; callers make one call at a
   * time for each offer.
   */
  showOffer(options: SurfaceOffer): Promise<Delivery>;
  /**
   * Leaves the turns and offers of a thread as Slack shows them: makes no further call for them, and resolves when running
   * ones are stored. Whoever waits for them to be shown hears nothing any more.
   */
  freeze?(address: ThreadAddress): Promise<void>;
  /** Makes Slack stop showing that somebody works in this thread. Best effort: a failure is logged only. */
  clearWorkingStatus?(address: ThreadAddress): Promise<void>;
  /**
   * Sends a direct message about a thread that the bridge cannot write to: `text` is Markdown of ours, followed by what the
   * agent said in `copy.view`. The copy of one turn is posted once, however often this is called: the surface looks for
   * what it posted before, also before a restart.
   * @param open a message in Slack: adds a button that opens it
   */
  sendDirectMessage?(
    user: UserId,
    team: TeamId,
    text: string,
    copy: { turn: TurnId; view: TurnView } | null,
    open?: MessageAddress,
  ): Promise<Delivery>;
  /**
   * Posts a message of the bridge itself in the thread (help, a public refusal). `text` is Markdown of ours.
   * @param tries `once`: it is given up when Slack refuses it for any reason, instead of ten minutes later
   * @param id names it, so that it is posted once, however often this is called with it in a day
   */
  say(address: ThreadAddress, text: string, tries?: 'once', id?: string): Promise<Delivery>;
  /**
   * Posts a message of the bridge itself that begins a thread, once.
   * @param id as of `say`
   * @returns its `ts`; `null`: Slack refused it
   */
  beginThread?(address: ThreadAddress, text: string, id?: string): Promise<SlackTs | null>;
  /** Shows a reply of ours in the channel, too; doing it again changes nothing. Never rejects. */
  broadcast?(at: Pick<MessageAddress, 'channel' | 'ts'>): Promise<Delivery>;
  /**
   * Posts a message that only `user` sees; best effort (docs/slack.md, Interactivity).
   * @param buttons below the text
   */
  whisper(address: ThreadAddress, user: UserId, text: string, buttons?: WhisperButtons): Promise<void>;
}

export interface People {
  /**
   * Cached. Rejects with a retryable BridgeError when Slack cannot be asked.
   * @param maxAgeMs how old the answer may be; at most ten minutes, which is the default.
   */
  getPerson(user: UserId, team: TeamId, maxAgeMs?: number): Promise<Person>;
  /** A channel's name without `#`; its id when Slack does not tell the name. Never rejects. */
  getChannelName(channel: string, team: TeamId): Promise<string>;
  /** A channel's topic, which its members write; empty when there is none, or Slack does not tell. Never rejects. */
  getChannelTopic(channel: string, team: TeamId): Promise<string>;
  /**
   * Whether another organisation shares the channel, or is invited to; also where Slack refuses to tell. Cached.
   * Rejects with a retryable BridgeError when Slack cannot be asked.
   */
  isShared(channel: ChannelId, team: TeamId): Promise<boolean>;
  /** Whether the channel is a group direct message; not where Slack refuses to tell. Cached; rejects as `isShared`. */
  isGroupDm(channel: ChannelId, team: TeamId): Promise<boolean>;
}

export interface UserGroups {
  /**
   * As Slack confirmed them at most ten minutes ago; empty when there is no such group. Rejects with a retryable
   * BridgeError when Slack cannot be asked.
   */
  listMembers(group: GroupId): Promise<ReadonlySet<UserId>>;
  /** A group's handle without `@`; `null` when Slack does not tell it. Cached. Never rejects. */
  getHandle(group: GroupId): Promise<string | null>;
}

/** Takes every inbound event from Slack's receiver. A promise that rejects means: not stored, do not acknowledge. */
export interface Intake {
  /**
   * Resolves when the message is on disk or needs not be.
   * @param how `caughtUp`: catch-up found it, perhaps long after it was written, so a command in it does not run
   */
  handleMessage(message: InboundMessage, how?: { caughtUp: boolean }): Promise<MessageOutcome>;
  /** Remembers why a message of Slack was ignored, so that `!why` can tell. */
  noteIgnored(key: MessageKey, reason: string): void;
  /** Resolves when the change is on disk or needs not be. */
  handleRevision(revision: InboundRevision): Promise<RevisionOutcome>;
  /** Resolves when the decision is on disk. */
  handleAction(action: InboundClick): Promise<ActionOutcome>;
  handleSubmission(submission: InboundForm): Promise<SubmissionOutcome>;
  /** Resolves when the stop is on disk, or the person was told why not. */
  handleSessionStop(stop: InboundSessionStop): Promise<void>;
  /** The answer is Markdown for the caller's eyes only. */
  handleCommand(command: InboundCommand): Promise<string>;
  /** Opens the dialog of models, or shows the model that was chosen in it with its efforts. */
  handleModels(asked: InboundModels): Promise<ModelOutcome>;
  handleModelForm(form: InboundModelForm): Promise<ModelOutcome>;
  /** Asks in a dialog what somebody wants to know about a message. */
  handleAsk(ask: InboundAsk): Promise<ActionOutcome>;
  /** Somebody goes on from a message in a new thread. Resolves with a line for them, Markdown, when it is on disk. */
  handleFork(ask: InboundAsk): Promise<string>;
  /** Resolves when the question is on disk, or was refused. */
  handleQuestion(question: InboundQuestion): Promise<SubmissionOutcome>;
  /** Resolves when what the reaction starts or says is on disk, or it does neither. */
  handleReaction(reaction: InboundReaction): Promise<ReactionOutcome>;
  /** Welcomes a channel that the bot joined, once, or tells who invited it what is missing. */
  handleJoin(join: InboundJoin): Promise<void>;
  /** Resolves when the channel's threads are stored under its new id. */
  handleChannelChange(change: InboundChannelChange): Promise<void>;
  /**
   * What this person sees in the app's Home tab.
   * @param why `changed`: the tab is drawn again, which is no event of Slack's
   */
  viewHome(user: UserId, team: TeamId, why?: 'opened' | 'changed'): Promise<HomeView>;
  /**
   * Stores after how many ms the end of a turn notifies this person. Resolves when it is on disk, or they may not.
   * @param ms 0: never; `null`: as usual
   */
  chooseNotifyTime(user: UserId, team: TeamId, ms: number | null): Promise<void>;
}

/** Fetches files from Slack. */
export interface SlackFiles {
  /**
   * Asks Slack about a file. Rejects with a FileRefused, or with the signal's reason.
   * @returns the file as Slack describes it now, and its bytes: reading them downloads it, once, and rejects likewise
   */
  open(file: FileRef, signal: AbortSignal): Promise<{ file: FileRef; bytes: AsyncIterable<Uint8Array> }>;
}

/** A folder on this machine that an agent on the same machine can read, too. */
export interface SharedFolder {
  /** Its absolute path, which is the same for the agent. */
  readonly path: string;
  /** Whether the operator says that agents see it; else the bridge finds out. */
  readonly isKnown: boolean;
  /**
   * Writes a file as the bytes come; it appears under its name when all of them are there. Rejects when the disk fails, or
   * as `bytes` does.
   * @returns its absolute path
   */
  write(folder: string, name: string, bytes: AsyncIterable<Uint8Array>): Promise<string>;
  /** Writes a file with these words and runs `look` with its path; the file is gone afterwards. */
  probe(words: string, look: (path: string) => Promise<boolean>): Promise<boolean>;
  /** Deletes the files that were written before that time (ms since 1970). */
  clear(before: number): Promise<void>;
}

/** What reading the history of a channel or thread found. */
export interface Past {
  /** Of people, newer than what was asked for, oldest first. */
  messages: InboundMessage[];
  /** Of a channel: threads with replies that are newer than what was asked for, newest first. */
  threads: SlackTs[];
  /** False when there was more than the bridge reads at once: the oldest messages are missing. */
  isComplete: boolean;
}

/** Reads Slack's history. Calls are paced; methods reject with a BridgeError, or when the bridge stops. */
export interface History {
  /** `null` when it cannot be read and never will be: archived, bot removed, deleted. */
  readChannel(channel: ChannelId, after: SlackTs): Promise<Past | null>;
  readThread(channel: ChannelId, root: SlackTs, after: SlackTs): Promise<Past | null>;
}

/** One message of a thread, as Slack's history has it. */
export interface PastMessage extends Pick<InboundMessage, 'ts' | 'user' | 'bot' | 'spans' | 'files'> {
  /** Of the bridge: what it is, its words in one line. */
  own?: OwnKind | undefined;
}

export interface PastQuery {
  /** Only newer messages are wanted, and the first one; `null`: all. */
  after: SlackTs | null;
  /** Only older messages are wanted. */
  before: SlackTs;
  /** How many of the newest are needed; more may come. */
  most: number;
}

/** What one or two calls found of a thread. */
export interface ThreadPast {
  /** The thread's first message; `null` when it has none (a direct message's top level), or it is gone. */
  root: PastMessage | null;
  /** The others, oldest first. */
  messages: PastMessage[];
  /** How many messages between the first and the others were not read, at least. */
  unread: number;
  /** False when the newest ones are missing. */
  isComplete: boolean;
}

/** Where a link leads, and whose message it is in. */
export interface LinkQuery {
  channel: ChannelId;
  ts: SlackTs;
  threadTs: SlackTs | null;
  /** Nothing is shown that this person could not read in Slack. */
  reader: UserId;
  /** The channel in which they wrote the link: they can read that one. */
  from: ChannelId;
}

/** The message behind a link and the beginning of its thread; or why they cannot be shown, in words for the agent. */
export type LinkedPast = { messages: PastMessage[] } | { refused: string };

/** Reads a thread while its turn waits: quickly, and not at all when the budget of calls does not allow it. */
export interface ThreadReader {
  /** Rejects with a BridgeError whose notice says in a few words why the thread cannot be read. */
  readThread(address: ThreadAddress, query: PastQuery): Promise<ThreadPast>;
  /** Never rejects. */
  readLinked(query: LinkQuery): Promise<LinkedPast>;
}

/** A single message of Slack. */
export interface FoundMessage {
  /** The root of its thread; `null`: it is at top level. */
  threadTs: SlackTs | null;
  /** As far as the channel's id tells. */
  channelKind: ChannelKind;
  /** What a person or a bot says in it; `null`: it is ours, or nobody says anything. */
  message: InboundMessage | null;
  /** Set when it is ours: what it is, and which turn it belongs to. */
  own: { kind: OwnKind; turn: string | null } | null;
  /** Who reacted how; `isComplete`: whether Slack names all of them. */
  reactions: readonly { emoji: string; users: readonly UserId[]; isComplete: boolean }[];
}

export interface MessageReader {
  /** `null`: Slack has no such message for us. Rejects when Slack cannot be asked now. */
  readMessage(channel: ChannelId, ts: SlackTs): Promise<FoundMessage | null>;
}

// ---- storage -----------------------------------------------------------------------------------

export interface Threads {
  load(key: ThreadKey): Promise<ThreadRecord | null>;
  /**
   * Reads, changes and saves one record; updates of one thread run one after another and none awaits the network.
   * `change` gets a record that it must not mutate and returns the next one, or `null` to leave it; it may throw to
   * refuse. The store sets `rev` and `updatedAt`. Resolves with what is stored now; rejects when the disk fails.
   */
  update(key: ThreadKey, change: (record: ThreadRecord | null) => ThreadRecord | null): Promise<ThreadRecord | null>;
  /** Threads whose record says that something is open; start-up reads these alone. */
  listActive(): Promise<ThreadKey[]>;
  /** The thread that owns an open button, by the button's token: two lookups, not a search. */
  findByToken(token: string): Promise<ThreadKey | null>;
  /**
   * The threads where an offer waits for this person, or their turn failed, the newest first: at most 20, read by their
   * keys and not searched for.
   */
  loadWaiting(user: UserId): Promise<ThreadRecord[]>;
}

/** For a change of a channel's id, which is rare: may search through all records. */
export interface ThreadMoves {
  listOfChannel(team: TeamId, channel: ChannelId): Promise<ThreadKey[]>;
  /**
   * Stores the record of `from` under `to` as `change` makes it, out of itself and what `to` has already, then forgets
   * `from`. After an interruption it can be done again. Resolves with what is stored at `to`; `null` when `from` had none.
   */
  move(
    from: ThreadKey,
    to: ThreadKey,
    change: (record: ThreadRecord, there: ThreadRecord | null) => ThreadRecord,
  ): Promise<ThreadRecord | null>;
}

/** Finds the thread of a conversation by an index, not by a search. */
export interface ThreadOwners {
  /**
   * The thread that a conversation belongs to, over whichever device; of several, any. `null`: none that is stored. Ids of
   * conversations repeat from machine to machine, those of agents do not.
   */
  findByConversation(runtime: RuntimeRef): Promise<ThreadKey | null>;
}

/** What finished turns did, stored apart from the records because it is read only when a person asks. */
export interface DetailsStore {
  put(ref: DetailsRef, details: TurnDetails): Promise<void>;
  /** `null` when it was never kept, or not any more. */
  get(ref: DetailsRef): Promise<TurnDetails | null>;
  /** Deletes them; missing ones are fine. */
  drop(refs: readonly DetailsRef[]): Promise<void>;
}

/** Keeps what happens to threads, to search for faults with `npm run replay`. */
export interface Recordings {
  /**
   * Adds a line to the recording of a thread.
   * @param begin makes the line that goes before it where a file begins, or where lines were lost
   * @param isAnew whether it goes before it in any case
   */
  add(key: ThreadKey, line: string, begin: () => string, isAnew: boolean): void;
}

/** What became of every request. Entries are added, never changed, and deleted after their time. */
export interface Audit {
  /** Resolves when it is on disk. An entry whose `id` and `at` are stored already changes nothing. */
  append(entry: AuditEntry): Promise<void>;
  /** The newest entries that `wanted` accepts, at most `limit`, newest first. */
  listLatest(limit: number, wanted: (entry: AuditEntry) => boolean): Promise<AuditEntry[]>;
}

/** Small values that are stored under a name, such as the chosen agent and device (docs/design.md, Letta side). */
export interface Choices {
  get(name: string): Promise<string | null>;
  set(name: string, value: string): Promise<void>;
}
