import type { ApprovalRequest, Question } from '../agent-event.ts';
import { editableCommand, ruleOf } from '../approvals/answers.ts';
import { grantFor } from '../approvals/auto-approval/grants.ts';
import { startsAgent } from '../approvals/auto-approval/starts-agent.ts';
import { isDeadlineNear } from '../approvals/deadline.ts';
import { describeWidening, type PassedUnasked } from '../approvals/directory-moves.ts';
import { withEditedCommand } from '../approvals/edited-command.ts';
import { type ShownRequest, shownRequest } from '../approvals/shown.ts';
import type { Token } from '../ids.ts';
import { hasOthersWords } from '../record/client-turn.ts';
import type { ApprovalRecord, ApprovalState, GrantKind, OpenTurn } from '../record/thread-record.ts';
import type { TurnState } from '../turn/fold.ts';

export interface ApprovalCard {
  kind: 'approval';
  token: Token;
  tool: string;
  /** One line: the command, the path. */
  title: string;
  /** `null` after a restart, when only the record is left: an open card then stays as it is in Slack until Letta asks again. */
  shown: ShownRequest | null;
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
  /** ms since 1970, when it is denied; `null`: that is not near, or never. */
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
  /** Of the card's own Stop; `null` once the turn is being stopped. */
  stop: Token | null;
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

/** What a card is made of besides its record and the turn. */
export interface CardContext {
  where: Where;
  /** Whether Slack shows the card already and the bridge does not know all of it yet. */
  isFrozen: boolean;
  /** ms since 1970 */
  now: number;
}

export function cardOf(
  record: ApprovalRecord,
  state: TurnState,
  turn: OpenTurn,
  { where, isFrozen, now }: CardContext,
): Card {
  const asked = state.approvals.find((approval) => approval.requestId === record.requestId);
  const request = isFrozen || !asked ? undefined : withEditedCommand(asked, record);
  const asks = record.asks ?? [record.requester];
  const base = { token: record.token, title: record.title, asks, state: record.state };
  const expiresAt = isDeadlineNear(record, now) ? (record.expiresAt ?? null) : null;
  const stop = turn.stoppedBy ? null : turn.stopToken;
  if (record.tool === 'AskUserQuestion') {
    return { kind: 'question', ...base, stop, expiresAt, questions: request?.questions ?? null };
  }
  return {
    kind: 'approval',
    ...base,
    tool: record.tool,
    shown: request ? shownOn(request, record, state, where) : null,
    workingDirectory: where.workingDirectory,
    device: where.device,
    ...(record.edit && { editedBy: record.edit.by }),
    startsAgent: startsAgent(record.tool) ? { by: record.only ?? 'approvers' } : null,
    widens: (request && describeWidening(request, where.reach ?? { hasReads: false, hasRules: false })) ?? undefined,
    offers: {
      edit: request !== undefined && editableCommand(request) !== null,
      // A consent for more than this request would cover what others asked for.
      grant: request && !record.edit && !hasOthersWords(turn) ? grantFor(request) : null,
      rule: request !== undefined && record.rule === true && ruleOf(request) !== null,
    },
    stop,
    expiresAt,
  };
}

/**
 * Leaves out the model's description of the call where the text above the card says the same, and of an edited command,
 * because it describes the command before the edit.
 */
function shownOn(request: ApprovalRequest, { edit }: ApprovalRecord, state: TurnState, where: Where): ShownRequest {
  const shown = shownRequest(request, where.workingDirectory);
  const { description } = shown;
  if (description === null) return shown;
  return edit || isSaidAbove(description, state, request) ? { ...shown, description: null } : shown;
}

/** How much of the text above is compared: the end, where the model says what it is about to do. */
const ABOVE = 1_200;

function isSaidAbove(description: string, { parts }: TurnState, { requestId }: ApprovalRequest): boolean {
  const at = parts.findLastIndex((part) => part.kind === 'approval' && part.requestId === requestId);
  const above = parts.slice(0, Math.max(0, at)).findLast((part) => part.kind === 'text' && part.text !== '');
  const said = wordsOf(description);
  return above?.kind === 'text' && said !== '' && wordsOf(above.text.slice(-ABOVE)).includes(said);
}

const wordsOf = (text: string) =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
