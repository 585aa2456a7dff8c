import type { AgentEvent, ApprovalRequest, ConnectionEvent } from '../../agent-event.ts';
import { beginAgentTurn, changeTurn } from '../../record/inbox.ts';
import { type Leftover, setRuntime } from '../../record/offers.ts';
import { needsLetta, type OpenTurn } from '../../record/thread-record.ts';
import type { FoundFiring } from '../../schedules/firing.ts';
import type { TurnSchedule } from '../../schedules/schedule.ts';
import { isToolName } from '../../tools/catalogue.ts';
import { foldTurn, type TurnState } from '../../turn/fold.ts';
import { sayCause, sayError } from '../../words/causes.ts';
import { WAITS } from '../../words/thread.ts';
import { forgetPlans, onCall, onNothingRuns, pursueCalls, tellResultsAgain } from './calls.ts';
import { onCompacted, onContextUsed } from './context.ts';
import { forgetThrough, hold, holdReady, withoutRequests } from './held.ts';
import { stepBack } from './input.ts';
import {
  claims,
  confirmSettings,
  disconnect,
  isForeign,
  isQueued,
  knows,
  looped,
  opened,
  runsAnother,
  tellReplaced,
  unsubmitted,
} from './link.ts';
import {
  END_OVERDUE_MS,
  endLook,
  expectEnd,
  expectNoEnd,
  fillGap,
  forgetLook,
  look,
  recall,
  type Verdict,
  wasRead,
} from './look.ts';
import { giveUpLetta, noteLettaLost, noteLettaReached, noteNeverArrived } from './offers.ts';
import {
  close,
  end,
  endingNow,
  endingUnseen,
  fail,
  finish,
  leftover,
  leftoverOfCut,
  leftoverWithoutConversation,
  wayOn,
} from './over.ts';
import { openOwnRequests } from './own-requests.ts';
import { closeCards, onDirectoryMoved, onRequest } from './requests.ts';
import {
  align,
  foundSchedule,
  giveUpSchedules,
  noteFired,
  onFired,
  turnScheduleOf,
  waitWithSchedules,
} from './schedules.ts';
import { abort, hear, STOP_OVERDUE_MS, stop } from './stop.ts';
import { askAnew, onTasks, silencedBy } from './tasks.ts';
import { isHolding, isOver, type Thread } from './thread.ts';
import { onToolRequest } from './tool-requests.ts';
import { followTurn, turnIds } from './turn.ts';
import { workplaceOf } from './view.ts';
import {
  cancelPreparing,
  change,
  due,
  emit,
  log,
  openTurn,
  set,
  setHold,
  setLink,
  setLive,
  startTimer,
  touch,
  upLink,
  type Work,
} from './work.ts';

/* What the link and the agent say, and what it means for the open turn. */

/** Letta names running background tasks soon after a link is ready; after this long without a word there are none. */
const BACKGROUND_TOLD_MS = 5_000;
/** Errors that no retry fixes, but a new conversation does. */
const GONE: ReadonlySet<string> = new Set([
  'agent_not_found',
  'conversation_not_found',
  'conversation_kept',
  'no_environment',
]);

/** What the link says, and what the agent says through it. */
export function onConnection(work: Work, event: AgentEvent | ConnectionEvent) {
  hear(work, event.type);
  switch (event.type) {
    case 'ready':
      return onReady(work, event);
    case 'lost':
      log(work, 'warn', { reason: event.reason }, 'lost the link to Letta');
      linkLost(work);
      set(work, { held: withoutRequests(work.thread.held) });
      noteLettaLost(work);
      return wait(work, WAITS.reconnects);
    case 'released':
      return onReleased(work);
    case 'unavailable':
      return onUnavailable(work, event);
    case 'in-line':
      return onPlace(work, event.place);
    default:
      return onAgentEvent(work, event);
  }
}

// ---- the link ----------------------------------------------------------------------------------

