import type { MessageKey } from '../../ids.ts';
import type { Person } from '../../person.ts';
import { markSeen } from '../../record/offers.ts';
import type { ThreadRecord } from '../../record/thread-record.ts';
import { COMPACTION, compactedText } from '../../words/compaction.ts';
import { THREAD } from '../../words/thread.ts';
import { haveRoom } from './context.ts';
import type { Answer } from './events.ts';
import { canSubmit } from './link.ts';
import { change, due, emit, log, openTurn, say, setLink, startTimer, stopTimer, upLink, type Work } from './work.ts';

/* A person has Letta summarise the earlier messages. Letta loses what it gets meanwhile, so no input leaves before the end. */

/** Whether the summary is written is not known when Letta's answer does not come; after so long it is. */
const OVER_AFTER_MS = 3 * 60_000;

/** Has Letta asked as soon as it can be. @returns a line for the person */
export function requestCompaction(work: Work, by: Person, seen: MessageKey | undefined): string {
  const { record } = work.thread;
  const { now } = work.context;
  if (!record?.runtime) return THREAD.noConversation;
  if (record.compaction) return COMPACTION.runs;
  if (record.fork || record.run) return COMPACTION.isWorking;
  if (record.turn || record.inbox.length > 0) return COMPACTION.isWorking;
  change(work, (to) => {
    const wanted: ThreadRecord = { ...to, compaction: { by: by.id, name: by.name, at: now } };
    return seen === undefined ? wanted : markSeen(wanted, seen, now);
  });
  due(work);
  return COMPACTION.begins;
}

/** Asks Letta when it can be asked, once; gives the wait for its answer up after a time. */
export function pursueCompaction(work: Work, isPaused: boolean): void {
  const wanted = work.thread.record?.compaction;
  if (!wanted) return;
  const left = Math.min(OVER_AFTER_MS, wanted.at + OVER_AFTER_MS - work.context.now);
  if (left <= 0) {
    const said = wanted.asked ? COMPACTION.unsure : COMPACTION.notAsked;
    endCompaction(work, () => emit(work, { do: 'whisper', user: wanted.by, text: said }));
    return;
  }
  startTimer(work, 'compaction', left);
  const link = upLink(work);
  const isBusy = openTurn(work)?.state === 'submitted' || !canSubmit(work);
  if (wanted.asked || isPaused || work.context.isDraining || isBusy || link === null) return;
  change(work, (to) => ({ ...to, compaction: { ...wanted, asked: true } }));
  emit(work, { do: 'compact', link });
}

/** Letta has summarised, or refused. */
export function onCompactionOver(work: Work, { outcome }: Answer & { type: 'compaction_over' }): void {
  const wanted = work.thread.record?.compaction;
  if (!wanted || outcome === null) return;
  log(work, 'info', { by: wanted.by, ...outcome }, 'Letta was asked to summarise earlier messages');
  endCompaction(work, () => {
    if ('refused' in outcome) return emit(work, { do: 'whisper', user: wanted.by, text: outcome.refused });
    setLink(work, { contextTokens: null });
    haveRoom(work);
    say(work, compactedText(wanted.name, outcome.messages));
  });
}

function endCompaction(work: Work, tell: () => void): void {
  change(work, ({ compaction: _, ...now }) => now);
  stopTimer(work, 'compaction');
  tell();
  due(work);
}

/** Whether inputs wait for the end of it. */
export const isCompacting = ({ thread }: Pick<Work, 'thread'>): boolean => thread.record?.compaction !== undefined;
