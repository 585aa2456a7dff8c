import type { AgentEvent, ConnectionEvent } from '../../agent-event.ts';
import { changeTurn } from '../../record/inbox.ts';
import type { Leftover } from '../../record/offers.ts';
import { markFired } from '../../record/schedules.ts';
import type { OpenTurn } from '../../record/thread-record.ts';
import { foldTurn, type TurnState } from '../../turn/fold.ts';
import { sayCause } from '../../words/causes.ts';
import { beginningHeard, identify, nameByEcho, openAgentTurn, startsTurn, UNNAMED } from './begun.ts';
import { onCall, onNothingRuns } from './calls.ts';
import { clientInputsOf, isOfOther, noteSharedRun, onJoined, onMode } from './clients.ts';
import { onCompacted, onContextUsed } from './context.ts';
import { onCommandEnded, onPrompted } from './device-commands.ts';
import { forgetThrough, hold } from './held.ts';
import {
  claims,
  disconnect,
  endDoubt,
  isForeign,
  isOfOtherThread,
  joinedOther,
  knows,
  looped,
  runsAnother,
} from './link.ts';
import { END_OVERDUE_MS, expectEnd, expectNoEnd, fillGap, look, noteMissed, recall, wasRead } from './look.ts';
import { noteUnshown } from './missed.ts';
import { giveUpLetta } from './offers.ts';
import { close, end, endingNow, fail, keepSaid, wayOn } from './over.ts';
import { openOwnRequests } from './own-requests.ts';
import { giveWay, onLink, takeUp } from './reconnect.ts';
import { closeCards, onDirectoryMoved } from './requests.ts';
import { align, turnScheduleOf } from './schedules.ts';
import { noteEcho, noteQueued, noteRuns } from './steer.ts';
import { abort, hear, STOP_OVERDUE_MS } from './stop.ts';
import { onTasks } from './tasks.ts';
import { isHolding, isOver, type Thread } from './thread.ts';
import { ask } from './tool-requests.ts';
import { fold } from './turn.ts';
import { keepForNext, onGap } from './unseen-end.ts';
import { workplaceOf } from './view.ts';
import { change, due, log, openTurn, set, setLink, setLive, touch, upLink, type Work } from './work.ts';

/* What the agent says, and what it means for the open turn. */

/** What the link says, and what the agent says through it. */
export function onHeard(work: Work, event: AgentEvent | ConnectionEvent) {
  hear(work, event.type);
  switch (event.type) {
    case 'ready':
    case 'lost':
    case 'released':
    case 'unavailable':
    case 'in-line':
      return onLink(work, event);
    default:
      return onAgentEvent(work, event);
  }
}

