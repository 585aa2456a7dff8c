import type { BackgroundTask, StoredRuntime } from '../agent-event.ts';
import type { ChannelId, MessageKey, SlackTs, ThreadKey, Token, TurnId, UserId } from '../ids.ts';
import type { FileRef, Span, ThreadAddress } from '../inbound.ts';
import type { PersonKind } from '../person.ts';
import type { Schedule, ScheduleDraft, TurnSchedule } from '../schedules/schedule.ts';

/** How a turn ended, as people are told. */
export interface Ending {
  outcome: 'done' | 'stopped' | 'failed' | 'interrupted';
  /** Who stopped it in Slack. */
  by: UserId | null;
  /** What went wrong, or what else people must know, in one line; `null` when all went well. */
  line: string | null;
  tools: number;
  /** How often the model thought before it went on, where people want to know. */
  thoughts?: number | undefined;
  durationMs: number;
  /** Of the button that shows what it did. */
  details?: Token | undefined;
  /** Who is notified of the end by a new message. */
  notify?: UserId | undefined;
  /** Set when it was cut off and goes on by itself, as the next turn. */
  goesOn?: true | undefined;
}

/** Names the details of one turn of a thread; the token is that of its Details button. */
export interface DetailsRef {
  token: Token;
  turn: TurnId;
  /** When it ended: ms since 1970. */
  at: number;
  /** Whose turn it was; left out in older records. */
  by?: UserId | undefined;
  /** Who showed the answer in the channel, too. */
  shared?: UserId | undefined;
}

/** The last answer of a thread that Slack shows whole, so that it can be shown in the channel, too. */
export interface AnswerRef {
  turn: TurnId;
  /** Whose turn it was. */
  by: UserId;
  /** Its last message. */
  ts: SlackTs;
  /** Who showed it in the channel, too. */
  shared?: UserId | undefined;
}

/** A person's message on its way to the agent. */
export interface InboxItem {
  key: MessageKey;
  ts: SlackTs;
  user: UserId;
  spans: Span[];
  files: FileRef[];
  /** ms since 1970, when the bridge accepted it */
  receivedAt: number;
  /** ms since 1970, when a person last asked to run it although it was old or may have run before. */
  askedAt?: number | undefined;
  /** How often it was sent again; each time Letta receives it under another id. */
  again?: number | undefined;
  /** A bot or a workflow wrote it; `user` is its bot id then. */
  bot?: true | undefined;
  /** Of a bot: the user that it is, too. */
  botUser?: UserId | undefined;
  /** ms since 1970, when its author changed it last while it waited. */
  editedAt?: number | undefined;
  /** What a bot calls itself; only of a message that was read from Slack's history. */
  botName?: string | undefined;
  /** A message of the bridge, which only goes along as context: what it is. */
  own?: OwnKind | undefined;
  /** Of a message that goes along as context: its author may not use the agent. */
  outsider?: true | undefined;
  /**
   * Set when Slack has no such message, because a dialog or a reaction asked it. `ts`: the message that it is about.
   * `emoji`: of the reaction.
   */
  about?: { ts: SlackTs; emoji?: string | undefined } | undefined;
  /** Set when its author handed it to the running turn: it joins that as soon as it can, or waits for its own turn. */
  now?: true | undefined;
  /** Set when the bridge wrote it in its author's name: their turn was cut off, and goes on by itself. */
  goesOn?: true | undefined;
}

/** What a message of the bridge is: a part of an answer, a card with a request, or another word of the bridge. */
export type OwnKind = 'answer' | 'card' | 'notice';

/** What a conversation was told of its Slack thread. */
export interface KnownThread {
  /** Everything up to here was told, or left out with a mark; `null`: Slack's history was never read for it. */
  upTo: SlackTs | null;
  /** Single messages that it was told of beyond that, because the history could not be read then. Bounded. */
  also: SlackTs[];
}

/** How the thread's history goes along with a turn, whose `context` holds the messages. */
export interface TurnPast {
  /** What the conversation will know once it has this input. */
  known: KnownThread;
  /** Whether the conversation knew nothing of the thread, so that its first message goes along, too. */
  isFirst: boolean;
  /** How many messages were left out for room, at least. */
  omitted: number;
  /** With this the prompt was written, and is written again if it is sent again. */
  seal: string;
  /** What is behind links to messages; left out: there are none. */
  linked?: LinkedMessages[] | undefined;
}

