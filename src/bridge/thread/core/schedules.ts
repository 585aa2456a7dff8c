import type { Firing } from '../../agent-event.ts';
import type { UserId } from '../../ids.ts';
import type { SeenSchedule } from '../../ports.ts';
import { changeTurn } from '../../record/inbox.ts';
import { changeSchedule, dropSchedule, findSchedule, markFired } from '../../record/schedules.ts';
import type { FoundFiring } from '../../schedules/firing.ts';
import { idInName, type Schedule, type TurnSchedule, whenOf } from '../../schedules/schedule.ts';
import { checkWhen } from '../../schedules/when.ts';
import { readZone } from '../../schedules/zone.ts';
import {
  deletedElsewhereText,
  lostAccessText,
  missedText,
  notMadeHereText,
  refusedByLettaText,
  SCHEDULES,
  scheduleLine,
} from '../../words/schedules.ts';
import type { Answer, Command, ScheduleChange } from './events.ts';
import { abort } from './stop.ts';
import { isOver } from './thread.ts';
import { change, due, emit, log, openTurn, say, setLink, startTimer, touch, upLink, type Work } from './work.ts';

/*
 * The record says what is to be, and whenever Letta can be reached, what Letta has is made so: it is asked for its list
 * first, so a schedule whose making was never confirmed is found by its name instead of being made twice. A crash between
 * any two steps is followed by the same comparison.
 */

/** How often Letta is asked although nothing seems to have changed. */
const ALIGN_EVERY_MS = 60 * 60_000;
const ALIGN_RETRY_MS = 30_000;
/** How long a schedule that ran once is kept until the thread has shown what came of it. */
const SHOWN_WITHIN_MS = 24 * 60 * 60_000;
/** What the history has may still be on its way to us, so it counts as unheard only when it is found again after this. */
const HEARD_WITHIN_MS = 5_000;
/** After so many comparisons in a row that left a difference, the next one waits. */
const MOST_TRIES = 4;

// ---- what people want --------------------------------------------------------------------------

/** Lists the thread's schedules, or changes one. @returns lines for who asked */
export function schedulesCommand(work: Work, order: Command & { name: 'schedules' }): string {
  const { now } = work.context;
  const kept = (work.thread.record?.schedules ?? []).filter(({ wanted }) => wanted !== 'gone');
  if (order.change === null) {
    return kept.length === 0 ? SCHEDULES.nothing : kept.map((schedule) => scheduleLine(schedule, now)).join('\n');
  }
  const { id } = order.change;
  const schedule = kept.find((each) => each.id === id);
  if (!schedule) return SCHEDULES.unknown;
  if (schedule.owner !== order.by && !order.isAdmin) return SCHEDULES.notYours;
  return changeOne(work, schedule, order.change.do, order.by);
}

function changeOne(work: Work, schedule: Schedule, how: ScheduleChange['do'], by: UserId): string {
  const { id } = schedule;
  log(work, 'info', { schedule: id, by, change: how }, 'a schedule was changed');
  switch (how) {
    case 'run': {
      const link = upLink(work);
      if (link === null || schedule.confirmed === null) return SCHEDULES.notRun;
      emit(work, { do: 'run_schedule', link, id, by });
      return SCHEDULES.running;
    }
    case 'resume': {
      const zone = readZone(schedule.zone);
      const isOver = zone === null || 'problem' in checkWhen(whenOf(schedule), zone, work.context.now);
      if (isOver) return SCHEDULES.over;
      // Whether its owner may use the agent again is judged when it is compared with Letta's.
      want(work, id, { wanted: 'active', lostAccess: undefined });
      return SCHEDULES.resumed;
    }
    case 'pause':
      want(work, id, { wanted: 'paused' });
      return SCHEDULES.paused;
    case 'delete':
      want(work, id, { wanted: 'gone' });
      return SCHEDULES.deleted;
    default:
      return how satisfies never;
  }
}

