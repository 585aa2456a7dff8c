import type { MessageKey, UserId } from '../../ids.ts';
import type { Person } from '../../person.ts';
import { forgetConversation } from '../../record/inbox.ts';
import { markSeen } from '../../record/offers.ts';
import { describeTasks, tasksOf } from '../../record/tasks.ts';
import { besideTurns, queueText } from '../../view/status.ts';
import { DEVICE } from '../../words/device-commands.ts';
import { FORK } from '../../words/fork.ts';
import { modelChangedText, toolsetChangedText } from '../../words/models.ts';
import { cannotStopText } from '../../words/status.ts';
import { endingTasksText, saidAloudText, THREAD, tasksRunText } from '../../words/thread.ts';
import { attach, detach } from './attach.ts';
import { decideByCommand } from './clicks.ts';
import { requestCompaction } from './compaction.ts';
import { listOffers, requestRun } from './device-commands.ts';
import { proposeSchedule } from './drafts.ts';
import type { Command } from './events.ts';
import { requestFork } from './fork.ts';
import { disconnect, settingsChanged } from './link.ts';
import { giveUpLetta } from './offers.ts';
import { schedulesCommand } from './schedules.ts';
import { sendNow } from './steer.ts';
import { stop } from './stop.ts';
import { endTasks } from './tasks.ts';
import { isDirectThread, isOver } from './thread.ts';
import { statusOf } from './view.ts';
import { change, openTurn, say, setLink, type Work } from './work.ts';

/* Commands of people, in words. */

/**
 * Carries out a command of somebody who may give it. @returns a line for them, Markdown; empty: the thread was told, and
 * they with it
 */
export function command(work: Work, order: Command): string {
  switch (order.name) {
    case 'stop':
      return stopAll(work, order.by, order.seen);
    case 'new':
      return startOver(work, order.by, order.seen);
    case 'now':
      return sendNow(work, order.by, order.seen);
    case 'mute':
    case 'unmute':
      return mute(work, order.by, order.name === 'mute', order.seen);
    case 'approve':
    case 'deny':
      return decideByCommand(work, order.name, order.args, order.person);
    case 'attach':
      return attach(work, order);
    case 'detach':
      return detach(work, order.by, order.seen);
    case 'compact':
      return requestCompaction(work, order.by, order.seen);
    case 'skills':
      return listOffers(work, order.by);
    case 'run':
      return requestRun(work, order.by, order.words, order.seen);
    case 'fork':
      return requestFork(work, order.by, order.upTo, order.seen);
    case 'settings_changed':
      return settingsChanged(work, order.by);
    case 'model_changed':
      return modelChanged(work, order);
    case 'toolset_changed':
      return toolsetChanged(work, order);
    case 'schedule':
      return proposeSchedule(work, order);
    case 'schedules':
      return schedulesCommand(work, order);
    case 'queue':
      return queueText(work.thread.record?.inbox ?? [], work.context.botUser);
    case 'status':
      return statusOf(work);
    default:
      return order satisfies never;
  }
}

/** The message that was the command counts as handled, on disk together with what it does. */
function see(work: Work, key: MessageKey | undefined): void {
  if (key !== undefined) change(work, (record) => markSeen(record, key, work.context.now));
}

/** Stops the turn and background tasks, and drops queued messages. */
function stopAll(work: Work, by: UserId, seen: MessageKey | undefined): string {
  const tasks = tasksOf(work.thread.record);
  const turn = openTurn(work);
  const doing = besideTurns(work.thread.record);
  const others = doing === null ? [] : [cannotStopText(doing)];
  if (!turn && tasks.length === 0) return others[0] ?? THREAD.nothingRuns;
  see(work, seen);
  const said: string[] = turn ? [THREAD.stopping] : [];
  if (turn && !isOver(work.thread)) stop(work, by);
  if (tasks.length > 0) {
    said.push(endingTasksText(describeTasks(tasks)));
    endTasks(work, by, true);
  }
  return [...said, ...others].join(' ');
}

/** Lets the next message begin a new conversation, and says so in the thread. */
function startOver(work: Work, by: Person, seen: MessageKey | undefined): string {
  const { record } = work.thread;
  if (record?.turn || record?.inbox.length) return THREAD.isWorking;
  if (record?.fork) return FORK.runs;
  if (record?.run) return DEVICE.runs;
  const tasks = tasksOf(record);
  if (tasks.length > 0 && record?.endTasks?.step !== 'told') return tasksRunText(describeTasks(tasks));
  const had = record?.runtime ?? null;
  change(work, ({ tasks: _, endTasks: __, ...now }) => forgetConversation(now));
  see(work, seen);
  disconnect(work);
  giveUpLetta(work);
  if (had === null) return THREAD.nextStartsNew;
  say(work, saidAloudText(by.name, 'new'));
  return '';
}

/** Says in the thread what Letta has taken; where the thread has another conversation by now, to the person alone. */
function modelChanged(work: Work, { by, runtime, model, appliedTo }: Command & { name: 'model_changed' }): string {
  const said = modelChangedText(by.name, model, appliedTo);
  const { record, link } = work.thread;
  if (record?.runtime?.conversationId !== runtime.conversationId) return said;
  if (link.up !== null) setLink(work, { model });
  say(work, said);
  return '';
}

/** As {@link modelChanged}; what the device reports next says which toolset it is. */
function toolsetChanged(work: Work, order: Command & { name: 'toolset_changed' }): string {
  const said = toolsetChangedText(order.by.name, order.label, order.current);
  if (work.thread.record?.runtime?.conversationId !== order.runtime.conversationId) return said;
  say(work, said);
  return '';
}

/** Mutes or unmutes the thread, and says so there; muted, it answers only messages that mention the bot. */
function mute(work: Work, by: Person, isMuted: boolean, seen: MessageKey | undefined): string {
  const { record } = work.thread;
  if (!record) return THREAD.noConversation;
  if (isDirectThread(work.thread)) return THREAD.noMuteInDirect;
  change(work, (now) => ({ ...now, muted: isMuted, mutedBy: isMuted ? by.id : undefined }));
  see(work, seen);
  const isSaidAloud = (record.muted ?? false) !== isMuted;
  if (isSaidAloud) say(work, saidAloudText(by.name, isMuted ? 'mute' : 'unmute'));
  if (isMuted) return THREAD.muted;
  return isSaidAloud ? '' : THREAD.unmuted;
}
