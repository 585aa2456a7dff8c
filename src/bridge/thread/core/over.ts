import { makeToken, type TurnId, type UserId } from '../../ids.ts';
import type { Delivery } from '../../ports.ts';
import { noteAnswer } from '../../record/answer.ts';
import { noteHeard } from '../../record/client-turn.ts';
import { goOnAlone, mayGoOn } from '../../record/goes-on.ts';
import { changeTurn, closeApprovals, type TurnIds } from '../../record/inbox.ts';
import { type Leftover, lapseContinueOffers, offerToContinue } from '../../record/offers.ts';
import { goOnWith } from '../../record/steered.ts';
import type {
  ApprovalRecord,
  Ending,
  InboxItem,
  OpenTurn,
  SaidText,
  ThreadRecord,
} from '../../record/thread-record.ts';
import { noteFailure } from '../../record/waiting.ts';
import { detailsOf, withDetails } from '../../turn/details.ts';
import { isGoodStopReason, type TurnState } from '../../turn/fold.ts';
import { addNotify } from '../../turn/notify.ts';
import { storeCardPlaces } from '../../view/card-places.ts';
import { effectsOfTurn, endingOf, failureLine, type Heard, wayOnAtEnd, wayOnOf } from '../../view/ending.ts';
import { sayCause } from '../../words/causes.ts';
import { ENDED } from '../../words/thread.ts';
import { contextPercent, useOf } from './context.ts';
import type { FreshDetails } from './effects.ts';
import { keepLateEnd, tellGivenUp } from './held-up.ts';
import { knows, settle } from './link.ts';
import { closingTurn, offeringAtEnd } from './offers.ts';
import { addressOf, isOver, type Live } from './thread.ts';
import { isSeenUnknown, viewOf } from './view.ts';
import {
  approvals,
  cancelPreparing,
  change,
  due,
  emit,
  log,
  openTurn,
  set,
  setLink,
  setLive,
  settings,
  stopTimer,
  type Work,
} from './work.ts';

/* The end of a turn: its words, what it leaves to decide, its last view, and its way out of the record. */

// ---- how it ended, in the words that people read -----------------------------------------------

/** What is known of the open turn besides its events. */
function heard({ thread }: Work): Heard {
  return { approvals: thread.record?.approvals ?? [], isAllHeard: thread.live?.isAllHeard ?? false };
}

/** As Letta or a Stop brought it about. @throws TypeError when no turn is open */
export function endingNow(work: Work): Ending {
  const turn = openTurn(work);
  const { live } = work.thread;
  if (!turn || !live) throw new TypeError('no turn is open');
  const ending = endingOf(turn, live.fold, work.context.now, heard(work));
  const says = live.silence.line;
  return says === null ? ending : { ...ending, outcome: 'failed', line: lineOf(work, says, wayOn(work)) };
}

/** What is left to decide about the ending that {@link endingNow} tells. */
export function wayOn(work: Work): Leftover | null {
  const turn = openTurn(work);
  const { live } = work.thread;
  if (!turn || !live) return null;
  if (live.silence.line === null) return wayOnAtEnd(turn, live.fold, heard(work));
  return wayOnOf(turn, { name: 'silent' }, effectsOfTurn(turn, live.fold, heard(work)));
}

/** @param says what went wrong, a sentence for people */
function endingFailed(work: Work, says: string, left: Leftover | null): Ending {
  const { tools, durationMs } = endingNow(work);
  return { outcome: 'failed', by: null, line: lineOf(work, says, left), tools, durationMs };
}

function lineOf(work: Work, says: string, left: Leftover | null): string {
  const turn = openTurn(work);
  const { live } = work.thread;
  return turn && live ? failureLine(says, effectsOfTurn(turn, live.fold, heard(work)), left) : says;
}

/**
 * Of a turn whose end we did not see.
 * @param answered the history ends with the agent's words
 * @param unbroken the link has held since the turn began, so no loss can have cut the turn off
 * @param left what is left to decide if it was cut off
 */