/** @param behind what was held behind it; left out: it was not held */
function onAgentEvent(work: Work, event: AgentEvent, behind: () => Thread['held'] = () => []) {
  switch (event.type) {
    case 'loop':
      return onLoop(work, event);
    case 'command-ended':
      return onCommandEnded(work, event);
    case 'queue':
      noteQueued(work, event.clientMessageIds);
      return setLink(work, { queued: event.clientMessageIds, paused: event.paused ?? [], isResuming: false });
    case 'context-used':
      return onContextUsed(work, event.tokens);
    case 'compacted':
      onCompacted(work, event.tokens);
      if (openTurn(work)?.state === 'submitted' && !isHolding(work.thread)) fold(work, event);
      return;
    case 'schedules-changed':
      return align(work);
    case 'background':
      setLink(work, { toldTasks: true });
      return onTasks(work, event.tasks);
    case 'device': {
      const { workingDirectory, mode, toolsets, offers } = event;
      onMode(work, mode);
      if (toolsets) setLink(work, { toolsets });
      if (offers) setLink(work, { offers });
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
  if (isHolding(work.thread)) {
    set(work, { held: hold(held, event) });
    nameByEcho(work);
    return;
  }
  const turn = openTurn(work);
  if (turn?.state === 'submitted') {
    if (!isOfOther(work, turn, event)) onTurnEvent(work, turn, event);
    return;
  }
  // Letta runs nothing, so the turn of this call is over.
  if (event.type === 'external-call' && link.loop === 'idle') return onCall(work, event.call);
  if (!startsTurn(event)) return;
  if (event.type === 'user-message') {
    openAgentTurn(work, beginningHeard(work, event));
  } else {
    if (isOfOtherThread(work, isOfRun(event) ? event.runId : undefined)) return giveWay(work);
    // Its beginning was lost on the way, or Letta tells it to no other client.
    openAgentTurn(work, UNNAMED);
    if (identify(work, hold(held, event), [event, ...behind()])) return;
  }
  const begun = openTurn(work);
  if (begun) onTurnEvent(work, begun, event);
}

/**
 * An input of ours waits for something of which nothing was heard: its beginning was lost, and it says nothing. It is shown,
 * so that people see what they wait for and can stop it.
 */
export function onUnheard(work: Work) {
  const { link, held } = work.thread;
  if (openTurn(work)?.state !== 'prepared' || upLink(work) === null || isHolding(work.thread)) return;
  // Without a run it is none of a turn, such as a summary that another client asked for.
  if (link.loop === 'idle' || link.active.length === 0) return;
  if (isOfOtherThread(work)) return giveWay(work);
  openAgentTurn(work, UNNAMED);
  identify(work, held);
}

function onTurnEvent(work: Work, turn: OpenTurn, heard: AgentEvent) {
  const isList = heard.type === 'approvals-open';
  const event = isList ? { ...heard, requestIds: [...heard.requestIds, ...openOwnRequests(work)] } : heard;
  endDoubt(work);
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
      onJoined(work, event);
      // It joined this turn, which shows its answer, too.
      if (event.clientMessageId !== null) noteEcho(work, event.clientMessageId);
      const joined = event.firing && turnScheduleOf(work, event.firing);
      if (joined && joined.at !== turn.schedule?.at) change(work, (record) => markFired(record, joined));
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
  if (isOfRun(event) && leavesRunOpen(live.fold, event.runId)) noteMissed(work);
  fold(work, event);
  if (event.type === 'retrying' || event.type === 'text-void') forgetSaid(work, turn, event.runId);
  if (work.thread.live?.fold.tools !== live.fold.tools) warnOfOthers(work);
  if (event.type !== 'approvals-open') return;
  // After a Stop, Letta empties its list of requests before it ends the turn: that is no answer from elsewhere.
  closeCards(work, event.requestIds, turn.stoppedBy ? 'turn_over' : 'answered_elsewhere');
}

/** Letta took back what a run said. That is stored at once: after a restart nothing else may tell it. */
function forgetSaid(work: Work, { id, said }: OpenTurn, runId: string | null): void {
  if (said?.some((text) => text.runId === runId)) keepSaid(work, id, work.thread.live?.fold.parts ?? []);
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

/** Whether the event is a piece of a run; `turn-ended` is not, because its handler decides whose turn it ends. */
function isOfRun(event: AgentEvent): event is AgentEvent & { runId: string } {
  return event.type !== 'turn-ended' && 'runId' in event && event.runId !== null;
}

/** Whether a new run begins although nobody heard how the last one ended, so that its text may have been taken back. */
function leavesRunOpen({ runs, lastRunEnd, askingRun, retrying }: TurnState, runId: string): boolean {
  const last = runs.at(-1);
  if (last === undefined || last === askingRun || runs.includes(runId)) return false;
  return lastRunEnd === null && retrying === null;
}

function onTurnEnded(work: Work, turn: OpenTurn, event: AgentEvent & { type: 'turn-ended' }) {
  const { live, link } = work.thread;
  if (!live) return;
  const { clientMessageId: id } = turn;
  const { runId } = event;
  const fields = { turn: turn.id, run: runId };
  if (id !== null && runId !== null && !claims(link, turn, runId)) {
    if (clientInputsOf(link, runId).length > 0) noteUnshown(work);
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
  if (id !== null && joinedOther(link, id)) noteUnshown(work);
  if (live.mayHaveMissed) keepForNext(work);
  setLive(work, { fold: foldTurn(live.fold, event) });
  if (!live.mayHaveMissed) return end(work, endingNow(work), wayOn(work));
  // We missed events, and what the agent said in them is only in the history.
  close(work);
  if (fillGap(work) === 'given up') onGap(work, false);
}

function isUnheard({ runs, input, approvals }: TurnState): boolean {
  return runs.length === 0 && input === null && approvals.length === 0;
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
  onPrompted(work, was);
  noteRuns(work);
  noteSharedRun(work);
  const turn = openTurn(work);
  const { link, live } = work.thread;
  const isRunning = turn?.state === 'submitted' && !isOver(work.thread);
  if (event.status === 'idle') {
    if (!isRunning) return due(work);
    onNothingRuns(work);
    if (was !== 'idle') expectEnd(work, turn.stoppedBy ? STOP_OVERDUE_MS : END_OVERDUE_MS);
    return;
  }
  endDoubt(work);
  expectNoEnd(work);
  // Letta had begun our input and now runs another, so we missed the end of our turn.
  if (turn?.clientMessageId && knows(link, turn.clientMessageId) && runsAnother(link, turn)) {
    if (live?.phase !== 'looking') look(work);
    return;
  }
  // Somebody clicked Stop before Letta had begun, when there was nothing to abort yet.
  if (was === 'idle' && isRunning && turn.stoppedBy) abort(work);
}

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
  do {
    while (work.thread.held.length > 0 && !isHolding(work.thread)) releaseOnce(work);
  } while (nameByEcho(work));
}

/** Events are missing here: the link was lost, or too many were held. */
function onCut(work: Work): void {
  noteMissed(work);
  setLive(work, { wasLinkLost: true });
}

function releaseOnce(work: Work): void {
  const { held, link } = work.thread;
  set(work, { held: [] });
  for (const [at, event] of held.entries()) {
    // The connection was given up, and with it what was said over it.
    if (work.thread.link.dial !== link.dial) return;
    // An event may also be held and let go again: it goes before those that came after it.
    if (isHolding(work.thread) || work.thread.held.length > 0) {
      set(work, { held: [...work.thread.held, ...held.slice(at)] });
      return;
    }
    const behind = () => held.slice(at + 1);
    if (event.type === 'ready') takeUp(work, event, behind);
    else if (event.type === 'cut') onCut(work);
    else onAgentEvent(work, event, behind);
  }
}
