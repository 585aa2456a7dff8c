import type { AgentEvent, HistoryItem } from '../../agent-event.ts';
import { markFired } from '../../record/schedules.ts';
import { joinedIds } from '../../record/steered.ts';
import type { OpenTurn } from '../../record/thread-record.ts';
import { unheardFirings } from '../../schedules/firing.ts';
import { type FoundTurn, findTurn, mergeHistory, type TurnMarks } from '../../turn/after-reconnect.ts';
import { storeCardPlaces } from '../../view/card-places.ts';
import type { Answer } from './events.ts';
import { followedRuns, inputsOfOthers, isQueued, joinedOther, knows, runsAnother } from './link.ts';
import { isOver, type Look } from './thread.ts';
import {
  approvals,
  change,
  emit,
  openTurn,
  set,
  setLink,
  setLive,
  startTurnTimer,
  stopTimer,
  touch,
  upLink,
  type Work,
} from './work.ts';

/* Looks into the history, for an end, an input or a text that was missed. */

/** What became of an input whose turn's end was not seen. */
export type Verdict =
  /**
   * Letta got it and no longer runs it. `answered`: the history ends with the agent's words; `isEachCallOver`: it has the
   * result of each call that the turn made; `wentOnWithOurs`: it was missed, and an input of ours joined it.
   */
  | { verdict: 'over'; answered: boolean; isEachCallOver: boolean; wentOnWithOurs: boolean }
  /** Letta got it, and begins it only now. */
  | { verdict: 'begins' }
  /** The history lacks it, but it may be in Letta's queue, or still on its way through the relay. */
  | { verdict: 'not_there_yet' }
  | { verdict: 'never_arrived' }
  /** The history has a summary where the input would be. */
  | { verdict: 'summarised' }
  /** The history cannot be read. */
  | { verdict: 'unreadable' };

/**
 * Letta reports idle before `turn_finished`, by seconds after an abort against a slow model (docs/letta-protocol.md,
 * Errors).
 */
export const END_OVERDUE_MS = 5_000;
/** After this long a hosted input that the history lacked is looked for again, because it may have been on its way. */
const LOOK_AGAIN_MS = 10_000;
/** After this long cards are posted without the history, because people wait for them. */
const RECALL_MS = 5_000;
const MOST_FAILED_LOOKS = 10;

/** Letta was not asked for its state just now. */
const doubtful: Look = { again: false, failures: 0, fresh: false };
const sure: Look = { ...doubtful, fresh: true };

/** If the open turn has not ended after `ms` and Letta is idle, the history is read. */
export function expectEnd(work: Work, ms: number): void {
  if (!openTurn(work) || isOver(work.thread)) return;
  setLive(work, { isEndDue: true });
  startTurnTimer(work, 'end_due', ms);
}

/** The end came, or Letta works again. */
export function expectNoEnd(work: Work): void {
  if (!work.thread.live?.isEndDue) return;
  setLive(work, { isEndDue: false });
  stopTimer(work, 'end_due');
}

export function onEndDue(work: Work): void {
  const { live, link } = work.thread;
  setLive(work, { isEndDue: false });
  if (live?.phase !== 'looking' && link.loop === 'idle') look(work, doubtful);
}

/** Looks after `ms` if Letta is idle then, unless another look began or this one was voided. */
export function lookLater(work: Work, ms: number): void {
  startTurnTimer(work, 'look_later', ms, work.thread.live?.tries);
}

export function onLookLater(work: Work, attempt: number | undefined): void {
  const { live, link } = work.thread;
  if (live?.tries === attempt && link.loop === 'idle') look(work, doubtful);
}

/** The turn goes on. */
export function endLook(work: Work): void {
  if (work.thread.live?.phase === 'looking') setLive(work, { phase: 'running' });
}

/** Voids the look that is under way: it decides nothing any more. */
export function forgetLook(work: Work): void {
  const { live } = work.thread;
  if (live) setLive(work, { tries: live.tries + 1 });
}

/**
 * Reads the history to find out what became of the open turn's input, if that was submitted and the link is ready.
 * Events are held meanwhile.
 */
export function look(work: Work, how: Look = sure): void {
  const turn = openTurn(work);
  const link = upLink(work);
  const { live } = work.thread;
  if (turn?.state !== 'submitted' || link === null || !live || isOver(work.thread)) return;
  const tries = live.tries + 1;
  setLive(work, { phase: 'looking', tries, look: how });
  emit(work, { do: 'look', turn: turn.id, link, look: tries, fresh: how.fresh, isDeep: false });
}

