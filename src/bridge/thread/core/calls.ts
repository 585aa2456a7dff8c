import type { ExternalCall } from '../../agent-event.ts';
import { digestOf } from '../../approvals/answers.ts';
import { noteFiles } from '../../record/handed-over.ts';
import { setApproval } from '../../record/inbox.ts';
import type { ApprovalRecord, ToolCallRecord } from '../../record/thread-record.ts';
import { addCall, callsOf, changeCall, idOf, keptResult } from '../../record/tool-calls.ts';
import { isToolName, toolOf } from '../../tools/catalogue.ts';
import { fails, says, type ToolResult } from '../../tools/result.ts';
import type { ToolPlan } from '../../tools/tool.ts';
import { foldTurn } from '../../turn/fold.ts';
import { deniedBy, type NotDone, notDone, UNKNOWN, unknownForPeople } from '../../words/tool-calls.ts';
import type { Answer } from './events.ts';
import { runsAnother } from './link.ts';
import { askOf, ownId, requestOf } from './own-requests.ts';
import { show, unaskedEntry } from './requests.ts';
import { isOver, type Pursuit } from './thread.ts';
import {
  approvals,
  change,
  emit,
  hasTool,
  log,
  openTurn,
  say,
  set,
  setLive,
  startTurnTimer,
  touch,
  upLink,
  type Work,
} from './work.ts';

/*
 * Calls of tools that the bridge runs. The record says where a call stands; what this process does about it is a pursuit.
 * A call is stored before it acts, acts at most once, and its outcome is stored before Letta hears it.
 */

/** Letta waits 300 s for a result (docs/letta-protocol.md, External tools). */
const ANSWERED_WITHIN_MS = 240_000;
/** How long before that a card of ours expires, so that its end is told in time. */
const CARD_ENDS_EARLIER_MS = 5_000;
/** After a Stop, or once Letta has nothing running: how long a call that is acting may still tell how it went. */
const GRACE_MS = 2_000;
/** Letta makes the calls of a runtime one after the other. */
const OPEN_MOST = 20;
const REQUESTS_OF_CALL = 5;
/** A repeated request follows the first within seconds. */
const REFUSED_KEPT = 50;

// ---- a call comes ------------------------------------------------------------------------------

/** Letta waits for a result: perhaps again, or for a turn that is over. */
export function onCall(work: Work, call: ExternalCall) {
  const { requestId, callId, tool } = call;
  const calls = callsOf(work.thread.record);
  const repeated = calls.find(({ requestIds }) => requestIds.includes(requestId));
  if (repeated) return tellAgain(work, repeated);
  // The model was told that it was not done, so it is not, even if the turn is ours by now.
  const before = work.thread.refused.get(requestId);
  if (before !== undefined) return refuseCall(work, requestId, tool, before);
  const turn = openTurn(work);
  const digest = digestOf(call.input);
  const refuse = (why: NotDone) => refuseCall(work, requestId, tool, notDone(why));
  if (turn?.state !== 'submitted' || isOver(work.thread)) return refuse('turn_over');
  const same = calls.find((each) => each.turn === turn.id && each.callId === callId);
  if (same) {
    if (same.digest !== digest || same.tool !== tool) return refuse('other_input');
    const requestIds = [...same.requestIds.slice(0, REQUESTS_OF_CALL - 1), requestId];
    change(work, (record) => changeCall(record, idOf(same), { requestIds }));
    return tellAgain(work, { ...same, requestIds });
  }
  if (turn.stoppedBy) return refuse('stopped');
  // Another client's turn: whose rights its calls would have, nobody can tell.
  if (runsAnother(work.thread.link, turn)) return refuse('not_your_turn');
  if (calls.filter(({ state }) => state !== 'done').length >= OPEN_MOST) return refuse('too_many');
  const asked = askOf(work, call);
  if ('wrong' in asked) return refuseCall(work, requestId, tool, asked.wrong);
  const { input } = asked.ask;
  const fresh = { requestIds: [requestId], callId, turn: turn.id, tool, input, digest, at: work.context.now } as const;
  change(work, (record) => addCall(record, { ...fresh, requestIds: [requestId], state: 'waiting' }));
  log(work, 'info', { turn: turn.id, call: callId, tool, digest }, 'a tool of the bridge was called');
}