export function endingUnseen(
  work: Work,
  answered: boolean,
  unbroken = false,
  left: Leftover | null = leftoverOfCut(work),
): Ending {
  const turn = openTurn(work);
  // The end was stored before the process died, and only its last view is missing in Slack.
  if (turn?.ended) return turn.ended;
  const ending = endingNow(work);
  const outlived = unbroken || !work.context.turnsDieWithLink;
  // Letta reported a good end of the turn's last run; only its `turn_finished` is missing.
  const lastRunEnd = work.thread.live?.fold.lastRunEnd ?? null;
  const ran = lastRunEnd !== null && isGoodStopReason(lastRunEnd);
  const complete = (ran || (answered && outlived)) && !diedAsking(work);
  const isMaybeUnsent = left?.offer === 'send_again';
  if (ending.outcome !== 'done' && isMaybeUnsent) return { ...ending, line: lineOf(work, '', left).trim() };
  if (ending.outcome !== 'done' || complete) return ending;
  if (left?.offer === 'ask_again') {
    return { ...ending, outcome: 'interrupted', line: ENDED.lostAsking };
  }
  const lost = isMaybeUnsent ? ENDED.lostLink : sayCause({ name: 'link_lost' });
  const says = turn?.client?.late ? ENDED.unheard : lost;
  return { ...ending, outcome: 'interrupted', line: lineOf(work, says, left) };
}

/** Of a turn without messages: all were deleted, or moved to an offer because they waited too long. */
export function endingWithoutMessages(work: Work): Ending {
  if (openTurn(work)?.withdrawn) {
    return { ...endingNow(work), outcome: 'stopped', line: ENDED.deleted };
  }
  return { ...endingNow(work), outcome: 'interrupted', line: ENDED.unreached };
}

/** Of a turn whose author lost the right to use the agent while it was queued. */
export function endingNotAllowed(work: Work): Ending {
  return { ...endingNow(work), outcome: 'stopped', line: ENDED.mayNoLonger };
}

/** Whether Letta lost a request of the turn before anybody decided it: then the text before the request is no answer. */
function diedAsking(work: Work): boolean {
  const isLost = ({ turn, state }: ApprovalRecord) =>
    turn === openTurn(work)?.id && state.state === 'closed' && state.why === 'link_lost';
  return approvals(work).some(isLost);
}

// ---- what is left to decide --------------------------------------------------------------------

/** About a turn that was cut off in its work; `null`: whoever asked is in no thread. */
export function leftoverOfCut(work: Work): Leftover | null {
  if (openTurn(work)?.client) return null;
  return { offer: diedAsking(work) ? 'ask_again' : 'continue' };
}

/** Whether a turn that was cut off may go on by itself: its place says so, nothing waits for a person, and it was just now. */
function goesOnAlone(work: Work): boolean {
  const { record, waiting } = work.thread;
  const { paused, staleAfterMs, monotonic } = work.context;
  if (!record || settings(work).resume !== 'auto' || paused || diedAsking(work)) return false;
  const awayMs = waiting.inDoubt === null ? 0 : monotonic - waiting.inDoubt;
  return mayGoOn(record) && (staleAfterMs === null || awayMs < staleAfterMs);
}

/** About a turn whose conversation is gone at Letta. */
export function leftoverWithoutConversation(work: Work): Leftover | null {
  const turn = openTurn(work);
  if (!turn || turn.items.length === 0 || turn.stoppedBy) return null;
  const { link, live } = work.thread;
  const began = turn.state === 'submitted' && (link.begun || (live?.fold.parts.length ?? 0) > 0);
  return { offer: 'start_new', certain: !began };
}

/** About a turn that we can no longer follow. */
export function leftover(work: Work): Leftover | null {
  const turn = openTurn(work);
  // A turn that was to end background tasks leaves no offer: whoever clicked Stop is told which tasks still run.
  if (turn?.ends || turn?.client) return null;
  if (!turn || turn.state === 'prepared') return { offer: 'send_again', certain: true };
  const { link, live } = work.thread;
  const id = turn.clientMessageId;
  const began = id === null || knows(link, id) || (live?.fold.parts.length ?? 0) > 0;
  if (!began) return { offer: 'send_again', certain: false };
  return turn.stoppedBy ? null : leftoverOfCut(work);
}

// ---- ending it ---------------------------------------------------------------------------------