/** The message behind a link, and the beginning of its thread. */
export interface LinkedMessages {
  channel: ChannelId;
  /** Of the message that the link leads to. */
  ts: SlackTs;
  /** Oldest first; empty when they cannot be shown. */
  items: InboxItem[];
  /** Why not, in words for the agent. */
  refused?: string | undefined;
}

/** A Slack message that shows a part of the open turn. */
export interface PostRecord {
  /** Which part of the turn: stable while the turn lives. */
  part: string;
  ts: SlackTs;
  /** Of the content that Slack confirmed last. */
  hash: string;
  /** Whether it says that the turn runs, and has its Stop button. */
  live?: true | undefined;
  /** Whether it says how the turn ended. */
  ends?: true | undefined;
  /**
   * What Slack does not let us do with it any more. `edit`: its content is posted anew below, and this one is deleted.
   * `delete`: it can only be marked as replaced.
   */
  refuses?: 'edit' | 'delete' | undefined;
  /**
   * How much of its text, in characters, this message and those before it showed when the turn had ended and the message
   * could not be edited for a while: the rest is in the next message.
   */
  seam?: number | undefined;
  /** Whether it is a native stream that was not stopped yet: Slack takes no edit of it before that. */
  stream?: true | undefined;
}

/** What another client of Letta asked. */
export interface ClientAsk {
  /** In one short line, without what looks like a secret: data. Left out: not known. */
  asked?: string | undefined;
  /** Set when the turn ran while the thread was not linked; `earlier`: so many before it are not shown. */
  late?: { earlier: number } | undefined;
}

/** What the thread knows of other clients of its conversation. */
export interface KnownClients {
  /** Ids of their inputs that the thread has shown, and of texts of the agent, the latest last. */
  shown: string[];
  /**
   * Id of the item of the history up to which nothing is to be shown; `null`: it was the thread that began it. Left out: the
   * conversation was not looked through yet.
   */
  from?: string | null | undefined;
  /** Id of the newest item of the history that the thread knows; left out: none. */
  newest?: string | undefined;
}

export interface OpenTurn {
  id: TurnId;
  /**
   * The one person whose messages it carries; of a turn that Letta began by itself, the owner of the schedule that began
   * it, or who ran the command that did, or else the thread's starter; `OTHER_CLIENT` of one that another client began.
   */
  requester: UserId;
  /** `people`: from the inbox. `agent`: Letta started it by itself (task notification, cron, another client). */
  origin: 'people' | 'agent';
  /** The messages it carries, in Slack's order; kept until the turn ended. Empty for `agent`. */
  items: InboxItem[];
  /** Replies of others that go along as marked context. */
  context: InboxItem[];
  clientMessageId: string | null;
  /** Id of the input with which Letta began it by itself, if the bridge heard it: it identifies the turn in the history. */
  input?: string | undefined;
  /** The schedule that began it; left out: none, or it is not known. */
  schedule?: TurnSchedule | undefined;
  /** Set when no one in Slack asked for it: another client of Letta did, as far as is known. */
  client?: ClientAsk | undefined;
  /** The command of the agent's machine with which its requester began it, in one short line, without what looks like a secret. */
  command?: string | undefined;
  /** What other clients added to it while it ran, the last of it. */
  joined?: ClientAsk[] | undefined;
  /** `submitted` is written before the input leaves; `prepared` was certainly never sent. */
  state: 'prepared' | 'submitted';
  /** What the agent did not get, in words for people ("earlier messages of this thread"). */
  notPassedOn: string[];
  /** The files among it, with the reason ("video.mov: 60 MB, the limit is 20 MB"); set when its input leaves. */
  missingFiles?: string[] | undefined;
  startedAt: number;
  stopToken: Token;
  /** Who pressed Stop. */
  stoppedBy: UserId | null;
  posts: PostRecord[];
  /** Consents of people that approve requests without another click until the turn ends. */
  grants?: Grant[] | undefined;
  /** The processes that this turn asks the agent to end; such a turn carries no message. */
  ends?: string[] | undefined;
  /** How it ended, once that is known and until Slack shows it. */
  ended?: Ending | undefined;
  /** What the agent had said when its text was last shown, so people may have seen all of it. Left out: not known. */
  said?: SaidText[] | undefined;
  /** Set when its requester got the answer as a direct message, because Slack refused it in the thread. */
  told?: true | undefined;
  /** Set when its messages were deleted before they were sent to the agent. */
  withdrawn?: true | undefined;
  /** In how many other threads the agent changed something in the same directory when this turn first did. */
  alongside?: number | undefined;
  /** Whether the conversation begins in a thread of which it does not know the first message. */
  joinsLate?: true | undefined;
  /** Set when the thread's history was read for it: it is not read again when the input is sent again. */
  past?: TurnPast | undefined;
  /** What its requester handed to it while it ran, in order. */
  steered?: SteeredInput[] | undefined;
  /** Set when its input was handed to the turn before and did not join that. */
  wasSteered?: true | undefined;
}