function refuseCall(work: Work, requestId: string, tool: string, why: string) {
  log(work, 'info', { tool, why }, 'a call was refused');
  set(work, { refused: new Map([...work.thread.refused, [requestId, why] as const].slice(-REFUSED_KEPT)) });
  if (upLink(work) !== null) emit(work, { do: 'answer_call', requestIds: [requestId], result: fails(why) });
}

/** A call that is over is answered as before; one that goes on is answered then. */
function tellAgain(work: Work, call: ToolCallRecord) {
  if (call.state === 'done') answer(work, call);
}

// ---- what is done about calls ------------------------------------------------------------------

/** Goes on with each call that is not over, as the record, the turn and the link stand now. After every step that changed these. */
export function pursueCalls(work: Work) {
  const open = callsOf(work.thread.record).filter(({ state }) => state !== 'done');
  const ids = new Set(callsOf(work.thread.record).map(idOf));
  if ([...work.thread.calls.keys()].some((id) => !ids.has(id)))
    set(work, { calls: new Map([...work.thread.calls].filter(([id]) => ids.has(id))) });
  if (open.length === 0) return;
  for (const call of open) pursue(work, call);
  arm(work);
}

function pursue(work: Work, call: ToolCallRecord) {
  const id = idOf(call);
  const turn = openTurn(work);
  const isOfTurn = turn?.id === call.turn && !isOver(work.thread);
  const { doing } = pursuitOf(work, call);
  if (call.state === 'acting') {
    // What this process did not begin.
    if (doing === null) recall(work, call);
    else if (!isOfTurn || turn?.stoppedBy) hurry(work, call);
    return;
  }
  if (!isOfTurn || !turn) return settle(work, call, notDone('turn_over'));
  if (turn.stoppedBy) return settle(work, call, notDone('stopped'));
  const link = upLink(work);
  if (link === null) {
    // Through an App Server a call dies with its socket; through the relay its result counts later, too.
    if (work.context.turnsDieWithLink) settle(work, call, notDone('link_lost'));
    return;
  }
  if (doing !== null) return;
  const card = ownCard(work, call);
  if (card?.state.state === 'decided' && card.state.decision === 'denied') {
    return settle(work, call, deniedBy(card.state.name ?? card.state.by, card.state.words), { logged: 'denied' });
  }
  if (card?.state.state === 'closed') {
    const { why } = card.state;
    return settle(work, call, notDone(why === 'expired' || why === 'not_shown' ? why : 'turn_over'));
  }
  const isShown = work.thread.live?.fold.openApprovals.includes(ownId(call)) ?? false;
  if (card?.state.state === 'open' && isShown) return;
  const asked = askOf(work, call);
  if ('wrong' in asked) return settle(work, call, asked.wrong);
  setPursuit(work, id, { doing: 'planning' });
  emit(work, { do: 'plan_call', turn: call.turn, link, request: id, ask: asked.ask });
}

/** What would become of a call is known; `null`: it cannot be told. */
export function onCallPlanned(work: Work, { request: id, plan }: Answer & { type: 'call_planned' }) {
  const call = callsOf(work.thread.record).find((each) => idOf(each) === id);
  if (call?.state !== 'waiting') return;
  setPursuit(work, id, { doing: null });
  const turn = openTurn(work);
  // What forbids it is found out anew.
  if (turn?.id !== call.turn || turn.stoppedBy || isOver(work.thread) || upLink(work) === null)
    return pursueCalls(work);
  if (!hasTool(work, call.tool)) return settle(work, call, notDone('no_tool'));
  if (!plan) return settle(work, call, notDone('cannot_check'));
  if (plan.may === 'no') return settle(work, call, plan.why);
  const consent = approvals(work).findLast((each) => isConsent(each, call));
  if (plan.may === 'run') return act(work, call, plan, consent);
  if (consent) {
    return consent.call?.seal === plan.seal ? act(work, call, plan, consent) : settle(work, call, notDone('changed'));
  }
  showOwnCard(work, call, plan);
  arm(work);
}

