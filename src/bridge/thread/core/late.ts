import type { TurnId } from '../../ids.ts';
import type { Delivery } from '../../ports.ts';
import type { LateEnd, PostRecord, ThreadRecord } from '../../record/thread-record.ts';
import { lateEndOf, lateView } from '../../view/late-end.ts';
import { addressOf } from './thread.ts';
import { approvals, change, due, emit, set, type Work } from './work.ts';

/*
 * Turns whose end Slack refused for too long. Their ends are shown once it takes them, because no message may say for
 * ever that its turn runs.
 */

/** After this long, such a turn stays as it is. */
const KEPT_MS = 7 * 24 * 3_600_000;
/** A turn is given up after half a day, so no more fit into a week. */
const KEPT_MOST = 14;
/** Characters; of earlier turns only the end is kept, and their messages keep the text that they have. */
const SAID_MOST = 150_000;

/** Keeps the end of the record's turn. @param reason why Slack did not take it */
export function keepLateEnd(record: ThreadRecord, { turn }: ThreadRecord, reason: string): ThreadRecord {
  const late = lateEndOf(turn, reason);
  if (!late) return record;
  let room = SAID_MOST;
  const kept = [...(record.late ?? []), late].slice(-KEPT_MOST).toReversed();
  const fitting = kept.map(({ said, ...end }) => {
    room -= said?.reduce((sum, { text }) => sum + text.length, 0) ?? 0;
    return said && room >= 0 ? { ...end, said } : end;
  });
  return { ...record, late: fitting.toReversed() };
}

/** Shows the ends that are not being shown yet. */
export function showLateEnds(work: Work): void {
  for (const late of work.thread.record?.late ?? []) {
    if (work.thread.finishing.has(late.turn)) continue;
    set(work, { finishing: new Set([...work.thread.finishing, late.turn]) });
    const view = lateView(late, addressOf(work.thread), approvals(work));
    emit(work, { do: 'finish_late', turn: late.turn, posts: late.posts, view });
  }
}

/** Slack confirmed a call for it. */
export function noteLatePosts(work: Work, turn: TurnId, posts: PostRecord[]): void {
  changeLate(work, turn, (late) => ({ ...late, posts }));
}

/** Slack has shown it, or refused it once more. @param delivery `null`: neither is known, and the next start tries again */
export function onLateShown(work: Work, turn: TurnId, delivery: Delivery | null): void {
  if (delivery === null) return;
  set(work, { finishing: new Set([...work.thread.finishing].filter((each) => each !== turn)) });
  changeLate(work, turn, (late) => {
    const isTooOld = work.context.now - late.startedAt - late.ended.durationMs > KEPT_MS;
    return delivery.delivered || isTooOld || delivery.reason === 'thread_gone' ? null : late;
  });
  due(work);
}

/** @param to the changed end; `null`: it is over */
function changeLate(work: Work, turn: TurnId, to: (late: LateEnd) => LateEnd | null): void {
  change(work, (record) => {
    const { late: before = [], ...rest } = record;
    const known = before.find((each) => each.turn === turn);
    const next = known && to(known);
    if (next === known) return record;
    const late = before.flatMap((each) => (each === known ? (next ?? []) : each));
    return late.length > 0 ? { ...rest, late } : rest;
  });
}
