import type { Binding, GroupId } from './access/policy.ts';
import type {
  AgentEvent,
  BackgroundTask,
  ConnectionEvent,
  Decision,
  HistoryItem,
  PermissionMode,
  StoredRuntime,
} from './agent-event.ts';
import type { AuditEntry } from './approvals/audit-entry.ts';
import type { ChannelId, MessageKey, SlackTs, TeamId, ThreadKey, Token, TurnId, UserId } from './ids.ts';
import type {
  ActionOutcome,
  InboundAction,
  InboundChannelChange,
  InboundCommand,
  InboundMessage,
  InboundRevision,
  InboundSessionStop,
  InboundSubmission,
  MessageOutcome,
  RevisionOutcome,
  SubmissionOutcome,
  ThreadAddress,
} from './inbound.ts';
import type { CounterName, GaugeName, HistogramName } from './metric-table.ts';
import type { Person } from './person.ts';
import type { DetailsRef, PostRecord, ThreadRecord } from './record/thread-record.ts';
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
   * ms since 1970, for ages that are stored, shown, or compared with other people's clocks. It may step back or forward
   * while we run: nothing that waits may count by it.
   */
  now(): number;
  /** ms since some moment in the life of the process; never steps. For budgets, deadlines, windows, silence. */
  monotonic(): number;
  /** Runs once after `ms`; errors thrown by `run` are a bug. Must not keep the process alive by itself. */
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

/** What is counted and measured (metric-table.ts); `labels` take few, known values: never ids or texts. */
export interface Metrics {
  /** One more. */
  count(name: CounterName, labels?: Readonly<Record<string, string>>): void;
  /** How it is now. */
  gauge(name: GaugeName, value: number, labels?: Readonly<Record<string, string>>): void;
  /** How long it took, in seconds. */
  observe(name: HistogramName, seconds: number): void;
}

// ---- Letta -------------------------------------------------------------------------------------

export interface ConnectOptions {
  /** The thread's runtime; `null` asks for a new conversation with the configured agent. */
  runtime: StoredRuntime | null;
  mode: PermissionMode;
  /**
   * Where a new conversation is held: a stored runtime stays with its agent and device. The directory holds for both.
   */
  binding?: Binding | null;
}

/**
 * One runtime over one link at a time. It dials, replays, reconnects and dedupes by itself and tells of it
 * through `onEvent`, in order. Methods reject with a BridgeError; `certain: false` where the outcome is unknown.
 */
export interface AgentConnection {
  /**
   * Sends the turn's input. Resolves when Letta accepted it; the caller sees to it that no turn is open.
   * `tools`: the only ones that the model is offered; left out: all.
   */
  submit(input: { clientMessageId: string; content: string; tools?: readonly string[] | undefined }): Promise<void>;
  /** `gone` when the request is no longer pending (answered elsewhere, turn over). */
  answer(requestId: string, decision: Decision): Promise<'accepted' | 'gone'>;
  /** Whether something was there to be stopped; the end still comes as `turn-ended`. */
  abort(): Promise<{ aborted: boolean }>;
  /**
   * Asks Letta to end what runs in the background; `ended` says whether it did. Of commands, and of subagents that are
   * processes of the device, it has no way to (docs/letta-protocol.md, Activity nobody asked for): those only the agent
   * itself can end.
   */
  endTask(task: BackgroundTask): Promise<{ ended: boolean }>;
  /**
   * The `sync` round trip that must stand between `turn-ended` and the next input (docs/letta-protocol.md, Queue and
   * deduplication).
   */
  settle(): Promise<void>;
  /** The newest `limit` items, oldest first. */
  fetchHistory(limit: number): Promise<HistoryItem[]>;
  /** Stops for good; no event comes afterwards. Closing twice is fine. */
  close(): void;
}

export interface AgentGateway {
  connect(options: ConnectOptions, onEvent: (event: AgentEvent | ConnectionEvent) => void): AgentConnection;
}

// ---- Slack -------------------------------------------------------------------------------------

export type Delivery =
  | { delivered: true }
  /** The thread cannot be written to any more: archived, bot removed, message deleted, token revoked. */
  | { delivered: false; reason: string };

/**
 * One turn as it is shown: throttled edits. Slack's native streaming would be a second implementation of this, chosen
 * by
 * `Surface.turn`: it takes the same views, and falls back to edits (docs/slack.md, Edits or native streaming).
 */
