import type { Author } from '../../access/door.ts';
import type { PlaceSettings } from '../../access/policy.ts';
import type { ApprovalRequest, BackgroundTask, Decision, StoredRuntime } from '../../agent-event.ts';
import type { AuditEntry, RefusedClick } from '../../approvals/audit-entry.ts';
import type { AutoApproval } from '../../approvals/auto-approval/auto-approval.ts';
import type { SlackTs, Token, TurnId, UserId } from '../../ids.ts';
import type { ConnectOptions, MessageAddress } from '../../ports.ts';
import type {
  DetailsRef,
  DeviceRun,
  Fork,
  KnownThread,
  Offer,
  OpenTurn,
  PostRecord,
  ThreadRecord,
} from '../../record/thread-record.ts';
import type { Schedule } from '../../schedules/schedule.ts';
import type { ToolResult } from '../../tools/result.ts';
import type { ToolCall, ToolPlan, ToolRights } from '../../tools/tool.ts';
import type { KnownBeginnings } from '../../turn/beginning.ts';
import type { InputContent } from '../../turn/input-content.ts';
import type { TurnDetails, UsedTurn } from '../../turn/steps.ts';
import type { TurnView } from '../../view/turn.ts';
import type { Timer } from './events.ts';

/* Everything that a step can want done in the world. */

/**
 * What a step wants done once its changes are on disk, in this order. Storing is not among them: the interpreter does
 * that first. What comes of an effect is another event, which carries the effect's `turn` and `link`.
 */
export type Effect = ThreadEffect | SlackEffect | LettaEffect | CallEffect | RightsEffect;

/** What concerns this process alone. */
export type ThreadEffect =
  | { do: 'log'; level: 'debug' | 'info' | 'warn'; fields: object; message: string }
  /** `ms`: left out, the timer is cancelled. A timer with `turn` is cancelled when that turn is over. */
  | { do: 'timer'; timer: Timer; ms?: number; turn?: TurnId; attempt?: number }
  /** Counts a turn that has ended. */
  | { do: 'note_use'; used: UsedTurn }
  /** The thread has nothing to do, and its actor may go once no event waits. */
  | { do: 'retire' };

export type SlackEffect =
  | { do: 'say'; text: string }
  /** `stop`: the token of a turn that the person may want to stop. */
  | { do: 'whisper'; user: UserId; text: string; stop?: Token }
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
  /** Begins the new thread in Slack. */
  | { do: 'post_fork'; fork: Fork }
  /** Stores the new thread, then names it in the old one. */
  | { do: 'join_fork'; fork: Fork; made: StoredRuntime; root: SlackTs }
  | { do: 'show_offer'; offer: Offer; wanted: string };

export type LettaEffect =
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
  /** As `prepare`, of input that joins the running turn: `turn` is that turn, as if this were its only input. */
  | {
      do: 'prepare_steer';
      turn: OpenTurn;
      /** What the conversation knows of its thread by now. */
      known: KnownThread | undefined;
      attempt: number;
      version: string;
      isDirect: boolean;
      context: PlaceSettings['context'];
    }
  /** Sends input that joins the running turn. */
  | { do: 'steer'; turn: TurnId; clientMessageId: string; content: InputContent }
  /** Takes an input out of Letta's queue. */
  | { do: 'withdraw'; link: number; clientMessageId: string }
  /** Has Letta go on with what an abort left in its queue. */
  | { do: 'resume_queue'; link: number }
  | { do: 'settle'; link: number }
  /** Has Letta summarise the earlier messages. */
  | { do: 'compact'; link: number }
  /** Runs a command of the device, if who wants it still may. */
  | { do: 'run_command'; link: number; run: DeviceRun }
  /** Copies the conversation, if who wants it still may use the agent. */
  | { do: 'fork'; link: number; fork: Fork }
  /** Asks for the wanted permission mode again. */
  | { do: 'restore_mode' }
  | { do: 'settle_silent' }
  | { do: 'settle_stop'; turn: TurnId; link: number; attempt: number }
  | { do: 'abort'; turn: TurnId; link: number }
  | { do: 'look'; turn: TurnId; link: number; look: number; fresh: boolean; isDeep: boolean }
  | { do: 'read_gap'; turn: TurnId; failures: number }
  | { do: 'recall'; turn: TurnId }
  | { do: 'answer'; turn: TurnId; link: number; token: Token; requestId: string; decision: Decision }
  /** Denies a request without a card. `entry` is written first; `null`: there is none. */
  | { do: 'deny'; link: number; requestId: string; message: string; entry: AuditEntry | null }
  /** Lets a request pass without a card. */
  | { do: 'pass'; turn: TurnId; link: number; request: ApprovalRequest }
  /** Makes the schedules at Letta what they are to be, and finds out what ran unheard and whether their owners still may. */
  | { do: 'align'; link: number; schedules: readonly Schedule[]; orphan?: string }
  | { do: 'run_schedule'; link: number; id: string; by: UserId }
  /** Finds out in the history which input Letta works on. */
  | { do: 'identify'; link: number; known: KnownBeginnings }
  /** Looks in the history for turns of other clients that nobody heard. `isOrdered`: frames come in their order. */
  | { do: 'find_missed'; link: number; shown: readonly string[]; from: string | null; isOrdered: boolean }
  | { do: 'end_tasks'; link: number; tasks: readonly BackgroundTask[] };

/** Calls of tools of the bridge. `request`: the first id of the call. */
export type CallEffect =
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
  | { do: 'answer_call'; requestIds: readonly string[]; result: ToolResult | null };

/** Who may, and what is written about it. */
export type RightsEffect =
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