function linkLost(work: Work): void {
  const { live } = work.thread;
  const wasSubmitted = openTurn(work)?.state === 'submitted';
  const wasLinkLost = live?.wasLinkLost || wasSubmitted;
  forgetLook(work);
  setLive(work, { wasLinkLost, ...(wasSubmitted && { isAllHeard: false }) });
  cancelPreparing(work);
  set(work, { wasCut: true });
  setLink(work, { up: null, settled: false, unanswered: null });
  forgetPlans(work);
  pursueCalls(work);
}

/** Events of the open turn, or else of the next one, may be missing: its end asks the history for what was said in them. */
function noteMissed(work: Work): void {
  if (!work.thread.live) set(work, { wasCut: true });
  setLive(work, { mayHaveMissed: true, isAllHeard: false });
}

function wait(work: Work, notice: string, device?: string): void {
  if (!openTurn(work) || isOver(work.thread)) return;
  setHold(work, { kind: 'waiting_for_letta', notice, ...(device !== undefined && { device }) });
}

/** A turn whose input may have been sent goes on to say what it waits for. */
function onPlace(work: Work, place: number | null): void {
  const turn = openTurn(work);
  if (turn?.state !== 'prepared' || isOver(work.thread)) return;
  setHold(work, place === null ? null : { kind: 'starting', place });
}

/** We know now whether Letta got the input, so the notice of doubt goes. */
function sure(work: Work): void {
  const waiting = work.thread.live?.hold;
  if (waiting?.kind !== 'waiting_for_letta') return;
  if (waiting.notice === WAITS.inDoubt || waiting.notice === WAITS.queued) setHold(work, null);
}

/** Another thread of the conversation has the link: this one asks for it again when it has something to do. */
function onReleased(work: Work) {
  linkLost(work);
  const { record } = work.thread;
  if (!record || !(needsLetta(record) || hasSchedules(work))) return disconnect(work);
  noteLettaLost(work);
  wait(work, WAITS.elsewhere);
}

function onUnavailable(work: Work, event: ConnectionEvent & { type: 'unavailable' }) {
  const { code, notice, retryInMs, device } = event;
  log(work, 'warn', { code, notice, retryInMs }, 'Letta is unavailable');
  linkLost(work);
  if (retryInMs !== null) {
    noteLettaLost(work);
    return wait(work, sayError(code, notice), device);
  }
  // No retry fixes this, so the turn fails where people see it, and the next message dials anew.
  const isGone = GONE.has(code) && work.thread.record?.runtime != null;
  const left = isGone ? leftoverWithoutConversation(work) : leftover(work);
  disconnect(work);
  giveUpLetta(work);
  if (code === 'conversation_kept') giveUpSchedules(work);
  waitWithSchedules(work);
  // The error's own words are for the turn's details.
  fold(work, { type: 'error', message: `${code}: ${notice}`, terminal: true });
  fail(work, sayError(code, notice), left);
  onTasks(work, []);
}

function onReady(work: Work, event: ConnectionEvent & { type: 'ready' }): void {
  opened(work, event);
  cancelPreparing(work);
  setHold(work, null);
  const { runtime } = event;
  const stored = work.thread.record?.runtime;
  const isSame =
    stored?.agentId === runtime.agentId &&
    stored.conversationId === runtime.conversationId &&
    stored.deviceId === runtime.deviceId;
  if (!isSame) change(work, (record) => setRuntime(record, runtime));
  // Letta reports background tasks when their number changes, counting from none, so a silent new link means none.
  startTimer(work, 'tasks_told', BACKGROUND_TOLD_MS);
  askAnew(work);
  confirmSettings(work);
  if (event.replacedAgent !== undefined) tellReplaced(work, event.replacedAgent, runtime.agentId);
  noteLettaReached(work);
  takeUp(work, event);
  align(work);
}

/** Letta has not said over this link what runs in the background, so nothing does. */
export function onTasksUntold(work: Work): void {
  if (!work.thread.link.toldTasks && upLink(work) !== null) onTasks(work, []);
}

