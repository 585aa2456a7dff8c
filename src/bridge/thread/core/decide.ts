import { can, type Doing, type Verdict } from '../../access/can.ts';
import type { ApprovalRequest, Decision } from '../../agent-event.ts';
import { approvalTitle, type Decided, digestOf, lateNotice } from '../../approvals/answers.ts';
import { makeGrant, withGrant } from '../../approvals/auto-approval/grants.ts';
import { listOtherApprovers, needsAnotherApprover, withEditedCommand } from '../../approvals/edited-command.ts';
import { auditText } from '../../approvals/shown.ts';
import { whoDecides } from '../../approvals/who-decides.ts';
import { makeToken, type Token } from '../../ids.ts';
import { type Refused, refused } from '../../inbound.ts';
import type { Person } from '../../person.ts';
import { changeTurn, reopenApproval, setApproval, settleApproval } from '../../record/inbox.ts';
import type {
  ApprovalClosed,
  ApprovalRecord,
  DecidedVia,
  GrantKind,
  ThreadRecord,
} from '../../record/thread-record.ts';
import { REFUSALS } from '../../words/access.ts';
import { DENIAL, NOT_DECIDED, replyTooLateText } from '../../words/requests.ts';
import type { Answer } from './events.ts';
import { isOwnRequest } from './own-requests.ts';
import { placeOf } from './thread.ts';
import { approvals, change, emit, log, openTurn, say, setLink, setLive, touch, upLink, type Work } from './work.ts';

/* Decisions about a request, and their way to Letta until it has confirmed them. */

/** An open request that this person may decide and that is what its card shows; `request`: as it would run. */
export interface Found {
  record: ApprovalRecord;
  request: ApprovalRequest;
}

/** `decide`: approve or answer. `edit`: run another command instead. `save`: approve, with a rule for later turns. */
export type Wish = 'look' | 'decide' | 'edit' | 'deny' | 'save';

export interface How {
  via: DecidedVia;
  /** What the approval also allows until the turn ends. */
  grant?: GrantKind | undefined;
  /** What else changes with the decision. */
  also?: (record: ThreadRecord) => ThreadRecord;
}

// ---- who may -----------------------------------------------------------------------------------

/** Judges a click: whether this person may, the request is open, and Letta still waits for what the card shows. */
export function findRequest(work: Work, token: string, person: Person, wish: Wish): Found | Refused {
  const record = approvals(work).find((approval) => approval.token === token);
  if (!record) return refused('expired', NOT_DECIDED.requestOver);
  const verdict = mayDecide(work, record, person, wish);
  if (!verdict.allowed) return refused('not_allowed', verdict.notice, verdict.reason);
  if (record.state.state !== 'open') {
    return refused(record.state.state === 'decided' ? 'already_decided' : 'expired', lateNotice(record));
  }
  const turn = openTurn(work);
  if (wish !== 'look' && turn?.id === record.turn && turn.stoppedBy) {
    return refused('expired', NOT_DECIDED.stopping);
  }
  if (upLink(work) === null) {
    return refused('unreachable', NOT_DECIDED.unreachable);
  }
  const fold = work.thread.live?.fold;
  const request = fold?.approvals.find((approval) => approval.requestId === record.requestId);
  const pending = fold?.openApprovals.includes(record.requestId) ?? false;
  if (!request || !pending || digestOf(request.input) !== record.digest) {
    return refused('expired', NOT_DECIDED.requestChanged);
  }
  return { record, request: withEditedCommand(request, record) };
}

