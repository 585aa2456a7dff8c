import type { Place } from '../../access/can.ts';
import { mayApproversStartAgents, type Policy, settingsOf } from '../../access/policy.ts';
import type { ApprovalRequest, Decision } from '../../agent-event.ts';
import { approvalTitle, approve, digestOf, rebuildDecision, refusalOf, ruleOf } from '../../approvals/answers.ts';
import type { AuditEntry } from '../../approvals/audit-entry.ts';
import { type AutoApproval, findAutoApproval } from '../../approvals/auto-approval/auto-approval.ts';
import { startsAgent } from '../../approvals/auto-approval/starts-agent.ts';
import { mayMoveDirectory, pendingMoves } from '../../approvals/directory-moves.ts';
import { auditText } from '../../approvals/shown.ts';
import { makeToken, OTHER_CLIENT, type UserId } from '../../ids.ts';
import { authorOf, setApproval } from '../../record/inbox.ts';
import { isTaskEndCall } from '../../record/tasks.ts';
import type { ApprovalRecord, ApprovalState, OpenTurn } from '../../record/thread-record.ts';
import { foldTurn, lastSaidMessageId } from '../../turn/fold.ts';
import { BY_GRANT, decideElsewhereText, notShownDenial, notShownText, ONLY_END_TASKS } from '../../words/requests.ts';
import { isMixed, isOfOtherClient } from './clients.ts';
import { denialOf, denyUndecided, forgetDecision, mayDecide, reopen, tell } from './decide.ts';
import type { Answer } from './events.ts';
import { knows, runsAnother } from './link.ts';
import { placeOf } from './thread.ts';
import { approvals, change, emit, log, openTurn, say, setLive, touch, upLink, type Work } from './work.ts';

/* What becomes of a request of the agent: passed without a card, shown on one, or denied. */

type Grant = AutoApproval & { by: 'grant' };

// ---- what becomes of a request -----------------------------------------------------------------

/**
 * Letta asks, or asks again after a reconnect or a restart; then the request keeps its card. If Letta had confirmed
 * that card's decision, this is a new request with the same id, because the model makes the ids
 * (docs/letta-protocol.md, Approvals).
 */
export function onRequest(work: Work, request: ApprovalRequest) {
  const turn = openTurn(work);
  const { live, link } = work.thread;
  if (!turn || !live) return;
  const up = upLink(work);
  const { requestId } = request;
  const digest = digestOf(request.input);
  const last = approvals(work).findLast((each) => each.turn === turn.id && each.requestId === requestId);
  const known = last?.digest === digest && !live.taken.has(last.token) ? last : null;
  if (turn.ends && isTaskEndCall(turn.ends, request)) return letPass(work, request, { by: 'stop' });
  // While Letta runs a turn of its own, our input is queued behind it, and the agent has not read yet that it may
  // only end tasks; so people decide that turn's requests, and also those of a turn that Letta has not named yet.
  const hasBegun = turn.clientMessageId !== null && knows(link, turn.clientMessageId);
  // A request behind missed events may be of the next turn; one whose call was heard in this turn is not.
  const { callId } = request;
  const isOfTurn = callId === null || live.fold.tools.some((tool) => tool.callId === callId);
  if (turn.ends && !known && hasBegun && isOfTurn && !runsAnother(link, turn)) {
    if (up !== null) emit(work, { do: 'deny', link: up, requestId, message: ONLY_END_TASKS, entry: null });
    return;
  }
  const pass = known ? null : autoApprovalOf(work, request);
  if (!pass || pass.by === 'stop') return show(work, request, known);
  // Over another link Letta asks again.
  if (up === null) return;
  const giver = pass.by === 'grant' ? pass.grant.by.id : null;
  const { requester } = turn;
  emit(work, {
    do: 'judge',
    turn: turn.id,
    link: up,
    request,
    by: pass.by,
    author: authorOf(turn),
    requester,
    giver,
  });
}