/** Input that the requester of a turn handed to it while it ran. */
export interface SteeredInput {
  /** Under which Letta has it. */
  clientMessageId: string;
  /** Its messages as they were sent; once it joined, the turn has them, too. */
  items: InboxItem[];
  /** Replies of others that went along as marked context. */
  context: InboxItem[];
  /** `sent`: it may have left, and Letta has not told what became of it. `joined`: the agent has it. */
  state: 'sent' | 'joined';
  /**
   * Of what joined: when (ms since 1970), and the id of the agent's message before it, so that it finds its place again
   * after a restart; `null`: there was none. Left out: not known.
   */
  joined?: { at: number; after?: string | null | undefined } | undefined;
  past?: TurnPast | undefined;
  /** What its author changed since it was sent; `null`: deleted. */
  changes?: { key: MessageKey; item: InboxItem | null }[] | undefined;
}

/** The end of a turn that Slack refused for too long: its messages still look as while it ran. */
export interface LateEnd {
  turn: TurnId;
  requester: UserId;
  /** ms since 1970 */
  startedAt: number;
  posts: PostRecord[];
  /** As of the turn. */
  said?: SaidText[] | undefined;
  ended: Ending;
}

/** A message of the agent, as far as the bridge heard it. */
export interface SaidText {
  runId: string;
  messageId: string;
  text: string;
}

/** `edited`: a person replaced the command, and another person is asked about the new one. */
export type ApprovalDecision = 'approved' | 'approved_with_changes' | 'edited' | 'denied' | 'answered';

/**
 * - `answered_elsewhere`: another client of Letta answered.
 * - `turn_over`: the turn ended, or was stopped.
 * - `link_lost`: Letta does not know of it any more (docs/letta-protocol.md, Loss and restart).
 * - `expired`: no one decided in time, so it was denied.
 * - `not_shown`: Slack refused its card in every form, so it was denied.
 */
export type ApprovalClosed = 'answered_elsewhere' | 'turn_over' | 'link_lost' | 'expired' | 'not_shown';

/** How a person decided. `grant`: by an earlier consent that holds until the turn ends. Left out: by a click. */
export type DecidedVia = 'click' | 'modal' | 'command' | 'reply' | 'grant';

export type ApprovalState =
  | { state: 'open' }
  | {
      state: 'decided';
      decision: ApprovalDecision;
      by: UserId;
      /** Of the person, as it was then: data. Left out in older records. */
      name?: string | undefined;
      at: number;
      words: string | null;
      via?: DecidedVia | undefined;
    }
  | { state: 'closed'; why: ApprovalClosed; at: number };

/** `command`: exactly the same command again. `edits`: changes of files in the working directory. */
export type GrantKind = 'command' | 'edits';

/** A consent of a person who may decide, for similar requests until the turn ends. */
export interface Grant {
  kind: GrantKind;
  /** Of `command`: the digest of what may run again. */
  digest: string | null;
  /** The working directory that it holds for; left out: not known, so it covers nothing. */
  directory?: string | undefined;
  /** Who gave it, as known then; whether they still may is checked at each use. */
  by: { id: UserId; name?: string | undefined; kind: PersonKind; groups: string[] };
  at: number;
}