/** Compares a new link's replay with the open turn: that goes on, or its end is looked up, or Letta began another. */
function takeUp(work: Work, event: ConnectionEvent & { type: 'ready' }) {
  if (upLink(work) === null) return;
  const requestIds = [...event.approvals.map(({ requestId }) => requestId), ...openOwnRequests(work)];
  if (isOver(work.thread)) return set(work, { held: holdReady(work.thread.held, event) });
  const before = openTurn(work);
  const { link } = work.thread;
  if (before?.state === 'submitted' && !link.isReconciled && runsAnother(link, before)) {
    // Letta runs another input, so the history must tell what became of ours before the replay is taken up.
    // The replay names every request that is open: none of the lost link may be taken for one of the next turn.
    fold(work, { type: 'approvals-open', requestIds });
    set(work, { held: holdReady(work.thread.held, event) });
    setLink(work, { isReconciled: true });
    return look(work);
  }
  const isIdle = link.loop === 'idle' && event.approvals.length === 0;
  const { found } = work.thread.link;
  const schedule = found?.firing ? foundSchedule(work, found.firing) : null;
  // While that was asked, a short turn of a schedule may have ended.
  if (before?.state !== 'submitted' && (!isIdle || schedule)) {
    if (found === null && hasSchedules(work)) return identify(work, holdReady(work.thread.held, event));
    openFoundTurn(work);
  }
  if (found !== null) setLink(work, { found: null });
  const turn = openTurn(work);
  if (turn?.state === 'submitted') {
    setLive(work, { isJoined: true });
    fold(work, { type: 'approvals-open', requestIds });
    closeCards(work, requestIds, 'link_lost');
    for (const request of event.approvals) ask(work, request);
    tellResultsAgain(work);
    pursueCalls(work);
    if (requestIds.length > 0) recall(work);
    // Letta is idle, so only the history knows what became of the input (docs/letta-protocol.md, Loss and restart).
    if (isIdle) return look(work);
    noteMissed(work);
    if (turn.stoppedBy) abort(work);
  }
  endLook(work);
  due(work);
}

function fold(work: Work, event: AgentEvent): void {
  const { live } = work.thread;
  const next = live && foldTurn(live.fold, event);
  if (next && next !== live.fold) setLive(work, { fold: next, isViewOutdated: true });
}

// ---- a turn whose end was not seen -------------------------------------------------------------

export function onVerdict(work: Work, found: Verdict) {
  const turn = openTurn(work);
  const { live, link } = work.thread;
  if (!turn || !live) return;
  switch (found.verdict) {
    case 'over': {
      keepForNext(work);
      const ending = endingUnseen(work, found.answered, !live.wasLinkLost && !live.isResumed);
      return end(work, ending, ending.outcome === 'interrupted' ? leftoverOfCut(work) : null);
    }
    case 'begins':
      noteMissed(work);
      sure(work);
      if (link.loop === 'idle') expectEnd(work, END_OVERDUE_MS);
      touch(work);
      return endLook(work);
    case 'not_there_yet':
      if (link.loop === 'idle') wait(work, isQueued(link, turn) ? WAITS.queued : WAITS.inDoubt);
      return endLook(work);
    case 'never_arrived':
      if (turn.stoppedBy) return end(work, endingUnseen(work, false));
      log(work, 'info', { turn: turn.id }, 'the input never arrived; sending it again');
      sure(work);
      stepBack(work, turn.id);
      setLive(work, { isTextUnknown: false });
      unsubmitted(work);
      noteNeverArrived(work);
      return due(work);
    case 'unreadable': {
      const left = leftover(work);
      return end(work, endingUnseen(work, false, false, left), left);
    }
    default:
      found satisfies never;
  }
}

/** If Letta waits for a decision when we learn late of this turn's end, the open requests belong to the next turn. */
function keepForNext(work: Work): void {
  const { live, link, held } = work.thread;
  if (!live || link.loop !== 'waiting_on_approval') return;
  const { openApprovals, approvals } = live.fold;
  const open = approvals.filter(({ requestId }) => openApprovals.includes(requestId));
  set(work, { held: [...open.map((request) => ({ type: 'approval-asked', request }) as const), ...held] });
}