/** Whether those in whose name a request passes without a card, the author and the giver of a grant, still may. */
export function onJudged(work: Work, { request, by, may }: Answer & { type: 'judged' }) {
  // Policy, grants or turn may have changed while we asked Slack, so the request is judged again.
  const still = may ? autoApprovalOf(work, request) : null;
  if (!still || still.by !== by) return show(work, request, null);
  if (still.by === 'grant') return show(work, request, null, { grant: still });
  letPass(work, request, still);
}

function autoApprovalOf(work: Work, request: ApprovalRequest): AutoApproval | null {
  const turn = openTurn(work);
  // Somebody stopped the turn, so nothing more passes without a card; nor does what another client may have asked for.
  if (!turn || turn.stoppedBy || isMixed(work)) return null;
  return findAutoApproval(request, {
    policy: work.context.policy,
    place: placeOf(work.thread),
    workingDirectory: work.thread.link.workingDirectory,
    mayMove: mayMove(work, request),
    requester: turn.requester,
    grants: turn.grants ?? [],
    files: work.thread.record?.handedOver,
  });
}

/** Approves a request without a card, after its audit entry is written; if either fails, people are asked. */
export function letPass(work: Work, request: ApprovalRequest, pass: Exclude<AutoApproval, Grant>): void {
  const turn = openTurn(work);
  const { live } = work.thread;
  const up = upLink(work);
  if (!turn || !live || up === null) return;
  if (mayMoveDirectory(request)) setLive(work, { passed: [...live.passed, request] });
  const plain = unaskedEntry(work, turn, request, { outcome: 'approved', via: pass.by });
  const entry = pass.by === 'rule' ? { ...plain, title: `${plain.title} · rule ${pass.rule}` } : plain;
  emit(work, { do: 'write_pass', turn: turn.id, link: up, request, entry });
}

/** The audit entry of a request that nobody was asked about. */
export function unaskedEntry(
  { thread, context }: Work,
  turn: OpenTurn,
  request: ApprovalRequest,
  how: Pick<AuditEntry, 'outcome' | 'via'>,
): AuditEntry {
  const { requestId, tool } = request;
  const title = approvalTitle(request);
  const input = auditText(request, thread.link.workingDirectory);
  const asked = { thread: thread.key, turn: turn.id, requestId, tool, title, digest: digestOf(request.input), input };
  const { now: at } = context;
  return { id: context.id(), ...asked, requester: turn.requester, askedAt: at, by: null, at, ...how };
}

/** The entry of a request that may pass is written, or could not be. */
export function onPassWritten(work: Work, { request, ok, turn, link }: Answer & { type: 'pass_written' }): void {
  // A stopped turn needs no answer.
  if (openTurn(work)?.stoppedBy) return;
  if (ok) emit(work, { do: 'pass', turn, link, request });
  else show(work, request, null);
}

export function onPassFailed(work: Work, request: ApprovalRequest): void {
  if (!openTurn(work)?.stoppedBy) show(work, request, null);
}

// ---- cards -------------------------------------------------------------------------------------

interface HowShown {
  /** The consent by which the request counts as decided. */
  grant?: Grant | undefined;
  /** Of a tool of the bridge. */
  call?: ApprovalRecord['call'];
  /** ms since 1970; left out: as for all requests. */
  expiresAt?: number | undefined;
}

