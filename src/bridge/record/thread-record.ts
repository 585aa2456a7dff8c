import type { BackgroundTask, StoredRuntime } from '../agent-event.ts';
import type { MessageKey, SlackTs, ThreadKey, Token, TurnId, UserId } from '../ids.ts';
import type { FileRef, Span, ThreadAddress } from '../inbound.ts';
import type { PersonKind } from '../person.ts';

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
  /** Who is told of it by a message of its own. */
  notify?: UserId | undefined;
}

/** By this a thread finds the details of one of its turns; the token is the button's. */
export interface DetailsRef {
  token: Token;
  turn: TurnId;
  /** When it ended: ms since 1970. */
  at: number;
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
  /** ms since 1970, when a person last asked for it to be run although it was old or may have run. */
  askedAt?: number | undefined;
  /** How often it was sent again: each time Letta gets it under another id. */
  again?: number | undefined;
  /** A bot or a workflow wrote it; `user` is its bot id then. */
  bot?: true | undefined;
  /** Of a bot: the user that it is, too. */
  botUser?: UserId | undefined;
  /** ms since 1970, when its author changed it last while it waited. */
  editedAt?: number | undefined;
}

/** A Slack message that shows a part of the open turn. */
export interface PostRecord {
  /** Which part of the turn: stable while the turn lives. */
  part: string;
  ts: SlackTs;
  /** Of the content that Slack confirmed last. */
  hash: string;
  /** Whether it says that the turn goes on, and has a button for as long. */
  live?: true | undefined;
  /** Whether it says how the turn ended. */
  ends?: true | undefined;
  /**
   * What Slack lets us do with it no more. `edit`: it is shown anew below, and this one is to be deleted. `delete`: it
   * can only be marked as replaced.
   */
  refuses?: 'edit' | 'delete' | undefined;
}

export interface OpenTurn {
  id: TurnId;
  /** The one person whose messages it carries; for turns that nobody asked for, the thread's starter. */
  requester: UserId;
  /** `people`: from the inbox. `agent`: Letta started it by itself (task notification, cron, another client). */
  origin: 'people' | 'agent';
  /** The messages it carries, in Slack's order; kept until the turn ended. Empty for `agent`. */
  items: InboxItem[];
  /** Replies of others that go along as marked context. */
  context: InboxItem[];
  clientMessageId: string | null;
  /** What Letta began it with, where it began it by itself and that was heard: by this the history knows it. */
  input?: string | undefined;
  /** `submitted` is written before the input leaves; `prepared` was certainly never sent. */
  state: 'prepared' | 'submitted';
  /** What was not handed to the agent, in words for people ("2 files: a.png, b.pdf"). */
  notPassedOn: string[];
  startedAt: number;
  stopToken: Token;
  /** Who pressed Stop. */
  stoppedBy: UserId | null;
  posts: PostRecord[];
  /** What is answered without asking again until it ends. */
  grants?: Grant[] | undefined;
  /** Processes that the agent is asked to end in this turn, and nothing else: it carries no message. */
  ends?: string[] | undefined;
  /** How it ended, once that is known: what is left to do is to show it. */
  ended?: Ending | undefined;
  /** What the agent had said when text of it was shown last: people may have seen all of it. Left out: not known. */
  said?: SaidText[] | undefined;
  /** Its requester got the answer as a direct message, because it cannot be shown in the thread. */
  told?: true | undefined;
  /** Its messages were deleted before they went to the agent. */
  withdrawn?: true | undefined;
  /** In how many other threads the agent was at work in the same directory when it began. */
  alongside?: number | undefined;
}

/** A message of the agent, as far as it was heard. */
export interface SaidText {
  runId: string;
  messageId: string;
  text: string;
}

/** `edited`: another command was put in its place, and somebody else is asked about that. */
export type ApprovalDecision = 'approved' | 'approved_with_changes' | 'edited' | 'denied' | 'answered';

/**
 * - `answered_elsewhere`: another client of Letta answered.
 * - `turn_over`: the turn ended, or was stopped.
 * - `link_lost`: Letta does not know of it any more (docs/letta-protocol.md, Loss and restart).
 * - `expired`: nobody decided in time, so it was denied.
 * - `not_shown`: Slack took it in no form, so it was denied.
 */
export type ApprovalClosed = 'answered_elsewhere' | 'turn_over' | 'link_lost' | 'expired' | 'not_shown';

/** How a person decided. `grant`: by what they had allowed before, until the turn ends. Left out: by a click. */
export type DecidedVia = 'click' | 'modal' | 'command' | 'reply' | 'grant';

export type ApprovalState =
  | { state: 'open' }
  | {
      state: 'decided';
      decision: ApprovalDecision;
      by: UserId;
      at: number;
      words: string | null;
      via?: DecidedVia | undefined;
    }
  | { state: 'closed'; why: ApprovalClosed; at: number };

/** `command`: exactly the same command again. `edits`: changes of files in the working directory. */
export type GrantKind = 'command' | 'edits';

/** What somebody who may decide has allowed until the turn ends. */
export interface Grant {
  kind: GrantKind;
  /** Of `command`: the digest of what may run again. */
  digest: string | null;
  /** The working directory that it was given for; left out: not known, and nothing is covered. */
  directory?: string | undefined;
  /** As they were known then: whether they still may is asked each time it is used. */
  by: { id: UserId; kind: PersonKind; groups: string[] };
  at: number;
}