export interface ApprovalRecord {
  token: Token;
  turn: TurnId;
  requestId: string;
  tool: string;
  /** What it was about in one line, for the card after the decision. */
  title: string;
  /** SHA-256 of the canonical JSON of the input that was shown. */
  digest: string;
  requester: UserId;
  /** The command with which a person replaced the agent's, and who: the card then asks about this one. */
  edit?: { command: string; by: UserId } | undefined;
  /** Whose click is needed: users and user groups (`S…`); left out: the requester's. */
  asks?: string[] | undefined;
  /** Of a tool that the bridge runs: the model's call, and what it rests on besides its input. */
  call?: { id: string; seal: string } | undefined;
  /** Who alone may approve it, instead of the channel's approvers, who may still deny it. */
  only?: 'admins' | 'nobody' | undefined;
  /** Whether the card offers admins to save a rule of Letta's. */
  rule?: boolean | undefined;
  askedAt: number;
  /**
   * Id of the agent's message before the request, so that the card finds its place again after a restart; `null`: there
   * was none. Left out: not known.
   */
  after?: string | null | undefined;
  /** ms since 1970, when the bridge denies it if no one has decided; left out: never. */
  expiresAt?: number | undefined;
  /** ms since 1970, when people were reminded of it; that happens once. */
  remindedAt?: number | undefined;
  /** Whether the audit has its outcome. Left out while it is open, and in records from before there was an audit. */
  audit?: 'due' | 'done' | undefined;
  /** Where that is not known: id of the last message above it that was heard before a restart. */
  below?: string | undefined;
  /** What the person who decides was shown of the input, or of what ran instead; kept until the audit has it. */
  input?: string | undefined;
  state: ApprovalState;
}

/**
 * - `run_held`: messages that were too old to run without asking.
 * - `send_again`: messages that did not reach the agent, or perhaps did not, or whose turn failed.
 * - `start_new`: messages that could not run in the thread's conversation: Letta lost it, or it is too long.
 * - `continue`: a turn was cut off.
 * - `ask_again`: a turn was cut off while an approval was open; Letta no longer knows the request.
 * - `deny_or_keep`: a person wrote while a request waits for their decision.
 * - `background`: a task outlives its turn; whoever may stop a turn may stop it.
 * - `schedule`: a schedule waits for its owner to confirm it.
 */
export type OfferKind =
  | 'run_held'
  | 'send_again'
  | 'start_new'
  | 'continue'
  | 'ask_again'
  | 'deny_or_keep'
  | 'background'
  | 'schedule';

export type OfferChoice =
  | 'scheduled'
  | 'not_scheduled'
  | 'run'
  | 'dropped'
  | 'sent'
  | 'started'
  | 'continued'
  | 'asked'
  | 'denied'
  | 'kept';

export type OfferState =
  | { state: 'open' }
  | { state: 'decided'; choice: OfferChoice; at: number }
  /** A decision is not needed any more. */
  | { state: 'lapsed'; at: number };

/** Buttons for one person: a message of the bridge of its own, or the end of a turn's last message. It outlives restarts. */
export interface Offer {
  token: Token;
  kind: OfferKind;
  /** The only one who may click: the author of the messages, or the cut turn's requester. */
  for: UserId;
  madeAt: number;
  /** Of `send_again` and `start_new`: whether the messages certainly did not reach the agent. */
  certain: boolean;
  /** The messages, as long as it is open. Empty for `continue`, and while the turn that they belong to is open. */
  items: InboxItem[];
  /** Set when the agent got the messages, and their turn failed. */
  reached?: true | undefined;
  /**
   * Set when the last message of a turn shows it. `message`: all that this message shows, as the surface gave it, so that
   * it can be shown without the buttons; not there before the turn is closed, and not once the offer is.
   */
  tail?: { turn: TurnId; message?: string | undefined } | undefined;
  /** Of `deny_or_keep`: the request that waits, and the message that came meanwhile. */
  about?: { approval: Token; message: MessageKey } | undefined;
  /** Of `start_new`: the conversation that is gone; once the thread has another one, the messages go to that. */
  gone?: { agentId: string; conversationId: string } | undefined;
  /** How many messages, or tasks, it is or was about. */
  count: number;
  /** Of `run_held`: set when the messages are late only by our clock, which was this many ms ahead of Slack's. */
  clockAheadMs?: number | undefined;
  /** Of `schedule`: what its owner is asked to confirm. */
  draft?: ScheduleDraft | undefined;
  /** Of `background`: what runs, a line each, Markdown of ours. */
  lines?: string[] | undefined;
  state: OfferState;
  /** The Slack message that shows it; as a turn's posts. */
  posts: PostRecord[];
  /**
   * What Slack shows. `wanted`: nothing, or an older state. `begun`: perhaps a message that `posts` does not name.
   * `shown`: the current state.
   */
  display: 'wanted' | 'begun' | 'shown';
}