/** Whether this person may decide the request, open or not. @param wish `deny`: whether they may at least deny it */
export function mayDecide(
  { thread, context }: Work,
  { tool, requester, edit }: ApprovalRecord,
  person: Person,
  wish: Wish = 'decide',
): Verdict {
  const judge = (doing: Doing) => can(context.policy, person, doing, placeOf(thread));
  if (wish === 'look') return judge({ do: 'look' });
  // The author of an edited command may not approve it, but may edit it again or deny it.
  const decide = whoDecides({ tool, requester, edit: wish === 'decide' || wish === 'save' ? edit : undefined });
  if (wish === 'edit') {
    // An edited command counts as its editor's own, so they must be allowed to give the agent work.
    const speaks = judge({ do: 'speak' });
    const decides = judge(decide);
    return decides.allowed && !speaks.allowed ? { ...speaks, notice: REFUSALS.mayNotSpeak } : decides;
  }
  if (wish === 'decide') return judge(decide);
  if (wish === 'deny') {
    // Starting agents may be reserved to admins, but whoever may deny other tools may deny this one.
    const usual = judge(decide.do === 'decide' ? { ...decide, startsAgent: false } : decide);
    return usual.allowed ? usual : judge(decide);
  }
  const admin = judge({ do: 'administer' });
  // An admin who may not approve their own requests may not save a rule for one either.
  return admin.allowed && requester === person.id ? judge(decide) : admin;
}

/** Whether an edited command needs the approval of another person. */
export function mustAskAnother({ thread, context }: Work): boolean {
  return needsAnotherApprover(context.policy, placeOf(thread));
}

/** A line for an editor whose command nobody else could approve; `null`: somebody could. */
export function nobodyElse(work: Work, { requester }: ApprovalRecord, { id: editor }: Person): string | null {
  const others = listOtherApprovers(work.context.policy, placeOf(work.thread), { editor, requester });
  return mustAskAnother(work) && others.length === 0 ? REFUSALS.noOneElse : null;
}

// ---- deciding ----------------------------------------------------------------------------------

/** Decides an open request, and tells Letta. */
export function decide(
  work: Work,
  { record, request }: Found,
  decided: Decided,
  person: Person,
  { via, grant, also }: How,
): { result: 'decided' } {
  const { workingDirectory } = work.thread.link;
  const { decision, words, send } = decided;
  const { token, requestId, tool, digest } = record;
  const at = work.context.now;
  const input = inputOf(request, send, workingDirectory);
  const { id: by, name } = person;
  const next = { state: 'decided', decision, by, name, at, words, via } as const;
  const giver = { id: by, name, kind: person.kind, groups: [...(person.groups ?? [])] };
  change(work, (now) => {
    const settled = settleApproval(now, token, next, input);
    if (settled === now) return now;
    const given = grant && makeGrant(request, { kind: grant, by: giver, at, directory: workingDirectory });
    const grants = given ? withGrant(now.turn?.grants ?? [], given) : null;
    const granted = grants && now.turn?.id === record.turn ? changeTurn(settled, { grants }) : settled;
    return also ? also(granted) : granted;
  });
  log(work, 'info', { request: requestId, tool, digest, decision, by, via, grant }, 'approval decided');
  setLive(work, { decisions: new Map([...(work.thread.live?.decisions ?? []), [requestId, send]]) });
  touch(work);
  tell(work, record, send);
  return { result: 'decided' };
}

/** Closes the card of the agent's command, and asks others on a new card about the command that replaces it. */
export function askEdited(
  work: Work,
  { record, request }: Found,
  command: string,
  person: Person,
): { result: 'decided' } {
  const { now: at, policy, approvalTimeoutMs } = work.context;
  const input = auditText(request, work.thread.link.workingDirectory);
  const edit = { command, by: person.id };
  const { remindedAt: _, expiresAt: __, audit: ___, ...rest } = record;
  const { requester, requestId, tool, digest } = record;
  const fresh: ApprovalRecord = {
    ...rest,
    token: makeToken(work.context.id()),
    title: approvalTitle(withEditedCommand(request, { edit })),
    asks: listOtherApprovers(policy, placeOf(work.thread), { editor: person.id, requester }),
    rule: false,
    askedAt: at,
    ...(approvalTimeoutMs !== null && { expiresAt: at + approvalTimeoutMs }),
    edit,
    state: { state: 'open' },
  };
  const { id: by, name } = person;
  const over = { state: 'decided', decision: 'edited', by, name, at, words: fresh.title, via: 'modal' } as const;
  change(work, (now) => {
    const settled = settleApproval(now, record.token, over, input);
    return settled === now ? now : { ...settled, approvals: [...settled.approvals, fresh] };
  });
  const fields = { request: requestId, tool, digest, by: person.id };
  log(work, 'info', fields, 'command edited; another person must approve it');
  touch(work);
  return { result: 'decided' };
}