export interface ApprovalRecord {
  token: Token;
  turn: TurnId;
  requestId: string;
  tool: string;
  /** One line that says what it was about, for the card after the decision. */
  title: string;
  /** SHA-256 of the canonical JSON of the input that was shown. */
  digest: string;
  requester: UserId;
  /** The command that a person put in the place of the agent's, and who: it is this that is asked about. */
  edit?: { command: string; by: UserId } | undefined;
  /** Whose click is needed, users and user groups (`S…`); left out: the requester's. */
  asks?: string[] | undefined;
  /** Who alone may approve it, where that is not the place's approvers; denying it stays theirs, too. */
  only?: 'admins' | 'nobody' | undefined;
  /** Whether admins are offered to save a rule of Letta's. */
  rule?: boolean | undefined;
  askedAt: number;
  /**
   * Id of the message of the agent that it was asked after, so that its card finds its place again after a restart;
   * `null`: nothing was said before. Left out: not known.
   */
  after?: string | null | undefined;
  /** ms since 1970, when it is denied because nobody decided; left out: never. */
  expiresAt?: number | undefined;
  /** ms since 1970, when people were reminded of it; they are once. */
  remindedAt?: number | undefined;
  /** Whether the audit has how it ended. Left out in records of before there was an audit, and while it is open. */
  audit?: 'due' | 'done' | undefined;
  /** For the audit, until it has it: what the one who decides was shown of the input, or of what was run instead. */
  input?: string | undefined;
  state: ApprovalState;
}

/**
 * - `run_held`: messages that were too old to be run unasked.
 * - `send_again`: messages of which nobody knows whether they reached the agent, or which certainly did not.
 * - `start_new`: messages that could not be run, because the thread's conversation is gone at Letta.
 * - `continue`: a turn was cut off.
 * - `ask_again`: a turn was cut off while it asked; the request is dead.
 * - `deny_or_keep`: a message came while a request waits for its author's decision.
 * - `background`: something goes on after its turn; whoever may stop a turn may stop it.
 */
export type OfferKind =
  | 'run_held'
  | 'send_again'
  | 'start_new'
  | 'continue'
  | 'ask_again'
  | 'deny_or_keep'
  | 'background';

export type OfferChoice = 'run' | 'dropped' | 'sent' | 'started' | 'continued' | 'asked' | 'denied' | 'kept';

export type OfferState =
  | { state: 'open' }
  | { state: 'decided'; choice: OfferChoice; at: number }
  /** Nobody needs to decide it any more. */
  | { state: 'lapsed'; at: number };

/** A line of the bridge with buttons, outside of any turn. It outlives restarts. */
export interface Offer {
  token: Token;
  kind: OfferKind;
  /** The only one who may click: the author of the messages, or the cut turn's requester. */
  for: UserId;
  madeAt: number;
  /** Of `send_again` and `start_new`: whether the messages certainly did not reach the agent. */
  certain: boolean;
  /** The messages, as long as it is open. Empty for `continue`. */
  items: InboxItem[];
  /** Of `deny_or_keep`: the request that waits, and the message that came meanwhile. */
  about?: { approval: Token; message: MessageKey } | undefined;
  /** Of `start_new`: the conversation that is gone; once the thread has another one, that goes on. */
  gone?: { agentId: string; conversationId: string } | undefined;
  /** How many messages, or tasks, it is or was about. */
  count: number;
  /** Of `run_held`: the messages only seem late, as our clock was ahead of Slack's by so many ms. */
  clockAheadMs?: number | undefined;
  /** Of `background`: what runs, a line each, Markdown of ours. */
  lines?: string[] | undefined;
  state: OfferState;
  /** The Slack message that shows it; as a turn's posts. */
  posts: PostRecord[];
  /**
   * What Slack has: `wanted`: not what it should; `begun`: perhaps a message that `posts` does not know; `shown`: all.
   */
  display: 'wanted' | 'begun' | 'shown';
}

/** What runs in the background, with whose turn began it, and since when that is known (ms since 1970). */
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
   * - `asked`: the agent is, as Letta had no way to.
   * - `told`: they go on all the same, and whoever wanted their end knows.
   */
  step: 'wanted' | 'asked' | 'told';
}

/**
 * Everything about one thread that must change together. Records are values: `Threads.update` gets a new one,
 * nothing mutates an old one. storage/records.ts checks the same shape when it reads.
 */
export interface ThreadRecord {
  key: ThreadKey;
  rev: number;
  address: ThreadAddress;
  starter: UserId;
  createdAt: number;
  updatedAt: number;
  runtime: StoredRuntime | null;
  /** Who mentioned the bot here: their plain replies count. */
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
  /** Somebody wants it to end, until it has. */
  endTasks?: EndTasks | undefined;
  /** Open ones, and the last decided ones so that a late click gets a true answer. */
  offers: Offer[];
  /** How many messages of bots were taken since a person wrote here; one more than is allowed once that was said. */
  botsInARow?: number | undefined;
  /** Only those are answered who mention the bot. */
  muted?: boolean | undefined;
  /** Who muted it; left out in records of before that was kept. */
  mutedBy?: UserId | undefined;
  /** Turns of which is kept what they did, the latest last. */
  details?: DetailsRef[] | undefined;
}

/** Whether the process must look at the thread when it starts. An open offer that is shown only waits for a click. */
export function isActive(record: ThreadRecord): boolean {
  const unwritten = record.approvals.some(({ audit }) => audit === 'due');
  return needsLetta(record) || unwritten || record.offers.some((offer) => offer.display !== 'shown');
}

/** Whether something of the thread is to be done, or going on, at Letta. */
export function needsLetta(record: ThreadRecord): boolean {
  return (
    record.turn !== null ||
    record.inbox.length > 0 ||
    record.background ||
    record.approvals.some((approval) => approval.state.state === 'open')
  );
}