/** A background task, with whose turn began it and since when the bridge knows it (ms since 1970). */
export interface TaskRecord extends BackgroundTask {
  for: UserId;
  since: number;
}

export interface EndTasks {
  by: UserId;
  at: number;
  /** Of the tasks that are meant. */
  ids: string[];
  /**
   * - `wanted`: Letta is asked to end them.
   * - `asked`: the agent is asked to, because Letta cannot.
   * - `told`: they still run, and the person who pressed Stop was told.
   */
  step: 'wanted' | 'asked' | 'told';
}

/** A call of a tool that the bridge runs, from its arrival on; known until some time after its turn. */
export interface ToolCallRecord {
  /** Under which Letta waits for the result: foreign text. The first one names the call. */
  requestIds: string[];
  /** Of the model's call: foreign text. */
  callId: string;
  turn: TurnId;
  tool: string;
  /** As it was checked; empty once the turn is over. */
  input: Record<string, string | number>;
  /** SHA-256 of the whole input, as on a card. */
  digest: string;
  /** ms since 1970, when it came. */
  at: number;
  /**
   * - `waiting`: nothing was done.
   * - `acting`: it may have been done.
   * - `done`: it is over, done or not, and Letta was or is being told.
   */
  state: 'waiting' | 'acting' | 'done';
  /** What Letta is told; left out while it is not over, and of what was only read. */
  result?: { text: string; isError?: boolean | undefined } | undefined;
}

/**
 * Everything about one thread that must change together. Records are values: `Threads.update` gets a new one,
 * nothing mutates an old one. storage/records.ts checks the same shape when it reads.
 */
export interface ThreadRecord {
  /** Whether the thread was told that the context of its conversation is nearly full. */
  contextTold?: true | undefined;
  key: ThreadKey;
  rev: number;
  address: ThreadAddress;
  starter: UserId;
  createdAt: number;
  updatedAt: number;
  runtime: StoredRuntime | null;
  /** Set when other threads belong to the conversation, too. */
  isShared?: true | undefined;
  /** What the conversation was told of the thread; left out: nothing. */
  known?: KnownThread | undefined;
  /** Who mentioned the bot here: their plain replies are for the agent. */
  participants: UserId[];
  /** Messages that wait for their turn, in Slack's order. */
  inbox: InboxItem[];
  /** Replies that were not meant for the bot, for the next turn's context. */
  context: InboxItem[];
  /** Messages that were handled, with the time in ms; forgotten after 24 h. `context`: it was not for the agent. */
  seen: { key: MessageKey; at: number; as?: 'context' | undefined }[];
  turn: OpenTurn | null;
  /** Open ones, and the last closed ones so that a late click gets a true answer. */
  approvals: ApprovalRecord[];
  /** Whether something of this thread still runs in the background at Letta. */
  background: boolean;
  /** What that is, as Letta told last; left out: nothing, or not known. */
  tasks?: TaskRecord[] | undefined;
  /** The thread's schedules; left out: none. While there is one, the thread keeps its link to Letta. */
  schedules?: Schedule[] | undefined;
  /** Set from a person's command to summarise the earlier messages until that is over. */
  compaction?: Compaction | undefined;
  /** Set from a person's wish to run a command of the device until that is over. */
  run?: DeviceRun | undefined;
  /** Set from a person's wish to go on in a new thread until that thread is there. */
  fork?: Fork | undefined;
  /** Set while a person wants the tasks to end and they still run. */
  endTasks?: EndTasks | undefined;
  /** Open ones, and the last decided ones so that a late click gets a true answer. */
  offers: Offer[];
  /** How many messages of bots were accepted since a person wrote here; limit + 1 once the refusal was posted. */
  botsInARow?: number | undefined;
  /** Whether only messages that mention the bot are for the agent. */
  muted?: boolean | undefined;
  /** Set once people were told that other threads change things in the same directory. */
  warned?: true | undefined;
  /** Set in a new direct message until its first answer has said that the agent has one memory. */
  headsUp?: true | undefined;
  /** Who muted it; left out in older records. */
  mutedBy?: UserId | undefined;
  /** Turns whose end Slack refused for too long, the latest last: shown when the thread can be written to again. */
  late?: LateEnd[] | undefined;
  /** The turns whose details are stored, the latest last. */
  details?: DetailsRef[] | undefined;
  /** The last answer that is finished; left out: none, or one that an older version showed. */
  answer?: AnswerRef | undefined;
  /** Reactions that asked the agent something, the latest last: each does so once. */
  reacted?: ReactionMark[] | undefined;
  /** Files on the agent's machine, the latest last. */
  handedOver?: HandedFile[] | undefined;
  /** Calls of tools that the bridge runs: open ones, and the last ones that are over. */
  calls?: ToolCallRecord[] | undefined;
  /** How the last turn failed or was cut; left out once a turn ended otherwise. */
  failure?: Failure | undefined;
  clients?: KnownClients | undefined;
}