/** @param known the card that it has already */
export function show(work: Work, request: ApprovalRequest, known: ApprovalRecord | null, how: HowShown = {}) {
  const { grant } = how;
  const { live } = work.thread;
  if (!live) return;
  const { requestId } = request;
  const others = live.fold.openApprovals.filter((open) => open !== requestId);
  const anew = known ? live.fold : foldTurn(live.fold, { type: 'approvals-open', requestIds: others });
  setLive(work, { fold: foldTurn(anew, { type: 'approval-asked', request }), isViewOutdated: true });
  if (known) return askAgain(work, known, request);
  // What was decided about another request with this id must not be sent for this one.
  forgetDecision(work, requestId);
  if (grant) {
    const { kind, by } = grant.grant;
    const words = BY_GRANT[kind];
    const at = work.context.now;
    const { id, name } = by;
    const state = { state: 'decided', decision: 'approved', by: id, name, at, words, via: 'grant' } as const;
    return tell(work, openCard(work, request, state), approve().send);
  }
  const refusal = refusalOf(request);
  if (refusal === null) return void openCard(work, request, { state: 'open' }, how);
  // Whoever asked can decide it there, and is not answered by us.
  if (isOfOtherClient(work)) return say(work, decideElsewhereText(refusal));
  // Nobody could decide it in Slack: the agent and the thread are told why it is denied.
  log(work, 'warn', { request: requestId, tool: request.tool, refusal }, 'request denied: it cannot be shown');
  const record = openCard(work, request, { state: 'closed', why: 'not_shown', at: work.context.now });
  tell(work, record, { behavior: 'deny', message: notShownDenial(refusal) });
  say(work, notShownText(refusal));
}

function openCard(
  work: Work,
  request: ApprovalRequest,
  state: ApprovalState,
  { call, expiresAt }: HowShown = {},
): ApprovalRecord {
  const { live, link } = work.thread;
  const turn = openTurn(work);
  if (!turn || !live) throw new TypeError('no turn is open');
  const { now: at, policy } = work.context;
  const { requestId, tool } = request;
  const requester = requesterNow(work, turn);
  const after = lastSaidMessageId(live.fold);
  // What was said before a restart is above the card; what may be missing behind it perhaps is, too.
  const below = after === null ? lastSaidMessageId(live.fold, true) : null;
  const endsAt = expiresAt ?? endsAtOf(work, requester);
  const approval: ApprovalRecord = {
    token: makeToken(work.context.id()),
    turn: turn.id,
    requestId,
    tool,
    title: approvalTitle(request),
    digest: digestOf(request.input),
    requester,
    ...whoDecides(work, request, requester),
    rule: hasAdmins(policy) && ruleOf(request) !== null,
    askedAt: at,
    // Left out while unknown: after a restart, text before the request may not have been read from the history yet.
    ...(after !== null || !live.isTextUnknown ? { after } : below !== null && { below }),
    ...(call && { call }),
    ...(state.state === 'open' && endsAt !== undefined && { expiresAt: endsAt }),
    ...(state.state !== 'open' && { audit: 'due' as const, input: auditText(request, link.workingDirectory) }),
    state,
  };
  change(work, (record) => {
    const before = record.approvals.map((old): ApprovalRecord => {
      const replaced = old.turn === turn.id && old.requestId === requestId && old.state.state === 'open';
      const closed = { state: 'closed', why: 'answered_elsewhere', at } as const;
      return replaced ? { ...old, state: closed, audit: 'due' } : old;
    });
    return { ...record, approvals: [...before, approval] };
  });
  const { digest } = approval;
  log(work, 'info', { turn: turn.id, request: requestId, tool, digest, state: state.state }, 'approval asked');
  return approval;
}

function requesterNow(work: Work, turn: OpenTurn): UserId {
  return isOfOtherClient(work) ? OTHER_CLIENT : turn.requester;
}

/** ms since 1970; another client's request is denied by people alone, because its asker may take their time. */
function endsAtOf({ context: { now, approvalTimeoutMs } }: Work, requester: UserId): number | undefined {
  return approvalTimeoutMs === null || requester === OTHER_CLIENT ? undefined : now + approvalTimeoutMs;
}

function whoDecides(work: Work, { questions, tool }: ApprovalRequest, requester: UserId) {
  const { policy } = work.context;
  const place = placeOf(work.thread);
  const only = onlyFor(policy, place, tool);
  const asks = questions ? answerersOf(policy, requester) : asksOf(policy, place, requester, only);
  return { asks, ...(only !== null && { only }) };
}

/**
 * The request was asked while the bridge did not know who began its turn, so that it counted as another client's: now its
 * card asks those who decide for the person that it is for.
 */