export interface TurnSurface {
  /** Wishes for the latest view; older wishes that were not shown yet are forgotten. Never throws. */
  show(view: TurnView): void;
  /**
   * Shows the view that ends the turn; resolves when Slack confirmed all of it, or has refused it for half a day.
   * @param endedAt ms since 1970: since when it is owed. Left out: since now.
   */
  finish(view: TurnView, endedAt?: number): Promise<Delivery>;
  /** Makes sure that the cards of the turn are still to be seen: people are about to be told of them. */
  recheckCards?(): void;
  /**
   * Shows the last view before the process ends, in the messages that the turn has; it goes ahead of other live edits.
   * Resolves when Slack shows it or has refused it; nobody has to wait for that. Never rejects.
   */
  pause?(view: TurnView): Promise<void>;
  /** Leaves the turn as it stands in Slack: no further call; resolves when those on their way are stored. */
  freeze?(): Promise<void>;
}

/** What cannot be shown in its thread for now, and Slack's word for why. */
export interface HeldUp {
  what: 'end' | 'card';
  reason: string;
}

export interface SurfaceTurn {
  turn: TurnId;
  address: ThreadAddress;
  /** Messages of this turn that Slack has already, from the record: they are continued, not posted again. */
  posts: readonly PostRecord[];
  /** Taken up after a restart: Slack may have messages of it that `posts` does not know, so the surface looks first. */
  resumed?: boolean;
  /** Told after each confirmed post or edit; the surface waits for it before it counts the call as done. */
  onPosts(posts: PostRecord[]): Promise<void>;
  /** Called before text is shown that may still change: the promise is waited for. */
  onText?(): Promise<void> | undefined;
  /**
   * Slack has taken cards in no form for half a day, or has no such thread: nobody can decide them. May be told several
   * times. `cards`: the first letters of their tokens; left out: all.
   */
  onCardRefused?(reason: string, cards?: readonly string[]): void;
  /** The turn's end, or a card of it, waits until Slack lets us write there again. Told once. */
  onHeldUp?(held: HeldUp): void;
}

export interface SurfaceOffer {
  view: OfferView;
  address: ThreadAddress;
  /** Messages that show an earlier view of the same offer: they are edited. */
  posts: readonly PostRecord[];
  /** Slack may have a message of it that `posts` does not know, so the surface looks first. */
  resumed: boolean;
  /** Told after each confirmed post or edit; the surface waits for it before it counts the call as done. */
  onPosts(posts: PostRecord[]): Promise<void>;
}

export interface Surface {
  turn(options: SurfaceTurn): TurnSurface;
  /**
   * Shows an offer, or what became of it. Resolves when Slack confirmed it, or cannot be told any more; one call at a
   * time for each offer.
   */
  offer(options: SurfaceOffer): Promise<Delivery>;
  /** Makes Slack stop showing that somebody works in this thread. Best effort: a failure is logged only. */
  clearWorkingStatus?(address: ThreadAddress): Promise<void>;
  /**
   * A direct message to somebody about a thread that cannot be written to: `text` is Markdown of ours, and below it
   * stands what the agent said in `copy.view`. The copy of one turn stands there once, however often it is told: the
   * surface looks for what it has posted of it, also before a restart.
   */
  sendDirectMessage?(
    user: UserId,
    team: TeamId,
    text: string,
    copy: { turn: TurnId; view: TurnView } | null,
  ): Promise<Delivery>;
  /** One message of the bridge itself in the thread (help, a refusal that all may see). Text is Markdown of ours. */
  say(address: ThreadAddress, text: string): Promise<Delivery>;
  /**
   * Only `user` sees it; best effort (docs/slack.md, Interactivity).
   * @param stop the token of a turn: a Stop button stands below the text
   */
  whisper(address: ThreadAddress, user: UserId, text: string, stop?: Token): Promise<void>;
}

export interface People {
  /**
   * Cached. Rejects with a retryable BridgeError when Slack cannot be asked.
   * @param maxAgeMs how old the answer may be; at most ten minutes, which is the default.
   */
  getPerson(user: UserId, team: TeamId, maxAgeMs?: number): Promise<Person>;
  /** A channel's name without `#`; the id where Slack does not tell. Never rejects. */
  getChannelName(channel: string, team: TeamId): Promise<string>;
  /**
   * Whether another organisation shares the channel, or is invited to; also where Slack refuses to tell. Cached.
   * Rejects with a retryable BridgeError when Slack cannot be asked.
   */
  isShared(channel: ChannelId, team: TeamId): Promise<boolean>;
}

export interface UserGroups {
  /**
   * As Slack confirmed them at most ten minutes ago; nobody where there is no such group. Rejects with a retryable
   * BridgeError when Slack cannot be asked.
   */
  listMembers(group: GroupId): Promise<ReadonlySet<UserId>>;
}

