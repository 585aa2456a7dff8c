import type { StoredRuntime } from './agent-event.ts';
import type { MessageKey, SlackTs, ThreadKey, Token, TurnId, UserId } from './ids.ts';
import type { FileRef, Span, ThreadAddress } from './inbound.ts';
import type { Ending } from './turn-view.ts';

/** A person's message on its way to the agent. */
export interface InboxItem {
  key: MessageKey;
  ts: SlackTs;
  user: UserId;
  spans: Span[];
  files: FileRef[];
  /** ms since 1970, when the bridge accepted it */
  receivedAt: number;
}

/** A Slack message that shows a part of the open turn. */
export interface PostRecord {
  /** Which part of the turn: stable while the turn lives. */
  part: string;
  ts: SlackTs;
  /** Of the content that Slack confirmed last. */
  hash: string;
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
  /** `submitted` is written before the input leaves; `prepared` was certainly never sent. */
  state: 'prepared' | 'submitted';
  /** What was not handed to the agent, in words for people ("2 files: a.png, b.pdf"). */
  notPassedOn: string[];
  startedAt: number;
  stopToken: Token;
  /** Who pressed Stop. */
  stoppedBy: UserId | null;
  posts: PostRecord[];
  /** How it ended, once that is known: what is left to do is to show it. */
  ended?: Ending | undefined;
}

export type ApprovalState =
  | { state: 'open' }
  /** Decided by a person; `sent` once Letta took it. */
  | { state: 'decided'; decision: 'approved' | 'denied' | 'answered'; by: UserId; at: number; words: string | null }
  | { state: 'closed'; why: 'answered_elsewhere' | 'turn_over' | 'link_lost'; at: number };

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
  askedAt: number;
  state: ApprovalState;
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
  /** Messages that were handled, with the time in ms; forgotten after 24 h. */
  seen: { key: MessageKey; at: number }[];
  turn: OpenTurn | null;
  /** Open ones, and the last closed ones so that a late click gets a true answer. */
  approvals: ApprovalRecord[];
  /** Whether something of this thread still runs in the background at Letta. */
  background: boolean;
}

/** Whether the process must look at the thread when it starts. */
export function isActive(record: ThreadRecord): boolean {
  return (
    record.turn !== null ||
    record.inbox.length > 0 ||
    record.background ||
    record.approvals.some((approval) => approval.state.state === 'open')
  );
}