/** Ends the turn as failed. @param says what went wrong, a sentence for people */
export function fail(work: Work, says: string, left: Leftover | null): void {
  if (openTurn(work)) end(work, endingFailed(work, says, left), left);
}

/**
 * Ends a turn that may have been cut off in its work.
 * @param isEachCallOver it is known how each of its tool calls ended
 */
export function endCut(work: Work, ending: Ending, isEachCallOver: boolean) {
  if (ending.outcome !== 'interrupted') return end(work, ending);
  if (!isEachCallOver || openTurn(work)?.ended || !goesOnAlone(work)) return end(work, ending, leftoverOfCut(work));
  log(work, 'info', { turn: openTurn(work)?.id }, 'the turn was cut off and goes on by itself');
  end(work, { ...ending, line: [ending.line, ENDED.goesOn].filter(Boolean).join(' '), goesOn: true });
}

/** Ends the turn: its last view goes to Slack, and the record keeps the turn until Slack has shown or refused it. */
export function end(work: Work, ending: Ending, left: Leftover | null = null): void {
  if (!openTurn(work) || isOver(work.thread)) return;
  close(work);
  finish(work, ending, left);
}

/** Closes the turn to further events: from here on they belong to the next turn and are held. */
export function close(work: Work): void {
  cancelPreparing(work);
  if (work.thread.live?.steering != null) emit(work, { do: 'cancel_prepare' });
  const tries = (work.thread.live?.tries ?? 0) + 1;
  setLive(work, { phase: 'ending', lastView: null, tries, isEndDue: false, isAborting: false, steering: null });
  for (const timer of ['silence', 'end_due', 'stop'] as const) stopTimer(work, timer);
}

/**
 * Stores how the turn ended, and sends its last view to Slack.
 * @param left what the turn leaves to decide: stored with its end, and shown in its last message
 */
export function finish(work: Work, how: Ending, left: Leftover | null): void {
  const turn = openTurn(work);
  const { record: before, live } = work.thread;
  if (!turn || !before || !live) return;
  const { now } = work.context;
  const notifyAfterMs = work.context.notifyAfterMs(turn.requester);
  const told = how.goesOn ? how : addNotify(how, before, now, notifyAfterMs);
  const { ending, details } = withDetailsToken(work, live, told, turn.requester);
  noteUse(work, turn, live);
  const { input, parts } = live.fold;
  const said = isSeenUnknown(live) ? undefined : saidIn(parts);
  const ended = {
    ended: ending,
    ...(said && { said }),
    ...(turn.clientMessageId === null && input !== null && { input }),
  };
  const offer = offeringAtEnd(work, left);
  change(work, (record) => {
    const closed = changeTurn(closeApprovals(offer(record), turn.id, 'turn_over', now), ended);
    const placed = live.isTextUnknown ? closed : storeCardPlaces(closed, turn, live.fold);
    const noted = noteFailure(placed, turn, ending, now);
    return details ? withDetails(noted, details.ref) : noted;
  });
  log(work, 'info', { turn: turn.id, outcome: ending.outcome, durationMs: ending.durationMs }, 'turn ended');
  settle(work);
  const view = viewOf(work, ending);
  if (!view) return;
  setLive(work, { lastView: view });
  const kept = new Set(work.thread.record?.details?.map(({ token }) => token));
  const drop = (before.details ?? []).filter(({ token }) => !kept.has(token));
  const endedAt = turn.startedAt + ending.durationMs;
  emit(work, { do: 'finish', turn: turn.id, view, endedAt, details: details && { ...details, drop } });
}

/** Counts the turn, and remembers for the status what it used. */
function noteUse(work: Work, turn: OpenTurn, live: Live): void {
  // Its end was stored before a restart, and it was counted then.
  if (turn.ended) return;
  const used = useOf(work, live);
  setLink(work, { used });
  const { channel } = addressOf(work.thread);
  const { link } = work.thread;
  const { tokens, summaries } = live.fold;
  const model = link.model?.handle ?? null;
  const filled = { context: contextPercent(link), compactions: summaries.length };
  emit(work, { do: 'note_use', used: { user: turn.requester, channel, model, tokens, ...filled } });
}

