import type { Verdict } from '../../access/can.ts';
import type {
  AgentEvent,
  ApprovalRequest,
  ConnectionEvent,
  Decision,
  HistoryItem,
  ModelInUse,
  StoredRuntime,
} from '../../agent-event.ts';
import type { AuditEntry } from '../../approvals/audit-entry.ts';
import type { AutoApproval } from '../../approvals/auto-approval/auto-approval.ts';
import type { MessageKey, Token, TurnId, UserId } from '../../ids.ts';
import type { InboundAction, InboundSubmission } from '../../inbound.ts';
import type { Person } from '../../person.ts';
import type { Delivery, HeldUp, SeenSchedule } from '../../ports.ts';
import type { FileOutcome } from '../../record/handed-over.ts';
import type { InboxChange } from '../../record/inbox-change.ts';
import type { HandedFile, InboxItem, OpenTurn, PostRecord } from '../../record/thread-record.ts';
import type { FoundFiring } from '../../schedules/firing.ts';
import type { ToolPlan } from '../../tools/tool.ts';
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
  | 'stop';
export type Timer =
  | TurnTimer
  | 'again'
  | 'align'
  | 'audit'
  | 'rest'
  | 'settle'
  | 'tasks_alone'
  | 'tasks_ended'
  | 'tasks_grace'
  | 'tasks_told';

/** What the person who gave a command may do was judged before. `seen`: the message that it was, handled with it. */
export type Command =
  | { name: 'stop'; by: UserId; seen?: MessageKey | undefined }
  | { name: 'new' | 'mute' | 'unmute'; by: Person; seen?: MessageKey | undefined }
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
  /** `wanted`: which version of the offer was to be shown. */
  | { type: 'offer_shown'; token: Token; wanted: string; isShown: boolean }
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

/** What came of an effect. `turn` and `link` name the turn and the link of the effect: for others it comes too late. */
export type Answer =
  | {
      type: 'prepared';
      turn: TurnId;
      attempt: number;
      version: string;
      written: Pick<OpenTurn, 'context' | 'notPassedOn' | 'past'>;
      content: InputContent;
      files: FileOutcome;
      unreadable: string | null;
      verdict: Verdict | 'unknown';
    }
  | { type: 'unprepared'; turn: TurnId; attempt: number }
  /** The link was lost before the input left. */
  | { type: 'unsent'; of: TurnId }
  | { type: 'sent'; of: TurnId; error: { certain: boolean; retry: boolean; notice: string } | null }
  | { type: 'looked'; turn: TurnId; link: number; look: number; isDeep: boolean; history: HistoryItem[] | null }
  | { type: 'gap_read'; turn: TurnId; failures: number; history: HistoryItem[] | null }
  | { type: 'recalled'; turn: TurnId; history: HistoryItem[] | null }
  | { type: 'settled'; link: number; ok: boolean }
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
  /** `firing`: what began the turn that Letta works on, if it was a schedule. */
  | { type: 'identified'; link: number; firing: FoundFiring | null }
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
