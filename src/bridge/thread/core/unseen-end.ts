import { ENDED, WAITS } from '../../words/thread.ts';
import { stepBack } from './input.ts';
import { endDoubt, isQueued, unsubmitted, waitForLetta } from './link.ts';
import { END_OVERDUE_MS, endLook, expectEnd, noteMissed, type Verdict } from './look.ts';
import { noteNeverArrived } from './offers.ts';
import { end, endCut, endingNow, endingUnseen, finish, leftover, leftoverOfCut, wayOn } from './over.ts';
import { due, log, openTurn, set, setLive, touch, type Work } from './work.ts';

/* A turn whose end was not seen: what the history says of it, and what becomes of it then. */

export function onVerdict(work: Work, found: Verdict) {
  const turn = openTurn(work);
  const { live, link } = work.thread;
  if (!turn || !live) return;
  switch (found.verdict) {
    case 'over': {
      keepForNext(work);
      if (found.wentOnWithOurs) return end(work, { ...endingNow(work), line: ENDED.wentOnWithOurs });
      const isUnbroken = !live.wasLinkLost && !live.isResumed;
      return endCut(work, endingUnseen(work, found.answered, isUnbroken), found.isEachCallOver && !isUnbroken);
    }
    case 'begins':
      noteMissed(work);
      endDoubt(work);
      if (link.loop === 'idle') expectEnd(work, END_OVERDUE_MS);
      touch(work);
      return endLook(work);
    case 'not_there_yet':
      if (link.loop === 'idle') waitForLetta(work, isQueued(link, turn) ? WAITS.queued : WAITS.inDoubt);
      return endLook(work);
    case 'never_arrived':
      if (turn.stoppedBy) return end(work, endingUnseen(work, false));
      log(work, 'info', { turn: turn.id }, 'the input never arrived; sending it again');
      endDoubt(work);
      stepBack(work, turn.id);
      setLive(work, { isTextUnknown: false });
      unsubmitted(work);
      noteNeverArrived(work);
      return due(work);
    case 'summarised':
    case 'unreadable': {
      log(work, 'info', { turn: turn.id, why: found.verdict }, 'the history does not tell what became of the input');
      const left = leftover(work);
      return end(work, endingUnseen(work, false, false, left), left);
    }
    default:
      found satisfies never;
  }
}

/** If Letta waits for a decision when we learn late of this turn's end, the open requests belong to the next turn. */
export function keepForNext(work: Work): void {
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