/** The history could not be read, or a hosted input was not there yet. @returns what is known when there were enough tries */
export function lookAgain(work: Work, how: 'again' | 'retry', attempt: number | undefined): Verdict | null {
  const { live, link } = work.thread;
  if (!live || live.tries !== attempt || upLink(work) === null || isOver(work.thread)) return null;
  if (how === 'again') {
    if (link.loop === 'idle') look(work, { ...doubtful, again: true });
    return null;
  }
  const failures = live.look.failures + 1;
  if (failures > MOST_FAILED_LOOKS) return { verdict: 'unreadable' };
  look(work, { again: live.look.again, failures, fresh: false });
  return null;
}

/** Judges what the history says. @returns `null`: that is not known yet */
export function onLooked(work: Work, answer: Answer & { type: 'looked' }): Verdict | null {
  const turn = openTurn(work);
  const { live, link } = work.thread;
  if (!turn || !live || live.tries !== answer.look || isOver(work.thread)) return null;
  if (answer.history === null) {
    startTurnTimer(work, 'look_retry', END_OVERDUE_MS, live.tries);
    return null;
  }
  const id = turn.clientMessageId;
  const { fresh, again } = live.look;
  const { turnsDieWithLink } = work.context;
  const there = findTurn(answer.history, marksOf(work, turn));
  // One that Letta was seen to begin has arrived, even if the history lacks it.
  const isKnown = id === null || knows(link, id);
  if (!there.arrived && !isKnown && !answer.isDeep) {
    emit(work, { do: 'look', turn: turn.id, link: answer.link, look: live.tries, fresh: true, isDeep: true });
    return null;
  }
  // A stopped turn whose tool does not end holds up the queue, although Letta reports idle (seen: 67).
  const waits = isQueued(link, turn);
  const found =
    there.arrived || !isKnown ? there : { arrived: true as const, texts: [], callIds: [], answered: false, inputs: [] };
  if (found.arrived) {
    take(work, found);
    // An unanswered input may come out of Letta's queue only now. Right after a replay this excludes Letta's own
    // turns, which are never queued, and, where turns die with the link, inputs that Letta does not name.
    const mayBegin = !fresh || (id !== null && (!turnsDieWithLink || knows(link, id)));
    // Its end is stored, or it said or did something before another turn began.
    const hasActed = found.texts.length > 0 || found.callIds.length > 0;
    const hasEnded = turn.ended !== undefined || (found.next !== undefined && hasActed);
    const isNotOver = !found.answered && !hasEnded && !runsAnother(link, turn);
    const begins = mayBegin && isNotOver && (link.loop !== 'idle' || waits);
    // It has left the queue. If nothing is heard of it, the next look takes it for over.
    if (waits) setLink(work, { queued: link.queued.filter((queued) => queued !== id) });
    if (begins) return { verdict: 'begins' };
    return {
      verdict: 'over',
      answered: found.answered,
      isEachCallOver: there.arrived && isEachCallOver(work, there),
      wentOnWithOurs: turn.client?.late !== undefined && found.next !== undefined && joinedOther(link, found.next),
    };
  }
  // While Letta runs something else, the input may be in Letta's queue, which the history does not show.
  if (link.loop !== 'idle') return { verdict: 'not_there_yet' };
  const missing = found.mayBeSummarised ? 'summarised' : 'never_arrived';
  if (!waits && (turnsDieWithLink || again)) return { verdict: missing };
  startTurnTimer(work, 'look_again', LOOK_AGAIN_MS, live.tries);
  return { verdict: 'not_there_yet' };
}

/** Whether the history has a result of each call of the turn, also of those that were heard. */
function isEachCallOver({ thread: { live } }: Work, found: FoundTurn & { arrived: true }): boolean {
  const { resultsOf = [], hasOpenCalls = true, isCut = false } = found;
  const { tools = [], approvals = [] } = live?.fold ?? {};
  const isOpen = ({ callId }: { callId: string | null }) => callId === null || !resultsOf.includes(callId);
  return !isCut && !hasOpenCalls && ![...tools, ...approvals].some(isOpen);
}

/** Events of the open turn, or else of the next one, may be missing: its end asks the history for what was said in them. */
export function noteMissed(work: Work): void {
  if (!work.thread.live) set(work, { wasCut: true });
  setLive(work, { mayHaveMissed: true, isAllHeard: false });
}

/** Reads what only the history has of a turn that is over, because we may have missed events of it. */
export function fillGap(work: Work, failures = 0): 'reading' | 'given up' {
  const turn = openTurn(work);
  if (turn && upLink(work) !== null) {
    emit(work, { do: 'read_gap', turn: turn.id, failures });
    return 'reading';
  }
  return gapFailed(work, failures);
}

export function gapFailed(work: Work, failures: number): 'reading' | 'given up' {
  if (failures >= MOST_FAILED_LOOKS) return 'given up';
  startTurnTimer(work, 'gap', END_OVERDUE_MS, failures + 1);
  return 'reading';
}

