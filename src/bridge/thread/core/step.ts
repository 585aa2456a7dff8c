import { beginTurn, changeTurn } from '../../record/inbox.ts';
import { clientMessageIdOf, lapseContinueOffers } from '../../record/offers.ts';
import { hasSchedules, isActive, needsLetta } from '../../record/thread-record.ts';
import { onIdentified } from './begun.ts';
import { closeCalls, onCallPlanned, onCallRan, onCallRecalled, onCallsDue, pursueCalls } from './calls.ts';
import { askAbout, click, submit, typed } from './clicks.ts';
import { command } from './commands.ts';
import { onCompactionOver, pursueCompaction } from './compaction.ts';
import { onAudited, onDeadline, onUnreminded, resume, settleAudit } from './deadlines.ts';
import { onAnswered, onUnanswered } from './decide.ts';
import { onCommandRan, pursueRun } from './device-commands.ts';
import type { ThreadEvent } from './events.ts';
import { onForked, onForkJoined, onForkPosted, pursueFork } from './fork.ts';
import { forgetHeld, onHeard, onUnheard, release } from './hear.ts';
import { noteLatePosts, onHeldUp, onLateShown, onTold, showLateEnds } from './held-up.ts';
import { storeChange } from './inbox.ts';
import { onPrepared, onSent, onUnprepared, onUnsent, sendInput } from './input.ts';
import { connect, RETRY_MS, settle } from './link.ts';
import {
  fillGap,
  gapFailed,
  lookAgain,
  onEndDue,
  onLooked,
  onLookLater,
  onRecalled,
  releaseCards,
  takeGap,
} from './look.ts';
import { findMissedIfDue, onMissedFound, showUnheardIfFree } from './missed.ts';
import { beginWaiting, changeOffer, offerShown, pauseMessages, resumeMessages, showOffers } from './offers.ts';
import { end, endingNow, endingWithoutMessages, keepSaid, leaveRecord } from './over.ts';
import { onQueueResumed, resumeQueue } from './paused-queue.ts';
import { onTasksUntold } from './reconnect.ts';
import { onCardRefused, onJudged, onPassFailed, onPassWritten, onRejudged } from './requests.ts';
import { align, alignIfDue, onAligned, onAlignTimer, onRunAsked } from './schedules.ts';
import {
  findJoined,
  goOn,
  hasSteered,
  onSteerAgain,
  onSteerPrepared,
  onSteerSent,
  onSteerUnprepared,
  onWithdrawAgain,
  onWithdrawn,
  steer,
} from './steer.ts';
import { abortAgain, abortLater, endSilent, lookAtSilence, onAborted, stop } from './stop.ts';
import { askAgent, onTasksAsked, pursueTasks } from './tasks.ts';
import { isOver } from './thread.ts';
import { onRequestPlanned } from './tool-requests.ts';
import { followTurn, turnIds } from './turn.ts';
import { onGap, onVerdict } from './unseen-end.ts';
import { change, due, emit, openTurn, setLink, startTimer, stopTimer, upLink, type Work } from './work.ts';

/* The way of an event: who handles it, what may be released after it, and what is due then. */

/** How long a thread without work keeps its link to Letta. */
const REST_AFTER_MS = 5 * 60_000;

/**
 * What one event makes of a thread: a new value of it, and effects. Values only: the same thread, event and context make
 * the same again.
 */
export function step(work: Work, event: ThreadEvent): void {
  const { record, link } = work.thread;
  if (!isLate(work, event)) handle(work, event);
  if (work.thread.held.length > 0) release(work);
  const wasDue = work.isDue;
  while (work.isDue) {
    work.isDue = false;
    advance(work);
  }
  steer(work);
  resumeQueue(work);
  if (!wasDue && work.thread.record === record && work.thread.link.up === link.up) return;
  pursueCalls(work);
  resume(work);
}

/** Whether the event is about a turn, a link or a connection that is over. */
function isLate(work: Work, event: ThreadEvent): boolean {
  const { live, link } = work.thread;
  if ('turn' in event && event.turn !== undefined && event.turn !== live?.id) return true;
  if ('dial' in event && event.dial !== link.dial) return true;
  return 'link' in event && event.link !== upLink(work);
}

