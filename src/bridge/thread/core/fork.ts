import type { MessageKey } from '../../ids.ts';
import type { Person } from '../../person.ts';
import { markSeen } from '../../record/offers.ts';
import type { Fork, ForkPoint, ThreadRecord } from '../../record/thread-record.ts';
import { COMPACTION } from '../../words/compaction.ts';
import { DEVICE } from '../../words/device-commands.ts';
import { FORK } from '../../words/fork.ts';
import { THREAD } from '../../words/thread.ts';
import { isCompacting } from './compaction.ts';
import type { Answer } from './events.ts';
import { canSubmit, RETRY_MS } from './link.ts';
import { change, due, emit, log, openTurn, set, setLink, startTimer, stopTimer, upLink, type Work } from './work.ts';

/*
 * A person goes on in a new thread: Letta copies the conversation, Slack gets the first message of the thread, the thread is
 * stored with the copy, and the old one names it. Each of these steps is on disk before the next one, and can be taken again:
 * a copy is found by its title, a message by its metadata.
 */

/** How long Letta is asked; then it is given up. */
const COPIED_WITHIN_MS = 3 * 60_000;
/** How long Slack is tried, from the wish on. */
const SHOWN_WITHIN_MS = 30 * 60_000;
const SHOW_AGAIN_MS = 20_000;

/** Has a copy made as soon as that is possible. @returns a line for the person */
export function requestFork(work: Work, by: Person, upTo: ForkPoint | undefined, seen: MessageKey | undefined): string {
  const { record } = work.thread;
  const { now, pausedNotice } = work.context;
  if (pausedNotice !== null) return pausedNotice;
  if (!record?.runtime) return THREAD.noConversation;
  if (record.fork) return FORK.runs;
  if (isCompacting(work)) return COMPACTION.runs;
  if (record.run) return DEVICE.runs;
  // Letta would copy the half of the turn that there is by now (docs/letta-protocol.md, Conversations). Of one that has
  // ended only Slack lacks something.
  const isWorking = record.turn !== null && record.turn.ended === undefined;
  if (isWorking || record.inbox.length > 0) return FORK.isWorking;
  const fork: Fork = { id: work.context.id().slice(0, 24), by: by.id, name: by.name, at: now, ...(upTo && { upTo }) };
  change(work, (to) => {
    const wanted: ThreadRecord = { ...to, fork };
    return seen === undefined ? wanted : markSeen(wanted, seen, now);
  });
  due(work);
  return FORK.begins;
}

/** Whether inputs wait, because they would be in the copy. */
export const isForking = ({ thread }: Pick<Work, 'thread'>): boolean =>
  thread.record?.fork !== undefined && thread.record.fork.made === undefined;

/** Takes the next step, if it can be taken now. */
export function pursueFork(work: Work, isPaused: boolean): void {
  const fork = work.thread.record?.fork;
  if (!fork) return;
  if (fork.made) {
    pursueThread(work, fork);
    return;
  }
  const left = Math.min(COPIED_WITHIN_MS, fork.at + COPIED_WITHIN_MS - work.context.now);
  if (left <= 0) {
    giveUp(work, fork, fork.asked ? FORK.unsure : FORK.notAsked);
    return;
  }
  startTimer(work, 'fork', left);
  const link = upLink(work);
  const isBusy = openTurn(work)?.state === 'submitted' || !canSubmit(work) || work.thread.link.isForking;
  if (isPaused || work.context.isDraining || isBusy || link === null) return;
  change(work, (record) => ({ ...record, fork: { ...fork, asked: true } }));
  setLink(work, { isForking: true });
  emit(work, { do: 'fork', link, fork });
}

/** Letta has made the copy, or refused, or did not say. */
export function onForked(work: Work, { id, outcome }: Answer & { type: 'forked' }): void {
  setLink(work, { isForking: false });
  const fork = work.thread.record?.fork;
  if (fork?.id !== id || fork.made) return;
  // Asked again, Letta has the copy by its title.
  if (outcome === null) {
    startTimer(work, 'fork', RETRY_MS);
    return;
  }
  if ('refused' in outcome) {
    endFork(work);
    emit(work, { do: 'whisper', user: fork.by, text: outcome.refused });
    return;
  }
  const { made } = outcome;
  log(work, 'info', { by: fork.by, conversation: made.conversationId }, 'Letta has copied the conversation');
  change(work, (record) => ({ ...record, fork: { ...fork, made } }));
  due(work);
}

function pursueThread(work: Work, fork: Fork): void {
  const { made, root } = fork;
  if (!made || work.thread.isShowingFork) return;
  if (work.context.now - fork.at > SHOWN_WITHIN_MS) {
    giveUp(work, fork, FORK.notShown);
    return;
  }
  set(work, { isShowingFork: true });
  emit(work, root === undefined ? { do: 'post_fork', fork } : { do: 'join_fork', fork, made, root });
}

/** Slack has the first message of the new thread, or not. */
export function onForkPosted(work: Work, { id, root, refused }: Answer & { type: 'fork_posted' }): void {
  set(work, { isShowingFork: false });
  const fork = work.thread.record?.fork;
  if (fork?.id !== id) return;
  if (refused !== undefined) giveUp(work, fork, refused);
  else if (root === null) startTimer(work, 'fork', SHOW_AGAIN_MS);
  else {
    change(work, (record) => ({ ...record, fork: { ...fork, root } }));
    due(work);
  }
}

/** Both threads know of each other, or it is tried again. */
export function onForkJoined(work: Work, { id, ok }: Answer & { type: 'fork_joined' }): void {
  set(work, { isShowingFork: false });
  const fork = work.thread.record?.fork;
  if (fork?.id !== id) return;
  if (ok) endFork(work);
  else startTimer(work, 'fork', SHOW_AGAIN_MS);
}

/** @param said why, for the person. An unused copy is never left without a word. */
function giveUp(work: Work, { by, asked, made }: Fork, said: string): void {
  if (asked) {
    const fields = { by, ...(made && { conversation: made.conversationId }) };
    log(work, 'warn', fields, 'gave up a new thread: an unused copy of the conversation may be left in Letta');
  }
  endFork(work);
  emit(work, { do: 'whisper', user: by, text: said });
}

function endFork(work: Work): void {
  change(work, ({ fork: _, ...now }) => now);
  stopTimer(work, 'fork');
  due(work);
}