function isConsent({ turn, requestId, digest, tool, call: of, state }: ApprovalRecord, call: ToolCallRecord): boolean {
  // A card of ours shows the input as it was checked.
  const shown = requestId === ownId(call) ? digestOf(call.input) : call.digest;
  const isOfCall = turn === call.turn && tool === call.tool && digest === shown && of?.id === call.callId;
  return isOfCall && state.state === 'decided' && state.decision === 'approved';
}

/** Does it: from here on it counts as perhaps done. */
function act(work: Work, call: ToolCallRecord, plan: ToolPlan & { may: 'run' | 'ask' }, consent?: ApprovalRecord) {
  const turn = openTurn(work);
  const link = upLink(work);
  const asked = askOf(work, call);
  if (!turn || link === null || 'wrong' in asked) return;
  const id = idOf(call);
  change(work, (record) => changeCall(record, id, { state: 'acting' }));
  closeOwnCard(work, call);
  setPursuit(work, id, { doing: 'running' });
  // In the other modes Letta asked first, and what the bridge answered is in the audit.
  const isUnasked = consent === undefined && work.thread.link.options?.mode === 'unrestricted';
  const how = { outcome: 'approved', via: 'tools' } as const;
  const of = { requestId: id, digest: call.digest, askedAt: call.at };
  const entry = isUnasked ? { ...unaskedEntry(work, turn, requestOf(call, []), how), ...of } : null;
  emit(work, { do: 'run_call', of: call.turn, request: id, ask: asked.ask, plan, entry });
}

/** A call that only reads may run again. */
function isReading({ tool }: ToolCallRecord): boolean {
  return isToolName(tool) && toolOf(tool).effect === 'reads';
}

/** A call has run, or failed. What it returned is held by the one who ran it. */
export function onCallRan(work: Work, { of, request: id, outcome }: Answer & { type: 'call_ran' }) {
  const call = callsOf(work.thread.record).find((each) => idOf(each) === id && each.turn === of);
  if (!call) return;
  setPursuit(work, id, { doing: null });
  const { text, isError, isUnknown, handed } = outcome;
  if (handed && handed.length > 0) change(work, (record) => noteFiles(record, { handed, cleared: [], missing: [] }));
  // It was answered when its time was over; now more is known, for whoever asks again.
  const wasOver = call.state === 'done';
  const result = isReading(call) && !isError ? undefined : keptResult(text, isError);
  change(work, (record) => changeCall(record, id, { state: 'done', ...(result && { result }) }));
  log(work, 'info', { call: call.callId, tool: call.tool, isError, isUnknown }, 'a call is over');
  if (isUnknown && !wasOver) tellPeople(work, call);
  if (wasOver || upLink(work) === null) return;
  // The record keeps only the beginning of what was read.
  emit(work, { do: 'answer_call', requestIds: [...call.requestIds], result: null });
}

/** After a restart: what became of a call in the middle of acting is found out, or cannot be. */
function recall(work: Work, call: ToolCallRecord) {
  const id = idOf(call);
  if (isReading(call)) {
    change(work, (record) => changeCall(record, id, { state: 'waiting' }));
    return;
  }
  const turn = openTurn(work);
  const asked = turn?.id === call.turn ? askOf(work, call) : { wrong: '' };
  if ('wrong' in asked) return settleUnknown(work, call);
  setPursuit(work, id, { doing: 'recalling' });
  emit(work, { do: 'recall_call', of: call.turn, request: id, ask: asked.ask });
}