function askKnown(work: Work, { token, requester: before }: ApprovalRecord, request: ApprovalRequest): void {
  const turn = openTurn(work);
  if (!turn || before !== OTHER_CLIENT) return;
  const requester = requesterNow(work, turn);
  if (requester === OTHER_CLIENT) return;
  const endsAt = endsAtOf(work, requester);
  const known = {
    requester,
    ...whoDecides(work, request, requester),
    ...(endsAt !== undefined && { expiresAt: endsAt }),
  };
  change(work, (record) => ({
    ...record,
    approvals: record.approvals.map((each) => (each.token === token ? { ...each, ...known } : each)),
  }));
  touch(work);
}

/** Letta asks again for a request that has a card: it is open, or Letta did not get the decision. */
function askAgain(work: Work, known: ApprovalRecord, request: ApprovalRequest) {
  const { now, staleAfterMs } = work.context;
  const { token, state } = known;
  if (state.state === 'open') return askKnown(work, known, request);
  if (openTurn(work)?.stoppedBy) {
    // Somebody stopped the turn, so a decision made before must not reach Letta after the Stop.
    change(work, (record) => setApproval(record, token, { state: 'closed', why: 'turn_over', at: now }));
    return;
  }
  if (state.state === 'closed') {
    const { why } = state;
    return why === 'expired' || why === 'not_shown' ? tell(work, known, denialOf(why)) : reopen(work, token);
  }
  const { decision, by, at } = state;
  const { requestId } = request;
  // A command approved in the evening must not run in the morning, when things may have changed.
  const isStale = staleAfterMs !== null && now - at > staleAfterMs;
  if (isStale) log(work, 'info', { request: requestId, decision, by }, 'a decision is too old to be sent to Letta');
  const send = work.thread.live?.decisions.get(requestId) ?? rebuildDecision(request, known, state)?.send;
  if (!send || isStale) return reopen(work, token);
  if (decision === 'denied') return tell(work, known, send);
  sayLate(work, known, send, by);
}

/** Sends an approval that Letta did not get, if the person who gave it still may; else people decide anew. */
function sayLate(work: Work, { token, requester, turn, requestId }: ApprovalRecord, send: Decision, by: UserId): void {
  const link = upLink(work);
  // Over another link Letta asks again.
  if (link !== null) emit(work, { do: 'rejudge', turn, link, token, send, by, requester, requestId });
}

export function onRejudged(work: Work, { token, send, person }: Answer & { type: 'rejudged' }) {
  const now = approvals(work).find((each) => each.token === token);
  if (now?.state.state !== 'decided' || openTurn(work)?.stoppedBy) return;
  // With a saved rule or without one.
  const may = person && (['decide', 'save'] as const).some((wish) => mayDecide(work, now, person, wish).allowed);
  if (may) return tell(work, now, send);
  log(work, 'warn', { request: now.requestId, by: now.state.by }, 'a decision no longer counts; asking again');
  reopen(work, token);
}

/** Closes open cards whose requests Letta no longer waits for. @param stillOpen ids that Letta still waits for */
export function closeCards(
  work: Work,
  stillOpen: readonly string[],
  why: 'answered_elsewhere' | 'link_lost' | 'turn_over',
): void {
  const turn = openTurn(work)?.id;
  const isSettled = (each: ApprovalRecord) =>
    each.turn === turn && each.state.state === 'open' && !stillOpen.includes(each.requestId);
  const settled = approvals(work).filter(isSettled);
  if (settled.length === 0) return;
  const at = work.context.now;
  change(work, (record) =>
    settled.reduce((now, { token }) => setApproval(now, token, { state: 'closed', why, at }), record),
  );
  touch(work);
}

/**
 * Slack refused cards in every form for half a day, or no longer has the thread. Their requests are denied, because
 * people cannot see what they would decide, and the thread is told.
 * @param cards the first letters of their tokens; left out: all open ones of the turn
 */