function want(work: Work, id: string, to: Partial<Schedule>): void {
  change(work, (record) => changeSchedule(record, id, to));
  due(work);
}

/** Letta was asked to run a schedule. */
export function onRunAsked(work: Work, by: UserId, ok: boolean): void {
  if (!ok) emit(work, { do: 'whisper', user: by, text: SCHEDULES.notRun });
}

// ---- Letta -------------------------------------------------------------------------------------

/** Compares the thread's schedules with those at Letta, if a difference is known. */
export function alignIfDue(work: Work): void {
  if (work.thread.link.aligning === 'no' && !isAligned(work)) align(work);
}

function isAligned(work: Work): boolean {
  return (work.thread.record?.schedules ?? []).every(({ wanted, confirmed }) => wanted === confirmed);
}

/**
 * Compares the thread's schedules with those at Letta, and finds out what ran unheard.
 * @param orphan the id of a schedule that no thread has: it is deleted
 */
export function align(work: Work, orphan?: string) {
  const schedules = work.thread.record?.schedules ?? [];
  const link = upLink(work);
  const { aligning } = work.thread.link;
  if ((schedules.length === 0 && orphan === undefined) || link === null) return;
  const isAsking = aligning === 'asking' || aligning === 'again';
  if (isAsking && orphan === undefined) return setLink(work, { aligning: 'again' });
  setLink(work, { aligning: 'asking' });
  emit(work, { do: 'align', link, schedules, ...(orphan !== undefined && { orphan }) });
}

/** A while has passed: Letta is asked again, also when it could not be reached for good. */
export function onAlignTimer(work: Work): void {
  setLink(work, { isGivenUp: false, ...(work.thread.link.aligning === 'waits' && { aligning: 'no' }) });
  align(work);
  due(work);
}

/** Another thread keeps the conversation for its own schedules: what was confirmed here cannot be made, and is given up. */
export function giveUpSchedules(work: Work): void {
  for (const schedule of work.thread.record?.schedules ?? []) {
    if (schedule.confirmed !== null) continue;
    if (schedule.wanted !== 'gone') say(work, notMadeHereText(schedule));
    log(work, 'warn', { schedule: schedule.id }, 'gave up a schedule: its conversation is kept by another thread');
    change(work, (record) => dropSchedule(record, schedule.id));
  }
}

/** No retry helps: the thread's schedules alone dial again after a while. */
export function waitWithSchedules(work: Work): void {
  if ((work.thread.record?.schedules?.length ?? 0) === 0) return;
  setLink(work, { isGivenUp: true });
  startTimer(work, 'align', ALIGN_EVERY_MS);
}

export function onAligned(work: Work, { seen, owners, unheard }: Answer & { type: 'aligned' }) {
  const isAgain = work.thread.link.aligning === 'again';
  for (const { id, owner } of work.thread.record?.schedules ?? []) {
    if (owners[owner] === false) loseAccess(work, id);
  }
  if (seen === null) {
    setLink(work, { aligning: 'waits' });
    return startTimer(work, 'align', ALIGN_RETRY_MS);
  }
  for (const one of seen) noteSeen(work, one);
  const tries = isAligned(work) ? 0 : work.thread.link.alignTries + 1;
  const isStubborn = tries > MOST_TRIES;
  setLink(work, { aligning: isStubborn ? 'waits' : 'no', alignTries: isStubborn ? 0 : tries });
  startTimer(work, 'align', isStubborn ? ALIGN_RETRY_MS : ALIGN_EVERY_MS);
  if (isAgain && !isStubborn) align(work);
  noteUnheard(work, unheard);
  due(work);
}

