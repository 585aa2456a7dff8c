import type { Verdict } from '../../access/can.ts';
import type {
  AgentEvent,
  ApprovalRequest,
  CommandEnd,
  Compacted,
  ConnectionEvent,
  Decision,
  HistoryItem,
  ModelInUse,
  StoredRuntime,
} from '../../agent-event.ts';
import type { AuditEntry } from '../../approvals/audit-entry.ts';
import type { AutoApproval } from '../../approvals/auto-approval/auto-approval.ts';
import type { MessageKey, SlackTs, Token, TurnId, UserId } from '../../ids.ts';
import type { InboundAction, InboundSubmission, ThreadAddress } from '../../inbound.ts';
import type { Person } from '../../person.ts';
import type { Delivery, HeldUp, SeenSchedule } from '../../ports.ts';
import type { FileOutcome } from '../../record/handed-over.ts';
import type { InboxChange } from '../../record/inbox-change.ts';
import type { ForkPoint, HandedFile, InboxItem, OpenTurn, PostRecord } from '../../record/thread-record.ts';
import type { FoundFiring } from '../../schedules/firing.ts';
import type { ToolPlan } from '../../tools/tool.ts';
import type { Beginning, ClientInput } from '../../turn/beginning.ts';
import type { TurnState } from '../../turn/fold.ts';
import type { InputContent } from '../../turn/input-content.ts';

/* Everything that can happen to a thread. */

/** Timers of the open turn: they end with it. */
export type TurnTimer =
  | 'calls'
  | 'deadlines'
  | 'end_due'
  | 'gap'
  | 'look_again'
  | 'look_later'
  | 'look_retry'
  | 'recall'
  | 'silence'
  | 'silence_over'
  | 'steer'
  | 'stop'
  | 'unheard';
export type Timer =
  | TurnTimer
  | 'again'
  | 'align'
  | 'audit'
  | 'compaction'
  | 'fork'
  | 'run'
  | 'rest'
  | 'resume_queue'
  | 'settle'
  | 'tasks_alone'
  | 'tasks_ended'
  | 'tasks_grace'
  | 'tasks_told'
  | 'withdraw';

/** What the person who gave a command may do was judged before. `seen`: the message that it was, handled with it. */
export type Command =
  | { name: 'stop'; by: UserId; seen?: MessageKey | undefined }
  | AttachOrder
  | { name: 'new' | 'mute' | 'now' | 'unmute' | 'compact' | 'detach'; by: Person; seen?: MessageKey | undefined }
  | { name: 'skills'; by: UserId }
  | { name: 'run'; by: Person; words: string; seen?: MessageKey | undefined }
  | { name: 'fork'; by: Person; upTo?: ForkPoint | undefined; seen?: MessageKey | undefined }
  | { name: 'approve' | 'deny'; args: string; person: Person }
  | { name: 'settings_changed'; by: UserId }
  /** Letta has taken a model for the conversation of `runtime`. */
  | {
      name: 'model_changed';
      by: Person;
      runtime: StoredRuntime;
      model: ModelInUse;
      appliedTo: 'conversation' | 'agent';
    }
  /** Letta has taken a toolset for the conversation of `runtime`; `label`: its name, foreign text. */
  | { name: 'toolset_changed'; by: Person; runtime: StoredRuntime; label: string; current: string }
  | { name: 'queue' | 'status' }
  /** `id`: of the schedule, so that asking twice is asking once. `isTop`: it was said in the channel, so the answers belong there, too. `isGroup`: in a group direct message. */
  | {
      name: 'schedule';
      when: string;
      what: string;
      id?: string;
      by: Person;
      isTop: boolean;
      isGroup?: boolean;
      seen?: MessageKey | undefined;
    }
  /** `change`: `null` lists the schedules of the thread. */
  | { name: 'schedules'; change: ScheduleChange | null; by: UserId; isAdmin: boolean };

/** The thread is to go on with a conversation that was found at Letta and belongs to no other thread. */
export interface AttachOrder {
  name: 'attach';
  by: Person;
  runtime: StoredRuntime;
  address: ThreadAddress;
  /** The messages of the thread that show what was said last: the agent knows that. */
  told: readonly SlackTs[];
  /** Whether the bridge began the thread for it. */
  isNew: boolean;
  isTold: boolean;
  titled: { id: string; title: string | null; agentName: string | null };
  seen?: MessageKey | undefined;
}

