import type { BackgroundTask } from '../../agent-event.ts';
import { makeToken, type UserId } from '../../ids.ts';
import { findBackgroundOffer, hideBackground, showBackground } from '../../record/offers.ts';
import {
  beginTaskEndTurn,
  describeTasks,
  listTaskLines,
  requestTaskEnd,
  setTasks,
  tasksOf,
  tasksToEnd,
} from '../../record/tasks.ts';
import type { TaskRecord, ThreadRecord } from '../../record/thread-record.ts';
import { tasksKeepRunningText } from '../../words/thread.ts';
import type { TaskEnding } from './thread.ts';
import { turnIds } from './turn.ts';
import { change, due, emit, log, openTurn, say, set, startTimer, stopTimer, upLink, type Work } from './work.ts';

/*
 * Background tasks, which run on after their turn: subagents, commands, monitors. They are shown with a Stop button.
 * Stop asks Letta to end them, then the agent; whoever clicked is told which tasks still run.
 */

/** A task that ends this soon after its turn is not shown. */
const SHOWN_AFTER_MS = 3_000;
/** A background task reports to the agent within this time of its end. */
const REPORTS_WITHIN_MS = 5_000;
/** Letta was told to end tasks: if some still run after this long, the agent is asked to end them. */
const ENDS_WITHIN_MS = 3_000;

function setEnding(work: Work, part: Partial<TaskEnding>): void {
  set(work, { ending: { ...work.thread.ending, ...part } });
}

/** Who wanted the tasks to end, while the agent must not act on their reports; `null`: it may act on them. */
export function silencedBy({ thread: { record, ending } }: Work): UserId | null {
  const wanted = record?.endTasks;
  return wanted && (wanted.step !== 'told' || ending.endedAt !== null) ? wanted.by : null;
}

/** Letta reports all tasks that run in the background now. */
export function onTasks(work: Work, tasks: readonly BackgroundTask[]): void {
  const { record } = work.thread;
  if (!record) return;
  const { now } = work.context;
  const turn = openTurn(work);
  const owner = turn?.requester ?? record.starter;
  const by = turn?.stoppedBy ?? null;
  const to = (stored: ThreadRecord) => {
    const next = setTasks(stored, tasks, owner, now);
    // The Stop of a turn also ends tasks that the turn started while it was being stopped.
    return by === null ? next : requestTaskEnd(next, by, now, false);
  };
  const next = to(record);
  const isKnown = next.background === record.background;
  if (isKnown && JSON.stringify(next.tasks) === JSON.stringify(record.tasks)) return;
  if (next.endTasks?.at !== record.endTasks?.at) askAnew(work);
  change(work, to);
  due(work);
}

/**
 * Stores that all tasks have to end, which {@link pursueTasks} then ends.
 * @param isRepeated tries again to end tasks that an earlier Stop could not end
 */
export function endTasks(work: Work, by: UserId, isRepeated: boolean): void {
  const before = work.thread.record;
  change(work, (record) => requestTaskEnd(record, by, work.context.now, isRepeated));
  if (work.thread.record === before) return;
  askAnew(work);
  log(work, 'info', { by, tasks: tasksOf(work.thread.record).length }, 'ending background tasks');
}

/** The link is new, or other tasks have to end, so Letta is asked again. */
export function askAnew(work: Work): void {
  setEnding(work, { trying: 'no' });
  stopTimer(work, 'tasks_grace');
}

/**
 * Ends tasks that have to end, and shows the others.
 * @param paused who has paused the agent, so that all tasks have to end; `null`: nobody
 * @returns whether a turn began, which asks the agent to end tasks
 */
export function pursueTasks(work: Work, paused: UserId | null): boolean {
  const { record } = work.thread;
  if (!record || !(record.tasks || record.endTasks || findBackgroundOffer(record))) return false;
  if (paused !== null) endTasks(work, paused, false);
  const began = pursue(work);
  showTasks(work);
  return began;
}

function pursue(work: Work): boolean {
  const { record } = work.thread;
  const wanted = record?.endTasks;
  if (!wanted) return false;
  const left = tasksToEnd(record);
  if (left.length === 0) {
    noteEnded(work);
    return false;
  }
  setEnding(work, { endedAt: null });
  const link = upLink(work);
  if (wanted.step === 'told' || link === null) return false;
  if (wanted.step === 'wanted') {
    if (work.thread.ending.trying === 'no') {
      setEnding(work, { trying: 'asking' });
      emit(work, { do: 'end_tasks', link, tasks: left });
    }
    if (work.thread.ending.trying !== 'done' || openTurn(work) || work.context.isDraining) return false;
    const ids = turnIds(work);
    change(work, (now) => beginTaskEndTurn(now, ids));
    if (openTurn(work)) return true;
  }
  // The agent was asked already, or could not be asked to end these tasks.
  if (!openTurn(work)) tellLeft(work, left);
  return false;
}

/** Letta was asked to end tasks. @param isEnding whether it said of some that it does */
export function onTasksAsked(work: Work, isEnding: boolean): void {
  // Letta reports the end of a task like any change; tasks that still run after the grace time need the agent.
  if (isEnding) startTimer(work, 'tasks_grace', ENDS_WITHIN_MS);
  else askAgent(work);
}

/** Tasks that still run need the agent. */
export function askAgent(work: Work): void {
  if (work.thread.ending.trying === 'asking') setEnding(work, { trying: 'done' });
  due(work);
}

/** All tasks have ended. The wish stays stored a while, because their reports begin turns that have to be stopped. */
function noteEnded(work: Work) {
  const now = work.context.monotonic;
  const endedAt = work.thread.ending.endedAt ?? now;
  setEnding(work, { endedAt });
  const left = REPORTS_WITHIN_MS - (now - endedAt);
  if (left > 0) return startTimer(work, 'tasks_ended', left);
  setEnding(work, { endedAt: null });
  change(work, ({ endTasks: _, ...record }) => record);
}

/** Shows the tasks while no turn is open, and takes the message down when all have ended. */
function showTasks(work: Work) {
  const { record } = work.thread;
  if (!record) return;
  const tasks = tasksOf(record);
  const { now, monotonic } = work.context;
  if (tasks.length === 0 || openTurn(work)) setEnding(work, { aloneSince: null });
  if (tasks.length === 0) return change(work, (stored) => hideBackground(stored, now));
  const shown = findBackgroundOffer(record);
  if (!shown && openTurn(work)) return;
  const aloneSince = work.thread.ending.aloneSince ?? monotonic;
  setEnding(work, { aloneSince });
  const left = SHOWN_AFTER_MS - (monotonic - aloneSince);
  if (!shown && left > 0) return startTimer(work, 'tasks_alone', left);
  const token = makeToken(work.context.id());
  const owner = tasks[0]?.for ?? record.starter;
  change(work, (stored) => showBackground(stored, listTaskLines(tasks), owner, token, now));
}

function tellLeft(work: Work, tasks: readonly TaskRecord[]): void {
  const by = work.thread.record?.endTasks?.by;
  change(work, (record) => (record.endTasks ? { ...record, endTasks: { ...record.endTasks, step: 'told' } } : record));
  if (by === undefined) return;
  log(work, 'warn', { by, tasks: tasks.length }, 'background tasks keep running after a Stop');
  const { device } = work.thread.link;
  say(work, tasksKeepRunningText(by, describeTasks(tasks), device));
}
