import type { Verdict } from '../../access/can.ts';
import { noteFiles } from '../../record/handed-over.ts';
import { changeTurn } from '../../record/inbox.ts';
import { clientMessageIdOf } from '../../record/offers.ts';
import { unsubmit } from '../../record/steered.ts';
import { END_TOOLS } from '../../record/tasks.ts';
import type { OpenTurn } from '../../record/thread-record.ts';
import { COMPACTION } from '../../words/compaction.ts';
import { DEVICE } from '../../words/device-commands.ts';
import { FORK } from '../../words/fork.ts';
import { queuedNotRunText, WAITS } from '../../words/thread.ts';
import { isCompacting } from './compaction.ts';
import { isRunningCommand } from './device-commands.ts';
import type { Answer } from './events.ts';
import { isForking } from './fork.ts';
import { canSubmit, RETRY_MS, unsubmitted } from './link.ts';
import { expectEnd, forgetLook, lookLater } from './look.ts';
import { end, endingNotAllowed, fail } from './over.ts';
import { isDirectThread, isOver } from './thread.ts';
import {
  change,
  due,
  emit,
  log,
  openTurn,
  set,
  setHold,
  setLink,
  setLive,
  settings,
  startTimer,
  startTurnTimer,
  type Work,
} from './work.ts';

/* The way of a turn's input: prepared, judged, stored as submitted, sent; and back, if it certainly did not leave. */

/** Letta accepted an input: if it has not begun it after this long, the history is read. */
const NEVER_BEGAN_MS = 60_000;
/** Letta works on something that an input waits for: if nothing is heard of it for this long, it is shown as a turn. */
const UNHEARD_MS = 30_000;

/** Whether what Letta does with the conversation keeps inputs back. */
const isHeld = (work: Work) => isCompacting(work) || isForking(work) || isRunningCommand(work);

/** Prepares the open turn's input if Letta can take it now; else this is called again when that changes. */
export function sendInput(work: Work, turn: OpenTurn): void {
  const { live } = work.thread;
  if (live?.phase !== 'prepared') return;
  holdFor(work, COMPACTION.waits, isCompacting(work));
  holdFor(work, FORK.waits, isForking(work));
  holdFor(work, DEVICE.waits, isRunningCommand(work));
  if (isHeld(work) || work.context.isDraining) return;
  if (!canSubmit(work)) {
    if (work.thread.link.loop !== 'idle') startTurnTimer(work, 'unheard', UNHEARD_MS);
    return;
  }
  const attempt = live.tries + 1;
  setLive(work, { phase: 'preparing', tries: attempt });
  emit(work, {
    do: 'prepare',
    turn,
    attempt,
    version: versionOf(turn),
    isDirect: isDirectThread(work.thread),
    context: settings(work).context,
  });
}

/** The prompt is written and its author judged: sends the input, at most once. */
export function onPrepared(
  work: Work,
  { attempt, version, written, files, unreadable, content, verdict }: Answer & { type: 'prepared' },
) {
  const turn = openTurn(work);
  const { live } = work.thread;
  if (!turn || live?.phase !== 'preparing' || live.tries !== attempt) return;
  setLive(work, { phase: 'prepared' });
  holdFor(work, WAITS.forSlack, verdict === 'unknown');
  // While Slack does not tell who the author is, the input waits, because their rights cannot be judged.
  if (verdict === 'unknown') return startTimer(work, 'again', RETRY_MS);
  const carries = turn.items.length > 0 || turn.ends !== undefined;
  const isWanted = turn.state === 'prepared' && !turn.stoppedBy && carries && !work.context.isDraining;
  if (isWanted && !verdict.allowed) return notAllowed(work, turn, verdict);
  if (isWanted && unreadable !== null) return fail(work, unreadable, { offer: 'send_again', certain: true });
  // What was written may be outdated: a message was edited or deleted meanwhile.
  if (!isWanted || isHeld(work) || !canSubmit(work) || version !== versionOf(turn)) return due(work);
  // On disk before it leaves, so that a restart never sends an input twice.
  const { context, notPassedOn, past } = written;
  const leaves = { state: 'submitted' as const, context, notPassedOn, ...(past && { past }) };
  change(work, (record) => noteFiles(changeTurn(record, leaves), files));
  set(work, { wasCut: false });
  setLink(work, { settled: false, begun: false, unanswered: turn.id });
  setLive(work, { phase: 'running', isViewOutdated: true });
  log(work, 'debug', { turn: turn.id }, 'sending input to Letta');
  const clientMessageId = turn.clientMessageId ?? turn.id;
  emit(work, { do: 'submit', turn: turn.id, clientMessageId, content, tools: turn.ends && END_TOOLS });
}