/** The gap of a turn that is over is filled, or cannot be. */
export function onGap(work: Work, isFilled: boolean): void {
  const ending = isFilled ? endingNow(work) : endingUnseen(work, false);
  finish(work, ending, ending.outcome === 'interrupted' ? leftoverOfCut(work) : wayOn(work));
}

// ---- what the agent says -----------------------------------------------------------------------

function onAgentEvent(work: Work, event: AgentEvent) {
  switch (event.type) {
    case 'loop':
      return onLoop(work, event);
    case 'queue':
      return setLink(work, { queued: event.clientMessageIds });
    case 'context-used':
      return onContextUsed(work, event.tokens);
    case 'compacted':
      return onCompacted(work, event.tokens);
    case 'schedules-changed':
      return align(work);
    case 'background':
      setLink(work, { toldTasks: true });
      return onTasks(work, event.tasks);
    case 'device': {
      const { workingDirectory } = event;
      const isMoved = work.thread.link.workingDirectory !== workingDirectory;
      setLink(work, { workingDirectory });
      return isMoved ? onDirectoryMoved(work) : undefined;
    }
    default:
      break;
  }
  const { link, held, live } = work.thread;
  // It may be held for hours, and Letta waits for minutes.
  if (live?.phase === 'held_up' && event.type === 'external-call') return onCall(work, event.call);
  if (isHolding(work.thread)) return set(work, { held: hold(held, event) });
  const turn = openTurn(work);
  if (turn?.state === 'submitted') {
    if (!isOfRun(event) || !isForeign(link, turn, event.runId)) onTurnEvent(work, turn, event);
    return;
  }
  // Letta runs nothing, so the turn of this call is over.
  if (event.type === 'external-call' && link.loop === 'idle') return onCall(work, event.call);
  if (!startsTurn(event)) return;
  if (event.type === 'user-message') {
    openAgentTurn(work, event.clientMessageId, event.firing ? turnScheduleOf(work, event.firing) : null);
  } else {
    // Its beginning was lost on the way.
    const { found } = link;
    if (found === null && hasSchedules(work)) return identify(work, hold(held, event));
    openFoundTurn(work);
  }
  const begun = openTurn(work);
  if (begun) onTurnEvent(work, begun, event);
}

function hasSchedules({ thread }: Work): boolean {
  return (thread.record?.schedules?.length ?? 0) > 0;
}

/** Letta works on something that we did not hear begin: whose it is decides who is asked. Events are held meanwhile. */
function identify(work: Work, held: Thread['held']): void {
  const link = upLink(work);
  if (link === null) return;
  set(work, { held });
  setLink(work, { isIdentifying: true });
  emit(work, { do: 'identify', link, schedules: work.thread.record?.schedules ?? [] });
}

export function onIdentified(work: Work, firing: FoundFiring | null): void {
  setLink(work, { isIdentifying: false, found: { firing } });
  release(work);
  due(work);
}

/** Letta began a turn whose input was not heard: the history may have told that a schedule did. */
function openFoundTurn(work: Work): void {
  const { found } = work.thread.link;
  const schedule = found?.firing ? foundSchedule(work, found.firing) : null;
  openAgentTurn(work, schedule && (found?.firing?.input ?? null), schedule);
}

/** Letta began a turn by itself. */
function openAgentTurn(work: Work, input: string | null, schedule: TurnSchedule | null): void {
  const had = openTurn(work)?.id;
  const ids = turnIds(work);
  change(work, (record) => beginAgentTurn(record, ids, input, schedule));
  setLink(work, { found: null });
  if (schedule) onFired(work, schedule);
  const turn = openTurn(work);
  if (turn && turn.id !== had) followTurn(work, turn);
  else if (work.thread.wasCut) noteMissed(work);
  set(work, { wasCut: false });
  cancelPreparing(work);
  // What our input waited for does not hold up this turn.
  setLive(work, { phase: 'running', hold: null, isViewOutdated: true });
  // The agent is paused, or reports on background tasks that somebody ended: it must not act on that.
  const by = work.context.paused?.by ?? silencedBy(work);
  if (by !== null) stop(work, by);
  // Letta is idle already, so we may have missed this turn's end.
  if (work.thread.link.loop === 'idle') expectEnd(work, END_OVERDUE_MS);
}