/** The owner may not use the agent here any more: nothing of theirs runs, and the thread is told. */
function loseAccess(work: Work, id: string): void {
  const schedule = findSchedule(work.thread.record, id);
  const turn = openTurn(work);
  if (!schedule) return;
  if (turn?.schedule?.id === id && !turn.stoppedBy && !isOver(work.thread)) {
    // What others wrote meanwhile is not discarded, as a person's Stop would.
    change(work, (record) => changeTurn(record, { stoppedBy: work.context.botUser }));
    touch(work);
    abort(work);
  }
  if (schedule.wanted !== 'active') return;
  log(
    work,
    'warn',
    { schedule: id, owner: schedule.owner },
    'paused a schedule: its owner may no longer use the agent',
  );
  change(work, (record) => changeSchedule(record, id, { wanted: 'paused', lostAccess: true }));
  say(work, lostAccessText(schedule));
}

function noteSeen(work: Work, { id, state, error = '', lastFiredAt }: SeenSchedule) {
  const schedule = findSchedule(work.thread.record, id);
  if (!schedule) return;
  const drop = () => change(work, (record) => dropSchedule(record, id));
  switch (state) {
    case 'active':
    case 'paused':
      return change(work, (record) => changeSchedule(record, id, { confirmed: state }));
    case 'gone':
      // One that ran once is forgotten at Letta after a while.
      if (schedule.wanted !== 'gone' && schedule.once === null) say(work, deletedElsewhereText(schedule));
      return drop();
    case 'refused':
      say(work, refusedByLettaText(schedule, error));
      return drop();
    case 'missed':
      if (schedule.wanted !== 'gone') say(work, missedText(schedule));
      return change(work, (record) => changeSchedule(record, id, { wanted: 'gone', confirmed: null }));
    case 'fired':
      if (schedule.firedAt < (lastFiredAt ?? 0) && work.context.now - (lastFiredAt ?? 0) < SHOWN_WITHIN_MS) {
        return change(work, (record) => changeSchedule(record, id, { wanted: 'active', confirmed: 'active' }));
      }
      return change(work, (record) => changeSchedule(record, id, { wanted: 'gone', confirmed: null }));
    default:
      return state satisfies never;
  }
}

// ---- turns that a schedule began ---------------------------------------------------------------

/** The schedule of this thread that a firing is of; `null`: it is not of this thread. */
export function turnScheduleOf(work: Work, { name, at }: Pick<Firing, 'name' | 'at'>): TurnSchedule | null {
  const id = idInName(name);
  const schedule = findSchedule(work.thread.record, id);
  // A schedule that people deleted runs all the same: it was made later, by a frame that was on its way for long.
  if (id !== null && !schedule && !work.context.isScheduled(id)) align(work, id);
  return schedule && asOfTurn(schedule, at);
}

function asOfTurn({ id, owner, cron, once, zone, inChannel }: Schedule, at: number): TurnSchedule {
  return { id, owner, cron, once, zone, ...(inChannel && { inChannel }), at };
}

/** The schedule of a firing that was found in the history, unless the thread has shown it. */
export function foundSchedule(work: Work, { id, at }: Pick<FoundFiring, 'id' | 'at'>): TurnSchedule | null {
  const schedule = findSchedule(work.thread.record, id);
  return schedule && schedule.firedAt < at ? asOfTurn(schedule, at) : null;
}

/** A scheduled turn begins: whether its owner still may is asked at once. */
export function onFired(work: Work, schedule: TurnSchedule): void {
  change(work, (record) => markFired(record, schedule));
  log(work, 'info', { schedule: schedule.id, owner: schedule.owner }, 'a schedule fired');
  align(work);
}

const markOf = ({ id, at }: FoundFiring) => `${id} ${at}`;

/** Firings that the history has and nobody heard: they are shown when they are found twice, as they may just begin. */
function noteUnheard(work: Work, found: readonly FoundFiring[]) {
  const news = found.filter(({ id, at }) => at > (findSchedule(work.thread.record, id)?.firedAt ?? at));
  const last = news.at(-1);
  if (!last) return;
  if (work.thread.link.suspected.includes(markOf(last))) return setLink(work, { unheard: news });
  setLink(work, { suspected: news.map(markOf) });
  startTimer(work, 'align', HEARD_WITHIN_MS);
}
