import type { TurnId } from '../../ids.ts';
import type { Delivery } from '../../ports.ts';
import type { LateEnd, PostRecord } from '../../record/thread-record.ts';
import { lateView } from '../../view/late-end.ts';
import { addressOf } from './thread.ts';
import { approvals, change, due, emit, set, type Work } from './work.ts';

/** After this long, a turn that Slack never let the bridge finish stays as it is. */
const KEPT_MS = 7 * 24 * 3_600_000;

/** Shows the end of a turn that Slack refused for too long, once it takes it: no message may say for ever that it runs. */
export function showLateEnd(work: Work): void {
  const late = work.thread.record?.late;
  if (!late || work.thread.finishing !== null) return;
  set(work, { finishing: late.turn });
  const view = lateView(late, addressOf(work.thread), approvals(work));
  emit(work, { do: 'finish_late', turn: late.turn, posts: late.posts, view });
}

/** Slack confirmed a call for it. */
export function noteLatePosts(work: Work, turn: TurnId, posts: PostRecord[]): void {
  changeLate(work, turn, (late) => ({ ...late, posts }));
}

/** Slack has shown it, or refused it once more. @param delivery `null`: neither is known, and the next start tries again */
export function onLateShown(work: Work, turn: TurnId, delivery: Delivery | null): void {
  if (delivery === null) return;
  set(work, { finishing: null });
  changeLate(work, turn, (late) => {
    const isTooOld = work.context.now - late.startedAt - late.ended.durationMs > KEPT_MS;
    return delivery.delivered || isTooOld || delivery.reason === 'thread_gone' ? undefined : late;
  });
  due(work);
}

function changeLate(work: Work, turn: TurnId, to: (late: LateEnd) => LateEnd | undefined): void {
  change(work, (record) => {
    if (record.late?.turn !== turn) return record;
    const late = to(record.late);
    return late === record.late ? record : { ...record, late };
  });
}