function settleUnknown(work: Work, call: ToolCallRecord) {
  tellPeople(work, call);
  settle(work, call, UNKNOWN);
}

/** What was found out about a call in the middle of which the bridge ended; `null`: that cannot be told. */
export function onCallRecalled(work: Work, { of, request: id, result }: Answer & { type: 'call_recalled' }) {
  const call = callsOf(work.thread.record).find((each) => idOf(each) === id && each.turn === of);
  if (call?.state !== 'acting') return;
  setPursuit(work, id, { doing: null });
  if (result === null) return settleUnknown(work, call);
  settle(work, call, result.text, { isError: result.isError, logged: 'found out after a restart' });
}

function tellPeople(work: Work, { tool }: ToolCallRecord) {
  say(work, unknownForPeople(isToolName(tool) ? toolOf(tool).label : tool));
}

// ---- telling Letta -----------------------------------------------------------------------------

/** The call is over, and Letta is told. @param how `logged`: instead of a text that is not the bridge's own */
function settle(
  work: Work,
  call: ToolCallRecord,
  text: string,
  { isError = true, logged = text }: { isError?: boolean; logged?: string } = {},
) {
  const id = idOf(call);
  const result = keptResult(text, isError);
  change(work, (record) => changeCall(record, id, { state: 'done', result }));
  closeOwnCard(work, call);
  setPursuit(work, id, { doing: null });
  log(work, 'info', { call: call.callId, tool: call.tool, text: logged }, 'a call is over');
  answer(work, { ...call, result });
}

function answer(work: Work, { requestIds, result }: ToolCallRecord) {
  if (upLink(work) === null) return;
  const told: ToolResult | null = result ? (result.isError ? fails(result.text) : says(result.text)) : null;
  emit(work, { do: 'answer_call', requestIds: [...requestIds], result: told });
}

/** A new link: Letta may not have got results that were sent over the old one. */
export function tellResultsAgain(work: Work) {
  const turn = openTurn(work);
  if (!turn || work.context.turnsDieWithLink) return;
  const isTold = (callId: string) =>
    work.thread.live?.fold.tools.some((tool) => tool.callId === callId && !['called', 'running'].includes(tool.status));
  for (const call of callsOf(work.thread.record)) {
    if (call.turn !== turn.id || call.state !== 'done' || isTold(call.callId)) continue;
    const isHeld = work.thread.calls.has(idOf(call));
    // What another process read is read again.
    if (call.result || isHeld) answer(work, call);
    else change(work, (record) => changeCall(record, idOf(call), { state: 'waiting' }));
  }
}

/** The process ends: what nobody began is not done, and Letta is told so at once. */
export function closeCalls(work: Work) {
  for (const call of callsOf(work.thread.record)) {
    if (call.state === 'waiting') settle(work, call, notDone('restarting'));
  }
}

// ---- cards of the bridge's own -----------------------------------------------------------------

function ownCard(work: Work, call: ToolCallRecord): ApprovalRecord | undefined {
  return approvals(work).findLast(({ turn, requestId }) => turn === call.turn && requestId === ownId(call));
}

/** Letta does not ask in this mode, so the bridge does, before it acts. */
function showOwnCard(work: Work, call: ToolCallRecord, { facts, seal }: ToolPlan & { may: 'ask' }) {
  const request = requestOf(call, facts);
  const card = ownCard(work, call);
  const left = dueIn(work, call) - CARD_ENDS_EARLIER_MS;
  if (left <= 0) return settle(work, call, notDone('expired'));
  const expiresAt = Math.floor(work.context.now + left);
  const known = card?.state.state === 'open' && card.call?.seal === seal ? card : null;
  show(work, request, known, { call: { id: call.callId, seal }, expiresAt });
}