function handle(work: Work, event: ThreadEvent) {
  switch (event.type) {
    case 'wake':
      return due(work);
    case 'agent':
      return onHeard(work, event.event);
    case 'timer':
      return onTimer(work, event);
    // people
    case 'store':
      work.answer = storeChange(work, event.change);
      return;
    case 'click':
      work.answer = click(work, event.action, event.person);
      return;
    case 'submission':
      work.answer = submit(work, event.submission, event.person);
      return;
    case 'command':
      work.answer = command(work, event.command);
      return;
    case 'typed':
      work.answer = typed(work, event.item, event.person);
      return;
    case 'ask_about':
      return askAbout(work, event.item, event.person);
    // the outbox
    case 'posts':
      return change(work, (record) =>
        record.turn?.id === event.of ? changeTurn(record, { posts: event.posts }) : record,
      );
    case 'offer_posts':
      return changeOffer(work, event.token, (offer) => ({ ...offer, posts: event.posts }));
    case 'late_posts':
      return noteLatePosts(work, event.of, event.posts);
    case 'late_shown':
      return onLateShown(work, event.of, event.delivery);
    case 'said':
      return keepSaid(work, event.turn, event.parts);
    case 'card_refused':
      return onCardRefused(work, event.reason, event.cards);
    case 'held_up':
      return onHeldUp(work, event.held);
    case 'finished':
      forgetHeld(work);
      leaveRecord(work, event.turn, event.delivery, hasSteered(work) ? turnIds(work) : null);
      goOn(work);
      // What ran unheard is not shown while another turn is open.
      return align(work);
    case 'offer_shown':
      offerShown(work, event);
      return event.isShown ? due(work) : undefined;
    case 'unreminded':
      return onUnreminded(work, event.users, event.text);
    case 'told':
      return onTold(work, event.isDelivered);
    // answers
    case 'prepared':
      return onPrepared(work, event);
    case 'unprepared':
      return onUnprepared(work, event.attempt);
    case 'unsent':
      return onUnsent(work, event);
    case 'sent':
      return onSent(work, event);
    case 'looked': {
      if (event.history) findJoined(work, event.history);
      const verdict = onLooked(work, event);
      return verdict ? onVerdict(work, verdict) : undefined;
    }
    case 'gap_read':
      if (event.history) findJoined(work, event.history);
      if (event.history) takeGap(work, event.history);
      if (event.history || gapFailed(work, event.failures) === 'given up') onGap(work, event.history !== null);
      return;
    case 'recalled':
      if (event.history) findJoined(work, event.history);
      return onRecalled(work, event.history);
    case 'steer_prepared':
      return onSteerPrepared(work, event);
    case 'steer_unprepared':
      return onSteerUnprepared(work, event.attempt);
    case 'steer_sent':
      return onSteerSent(work, event);
    case 'withdrawn':
      return onWithdrawn(work, event);
    case 'queue_resumed':
      return onQueueResumed(work, event.ok);
    case 'settled':
      if (!event.ok) return startTimer(work, 'settle', RETRY_MS);
      setLink(work, { settled: true });
      return due(work);
    case 'compaction_over':
      return onCompactionOver(work, event);
    case 'command_ran':
      return onCommandRan(work, event);
    case 'forked':
      return onForked(work, event);
    case 'fork_posted':
      return onForkPosted(work, event);
    case 'fork_joined':
      return onForkJoined(work, event);
    case 'stop_settled':
      return abortAgain(work, event.attempt);
    case 'aborted':
      return onAborted(work, event.aborted);
    case 'answered':
      return onAnswered(work, event);
    case 'unanswered':
      return onUnanswered(work, event);
    case 'judged':
      return onJudged(work, event);
    case 'rejudged':
      return onRejudged(work, event);
    case 'pass_written':
      return onPassWritten(work, event);
    case 'pass_failed':
      return onPassFailed(work, event.request);
    case 'request_planned':
      return onRequestPlanned(work, event);
    case 'call_planned':
      return onCallPlanned(work, event);
    case 'call_ran':
      return onCallRan(work, event);
    case 'call_recalled':
      return onCallRecalled(work, event);
    case 'closing':
      return closeCalls(work);
    case 'audited':
      onAudited(work, event.entry, event.token, event.ok);
      return event.ok ? due(work) : undefined;
    case 'aligned':
      return onAligned(work, event);
    case 'run_asked':
      return onRunAsked(work, event.by, event.ok);
    case 'identified':
      return onIdentified(work, event.beginning);
    case 'missed_found':
      return onMissedFound(work, event);
    case 'tasks_asked':
      return onTasksAsked(work, event.isEnding);
    default:
      return event satisfies never;
  }
}

