import type { MessageKey, ThreadKey, Token, TurnId, UserId } from '../ids.ts';
import { addressOf, type InboundMessage, type MessageOutcome } from '../inbound.ts';
import { ignoresBotsText, tooManyText } from '../words/messages.ts';
import { noteShared } from './answer.ts';
import {
  acceptMessage,
  addContext,
  addContextAgain,
  countWaiting,
  hasSeen,
  newRecord,
  noteMention,
  toInboxItem,
} from './inbox.ts';
import { type Joining, joinConversation, shareConversation } from './joined.ts';
import { editMessage, forgetContextOnly, type MessageState, stateOfMessage, withdrawMessage } from './message-state.ts';
import { ageOf, countHeld, holdLateMessage, markSeen, mayHaveRun } from './offers.ts';
import { forgetReaction, hasAsked, noteReaction } from './reacted.ts';
import type { InboxItem, ReactionMark, ThreadRecord } from './thread-record.ts';

/** What is wanted to change in a thread's record from outside of the thread, as plain data. */
export type InboxChange =
  /** A message joins the queue, or, as `context`, goes along with the next turn. */
  | { do: 'place'; message: InboundMessage; as: 'speak' | 'context'; rules: PlaceRules }
  /** A message counts as handled. */
  | { do: 'see'; key: MessageKey }
  /** The same, also where there is no record yet; its author's plain replies count from now on. */
  | { do: 'join'; message: InboundMessage }
  | { do: 'edit'; message: InboundMessage }
  /** Other threads belong to its conversation, too. */
  | { do: 'share' }
  /** Somebody showed the answer of this turn in the channel, too. */
  | { do: 'broadcast'; turn: TurnId; by: UserId }
  /** It belongs to the conversation of another thread, unless it has one. */
  | { do: 'belong'; to: Joining }
  /** A message is taken back, if it was not sent to the agent yet. `mark`: the reaction that it stands for. */
  | { do: 'withdraw'; key: MessageKey; mark?: ReactionMark | undefined };

export interface StaleRules {
  /** ms after which a message runs only if its author wants it; `null`: it always runs. */
  staleAfterMs: number | null;
  /** ms by which our clock is ahead of Slack's; 0: it is not, or nobody knows. */
  clockAheadMs: number;
}

export interface PlaceRules extends StaleRules {
  /** How many messages may wait in the thread. */
  most: number;
  /** ms since 1970, when an edit added the mention long after the message was written. */
  askedAt?: number | undefined;
}

/**
 * Whether a message is too old to run without asking: catch-up found it, or Slack delivered it late (Delayed Events: up to
 * 24 h, docs/slack.md, HTTP delivery).
 */
export function isStale(
  item: Pick<InboxItem, 'ts' | 'askedAt'>,
  { staleAfterMs, clockAheadMs }: StaleRules,
  now: number,
): boolean {
  return staleAfterMs !== null && ageOf(item, now - clockAheadMs) > staleAfterMs;
}

/** Whether one more message may wait. `reason` is for the log; `notice` is one line of our Markdown for its author. */
export type Admission = { isGranted: true } | { isGranted: false; reason: string; notice: string; isPrivate?: true };

/** What a change may know besides the record. */
export interface ChangeContext {
  key: ThreadKey;
  now: number;
  /** How many messages of bots may follow one another. */
  botsInARow: number;
  token(): Token;
  /** @param begins whether a turn of its own begins with the message */
  admit(item: InboxItem, begins: boolean): Admission;
}

/** The outcome for a message and the thread's next record; `null` leaves the record as it is. */
export interface Placement {
  outcome: MessageOutcome;
  record: ThreadRecord | null;
  /** Why it was refused, in words for people; empty: no one is told. */
  notice?: string;
  /** Whether only its author is told. */
  isPrivate?: true;
}

/** The next record, and for a message what became of it. `null` or the same record: nothing changes. */
export function changeInbox(
  record: ThreadRecord | null,
  change: InboxChange,
  context: ChangeContext,
): { record: ThreadRecord | null; placed?: Placement } {
  const { now, key } = context;
  switch (change.do) {
    case 'place': {
      const placed = placeInThread(record, change, context);
      const isTaken = placed.outcome.outcome !== 'refused' && placed.outcome.outcome !== 'ignored';
      // Do not create a record just to refuse a message.
      return { placed, record: isTaken || record ? placed.record : null };
    }
    case 'see':
      return { record: record && markSeen(record, change.key, now) };
    case 'join': {
      const { message } = change;
      const known = record ?? newRecord(key, addressOf(message), message.user, now);
      return { record: noteMention(markSeen(known, message.key, now), message.user) };
    }
    case 'share':
      return { record: shareConversation(record) };
    case 'broadcast':
      return { record: record && noteShared(record, change.turn, change.by) };
    case 'belong':
      return { record: joinConversation(record, key, change.to, now) };
    case 'edit':
      return { record: record && editMessage(record, toInboxItem(change.message, now), now) };
    case 'withdraw': {
      const { mark } = change;
      // What a reaction asked may have run, so that only the button may ask it again.
      if (record && mark && mayHaveRun(record, change.key)) return { record };
      const next = record && withdrawMessage(record, change.key, now);
      // It never ran, so that the reaction may ask again.
      return { record: next && next !== record && mark ? forgetReaction(next, mark) : next };
    }
    default:
      return change satisfies never;
  }
}