function ask(work: Work, request: ApprovalRequest): void {
  if (isToolName(request.tool)) onToolRequest(work, request);
  else onRequest(work, request);
}

function onTurnEvent(work: Work, turn: OpenTurn, heard: AgentEvent) {
  const isList = heard.type === 'approvals-open';
  const event = isList ? { ...heard, requestIds: [...heard.requestIds, ...openOwnRequests(work)] } : heard;
  sure(work);
  const { live } = work.thread;
  if (!live) return;
  switch (event.type) {
    case 'approval-asked':
      ask(work, event.request);
      return recall(work);
    case 'external-call':
      return onCall(work, event.call);
    case 'turn-ended':
      return onTurnEnded(work, turn, event);
    case 'user-message': {
      // It joined this turn, which shows its answer, too.
      const joined = event.firing && turnScheduleOf(work, event.firing);
      if (joined && joined.at !== turn.schedule?.at) noteFired(work, joined);
      break;
    }
    case 'text-repaired':
      // This repairs a message of the turn before that was taken from the history, so nothing of it is missing.
      if (work.thread.readBefore.has(event.messageId)) return;
      // Letta sent this text after the request, but the agent said it before: the history tells its place at the end.
      if (isFromBefore(work)) return noteMissed(work);
      break;
    case 'text':
      // We have this message from the history already; what was missing there then is read when the turn ends.
      if (isFromBefore(work) || wasRead(work, event)) return noteMissed(work);
      if (live.fold.parts.length === 0) log(work, 'debug', {}, 'the agent started its answer');
      break;
    default:
      break;
  }
  fold(work, event);
  if (work.thread.live?.fold.tools !== live.fold.tools) warnOfOthers(work);
  if (event.type !== 'approvals-open') return;
  // After a Stop, Letta empties its list of requests before it ends the turn: that is no answer from elsewhere.
  closeCards(work, event.requestIds, turn.stoppedBy ? 'turn_over' : 'answered_elsewhere');
}

/** With the thread's first change of something: says, once, that other threads change things in the same directory. */
function warnOfOthers(work: Work) {
  const { record, live } = work.thread;
  const workplace = workplaceOf(work.thread, upLink(work));
  if (!record || record.warned || live?.isChanging || workplace === null) return;
  setLive(work, { isChanging: true });
  const alongside = work.context.countAlongside(workplace);
  if (alongside === 0) return;
  change(work, (now) => ({ ...changeTurn(now, { alongside }), warned: true }));
  touch(work);
}

/** The agent says nothing while a request is open, so text that comes then after a restart was said before it. */
function isFromBefore({ thread: { live } }: Work): boolean {
  return Boolean(live?.isTextUnknown && live.fold.openApprovals.length > 0);
}

function onTurnEnded(work: Work, turn: OpenTurn, event: AgentEvent & { type: 'turn-ended' }) {
  const { live, link } = work.thread;
  if (!live) return;
  const { clientMessageId: id } = turn;
  const { runId } = event;
  const fields = { turn: turn.id, run: runId };
  if (id !== null && runId !== null && !claims(link, turn, runId)) {
    return log(work, 'info', fields, 'another client’s turn ended first');
  }
  // A run, not heard in this turn of Letta's own, certainly answers an input of ours.
  if (id === null && runId !== null && !live.fold.runs.includes(runId) && isForeign(link, turn, runId)) {
    return log(work, 'info', fields, 'ignored the late end of an earlier turn');
  }
  const isCancelled = runId === null && event.stopReason === 'cancelled';
  if (id !== null && isCancelled && !link.begun && isUnheard(live.fold)) {
    return log(
      work,
      'info',
      fields,
      'ignored the late end of an earlier turn that was stopped before it said anything',
    );
  }
  if (event.gone && turn.items.length > 0 && isUnheard(live.fold)) return withoutConversation(work, turn);
  if (live.mayHaveMissed) keepForNext(work);
  setLive(work, { fold: foldTurn(live.fold, event) });
  if (!live.mayHaveMissed) return end(work, endingNow(work), wayOn(work));
  // We missed events, and what the agent said in them is only in the history.
  close(work);
  if (fillGap(work) === 'given up') onGap(work, false);
}