/** What Slack's receiver hands everything to. A promise that rejects means: not stored, do not acknowledge. */
export interface Intake {
  /**
   * Resolves when the message is on disk or needs not be.
   * @param how `caughtUp`: found by looking, perhaps long after it was written: commands are not carried out.
   */
  handleMessage(message: InboundMessage, how?: { caughtUp: boolean }): Promise<MessageOutcome>;
  /** Remembers why a message of Slack was ignored, so that `!why` can tell. */
  noteIgnored(key: MessageKey, reason: string): void;
  /** Resolves when the change is on disk or needs not be. */
  handleRevision(revision: InboundRevision): Promise<RevisionOutcome>;
  /** Resolves when the decision is on disk. */
  handleAction(action: InboundAction): Promise<ActionOutcome>;
  handleSubmission(submission: InboundSubmission): Promise<SubmissionOutcome>;
  /** Resolves when the stop is on disk, or the person was told why not. */
  handleSessionStop(stop: InboundSessionStop): Promise<void>;
  /** The answer is Markdown for the caller's eyes only. */
  handleCommand(command: InboundCommand): Promise<string>;
  /** Resolves when the channel's threads are stored under its new id. */
  handleChannelChange(change: InboundChannelChange): Promise<void>;
  /** What this person sees in the app's Home tab. */
  viewHome(user: UserId, team: TeamId): Promise<HomeView>;
}

/** What a look into a channel or thread found. */
export interface Past {
  /** Of people, newer than what was asked for, oldest first. */
  messages: InboundMessage[];
  /** Of a channel: threads with replies that are newer than what was asked for, newest first. */
  threads: SlackTs[];
  /** False when there was more than is read at most: the oldest of it is missing. */
  isComplete: boolean;
}

/** What Slack still has of what was said. Calls are paced; methods reject with a BridgeError, or when stopped. */
export interface History {
  /** `null` when it cannot be read, now or later: archived, bot removed, deleted. */
  readChannel(channel: ChannelId, after: SlackTs): Promise<Past | null>;
  readThread(channel: ChannelId, root: SlackTs, after: SlackTs): Promise<Past | null>;
}

// ---- storage -----------------------------------------------------------------------------------

export interface Threads {
  load(key: ThreadKey): Promise<ThreadRecord | null>;
  /**
   * Reads, changes and saves one record; updates of one thread run one after another and none awaits the network.
   * `change` gets a record that it may not mutate and returns the next one, or `null` for "leave it"; it may throw to
   * refuse. `rev`, `updatedAt` are set by the store. Resolves with what is stored now. Any disk failure rejects.
   */
  update(key: ThreadKey, change: (record: ThreadRecord | null) => ThreadRecord | null): Promise<ThreadRecord | null>;
  /** Threads whose record says that something is open; all that start-up reads. */
  listActive(): Promise<ThreadKey[]>;
  /** The thread that owns an open button, by the button's token: two lookups, not a search. */
  findByToken(token: string): Promise<ThreadKey | null>;
}

/** For what happens once in a channel's life; may search. */
export interface ThreadMoves {
  listOfChannel(team: TeamId, channel: ChannelId): Promise<ThreadKey[]>;
  /**
   * Stores the record of `from` under `to` as `change` makes it, out of itself and what `to` has already, then forgets
   * `from`. Interrupted it can be done again. Resolves with what is stored at `to`; `null` when there was none.
   */
  move(
    from: ThreadKey,
    to: ThreadKey,
    change: (record: ThreadRecord, there: ThreadRecord | null) => ThreadRecord,
  ): Promise<ThreadRecord | null>;
}

/** What finished turns did, apart from the records: read only when somebody asks. */
export interface DetailsStore {
  put(ref: DetailsRef, details: TurnDetails): Promise<void>;
  /** `null` when it is not kept, or not any more. */
  get(ref: DetailsRef): Promise<TurnDetails | null>;
  /** Forgets them; what is not there is fine. */
  drop(refs: readonly DetailsRef[]): Promise<void>;
}

/** What became of every request. Entries are added, never changed, and forgotten after their time. */
export interface Audit {
  /** Resolves when it is on disk. The same `id` and `at` again change nothing. */
  append(entry: AuditEntry): Promise<void>;
  /** The newest that `wanted` takes, at most `limit`, newest first. */
  listLatest(limit: number, wanted: (entry: AuditEntry) => boolean): Promise<AuditEntry[]>;
}

/** What was chosen once and must not change by itself: the agent, the device (docs/design.md, Letta side). */
export interface Choices {
  get(name: string): Promise<string | null>;
  set(name: string, value: string): Promise<void>;
}