/** The prompt could not be written. */
export function onUnprepared(work: Work, attempt: number): void {
  const { live } = work.thread;
  if (live?.phase !== 'preparing' || live.tries !== attempt) return;
  setLive(work, { phase: 'prepared' });
  startTimer(work, 'again', RETRY_MS);
}

/** @param notice what the input waits for */
function holdFor(work: Work, notice: string, isHolding: boolean): void {
  const hold = work.thread.live?.hold;
  const wasHeld = hold?.kind === 'waiting_for_letta' && hold.notice === notice;
  if (isHolding !== wasHeld) setHold(work, isHolding ? { kind: 'waiting_for_letta', notice } : null);
}

/** The author may no longer use the agent, so nothing of the turn is run. */
function notAllowed(work: Work, turn: OpenTurn, { reason, notice }: Verdict & { allowed: false }): void {
  const fields = { turn: turn.id, user: turn.requester, reason };
  log(work, 'warn', fields, 'a turn did not start: its author may no longer use the agent');
  const [first] = turn.items;
  const text = queuedNotRunText(notice);
  if (first && !first.bot) emit(work, { do: 'whisper', user: turn.requester, text });
  end(work, endingNotAllowed(work));
}

/** The link was lost while the disk wrote: over the next one a submitted input would count as sent over this one. */
export function onUnsent(work: Work, { of }: Answer & { type: 'unsent' }): void {
  setLink(work, { unanswered: null });
  stepBack(work, of);
  due(work);
}

/** Letta has accepted the input, or did not confirm it. */
export function onSent(work: Work, { of, error }: Answer & { type: 'sent' }) {
  const { link, live } = work.thread;
  if (link.unanswered === of) setLink(work, { unanswered: null });
  const isOpen = live?.id === of && !isOver(work.thread);
  if (!error) {
    // Letta accepted the input but has not begun it; if that stays so, the history is read.
    if (isOpen && link.loop === 'idle' && !live.isEndDue) expectEnd(work, NEVER_BEGAN_MS);
    // The turn may have ended before this answer came, and then the next turn waits for it.
    return due(work);
  }
  const { certain, retry, notice } = error;
  log(work, 'warn', { turn: of, err: error, certain }, 'Letta did not confirm the input');
  if (!isOpen) return;
  // We cannot tell whether Letta got it: the replay of the next link tells, or over this link the history.
  if (!certain) return lookLater(work, RETRY_MS);
  if (!retry) return fail(work, notice, { offer: 'send_again', certain: true });
  stepBack(work, of);
  unsubmitted(work);
  startTimer(work, 'again', RETRY_MS);
}

/** The input certainly did not reach Letta. */
export function stepBack(work: Work, turn: string): void {
  if (openTurn(work)?.id !== turn) return;
  change(work, (record) => (record.turn ? changeTurn(record, unsubmit(record.turn, clientMessageIdOf)) : record));
  forgetLook(work);
  setLive(work, { phase: 'prepared' });
}

/** The turn's messages as they are now: none edited or deleted. */
function versionOf({ items, context }: OpenTurn): string {
  return [...items, ...context].map((item) => `${item.key} ${item.editedAt}`).join();
}
