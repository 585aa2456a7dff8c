import type { MessageKey } from '../../ids.ts';
import type { Person } from '../../person.ts';
import { forgetConversation } from '../../record/inbox.ts';
import { attachConversation } from '../../record/joined.ts';
import { markSeen } from '../../record/offers.ts';
import { describeTasks, tasksOf } from '../../record/tasks.ts';
import { hasSchedules } from '../../record/thread-record.ts';
import { ATTACH, attachedText, detachedText } from '../../words/attach.ts';
import { DEVICE } from '../../words/device-commands.ts';
import { FORK } from '../../words/fork.ts';
import { THREAD, tasksRunText } from '../../words/thread.ts';
import type { AttachOrder } from './events.ts';
import { disconnect } from './link.ts';
import { giveUpLetta } from './offers.ts';
import { change, due, say, setLink, type Work, write } from './work.ts';

/* A conversation that began elsewhere gets this thread, or leaves it. */

/** @returns why not, for the person; empty: the thread was told */
export function attach(work: Work, order: AttachOrder): string {
  const { record } = work.thread;
  if (record?.runtime) return ATTACH.hasConversation;
  if (record?.turn || record?.inbox.length) return THREAD.isWorking;
  const { by, seen, titled, isTold, ...joining } = order;
  const { now } = work.context;
  write(work, (before) => {
    const attached = attachConversation(before, work.thread.key, { ...joining, by: by.id }, now);
    return attached && seen !== undefined ? markSeen(attached, seen, now) : attached;
  });
  // What runs there now shows at once, not with the next message.
  setLink(work, { isWanted: true });
  due(work);
  say(work, attachedText(titled, by.name, isTold));
  return '';
}

/** Gives the conversation up: it stays at Letta, and another thread may have it. */
export function detach(work: Work, by: Person, seen: MessageKey | undefined): string {
  const { record } = work.thread;
  if (!record?.runtime) return ATTACH.nothingToGive;
  if (record.turn || record.inbox.length > 0 || record.compaction) return THREAD.isWorking;
  if (record.fork) return FORK.runs;
  if (record.run) return DEVICE.runs;
  const tasks = tasksOf(record);
  if (tasks.length > 0 && record.endTasks?.step !== 'told') return tasksRunText(describeTasks(tasks));
  if (hasSchedules(record)) return ATTACH.hasSchedules;
  const { conversationId } = record.runtime;
  change(work, ({ tasks: _, endTasks: __, ...now }) => forgetConversation(now));
  if (seen !== undefined) change(work, (now) => markSeen(now, seen, work.context.now));
  disconnect(work);
  giveUpLetta(work);
  say(work, detachedText(by.name, conversationId));
  return '';
}