export interface ScheduleChange {
  do: 'pause' | 'resume' | 'run' | 'delete';
  id: string;
}

/** What people and intake ask of the thread; each is answered, and on disk by then. */
export type AskEvent =
  /** A message, an edit, a deletion. */
  | { type: 'store'; change: InboxChange }
  | { type: 'click'; action: InboundAction; person: Person }
  | { type: 'submission'; submission: InboundSubmission; person: Person }
  | { type: 'command'; command: Command }
  /** Before a message is stored: whether it answers a request that waits for its author. */
  | { type: 'typed'; item: Pick<InboxItem, 'key' | 'ts' | 'spans'>; person: Person }
  /** After it is stored: asks its author whether it is the reason for a no. */
  | { type: 'ask_about'; item: Pick<InboxItem, 'key' | 'ts'>; person: Person };

/** What the outbox has done, or could not do. `turn`: of which turn. */
export type OutboxEvent =
  | { type: 'posts'; of: TurnId; posts: PostRecord[] }
  | { type: 'offer_posts'; token: Token; posts: PostRecord[] }
  | { type: 'late_posts'; of: TurnId; posts: PostRecord[] }
  /** `delivery`: `null`, whether Slack shows it is not known. */
  | { type: 'late_shown'; of: TurnId; delivery: Delivery | null }
  /** Text of the agent is about to be shown. */
  | { type: 'said'; turn: TurnId; parts: TurnState['parts'] }
  | { type: 'card_refused'; turn: TurnId; reason: string; cards: readonly string[] | undefined }
  | { type: 'held_up'; turn: TurnId; held: HeldUp }
  | { type: 'finished'; turn: TurnId; delivery: Delivery }
  /** `wanted`: which version of the offer was to be shown. `posts`: its messages, as far as they changed. */
  | { type: 'offer_shown'; token: Token; wanted: string; isShown: boolean; posts?: PostRecord[] }
  | { type: 'told'; turn: TurnId; isDelivered: boolean }
  /** These people could not be reminded of a request in a direct message. `text`: what they are reminded of. */
  | { type: 'unreminded'; users: readonly UserId[]; text: string };

/** How a call of a tool of the bridge went. What it returned is held by the one who ran it. */
export interface CallOutcome {
  /** The beginning of its text. */
  text: string;
  isError: boolean;
  /** Whether it may have happened, and nobody can tell. */
  isUnknown: boolean;
  handed?: readonly HandedFile[] | undefined;
}

/** The prompt of an input, the files that go with it, and whether its author may ask. */
interface PreparedInput {
  turn: TurnId;
  attempt: number;
  version: string;
  written: Pick<OpenTurn, 'context' | 'notPassedOn' | 'past'>;
  content: InputContent;
  files: FileOutcome;
  unreadable: string | null;
  verdict: Verdict | 'unknown';
}