function closeOwnCard(work: Work, call: ToolCallRecord) {
  const card = ownCard(work, call);
  if (!card) return;
  if (card.state.state === 'open') {
    const state = { state: 'closed', why: 'turn_over', at: work.context.now } as const;
    change(work, (record) => setApproval(record, card.token, state));
  }
  const { live } = work.thread;
  if (!live) return;
  const requestIds = live.fold.openApprovals.filter((open) => open !== card.requestId);
  setLive(work, { fold: foldTurn(live.fold, { type: 'approvals-open', requestIds }) });
  touch(work);
}

// ---- time --------------------------------------------------------------------------------------

/** Sets the one timer to when the next call must be answered. */
function arm(work: Work) {
  const open = callsOf(work.thread.record).filter(({ state }) => state !== 'done');
  const next = Math.min(...open.map((call) => dueIn(work, call)));
  if (Number.isFinite(next)) startTurnTimer(work, 'calls', Math.max(0, next));
}

/** ms until Letta must have the result. */
function dueIn(work: Work, call: ToolCallRecord): number {
  return pursuitOf(work, call).dueAt - work.context.monotonic;
}

/** The time of calls is over. */
export function onCallsDue(work: Work) {
  for (const call of callsOf(work.thread.record)) {
    if (call.state === 'done' || dueIn(work, call) > 0) continue;
    if (call.state === 'waiting') {
      settle(work, call, notDone(ownCard(work, call) ? 'expired' : 'no_time'));
      continue;
    }
    emit(work, { do: 'cancel_call', request: idOf(call) });
    if (isReading(call)) settle(work, call, notDone('no_time'));
    else settleUnknown(work, call);
  }
  pursueCalls(work);
}

/** Nothing may wait longer for a call: it is told to end, and what is not known soon is told as such. */
function hurry(work: Work, call: ToolCallRecord) {
  const pursuit = pursuitOf(work, call);
  const soon = work.context.monotonic + GRACE_MS;
  if (pursuit.isHurried) return;
  emit(work, { do: 'cancel_call', request: idOf(call) });
  setPursuit(work, idOf(call), { dueAt: Math.min(pursuit.dueAt, soon), isHurried: true });
}

/** Letta has nothing running: another client has stopped the turn, and it ends when its calls are answered. */
export function onNothingRuns(work: Work) {
  const soon = work.context.monotonic + GRACE_MS;
  for (const call of callsOf(work.thread.record)) {
    if (call.state === 'done') continue;
    const { dueAt } = pursuitOf(work, call);
    setPursuit(work, idOf(call), { dueAt: Math.min(dueAt, soon) });
  }
  if (callsOf(work.thread.record).some(({ state }) => state !== 'done')) arm(work);
}

// ---- pursuits ----------------------------------------------------------------------------------

function pursuitOf(work: Work, call: ToolCallRecord): Pursuit {
  const known = work.thread.calls.get(idOf(call));
  if (known) return known;
  const { now, monotonic } = work.context;
  const age = Math.min(Math.max(0, now - call.at), ANSWERED_WITHIN_MS);
  const fresh: Pursuit = { doing: null, dueAt: monotonic + ANSWERED_WITHIN_MS - age, isHurried: false };
  set(work, { calls: new Map([...work.thread.calls, [idOf(call), fresh]]) });
  return fresh;
}

function setPursuit(work: Work, id: string, part: Partial<Pursuit>) {
  const call = callsOf(work.thread.record).find((each) => idOf(each) === id);
  if (!call) return;
  const next = { ...pursuitOf(work, call), ...part };
  set(work, { calls: new Map([...work.thread.calls, [id, next]]) });
}

/** Plans that are under way are for a link that is gone. */
export function forgetPlans(work: Work) {
  const calls = [...work.thread.calls].map(
    ([id, pursuit]) => [id, pursuit.doing === 'planning' ? { ...pursuit, doing: null } : pursuit] as const,
  );
  set(work, { calls: new Map(calls) });
}