function onTimer(work: Work, { timer, attempt = 0 }: ThreadEvent & { type: 'timer' }) {
  switch (timer) {
    case 'again':
    case 'compaction':
    case 'fork':
    case 'run':
    case 'tasks_alone':
    case 'tasks_ended':
      return due(work);
    case 'align':
      return onAlignTimer(work);
    case 'audit':
      return settleAudit(work);
    case 'calls':
      return onCallsDue(work);
    case 'deadlines':
      return onDeadline(work);
    case 'end_due':
      return onEndDue(work);
    case 'gap':
      return fillGap(work, attempt) === 'given up' ? onGap(work, false) : undefined;
    case 'look_again':
    case 'look_retry': {
      const verdict = lookAgain(work, timer === 'look_again' ? 'again' : 'retry', attempt);
      return verdict ? onVerdict(work, verdict) : undefined;
    }
    case 'look_later':
      return onLookLater(work, attempt);
    case 'recall':
      return releaseCards(work);
    case 'rest':
      return rest(work);
    case 'resume_queue':
      return setLink(work, { isResuming: false });
    case 'settle':
      return settle(work);
    case 'silence':
      return lookAtSilence(work);
    case 'silence_over':
      return endSilent(work);
    case 'steer':
      return onSteerAgain(work);
    case 'stop':
      return abortLater(work, attempt);
    case 'tasks_grace':
      return askAgent(work);
    case 'tasks_told':
      return onTasksUntold(work);
    case 'unheard':
      return onUnheard(work);
    case 'withdraw':
      return onWithdrawAgain(work);
    default:
      return timer satisfies never;
  }
}

/** Does whatever is due next. */
function advance(work: Work) {
  const { paused, isDraining } = work.context;
  if (paused) pauseMessages(work, paused.at);
  if (isOver(work.thread)) return;
  stopTimer(work, 'rest');
  const { record } = work.thread;
  if (!record) return restLater(work);
  beginWaiting(work, record);
  if (!paused) resumeMessages(work);
  pursueCompaction(work, paused !== null);
  pursueFork(work, paused !== null);
  pursueRun(work, paused !== null);
  const isOpen = openTurn(work) !== null;
  const isEndingTasks = pursueTasks(work, paused?.by ?? null);
  showOffers(work);
  findMissedIfDue(work);
  alignIfDue(work);
  showUnheardIfFree(work);
  showLateEnds(work);
  if (!isOpen && !isEndingTasks && !isDraining && !paused && (work.thread.record?.inbox.length ?? 0) > 0) {
    const ids = turnIds(work);
    change(work, (now) => lapseContinueOffers(beginTurn(now, ids, clientMessageIdOf), ids.now));
    showOffers(work);
  }
  const turn = openTurn(work);
  if (!turn) {
    return wantsLink(work) ? connect(work) : restLater(work);
  }
  if (work.thread.live?.id !== turn.id) followTurn(work, turn, isOpen);
  if (paused && !turn.stoppedBy && !turn.ends) {
    stop(work, paused.by);
    return due(work);
  }
  if (turn.state === 'prepared') {
    if (turn.stoppedBy) return end(work, endingNow(work));
    if (turn.items.length === 0 && !turn.ends) return end(work, endingWithoutMessages(work));
  }
  connect(work);
  if (turn.state === 'prepared') sendInput(work, turn);
}

function wantsLink({ thread: { record, toConfirm, toTellOffers, link } }: Work): boolean {
  if (record === null) return false;
  return (
    needsLetta(record) ||
    toConfirm !== null ||
    toTellOffers.size > 0 ||
    link.isWanted ||
    (hasSchedules(record) && !link.isGivenUp)
  );
}

function restLater(work: Work): void {
  startTimer(work, 'rest', work.thread.link.options === null ? 0 : REST_AFTER_MS);
}

function rest(work: Work) {
  const { record } = work.thread;
  if (record && isActive(record)) return;
  emit(work, { do: 'retire' });
}
