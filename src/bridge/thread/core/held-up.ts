import { isDirect, type UserId } from '../../ids.ts';
import type { ThreadAddress } from '../../inbound.ts';
import type { HeldUp } from '../../ports.ts';
import { changeTurn } from '../../record/inbox.ts';
import type { InboxItem, OpenTurn } from '../../record/thread-record.ts';
import { asCode } from '../../text/as-code.ts';
import { messageLine } from '../../turn/prompt.ts';
import type { TurnView } from '../../view/turn.ts';
import { pauseMessages } from './offers.ts';
import { addressOf } from './thread.ts';
import { change, emit, log, openTurn, set, setLive, type Work } from './work.ts';

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
  const why = whyText(reason, addressOf(work.thread));
  if (what === 'card') {
    const text = `${why}, so I can’t show there what the agent asks. It waits until I can write there again, for at most 12 hours.`;
    return tell(work, turn.requester, text);
  }
  if (!live.lastView) return;
  setLive(work, { phase: 'held_up' });
  // Messages queued behind it may be too old to run without asking when Slack lets us write again.
  pauseMessages(work, work.context.now);
  const text = `${why}, so I can’t post my answer there. I’ll keep trying for 12 hours. Here it is:`;
  tellAnswer(work, turn, text, live.lastView);
  for (const [author, items] of byAuthor(work.thread.record?.inbox ?? [])) {
    const { toldAuthors } = work.thread;
    if (author === turn.requester || toldAuthors.has(author)) continue;
    set(work, { toldAuthors: new Set([...toldAuthors, author]) });
    tell(work, author, `${why}, so what you wrote there waits until I can answer:\n${lines(work, items)}`);
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
  const why = whyText(reason, addressOf(work.thread));
  tellAnswer(work, turn, `${why}, so here is my answer:`, view);
  for (const [author, items] of byAuthor(dropped)) {
    tell(work, author, `${why}, so I did not run what you wrote there:\n${lines(work, items)}`);
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

/** Slack's error code as the beginning of a sentence for people. */
function whyText(reason: string, { channel }: ThreadAddress): string {
  const place = `<#${channel}>`;
  switch (reason) {
    case 'not_in_channel':
    case 'channel_not_found':
      return `I am no longer in ${place}`;
    case 'is_archived':
    case 'is_inactive':
      return `${place} is archived`;
    case 'thread_gone':
      return `The first message of your thread in ${place} was deleted`;
    default:
      return `Slack does not let me write in ${place} (${asCode(reason)})`;
  }
}
