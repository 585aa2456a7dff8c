import type { ConnectionEvent } from '../../agent-event.ts';
import { setRuntime } from '../../record/offers.ts';
import { hasSchedules, needsLetta } from '../../record/thread-record.ts';
import { sayError } from '../../words/causes.ts';
import { WAITS } from '../../words/thread.ts';
import { identify, openAgentTurn, UNNAMED } from './begun.ts';
import { forgetPlans, pursueCalls, tellResultsAgain } from './calls.ts';
import { noteSharedRun } from './clients.ts';
import { giveUpOffers, tellOffers } from './device-commands.ts';
import { holdLoss, holdReady } from './held.ts';
import {
  confirmSettings,
  disconnect,
  isOfOtherThread,
  opened,
  runsAnother,
  tellReplaced,
  waitForLetta,
} from './link.ts';
import { endLook, forgetLook, look, noteMissed, recall } from './look.ts';
import { giveUpLetta, noteLettaLost, noteLettaReached } from './offers.ts';
import { fail, leftover, leftoverWithoutConversation } from './over.ts';
import { openOwnRequests } from './own-requests.ts';
import { closeCards } from './requests.ts';
import { align, giveUpSchedules, waitWithSchedules } from './schedules.ts';
import { noteRuns } from './steer.ts';
import { abort } from './stop.ts';
import { askAnew, onTasks } from './tasks.ts';
import { isOver, type Thread } from './thread.ts';
import { ask } from './tool-requests.ts';
import { fold } from './turn.ts';
import {
  cancelPreparing,
  change,
  due,
  log,
  openTurn,
  say,
  set,
  setHold,
  setLink,
  setLive,
  startTimer,
  upLink,
  type Work,
} from './work.ts';

/* The link comes and goes: what waits for it, and how the replay of a new one is compared with the open turn. */

/** Letta names running background tasks soon after a link is ready; after this long without a word there are none. */
const BACKGROUND_TOLD_MS = 5_000;

/** Errors that no retry fixes, but a new conversation does. */
const GONE: ReadonlySet<string> = new Set([
  'agent_not_found',
  'conversation_not_found',
  'conversation_kept',
  'no_environment',
]);

/** The link is ready or lost, or there is none. */
export function onLink(work: Work, event: ConnectionEvent) {
  switch (event.type) {
    case 'ready':
      return onReady(work, event);
    case 'lost':
      return onLost(work, event.reason);
    case 'released':
      return onReleased(work);
    case 'unavailable':
      return onUnavailable(work, event);
    case 'in-line':
      return onPlace(work, event.place);
    default:
      return event satisfies never;
  }
}

function onReady(work: Work, event: ConnectionEvent & { type: 'ready' }): void {
  opened(work, event);
  noteRuns(work);
  noteSharedRun(work);
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
  tellOffers(work);
  if (event.notice !== undefined) say(work, event.notice);
  if (event.replacedAgent !== undefined) tellReplaced(work, event.replacedAgent, runtime.agentId);
  noteLettaReached(work);
  takeUp(work, event);
  align(work);
}

/**
 * Compares a new link's replay with the open turn: that goes on, or its end is looked up, or Letta began another.
 * @param behind what was heard since; left out: the replay was not held
 */
export function takeUp(
  work: Work,
  event: ConnectionEvent & { type: 'ready' },
  behind: () => Thread['held'] = () => [],
) {
  if (upLink(work) === null) return;
  const requestIds = [...event.approvals.map(({ requestId }) => requestId), ...openOwnRequests(work)];
  if (isOver(work.thread)) return set(work, { held: holdReady(work.thread.held, event) });
  const before = openTurn(work);
  const { link } = work.thread;
  const isIdle = link.loop === 'idle' && event.approvals.length === 0;
  const isElsewhere =
    before !== null && (runsAnother(link, before) || isOfOtherThread(work) || (before.ended !== undefined && !isIdle));
  if (before?.state === 'submitted' && !link.isReconciled && isElsewhere) {
    // Letta runs another input, or ours had ended before a restart: the history must tell what became of ours before the
    // replay is taken up.
    // The replay names every request that is open: none of the lost link may be taken for one of the next turn.
    fold(work, { type: 'approvals-open', requestIds });
    set(work, { held: holdReady(work.thread.held, event) });
    setLink(work, { isReconciled: true });
    return look(work);
  }
  if (before?.state !== 'submitted' && !isIdle) {
    if (isOfOtherThread(work)) return giveWay(work);
    openAgentTurn(work, UNNAMED);
  }
  const turn = openTurn(work);
  // Also one that the bridge had no time to ask about before it was stopped.
  const isUnnamed = turn?.client && turn.input === undefined && !work.thread.link.isAsked;
  // A look over the lost link decides nothing any more.
  if (isUnnamed && identify(work, holdReady(work.thread.held, event), behind())) return endLook(work);
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

/** Letta has not said over this link what runs in the background, so nothing does. */
export function onTasksUntold(work: Work): void {
  if (!work.thread.link.toldTasks && upLink(work) !== null) onTasks(work, []);
}

function onLost(work: Work, reason: string): void {
  log(work, 'warn', { reason }, 'lost the link to Letta');
  linkLost(work);
  set(work, { held: holdLoss(work.thread.held) });
  noteLettaLost(work);
  waitForLetta(work, WAITS.reconnects);
}

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
}

/** Another thread of the conversation has the link: this one asks for it again when it has something to do. */
function onReleased(work: Work) {
  linkLost(work);
  const { record } = work.thread;
  if (!record || !(needsLetta(record) || hasSchedules(record))) return disconnect(work);
  noteLettaLost(work);
  waitForLetta(work, WAITS.elsewhere);
}

/** The thread that asked for what runs now must hear it: this one waits for the link behind it. */
export function giveWay(work: Work): void {
  log(work, 'info', {}, 'another thread’s turn runs; leaving the link to it');
  linkLost(work);
  disconnect(work);
  set(work, { held: [] });
  due(work);
}

function onUnavailable(work: Work, event: ConnectionEvent & { type: 'unavailable' }) {
  const { code, notice, retryInMs, device } = event;
  log(work, 'warn', { code, notice, retryInMs }, 'Letta is unavailable');
  linkLost(work);
  if (retryInMs !== null) {
    noteLettaLost(work);
    return waitForLetta(work, sayError(code, notice), device);
  }
  // No retry fixes this, so the turn fails where people see it, and the next message dials anew.
  const isGone = GONE.has(code) && work.thread.record?.runtime != null;
  const left = isGone ? leftoverWithoutConversation(work) : leftover(work);
  disconnect(work);
  giveUpLetta(work);
  giveUpOffers(work);
  if (code === 'conversation_kept') giveUpSchedules(work);
  waitWithSchedules(work);
  // The error's own words are for the turn's details.
  fold(work, { type: 'error', message: `${code}: ${notice}`, terminal: true });
  fail(work, sayError(code, notice), left);
  onTasks(work, []);
}

/** A turn whose input may have been sent goes on to say what it waits for. */
function onPlace(work: Work, place: number | null): void {
  const turn = openTurn(work);
  if (turn?.state !== 'prepared' || isOver(work.thread)) return;
  setHold(work, place === null ? null : { kind: 'starting', place });
}
