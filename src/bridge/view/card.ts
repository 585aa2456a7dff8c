import type { ApprovalRequest, Question } from '../agent-event.ts';
import { editableCommand, ruleOf } from '../approvals/answers.ts';
import { grantFor } from '../approvals/auto-approval/grants.ts';
import { startsAgent } from '../approvals/auto-approval/starts-agent.ts';
import { describeWidening, type PassedUnasked } from '../approvals/directory-moves.ts';
import { withEditedCommand } from '../approvals/edited-command.ts';
import { type ShownRequest, shownRequest } from '../approvals/shown.ts';
import type { Token } from '../ids.ts';
import type { ApprovalRecord, ApprovalState, GrantKind, OpenTurn } from '../record/thread-record.ts';
import { redact } from '../text/redact.ts';
import type { TurnState } from '../turn/fold.ts';

export interface ApprovalCard {
  kind: 'approval';
  token: Token;
  tool: string;
  /** One line: the command, the path. */
  title: string;
  /** `null` after a restart, when only the record is left: an open card then stays as it is in Slack until Letta asks again. */
  shown: ShownRequest | null;
  /** What the model said just before it asked. */
  before: string | null;
  /** Who must click, users and user groups: mentioned on the card. */
  asks: string[];
  workingDirectory: string | null;
  device: string | null;
  /** Set when the tool starts another agent, which never asks for approval: who may approve it. */
  startsAgent: { by: 'approvers' | 'admins' | 'nobody' } | null;
  /** Who wrote the command; left out: the agent. */
  editedBy?: string | undefined;
  /** What an approval additionally permits, in our words; left out: nothing. */
  widens?: string | undefined;
  /** What it offers besides Approve and Deny. */
  offers: { edit: boolean; grant: GrantKind | null; rule: boolean };
  stop: Token | null;
  /** ms since 1970 */
  expiresAt: number | null;
  state: ApprovalState;
}

export interface QuestionCard {
  kind: 'question';
  token: Token;
  title: string;
  /** `null` as {@link ApprovalCard.shown}. */
  questions: Question[] | null;
  asks: string[];
  /** ms since 1970 */
  expiresAt: number | null;
  state: ApprovalState;
}

export type Card = ApprovalCard | QuestionCard;

/** Where the agent works, as far as the device told. */
export interface Where {
  workingDirectory: string | null;
  device: string | null;
  /** What is approved there without asking; left out: nothing. */
  reach?: PassedUnasked | undefined;
}

/** @param isFrozen whether Slack shows the card already and the bridge does not know all of it yet */
export function cardOf(
  record: ApprovalRecord,
  state: TurnState,
  turn: OpenTurn,
  { where, isFrozen }: { where: Where; isFrozen: boolean },
): Card {
  const asked = state.approvals.find((approval) => approval.requestId === record.requestId);
  const request = isFrozen || !asked ? undefined : withEditedCommand(asked, record);
  const asks = record.asks ?? [record.requester];
  const base = { token: record.token, title: record.title, asks, state: record.state };
  const expiresAt = record.expiresAt ?? null;
  if (record.tool === 'AskUserQuestion') {
    return { kind: 'question', ...base, expiresAt, questions: request?.questions ?? null };
  }
  return {
    kind: 'approval',
    ...base,
    tool: record.tool,
    shown: request ? shownOn(request, record, where) : null,
    before: request && !record.edit ? saidBefore(state, request) : null,
    workingDirectory: where.workingDirectory,
    device: where.device,
    ...(record.edit && { editedBy: record.edit.by }),
    startsAgent: startsAgent(record.tool) ? { by: record.only ?? 'approvers' } : null,
    widens: (request && describeWidening(request, where.reach ?? { hasReads: false, hasRules: false })) ?? undefined,
    offers: {
      edit: request !== undefined && editableCommand(request) !== null,
      grant: request && !record.edit ? grantFor(request) : null,
      rule: request !== undefined && record.rule === true && ruleOf(request) !== null,
    },
    stop: turn.stoppedBy ? null : turn.stopToken,
    expiresAt,
  };
}

/** Leaves out the model's description of an edited command, because it describes the command before the edit. */
function shownOn(request: ApprovalRequest, { edit }: ApprovalRecord, { workingDirectory }: Where): ShownRequest {
  const shown = shownRequest(request, workingDirectory);
  return edit ? { ...shown, description: null } : shown;
}

const SENTENCE = 300;

/** The last sentence that the model said right before a request; `null` when something else came between. */
function saidBefore(state: TurnState, { requestId }: ApprovalRequest): string | null {
  const at = state.parts.findLastIndex((part) => part.kind === 'approval' && part.requestId === requestId);
  const before = state.parts[at - 1];
  if (before?.kind !== 'text') return null;
  const words = redact(before.text.slice(-4 * SENTENCE))
    .text.replace(/\s+/g, ' ')
    .trim();
  const sentence = /(?:^|[.!?…:;] )((?:(?![.!?…:;] ).)+)$/u.exec(words)?.[1] ?? words;
  const clean = sentence.slice(-SENTENCE).trim();
  return clean === '' ? null : clean;
}