/** The input for the audit: what the agent asked for, or what runs instead. */
function inputOf(request: ApprovalRequest, send: Decision, folder: string | null): string {
  const isChanged = send.behavior === 'allow' && send.updatedInput !== undefined && !request.questions;
  return auditText(isChanged ? { ...request, input: send.updatedInput ?? {}, diffs: [] } : request, folder);
}

/** Denies a request that nobody decided in time, or that could not be shown. */
export function denyUndecided(
  work: Work,
  record: ApprovalRecord,
  why: ApprovalClosed & ('expired' | 'not_shown'),
): void {
  change(work, (now) => settleApproval(now, record.token, { state: 'closed', why, at: work.context.now }));
  log(work, 'warn', { request: record.requestId, tool: record.tool, why }, 'approval denied by the bridge');
  touch(work);
  tell(work, record, denialOf(why));
}

/** The denial that the agent reads for a request that nobody decided. */
export function denialOf(why: ApprovalClosed & ('expired' | 'not_shown')): Decision {
  return { behavior: 'deny', message: DENIAL[why] };
}

/** Opens a request again, with a full deadline. */
export function reopen(work: Work, token: Token): void {
  const { approvalTimeoutMs, now } = work.context;
  change(work, (record) =>
    reopenApproval(record, token, approvalTimeoutMs === null ? undefined : now + approvalTimeoutMs),
  );
  touch(work);
}

// ---- telling Letta -----------------------------------------------------------------------------

/** Tells Letta; what the bridge itself asked about a call of its tools, the call's pursuit reads in the record. */
export function tell(work: Work, { turn, token, requestId, tool }: ApprovalRecord, decision: Decision): void {
  if (isOwnRequest(requestId)) return;
  const link = upLink(work);
  if (link === null) return;
  // The rule for edits is a permission mode (docs/letta-protocol.md, Approvals).
  const savesRule = decision.behavior === 'allow' && (decision.suggestionIds?.length ?? 0) > 0;
  if (savesRule && tool !== 'Bash') setLink(work, { mayChangeMode: true });
  emit(work, { do: 'answer', turn, link, token, requestId, decision });
}

/** Letta has the decision, or no longer waits for it. */
export function onAnswered(work: Work, { of, token, requestId, answer }: Answer & { type: 'answered' }): void {
  const { live } = work.thread;
  if (live?.id === of) {
    setLive(work, { taken: new Set([...live.taken, token]) });
    forgetDecision(work, requestId);
  }
  if (answer === 'accepted') return;
  const state = approvals(work).find((each) => each.token === token)?.state;
  // The reply counted only as this decision, and the request was over, so the agent has not read it.
  if (state?.state === 'decided' && state.via === 'reply') say(work, replyTooLateText(state.by));
  const at = work.context.now;
  change(work, (now) => setApproval(now, token, { state: 'closed', why: 'answered_elsewhere', at }));
  touch(work);
}

/** Letta refused a decision over a link that is up, so it still waits: people decide anew. */
export function onUnanswered(work: Work, { token, requestId, mayAskAnew }: Answer & { type: 'unanswered' }): void {
  if (!mayAskAnew || !work.thread.live?.fold.openApprovals.includes(requestId)) return;
  forgetDecision(work, requestId);
  reopen(work, token);
}

export function forgetDecision(work: Work, requestId: string): void {
  const decisions = [...(work.thread.live?.decisions ?? [])].filter(([each]) => each !== requestId);
  setLive(work, { decisions: new Map(decisions) });
}