/** Letta is to summarise the earlier messages of the conversation. */
export interface Compaction {
  by: UserId;
  /** Of the person: data. */
  name: string;
  /** ms since 1970 */
  at: number;
  /** Whether Letta may have been asked. */
  asked?: true | undefined;
}

/** A command of the agent's machine that a person runs: at most once. */
export interface DeviceRun {
  by: UserId;
  /** Of the person: data. */
  name: string;
  /** ms since 1970 */
  at: number;
  command: string;
  args: string;
  /** Whether the machine may have been asked. */
  asked?: true | undefined;
}

/** A person goes on in a new thread, with a copy of the conversation. */
export interface Fork {
  /** Names the copy at Letta and the messages in Slack, so that what was made before a crash is found, not made again. */
  id: string;
  by: UserId;
  /** Of the person: data. */
  name: string;
  /** ms since 1970 */
  at: number;
  /** The message up to which the new thread knows the old one; left out: all of it. */
  upTo?: ForkPoint | undefined;
  /** Whether Letta may have been asked. */
  asked?: true | undefined;
  /** The runtime of the copy, once Letta has made it. */
  made?: StoredRuntime | undefined;
  /** The first message of the new thread, once Slack has it. */
  root?: SlackTs | undefined;
}

/** A message of the thread, with all that the agent did for it. */
export interface ForkPoint {
  ts: SlackTs;
  /** Whether it is the agent's; else a person's. */
  isAnswer: boolean;
}

export interface Failure {
  /** Whose turn it was. */
  for: UserId;
  /** ms since 1970 */
  at: number;
  /** The cause in words, and what was changed: as the turn's last line. */
  line: string;
}

/** One person's reaction with one emoji to one message. */
export interface ReactionMark {
  /** The message that they reacted to. */
  to: SlackTs;
  user: UserId;
  emoji: string;
}

/** A file of a message that lies on the agent's machine. */
export interface HandedFile {
  /** As the agent was told: absolute, or below `~`. */
  path: string;
  /** ms since 1970 */
  at: number;
  /** The command that makes it out of its base64 pieces, letter by letter. */
  decode?: string | undefined;
  /** How many pieces there are. */
  pieces?: number | undefined;
  /** Whether the bridge wrote it into a folder that both machines see, and deletes it there. */
  isShared?: true | undefined;
}

/** Whether start-up must load the thread. An open offer that Slack shows does not count: it only waits for a click. */
export function isActive(record: ThreadRecord): boolean {
  const unwritten = record.approvals.some(({ audit }) => audit === 'due');
  return (
    needsLetta(record) ||
    hasSchedules(record) ||
    unwritten ||
    record.late !== undefined ||
    record.offers.some((offer) => offer.display !== 'shown')
  );
}

/** Whether Letta may begin a turn here at any time. */
export function hasSchedules({ schedules }: ThreadRecord): boolean {
  return (schedules?.length ?? 0) > 0;
}

/** Whether the thread has something to do, or running, at Letta. */
export function needsLetta(record: ThreadRecord): boolean {
  return (
    record.turn !== null ||
    record.inbox.length > 0 ||
    record.background ||
    record.compaction !== undefined ||
    record.fork !== undefined ||
    record.run !== undefined ||
    record.approvals.some((approval) => approval.state.state === 'open')
  );
}