export function takeGap(work: Work, history: readonly HistoryItem[]): void {
  const turn = openTurn(work);
  const found = turn ? findTurn(history, marksOf(work, turn)) : null;
  if (found?.arrived) take(work, found, true);
}

/**
 * After a restart, while a request waits for people: reads what the agent said before it, so that text and cards keep
 * their order in Slack. What cannot be read now is read at the turn's end.
 */
export function recall(work: Work): void {
  const turn = openTurn(work);
  const { live } = work.thread;
  if (!turn || upLink(work) === null || !live?.isTextUnknown) return;
  // A card that is posted now would stand above the text that was said before it.
  const open = approvals(work).filter((each) => each.turn === turn.id && each.state.state === 'open');
  setLive(work, { frozen: new Set(open.map(({ token }) => token)) });
  startTurnTimer(work, 'recall', RECALL_MS);
  emit(work, { do: 'recall', turn: turn.id });
}

export function onRecalled(work: Work, history: readonly HistoryItem[] | null) {
  const turn = openTurn(work);
  const { live } = work.thread;
  if (!turn || !live) return;
  if (history === null) return releaseCards(work);
  if (isOver(work.thread)) return;
  // Once somebody has decided, the agent talks on, and the history may have only half of its message.
  const found = live.fold.openApprovals.length > 0 ? findTurn(history, marksOf(work, turn)) : null;
  if (found?.arrived) take(work, found);
  releaseCards(work);
  const known = work.thread.live;
  if (known && !known.isTextUnknown) change(work, (record) => storeCardPlaces(record, turn, known.fold));
}

/** Lets the frozen cards be posted and edited again. */
export function releaseCards(work: Work): void {
  if (!work.thread.live?.frozen.size) return;
  setLive(work, { frozen: new Set() });
  touch(work);
}

/** Whether the history that was read last has this message or tool call of the open turn. */
export function wasRead({ thread: { live } }: Work, event: AgentEvent): boolean {
  if ('messageId' in event) return live?.read.has(event.messageId) ?? false;
  return 'callId' in event && (live?.read.has(event.callId) ?? false);
}

/** @param whole the turn ended by itself, so the history has all of it */
function take(work: Work, seen: FoundTurn & { arrived: true }, whole = false): void {
  const { live, saidBefore, link } = work.thread;
  const turn = openTurn(work);
  if (!live || !turn) return;
  // Where a turn began is a guess when inputs of Letta's own lie before it: an earlier turn may have shown its first words.
  for (const firing of unheardFirings(seen.inputs, work.thread.record?.schedules ?? [])) {
    change(work, (record) => markFired(record, firing));
  }
  const shown = work.thread.record?.clients?.shown ?? [];
  const isShown = (id: string) => saidBefore.has(id) || shown.includes(id);
  const found = { ...seen, texts: seen.texts.filter(({ messageId }) => !isShown(messageId)) };
  // A turn that was cut off may have said more than the history kept, so an empty history proves nothing.
  const isTextKnown = whole || found.answered || found.texts.length > 0;
  setLive(work, {
    fold: mergeHistory(live.fold, { ...found, followed: followedRuns(link, turn) }),
    isViewOutdated: true,
    isTextUnknown: live.isTextUnknown && !isTextKnown,
    read: new Set([...found.texts.map(({ messageId }) => messageId), ...found.callIds]),
  });
}

/** Read when the history has come, because somebody may have stopped the turn meanwhile. */
function marksOf({ thread: { live, link, held } }: Work, turn: OpenTurn): TurnMarks {
  const { stoppedBy, ended, said, clientMessageId } = turn;
  if (!live) throw new TypeError('no turn is open');
  // A request that is held was asked of the next turn.
  const ofNext = held.flatMap((event) => (event.type === 'approval-asked' ? [event.request.requestId] : []));
  const approvals = live.fold.approvals.filter(({ requestId }) => !ofNext.includes(requestId));
  const heard = { ...live.fold, approvals };
  // A Stop that came after the turn's own end, while its last view was on its way, stopped nothing.
  const isStopped = ended ? ended.outcome === 'stopped' : Boolean(stoppedBy);
  const stopped = isStopped || heard.end?.stopReason === 'cancelled';
  const inputs = heard.runs.flatMap((runId) => link.runs[runId] ?? []);
  const others = inputsOfOthers(link, turn);
  const another = runsAnother(link, turn);
  // A stored end counts only with its text beside it: too long a text is not stored, and an empty one may mean that
  // we missed the answer, unless the turn failed.
  const hasEnded = ended !== undefined && said !== undefined && (said.length > 0 || ended.outcome === 'failed');
  return { clientMessageId, joined: joinedIds(turn), heard, inputs, others, stopped, another, hasEnded };
}