/** What came of an effect. `turn` and `link` name the turn and the link of the effect: for others it comes too late. */
export type Answer =
  | ({ type: 'prepared' } & PreparedInput)
  | { type: 'unprepared'; turn: TurnId; attempt: number }
  /** The link was lost before the input left. */
  | { type: 'unsent'; of: TurnId }
  | { type: 'sent'; of: TurnId; error: { certain: boolean; retry: boolean; notice: string } | null }
  /** As `prepared` and the two below, of input that joins the running turn. */
  | ({ type: 'steer_prepared' } & PreparedInput)
  | { type: 'steer_unprepared'; turn: TurnId; attempt: number }
  /** The turn may have ended meanwhile, and the input began the next one. */
  | { type: 'steer_sent'; clientMessageId: string; error: { certain: boolean; retry: boolean } | null }
  /** `removed`: whether Letta took it out of its queue; `null`: nobody knows. */
  | { type: 'withdrawn'; link: number; clientMessageId: string; removed: boolean | null }
  | { type: 'queue_resumed'; link: number; ok: boolean }
  | { type: 'looked'; turn: TurnId; link: number; look: number; isDeep: boolean; history: HistoryItem[] | null }
  | { type: 'gap_read'; turn: TurnId; failures: number; history: HistoryItem[] | null }
  | { type: 'recalled'; turn: TurnId; history: HistoryItem[] | null }
  | { type: 'settled'; link: number; ok: boolean }
  /** `outcome`: `null`, whether Letta has summarised is not known; `refused`: why not, a sentence for people. */
  | { type: 'compaction_over'; link: number; outcome: Compacted | { refused: string } | null }
  /** `at`: of which wish; `outcome`: `null`, whether it ran is not known; `refused`: why not, a sentence for people. */
  | { type: 'command_ran'; link: number; at: number; outcome: CommandEnd | { refused: string } | null }
  /** `outcome`: the runtime of the copy; `refused`: why there is none, a sentence for people; `null`: that is not known. */
  | { type: 'forked'; link: number; id: string; outcome: { made: StoredRuntime } | { refused: string } | null }
  /** `root`: the first message of the new thread; `null`: Slack does not have it. */
  | { type: 'fork_posted'; id: string; root: SlackTs | null; refused?: string }
  /** Whether the new thread is stored, and the old one names it. */
  | { type: 'fork_joined'; id: string; ok: boolean }
  | { type: 'stop_settled'; turn: TurnId; link: number; attempt: number }
  | { type: 'aborted'; turn: TurnId; aborted: boolean | null }
  | { type: 'answered'; of: TurnId; token: Token; requestId: string; answer: 'accepted' | 'gone' }
  | { type: 'unanswered'; turn: TurnId; link: number; token: Token; requestId: string; mayAskAnew: boolean }
  /** Whether a request may pass without a card; `null`: that could not be found out. */
  | {
      type: 'judged';
      turn: TurnId;
      link: number;
      request: ApprovalRequest;
      by: Exclude<AutoApproval['by'], 'stop'>;
      may: boolean | null;
    }
  /** The giver of a decision that Letta did not get, as they are now; `null`: not known. */
  | { type: 'rejudged'; turn: TurnId; link: number; token: Token; send: Decision; person: Person | null }
  | { type: 'pass_written'; turn: TurnId; link: number; request: ApprovalRequest; ok: boolean }
  | { type: 'pass_failed'; turn: TurnId; link: number; request: ApprovalRequest }
  /** What would become of a request of a tool of the bridge, or of a call of one; `null`: that cannot be told. */
  | { type: 'request_planned'; turn: TurnId; link: number; request: ApprovalRequest; plan: ToolPlan | null }
  | { type: 'call_planned'; turn: TurnId; link: number; request: string; plan: ToolPlan | null }
  | { type: 'call_ran'; of: TurnId; request: string; outcome: CallOutcome }
  /** `null`: what became of it cannot be told. */
  | { type: 'call_recalled'; of: TurnId; request: string; result: { text: string; isError: boolean } | null }
  | { type: 'audited'; entry: AuditEntry; token: Token; ok: boolean }
  /** `seen`: `null` when Letta did not answer. `owners`: whether they may use the agent here; `null`: not known. */
  | {
      type: 'aligned';
      link: number;
      seen: readonly SeenSchedule[] | null;
      owners: Readonly<Record<UserId, boolean | null>>;
      /** Firings in the history after the last one that the thread has shown, oldest first. */
      unheard: readonly FoundFiring[];
    }
  | { type: 'run_asked'; link: number; by: UserId; ok: boolean }
  /** What began the turn that Letta works on; `null`: the history does not tell, or cannot be read. */
  | { type: 'identified'; link: number; beginning: Beginning | null }
  /** Turns of other clients that nobody heard, oldest first, and the newest item; `null`: the history cannot be read. */
  | {
      type: 'missed_found';
      link: number;
      found: { missed: readonly ClientInput[]; newest: string | null } | null;
    }
  | { type: 'tasks_asked'; link: number; isEnding: boolean };

/** Everything that happens to a thread. */
export type ThreadEvent =
  /** Something outside the thread may have changed, or the process has just started. */
  | { type: 'wake' }
  | { type: 'agent'; dial: number; event: AgentEvent | ConnectionEvent }
  | { type: 'timer'; timer: Timer; turn?: TurnId; attempt?: number }
  | AskEvent
  | OutboxEvent
  /** The process is about to end. */
  | { type: 'closing' }
  | Answer;
