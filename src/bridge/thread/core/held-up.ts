import { isDirect, type TurnId, type UserId } from '../../ids.ts';
import type { Delivery, HeldUp } from '../../ports.ts';
import { changeTurn } from '../../record/inbox.ts';
import type { InboxItem, LateEnd, OpenTurn, PostRecord, ThreadRecord } from '../../record/thread-record.ts';
import { messageLine } from '../../turn/prompt.ts';
import { lateEndOf, lateView } from '../../view/late-end.ts';
import type { TurnView } from '../../view/turn.ts';
import { cannotWriteText, heldUpText } from '../../words/held-up.ts';
import { pauseMessages } from './offers.ts';
import { addressOf } from './thread.ts';
import { approvals, change, due, emit, log, openTurn, set, setLive, type Work } from './work.ts';

/*
 * What Slack does not take in the thread for now: people are told of it directly. A turn whose end it refuses for too long
 * leaves the record, and its end is shown once Slack takes it, because no message may say for ever that its turn runs.
 */

/** How many authors of queued messages get a direct message about one thread. */
const MOST_AUTHORS = 20;

/**
 * Slack does not let us write in the thread, so the turn's end or a card of it waits, and people are told by direct
 * message: the bot was removed, the channel is archived, or the thread's first message was deleted.
 */
export function onHeldUp(work: Work, { what, reason }: HeldUp) {
  const turn = openTurn(work);
  const { live } = work.thread;
  if (!turn || !live) return;
  log(work, 'warn', { turn: turn.id, what, reason }, 'Slack does not let the bot write in the thread');
  const why = cannotWriteText(reason, addressOf(work.thread).channel);
  if (what === 'card') {
    return tell(work, turn.requester, heldUpText(why, 'card'));
  }
  if (!live.lastView) return;
  setLive(work, { phase: 'held_up' });
  // Messages queued behind it may be too old to run without asking when Slack lets us write again.
  pauseMessages(work, work.context.now);
  tellAnswer(work, turn, heldUpText(why, 'answer'), live.lastView);
  for (const [author, items] of byAuthor(work.thread.record?.inbox ?? [])) {
    const { toldAuthors } = work.thread;
    if (author === turn.requester || toldAuthors.has(author)) continue;
    set(work, { toldAuthors: new Set([...toldAuthors, author]) });
    tell(work, author, heldUpText(why, 'waits', lines(work, items)));
  }
}

/** The bot gives up on the thread, which it cannot write to. @param dropped messages that will not run */
export function tellGivenUp(
  work: Work,
  turn: OpenTurn,
  reason: string,
  view: TurnView,
  dropped: readonly InboxItem[],
): void {
  const why = cannotWriteText(reason, addressOf(work.thread).channel);
  tellAnswer(work, turn, heldUpText(why, 'givenUp'), view);
  for (const [author, items] of byAuthor(dropped)) {
    tell(work, author, heldUpText(why, 'notRun', lines(work, items)));
  }
}

function tellAnswer(work: Work, turn: OpenTurn, text: string, view: TurnView): void {
  if (turn.told || work.thread.live?.isCopying) return;
  setLive(work, { isCopying: true });
  tell(work, turn.requester, text, { turn: turn.id, view });
}

/** Notes in the record that the requester has the answer, if the direct message was delivered. */
export function onTold(work: Work, isDelivered: boolean): void {
  setLive(work, { isCopying: false });
  if (isDelivered) change(work, (record) => changeTurn(record, { told: true }));
}

function tell(
  work: Work,
  user: UserId,
  text: string,
  copy: { turn: OpenTurn['id']; view: TurnView } | null = null,
): void {
  // A direct message is itself the thread that cannot be written to, and bots read no direct messages.
  if (!/^[UW]/.test(user) || isDirect(addressOf(work.thread).channel)) return;
  emit(work, { do: 'direct', user, text, copy });
}

function lines({ context }: Work, items: readonly InboxItem[]): string {
  return items.map(({ spans }) => `- ${messageLine(spans, context.botUser)}`).join('\n');
}

function byAuthor(items: readonly InboxItem[]): [UserId, InboxItem[]][] {
  const authors = [...new Set(items.map(({ user }) => user))].slice(0, MOST_AUTHORS);
  return authors.map((author) => [author, items.filter(({ user }) => user === author)]);
}

// ---- ends that Slack refused for too long ----------------------------------------------------

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