export function onCardRefused(work: Work, reason: string, cards?: readonly string[]): void {
  const turn = openTurn(work)?.id;
  // Whoever asked through another client can decide it there.
  const isUnseen = ({ token, requester }: ApprovalRecord) =>
    requester !== OTHER_CLIENT && (cards?.some((letters) => token.startsWith(letters)) ?? true);
  const open = approvals(work).filter((each) => each.turn === turn && each.state.state === 'open' && isUnseen(each));
  if (open.length === 0) return;
  log(work, 'warn', { turn, reason, requests: open.length }, 'could not show cards');
  for (const record of open) denyUndecided(work, record, 'not_shown');
  say(work, notShownText(null));
}

/** Ids of the people and groups whose click would count, for the card's mentions; the requester first. */
function asksOf(policy: Policy, place: Place, requester: UserId, only: ApprovalRecord['only'] | null): string[] {
  const { approvers, selfApproval } = settingsOf(policy, place);
  if (requester === OTHER_CLIENT && !only && approvers.requester) {
    return [...new Set([...adminsOf(policy), ...approvers.ids, ...approvers.groups])];
  }
  if (only) return adminsOf(policy).filter((id) => id !== requester || selfApproval);
  const first = approvers.requester && selfApproval && requester !== OTHER_CLIENT ? [requester] : [];
  const others = [...approvers.ids, ...approvers.groups].filter((id) => id !== requester || selfApproval);
  return [...new Set([...first, ...others])];
}

/** Who answers a question. */
function answerersOf(policy: Policy, requester: UserId): string[] {
  return requester === OTHER_CLIENT ? adminsOf(policy) : [requester];
}

const adminsOf = ({ admins }: Policy): string[] => [...admins.ids, ...admins.groups];

/** Who alone may approve this tool; `null`: the channel's approvers. */
function onlyFor(policy: Policy, place: Place, tool: string): 'admins' | 'nobody' | null {
  if (!startsAgent(tool) || mayApproversStartAgents(policy, place)) return null;
  return hasAdmins(policy) ? 'admins' : 'nobody';
}

function hasAdmins({ admins }: Policy): boolean {
  return admins.ids.length + admins.groups.length > 0;
}

// ---- where a call runs -------------------------------------------------------------------------

/**
 * The device reported another working directory. It does not say which call moved it, so when several could have,
 * none counts as done.
 */
export function onDirectoryMoved(work: Work): void {
  const { live } = work.thread;
  if (!live) return;
  const [only, ...others] = pendingCalls(work).filter((id) => mayRun(work, id));
  if (only !== undefined && others.length === 0) setLive(work, { moved: [...live.moved, only] });
}

/** Whether this call was approved or let pass, or was seen to run. */
function mayRun(work: Work, id: string): boolean {
  const { live } = work.thread;
  const isDone = ({ turn, state, requestId: each }: ApprovalRecord, requestId: string) =>
    each === requestId &&
    turn === live?.id &&
    state.state === 'decided' &&
    !['denied', 'edited'].includes(state.decision);
  const isApproved = (requestId: string) => approvals(work).some((record) => isDone(record, requestId));
  const isIt = ({ callId, requestId }: ApprovalRequest) => (callId ?? requestId) === id;
  return (
    isApproved(id) ||
    (live?.passed.some(isIt) ?? false) ||
    (live?.fold.approvals.some((request) => isIt(request) && isApproved(request.requestId)) ?? false) ||
    (live?.fold.tools.some(({ callId, status }) => callId === id && status !== 'called') ?? false)
  );
}

/** Calls that may still move the working directory. */
function pendingCalls(work: Work): string[] {
  const { live } = work.thread;
  if (!live) return [];
  const records = approvals(work).filter((record) => record.turn === live.id);
  const requests = [...live.fold.approvals, ...live.passed];
  return pendingMoves({ requests, records, tools: live.fold.tools }).filter((id) => !live.moved.includes(id));
}

/** Whether this call's relative paths may be meant for another directory than the one that we know. */
function mayMove(work: Work, { callId }: ApprovalRequest): boolean {
  const { live } = work.thread;
  const heard = !live?.isJoined || live.fold.tools.some((call) => call.callId === callId);
  return !heard || pendingCalls(work).length > 0;
}
