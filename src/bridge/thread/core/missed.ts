import { clientAsk, noteNewest, noteShown, startFrom } from '../../record/client-turn.ts';
import { openAgentTurn } from './begun.ts';
import type { Answer } from './events.ts';
import { look } from './look.ts';
import { foundSchedule } from './schedules.ts';
import { isOver } from './thread.ts';
import { change, due, emit, log, openTurn, setLink, upLink, type Work } from './work.ts';

/*
 * Turns that nobody heard: firings of the thread's schedules, and turns of other clients. A new link tells the newest item
 * of the conversation: if the thread does not know that, it looks through the history before it sends anything, and shows
 * what it missed as turns that are over.
 */

/** Of so many turns that nobody heard the thread shows each; of more the latest. */
const SHOWN_MOST = 3;

/** Looks for turns that nobody heard, if they may be there and nothing runs. */
export function findMissedIfDue(work: Work): void {
  const { record, link } = work.thread;
  const up = upLink(work);
  if (link.missed !== 'due' || up === null || isBusy(work)) return;
  setLink(work, { missed: 'asking' });
  const { shown = [], from = null } = record?.clients ?? {};
  emit(work, { do: 'find_missed', link: up, shown, from, isOrdered: work.context.turnsDieWithLink });
}

/**
 * Shows the newest firing of a schedule that nobody heard, once nothing runs, as a turn that is over: its text is read from
 * the history. A turn that is prepared waits for it.
 */
export function showUnheardIfFree(work: Work): void {
  const { unheard } = work.thread.link;
  const last = unheard.at(-1);
  if (!last || upLink(work) === null || isBusy(work) || work.context.isDraining) return;
  setLink(work, { unheard: [] });
  const schedule = foundSchedule(work, last);
  if (!schedule) return;
  const earlier = unheard.filter(({ id }) => id === last.id).length - 1;
  openAgentTurn(work, { input: last.input, schedule: { ...schedule, late: { earlier } } });
  log(work, 'info', { schedule: schedule.id, turn: openTurn(work)?.id, earlier }, 'a schedule ran unheard');
  look(work);
}

/** Another client's turn ran until the open one's input, which waited for it, began or joined it: that was not shown. */
export function noteUnshown(work: Work): void {
  // Threads of one conversation cannot tell which of them has shown what.
  if (!work.thread.record?.isShared) setLink(work, { missed: 'due' });
}

function isBusy({ thread }: Work): boolean {
  const { record, link } = thread;
  return link.loop !== 'idle' || record?.turn?.state === 'submitted' || isOver(thread) || link.isIdentifying;
}

/** The history was looked through. */
export function onMissedFound(work: Work, { found }: Answer & { type: 'missed_found' }) {
  const { record, link } = work.thread;
  if (link.missed !== 'asking') return;
  // What runs by now may be one of them: it is heard.
  const isLater = isBusy(work);
  setLink(work, { missed: isLater && found ? 'due' : 'no' });
  due(work);
  if (!found || isLater || !record) return;
  const { missed, newest } = found;
  // It began elsewhere, or the record is from before there was this: what is there was shown, or never will be.
  if (record.clients?.from === undefined) return change(work, (now) => startFrom(now, newest));
  const shown = missed.slice(-SHOWN_MOST);
  const [next] = shown;
  if (!next) {
    const known = link.newestItem ?? newest;
    return known === null ? undefined : change(work, (now) => noteNewest(now, known));
  }
  const earlier = missed.slice(0, missed.length - shown.length).map(({ input }) => input);
  const client = { ...clientAsk(next.asked), late: { earlier: earlier.length } };
  change(work, (now) => noteShown(now, ...earlier));
  openAgentTurn(work, { input: next.input, client });
  log(work, 'info', { turn: openTurn(work)?.id, earlier: earlier.length }, 'another client’s turn ran unheard');
  // The others follow when it is over.
  setLink(work, { missed: 'due' });
  look(work);
}