function placeInThread(
  record: ThreadRecord | null,
  { message, as, rules }: InboxChange & { do: 'place' },
  context: ChangeContext,
): Placement {
  const { key, now } = context;
  const { askedAt } = rules;
  const item: InboxItem = { ...toInboxItem(message, now), ...(askedAt !== undefined && { askedAt }) };
  const thread = withAbout(record ? withKind(record, message) : firstRecord(key, message, now), message, now);
  const known = askedAt === undefined ? thread : forgetContextOnly(thread, item.key);
  if (hasSeen(known, item.key) || hasAsked(known, item)) return { outcome: { outcome: 'repeated' }, record: null };
  if (as === 'context') return { outcome: { outcome: 'context' }, record: addContext(known, item) };
  const placed = placeInQueue(known, item, message.mentionsBot, rules, context);
  if (placed.outcome.outcome !== 'accepted' || placed.record === null) return placed;
  return { ...placed, record: noteReaction(placed.record, item) };
}

function placeInQueue(
  record: ThreadRecord,
  item: InboxItem,
  isMention: boolean,
  rules: PlaceRules,
  { now, botsInARow: inARow, token, admit }: ChangeContext,
): Placement {
  const { most, clockAheadMs } = rules;
  // The author is told to send it again, so catch-up must not find it.
  const seen = markSeen(record, item.key, now);
  // A refused mention still makes its author a participant, so that a plain reply is enough to send it again.
  const passed = isMention ? noteMention(seen, item.user) : seen;
  const refused = (reason: string, notice: string): Placement => ({
    outcome: { outcome: 'refused', reason },
    record: passed,
    notice,
  });
  const { botsInARow = 0 } = record;
  if (item.bot && botsInARow >= inARow) {
    const told = refused('bots_in_a_row', botsInARow === inARow ? ignoresBotsText(inARow) : '');
    return { ...told, record: { ...passed, botsInARow: inARow + 1 } };
  }
  if (countWaiting(record) + countHeld(record) >= most) return refused('inbox_full', tooManyText('here', most));
  if (isStale(item, rules, now)) {
    // A bot cannot answer an offer.
    if (item.bot) return { outcome: { outcome: 'ignored', reason: 'stale_from_a_bot' }, record: passed };
    return { outcome: { outcome: 'accepted' }, record: holdLateMessage(record, item, isMention, token()) };
  }
  // Too old only by our own clock, which runs ahead of Slack's: the author is asked, because the bridge cannot tell.
  if (!item.bot && clockAheadMs > 0 && isStale(item, { ...rules, clockAheadMs: 0 }, now)) {
    const held = holdLateMessage(record, item, isMention, token(), clockAheadMs);
    return { outcome: { outcome: 'accepted' }, record: held };
  }
  // Consecutive messages of one person run as one turn.
  const admission = admit(item, record.inbox.at(-1)?.user !== item.user);
  if (!admission.isGranted) {
    const { reason, notice, isPrivate } = admission;
    return { ...refused(reason, notice), ...(isPrivate && { isPrivate }) };
  }
  return { outcome: { outcome: 'accepted' }, record: acceptMessage(record, item, isMention) };
}

/** In a direct message, people are told once what the agent remembers. */
function firstRecord(key: ThreadKey, message: InboundMessage, now: number): ThreadRecord {
  const record = newRecord(key, addressOf(message), message.user, now);
  return message.channelKind === 'im' && message.threadTs === null ? { ...record, headsUp: true } : record;
}

/** The thread, with the message that a dialog or a reaction asks about as context, unless it waits for its own turn. */
function withAbout(record: ThreadRecord, { asked }: InboundMessage, now: number): ThreadRecord {
  const about = asked?.about ?? null;
  if (about === null || WAITS_ITSELF.has(stateOfMessage(record, about.key))) return record;
  return addContextAgain(record, toInboxItem(about, now));
}

const WAITS_ITSELF: ReadonlySet<MessageState> = new Set(['queued', 'held']);

/** The record, with what kind of channel it is now: people can make a channel of a group direct message. */
function withKind(record: ThreadRecord, message: InboundMessage): ThreadRecord {
  const { kind } = addressOf(message);
  if (record.address.kind === kind) return record;
  const { kind: _, ...address } = record.address;
  return { ...record, address: { ...address, ...(kind && { kind }) } };
}