/** The agent or conversation was deleted while the link was up, so the turn fails and the next message dials anew. */
function withoutConversation(work: Work, turn: OpenTurn): void {
  const { runtime } = work.thread.record ?? {};
  log(work, 'warn', { turn: turn.id, runtime }, 'the conversation no longer exists at Letta');
  disconnect(work);
  giveUpLetta(work);
  const left: Leftover | null = turn.stoppedBy ? null : { offer: 'start_new', certain: true };
  fail(work, sayCause({ name: 'conversation_gone' }), left);
}

function onLoop(work: Work, event: AgentEvent & { type: 'loop' }) {
  const was = work.thread.link.loop;
  looped(work, event);
  const turn = openTurn(work);
  const { link, live } = work.thread;
  const isRunning = turn?.state === 'submitted' && !isOver(work.thread);
  if (event.status === 'idle') {
    if (!isRunning) return due(work);
    onNothingRuns(work);
    if (was !== 'idle') expectEnd(work, turn.stoppedBy ? STOP_OVERDUE_MS : END_OVERDUE_MS);
    return;
  }
  sure(work);
  expectNoEnd(work);
  // Letta had begun our input and now runs another, so we missed the end of our turn.
  if (turn?.clientMessageId && knows(link, turn.clientMessageId) && runsAnother(link, turn)) {
    if (live?.phase !== 'looking') look(work);
    return;
  }
  // Somebody clicked Stop before Letta had begun, when there was nothing to abort yet.
  if (was === 'idle' && isRunning && turn.stoppedBy) abort(work);
}

// ---- events that were held ---------------------------------------------------------------------

/** The turn is closed. Held events of it are dropped, because the history that told its end has them already. */
export function forgetHeld(work: Work): void {
  const turn = openTurn(work);
  const { link, held } = work.thread;
  const isOf = (event: AgentEvent) =>
    turn !== null && 'runId' in event && event.runId !== null && claims(link, turn, event.runId);
  const isOurs = (event: AgentEvent) => wasRead(work, event) || isOf(event);
  if (turn) set(work, { held: forgetThrough(held, isOurs, link.loop === 'waiting_on_approval') });
}

/** Handles the held events, in order, once they may go. After every step. */
export function release(work: Work): void {
  while (work.thread.held.length > 0 && !isHolding(work.thread)) {
    const { held } = work.thread;
    set(work, { held: [] });
    for (const [at, event] of held.entries()) {
      if (isHolding(work.thread)) {
        set(work, { held: [...work.thread.held, ...held.slice(at)] });
        break;
      }
      if (event.type === 'ready') takeUp(work, event);
      else if (event.type === 'cut') noteMissed(work);
      else onAgentEvent(work, event);
    }
  }
}

function isUnheard({ runs, input, approvals }: TurnState): boolean {
  return runs.length === 0 && input === null && approvals.length === 0;
}

/** Whether the event is a piece of a run; `turn-ended` is not, because its handler decides whose turn it ends. */
function isOfRun(event: AgentEvent): event is AgentEvent & { runId: string } {
  return event.type !== 'turn-ended' && 'runId' in event && event.runId !== null;
}

/** Whether only a running turn sends such an event; a terminal error or a status may follow a turn's end. */
function startsTurn(event: AgentEvent): boolean {
  switch (event.type) {
    case 'text':
    case 'reasoning':
    case 'tool-called':
    case 'tool-started':
    case 'approval-asked':
    case 'external-call':
      return true;
    case 'user-message':
      return event.automatic;
    default:
      return false;
  }
}
