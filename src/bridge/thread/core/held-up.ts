import { isDirect, type UserId } from '../../ids.ts';
import type { HeldUp } from '../../ports.ts';
import { changeTurn } from '../../record/inbox.ts';
import type { InboxItem, OpenTurn } from '../../record/thread-record.ts';
import { messageLine } from '../../turn/prompt.ts';
import type { TurnView } from '../../view/turn.ts';
import { cannotWriteText, heldUpText } from '../../words/held-up.ts';
import { pauseMessages } from './offers.ts';
import { addressOf } from './thread.ts';
import { change, emit, log, openTurn, set, setLive, type Work } from './work.ts';

/* People are told directly of what Slack does not take in the thread for now. */

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
