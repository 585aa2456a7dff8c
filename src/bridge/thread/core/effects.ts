import type { Author } from '../../access/door.ts';
import type { PlaceSettings } from '../../access/policy.ts';
import type { ApprovalRequest, BackgroundTask, Decision } from '../../agent-event.ts';
import type { AuditEntry, RefusedClick } from '../../approvals/audit-entry.ts';
import type { AutoApproval } from '../../approvals/auto-approval/auto-approval.ts';
import type { Token, TurnId, UserId } from '../../ids.ts';
import type { ConnectOptions, MessageAddress } from '../../ports.ts';
import type { DetailsRef, Offer, OpenTurn, PostRecord, ThreadRecord } from '../../record/thread-record.ts';
import type { Schedule } from '../../schedules/schedule.ts';
import type { ToolResult } from '../../tools/result.ts';
import type { ToolCall, ToolPlan, ToolRights } from '../../tools/tool.ts';
import type { InputContent } from '../../turn/input-content.ts';
import type { TurnDetails } from '../../turn/steps.ts';
import type { TurnView } from '../../view/turn.ts';
import type { Timer } from './events.ts';

/* Everything that a step can want done in the world. */

/**
 * What a step wants done once its changes are on disk, in this order. Storing is not among them: the interpreter does
 * that first. What comes of an effect is another event, which carries the effect's `turn` and `link`.
 */
export type Effect =
  | { do: 'log'; level: 'debug' | 'info' | 'warn'; fields: object; message: string }
  /** `ms`: left out, the timer is cancelled. A timer with `turn` is cancelled when that turn is over. */
  | { do: 'timer'; timer: Timer; ms?: number; turn?: TurnId; attempt?: number }
  /** The thread has nothing to do, and its actor may go. */
  | { do: 'retire' }
  // Slack
  | { do: 'say'; text: string }
  | { do: 'whisper'; user: UserId; text: string }
  | { do: 'direct'; user: UserId; text: string; copy: { turn: TurnId; view: TurnView } | null }
  /** Reminds people, also the members of groups (`S…`), of a request. `there`: the words for where the request is. */
  | { do: 'remind'; whom: readonly string[]; text: string; there: string; open: MessageAddress | undefined }
  | { do: 'open_turn'; turn: OpenTurn; resumed: boolean }
  /** Stores the details, then shows the last view. `drop`: details that the record no longer refers to. */
  | { do: 'finish'; turn: TurnId; view: TurnView; endedAt: number; details: FreshDetails | null }
  | { do: 'close_turn' }
  /** Shows the last view of a turn that left the record before Slack took it. */
  | { do: 'finish_late'; turn: TurnId; posts: readonly PostRecord[]; view: TurnView }
  | { do: 'recheck_cards' }
  | { do: 'show_offer'; offer: Offer; wanted: string }
  // Letta
  | { do: 'connect'; dial: number; options: ConnectOptions }
  | { do: 'disconnect' }
  | {
      do: 'prepare';
      turn: OpenTurn;
      attempt: number;
      version: string;
      isDirect: boolean;
      context: PlaceSettings['context'];
    }
  | { do: 'submit'; turn: TurnId; clientMessageId: string; content: InputContent; tools: readonly string[] | undefined }
  /** The input that is being prepared is not needed any more: no further file is fetched for it. */
  | { do: 'cancel_prepare' }
  | { do: 'settle'; link: number }
  | { do: 'settle_silent' }
  | { do: 'settle_stop'; turn: TurnId; link: number; attempt: number }
  | { do: 'abort'; turn: TurnId; link: number }
  | { do: 'look'; turn: TurnId; link: number; look: number; fresh: boolean; isDeep: boolean }
  | { do: 'read_gap'; turn: TurnId; failures: number }
  | { do: 'recall'; turn: TurnId }
  | { do: 'answer'; turn: TurnId; link: number; token: Token; requestId: string; decision: Decision }
  /** Denies a request without a card. */
  | { do: 'deny'; link: number; requestId: string; message: string }
  /** Lets a request pass without a card. */
  | { do: 'pass'; turn: TurnId; link: number; request: ApprovalRequest }
  /** Makes the schedules at Letta what they are to be, and finds out what ran unheard and whether their owners still may. */
  | { do: 'align'; link: number; schedules: readonly Schedule[]; orphan?: string }
  | { do: 'run_schedule'; link: number; id: string; by: UserId }
  /** Finds out in the history which input Letta works on. */
  | { do: 'identify'; link: number; schedules: readonly Schedule[] }
  /** Denies a request of a tool of the bridge; the entry is written first. */
  | { do: 'refuse'; link: number; requestId: string; message: string; entry: AuditEntry }
  // tools of the bridge; `request`: the first id of the call
  | { do: 'plan_request'; turn: TurnId; link: number; request: ApprovalRequest; ask: ToolAsk }
  | { do: 'plan_call'; turn: TurnId; link: number; request: string; ask: ToolAsk }
  /** @param entry is written before it runs; `null`: the audit has one */
  | {
      do: 'run_call';
      of: TurnId;
      request: string;
      ask: ToolAsk;
      plan: ToolPlan & { may: 'run' | 'ask' };
      entry: AuditEntry | null;
    }
  | { do: 'recall_call'; of: TurnId; request: string; ask: ToolAsk }
  /** Tells the running call to end. */
  | { do: 'cancel_call'; request: string }
  /** `null`: what the call returned. */
  | { do: 'answer_call'; requestIds: readonly string[]; result: ToolResult | null }
  | { do: 'end_tasks'; link: number; tasks: readonly BackgroundTask[] }
  // who may, and what is written about it
  | {
      do: 'judge';
      turn: TurnId;
      link: number;
      request: ApprovalRequest;
      by: Exclude<AutoApproval['by'], 'stop'>;
      author: Author;
      requester: UserId;
      giver: UserId | null;
    }
  | {
      do: 'rejudge';
      turn: TurnId;
      link: number;
      token: Token;
      send: Decision;
      by: UserId;
      requester: UserId;
      requestId: string;
    }
  | { do: 'write_pass'; turn: TurnId; link: number; request: ApprovalRequest; entry: AuditEntry }
  | { do: 'audit'; entry: AuditEntry; token: Token }
  | { do: 'note_refused'; click: RefusedClick; record: ThreadRecord };

/** A call of a tool of the bridge, before there is a machine to run it with. */
export interface ToolAsk extends Omit<ToolCall, 'team' | 'rights' | 'device' | 'signal'> {
  /** In whose name the turn works. */
  author: Author;
  rights: Omit<ToolRights, 'at'>;
}

export interface FreshDetails {
  ref: DetailsRef;
  details: TurnDetails;
  drop: DetailsRef[];
}