/** Adds the token of the Details button if there is something to show; an ending that has a token stays as it is. */
function withDetailsToken(
  work: Work,
  live: Live,
  ending: Ending,
  by: UserId,
): { ending: Ending; details: Omit<FreshDetails, 'drop'> | null } {
  const { keepsDetails, now: at } = work.context;
  const asIs = { ending, details: null };
  if (!keepsDetails || ending.details !== undefined || settings(work).verbosity === 'quiet') return asIs;
  const { id: turn, fold } = live;
  const details = detailsOf(fold, turn, at, useOf(work, live), work.thread.link.page);
  if (!details) return asIs;
  const token = makeToken(work.context.id());
  return { ending: { ...ending, details: token }, details: { ref: { token, turn, at, by }, details } };
}

/**
 * Slack has shown the last view, or refused it for good: the turn leaves the record.
 * @param next of the turn that goes on with what was handed to this one; `null`: there is none
 */
export function leaveRecord(work: Work, turn: TurnId, delivery: Delivery, next: TurnIds | null): void {
  const { live } = work.thread;
  const closing = closingTurn(work, live?.lastView ?? null, delivery);
  const open = openTurn(work);
  const goingOn = goOnFrom(work);
  let dropped: readonly InboxItem[] = [];
  change(work, (record) => {
    const ended = noteHeard(closing(record), record.turn, live?.fold.parts ?? [], work.thread.link.missed === 'no');
    const closed = next && record.turn ? lapseContinueOffers(goOnWith(ended, record.turn, next), next.now) : ended;
    if (delivery.delivered) return goingOn(noteAnswer(closed, record.turn), record.turn);
    // The thread cannot be written to, so messages that could not be answered do not run.
    dropped = closed.inbox;
    return keepLateEnd({ ...closed, inbox: [] }, record, delivery.reason);
  });
  if (!delivery.delivered && open && live?.lastView) {
    const { reason } = delivery;
    log(work, 'warn', { turn, reason, dropped: dropped.length }, 'could not deliver the answer');
    tellGivenUp(work, open, reason, live.lastView, dropped);
  }
  setLink(work, { mayChangeMode: false });
  set(work, {
    live: null,
    readBefore: live?.read ?? new Set(),
    saidBefore: withSaid(work.thread.saidBefore, live?.fold.parts ?? []),
    toldAuthors: new Set(),
  });
  emit(work, { do: 'close_turn' });
  due(work);
}

/** Makes the change after which a turn that was cut off goes on by itself, if its place still says so. */
function goOnFrom(work: Work): (record: ThreadRecord, left: OpenTurn | null) => ThreadRecord {
  const { now } = work.context;
  const goesOn = openTurn(work)?.ended?.goesOn;
  const token = goesOn ? makeToken(work.context.id()) : null;
  const isAuto = settings(work).resume === 'auto';
  return (record, left) => {
    if (!left || token === null) return record;
    return isAuto ? goOnAlone(record, left, now) : offerToContinue(record, left, token, now);
  };
}

// ---- what the agent has said -------------------------------------------------------------------

/** Characters; a longer text would make the record too big, so then none of it is stored. */
const SAID_MOST = 150_000;

/** Messages; the oldest are forgotten. */
const SAID_BEFORE = 500;

function withSaid(before: ReadonlySet<string>, parts: TurnState['parts']): ReadonlySet<string> {
  const said = parts.flatMap((part) => (part.kind === 'text' ? [part.messageId] : []));
  return said.length === 0 ? before : new Set([...before, ...said].slice(-SAID_BEFORE));
}

/** What the agent has said, in order; `undefined`: too much to be kept. */
function saidIn(parts: TurnState['parts']): SaidText[] | undefined {
  const said = parts.flatMap((part): SaidText[] => {
    if (part.kind !== 'text' || part.text === '') return [];
    const { runId, messageId, text } = part;
    return [{ runId, messageId, text }];
  });
  const length = said.reduce((sum, { text }) => sum + text.length, 0);
  return length <= SAID_MOST ? said : undefined;
}

/** Stores what the agent has said before people see it, so that a restarted bridge never replaces it by less. */
export function keepSaid(work: Work, turn: TurnId, parts: TurnState['parts']): void {
  const said = saidIn(parts);
  change(work, (record) => (record.turn?.id === turn ? changeTurn(record, { said }) : record));
}
