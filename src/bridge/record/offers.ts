import {
  clientMessageId,
  compareTs,
  type MessageKey,
  parseMessageKey,
  type SlackTs,
  type Token,
  type TurnId,
  type UserId,
} from '../ids.ts';
import type { OfferAction } from '../inbound.ts';
import type { ScheduleDraft } from '../schedules/schedule.ts';
import { ASK_AGAIN } from '../words/requests.ts';
import { addSeen, forgetConversation, hasSeen, joinContext, noteMention, sortByTs } from './inbox.ts';
import { addSchedule } from './schedules.ts';
import { sentInputs, sentItems } from './steered.ts';
import type { InboxItem, Offer, OfferKind, OpenTurn, PostRecord, ThreadRecord } from './thread-record.ts';

/** How many closed offers are kept, so that a late click gets a true answer. */
const CLOSED_KEPT = 20;
/** How many offers may be open per thread; the oldest lapses when there are more. */
const OPEN_LIMIT = 20;
/** An open offer lapses after this long, because it holds what people wrote and is unlikely to be decided any more. */
const OPEN_FOR_MS = 7 * 24 * 60 * 60 * 1000;

/** How old a message is, in ms, counted from when it was written or when a person last asked for it to be run. */
export function ageOf(item: Pick<InboxItem, 'ts' | 'askedAt'>, now: number): number {
  return now - Math.max(Number(item.ts) * 1000, item.askedAt ?? 0);
}

/** How many messages wait for a decision of their author. */
export function countHeld(record: ThreadRecord): number {
  return record.offers.reduce((sum, offer) => sum + offer.items.length, 0);
}

/** What a turn leaves behind for people to decide. */
export type Leftover =
  | { offer: 'continue' | 'ask_again' }
  /** `certain`: the agent did not get the input; if false, it may have. `start_new`: in a new conversation. */
  | { offer: 'send_again' | 'start_new'; certain: boolean }
  /** The agent got the input, and its turn failed. */
  | { offer: 'send_again' | 'start_new'; certain: false; reached: true };

function newOffer(kind: OfferKind, user: UserId, token: Token, now: number): Offer {
  const fresh = {
    certain: false,
    items: [],
    count: 0,
    state: { state: 'open' },
    posts: [],
    display: 'wanted',
  } as const;
  return { token, kind, for: user, madeAt: now, ...fresh, items: [], posts: [] };
}

/** The changed offer, marked as to be shown again when Slack shows an older state. */
function changeOffer(offer: Offer, change: Partial<Offer>): Offer {
  return { ...offer, ...change, display: offer.display === 'shown' ? 'wanted' : offer.display };
}

function limitOffers(offers: readonly Offer[], now: number): Offer[] {
  const open = offers.filter((offer) => offer.state.state === 'open');
  const tooMany = new Set(open.slice(0, Math.max(0, open.length - OPEN_LIMIT)));
  const lapsed = offers.map((offer) => (tooMany.has(offer) ? lapseOffer(offer, now) : offer));
  const closed = lapsed.filter((offer) => offer.state.state !== 'open' && offer.display === 'shown');
  const forgotten = new Set(closed.slice(0, Math.max(0, closed.length - CLOSED_KEPT)));
  return lapsed.filter((offer) => !forgotten.has(offer));
}

function lapseOffer(offer: Offer, now: number): Offer {
  return changeOffer(offer, { state: { state: 'lapsed', at: now }, items: [] });
}

/** Changes a held message, or with `null` removes it; an offer without messages lapses. */
export function changeHeldMessage(
  record: ThreadRecord,
  key: MessageKey,
  change: (item: InboxItem) => InboxItem | null,
  now: number,
): ThreadRecord {
  const offers = record.offers.map((offer) => {
    const item = offer.items.find((each) => each.key === key);
    if (!item || offer.state.state !== 'open') return offer;
    const next = change(item);
    if (next) return changeOffer(offer, { items: offer.items.map((each) => (each === item ? next : each)) });
    const items = offer.items.filter((each) => each !== item);
    return items.length === 0 ? lapseOffer(offer, now) : changeOffer(offer, { items, count: items.length });
  });
  return { ...record, offers: limitOffers(offers, now) };
}

/** Whether a turn that did not end well has left the message to its author, and the agent may have got it. */
export function mayHaveRun({ offers }: Pick<ThreadRecord, 'offers'>, key: MessageKey): boolean {
  return offers.some(
    ({ kind, state, certain, items }) =>
      (kind === 'send_again' || kind === 'start_new') &&
      state.state === 'open' &&
      !certain &&
      items.some((item) => item.key === key),
  );
}

/** Offers messages to their authors instead of running them: one offer per author, because only they may decide. */
function holdMessages(
  record: ThreadRecord,
  items: readonly InboxItem[],
  token: (index: number) => Token,
  now: number,
  clockAheadMs?: number,
): ThreadRecord {
  const clock = clockAheadMs === undefined ? {} : { clockAheadMs };
  const offers = [...record.offers];
  for (const [index, item] of items.entries()) {
    const at = offers.findIndex(
      (offer) => offer.kind === 'run_held' && offer.state.state === 'open' && offer.for === item.user,
    );
    const known = offers[at];
    if (!known)
      offers.push({ ...newOffer('run_held', item.user, token(index), now), items: [item], count: 1, ...clock });
    else offers[at] = changeOffer(known, { items: sortByTs([...known.items, item]), count: known.count + 1, ...clock });
  }
  return { ...record, offers: limitOffers(offers, now) };
}

/**
 * Holds a message that arrived too late to run without asking: it counts as handled, and its author decides.
 * @param clockAheadMs set when it is late only by our clock, which is this far ahead of Slack's
 */
export function holdLateMessage(
  record: ThreadRecord,
  item: InboxItem,
  mentions: boolean,
  token: Token,
  clockAheadMs?: number,
): ThreadRecord {
  const now = item.receivedAt;
  const held = holdMessages(mentions ? noteMention(record, item.user) : record, [item], () => token, now, clockAheadMs);
  return { ...held, seen: addSeen(record, item.key, now) };
}

/**
 * Holds the messages that waited too long while the device was away. A turn that was not sent yet and carries one of them
 * loses all its messages and so ends; its younger messages wait for another turn.
 */
export function holdStaleMessages(
  record: ThreadRecord,
  staleAfterMs: number,
  token: (index: number) => Token,
  now: number,
): ThreadRecord {
  const stale = (item: InboxItem) => ageOf(item, now) > staleAfterMs;
  const { turn } = record;
  const ready = turn?.origin === 'people' && turn.state === 'prepared' && !turn.stoppedBy ? turn : null;
  const dissolved = ready?.items.some(stale) ? ready : null;
  const waiting = [...(dissolved?.items ?? []), ...record.inbox];
  const old = waiting.filter(stale);
  if (old.length === 0) return record;
  const kept = {
    ...record,
    inbox: sortByTs(waiting.filter((item) => !stale(item))),
    ...(dissolved && {
      turn: { ...dissolved, items: [], context: [] },
      context: joinContext(dissolved.context, record.context),
    }),
  };
  return holdMessages(kept, old, token, now);
}

/**
 * Offers to send messages again that the agent did not get, or may not have got.
 * @param kind `start_new` when Letta no longer has the thread's conversation or its agent
 * @param certain whether the agent certainly did not get them
 */
export function offerAgain(
  record: ThreadRecord,
  kind: 'send_again' | 'start_new',
  items: readonly InboxItem[],
  certain: boolean,
  token: Token,
  now: number,
): ThreadRecord {
  const [first] = items;
  if (!first) return record;
  const { runtime } = record;
  const gone = kind === 'start_new' && runtime && { agentId: runtime.agentId, conversationId: runtime.conversationId };
  const offer = {
    ...newOffer(gone ? 'start_new' : 'send_again', first.user, token, now),
    certain,
    items: [...items],
    count: items.length,
    ...(gone && { gone }),
  };
  return { ...record, offers: limitOffers([...record.offers, offer], now) };
}

/**
 * Offers what the open turn leaves to decide. Its last message shows it; the messages stay with the turn until
 * {@link closeTail}. The same record when that was offered before, or nothing is left to decide.
 */
export function offerAtEnd(record: ThreadRecord, leftover: Leftover, token: Token, now: number): ThreadRecord {
  const { turn, runtime } = record;
  if (!turn || record.offers.some(({ tail }) => tail?.turn === turn.id)) return record;
  // The conversation goes on with the next message, and the offer would lapse.
  const lapses = !('certain' in leftover) || 'reached' in leftover;
  if (lapses && (record.inbox.length > 0 || sentInputs(turn).length > 0)) return record;
  const tail = { turn: turn.id };
  if (!('certain' in leftover)) {
    const offer = { ...newOffer(leftover.offer, turn.requester, token, now), tail };
    return { ...record, offers: limitOffers([...record.offers, offer], now) };
  }
  const [first] = turn.items;
  if (!first) return record;
  const isNew = leftover.offer === 'start_new' && runtime;
  const offer = {
    ...newOffer(isNew ? 'start_new' : 'send_again', first.user, token, now),
    tail,
    certain: leftover.certain,
    ...('reached' in leftover && { reached: true as const }),
    count: turn.items.length,
    ...(isNew && { gone: { agentId: runtime.agentId, conversationId: runtime.conversationId } }),
  };
  return { ...record, offers: limitOffers([...record.offers, offer], now) };
}

/** Offers to go on with a turn that has left the record, in a message of its own. */
export function offerToContinue(
  record: ThreadRecord,
  { requester }: OpenTurn,
  token: Token,
  now: number,
): ThreadRecord {
  const isNext = record.turn !== null || record.inbox.length > 0;
  if (isNext) return record;
  return { ...record, offers: limitOffers([...record.offers, newOffer('continue', requester, token, now)], now) };
}

/** The last message of a turn, as Slack shows it. */
export interface TailMessage {
  post: PostRecord;
  /** All that it shows, in words of the surface. */
  message: string;
}

/**
 * The turn of these messages is closed: what it left to decide keeps them.
 * @param shown its last message and the offer that it shows; `null`: no message shows it, so it gets one of its own
 */
export function closeTail(
  record: ThreadRecord,
  { id, items }: Pick<OpenTurn, 'id' | 'items'>,
  shown: { tail: TailMessage; state: 'open' | 'decided' } | null,
): ThreadRecord {
  const isOf = ({ tail }: Offer) => tail?.turn === id && tail.message === undefined;
  if (!record.offers.some(isOf)) return record;
  const offers = record.offers.map((offer): Offer => {
    if (!isOf(offer)) return offer;
    const { tail: _, ...own } = offer;
    const waits = offer.state.state === 'open' && (offer.kind === 'send_again' || offer.kind === 'start_new');
    const kept = waits ? { ...own, items: [...items] } : own;
    if (!shown) return { ...kept, display: 'wanted' };
    const isCurrent = (shown.state === 'open') === (offer.state.state === 'open');
    const { post, message } = shown.tail;
    const tail = { turn: id, ...(!(isCurrent && offer.state.state !== 'open') && { message }) };
    return { ...kept, tail, posts: [post], display: isCurrent ? 'shown' : 'wanted' };
  });
  return { ...record, offers };
}

/** Slack never showed the turn's end, so nobody can decide what it left. */
export function dropTail(record: ThreadRecord, turn: TurnId): ThreadRecord {
  const offers = record.offers.filter(({ tail }) => tail?.turn !== turn);
  return offers.length === record.offers.length ? record : { ...record, offers };
}

/** Asks the owner of a schedule to confirm it. */
export function offerSchedule(record: ThreadRecord, draft: ScheduleDraft, token: Token, now: number): ThreadRecord {
  const offer = { ...newOffer('schedule', draft.owner, token, now), draft, count: 1 };
  return { ...record, offers: limitOffers([...record.offers, offer], now) };
}

/** Shows the tasks that outlive their turn, with a Stop button: one offer, updated as tasks begin and end. */
export function showBackground(
  record: ThreadRecord,
  lines: readonly string[],
  user: UserId,
  token: Token,
  now: number,
): ThreadRecord {
  const known = findBackgroundOffer(record);
  const count = lines.length;
  if (known && JSON.stringify(known.lines) === JSON.stringify(lines)) return record;
  const offers = known
    ? record.offers.map((offer) => (offer === known ? changeOffer(offer, { lines: [...lines], count }) : offer))
    : [...record.offers, { ...newOffer('background', user, token, now), lines: [...lines], count }];
  return { ...record, offers: limitOffers(offers, now) };
}

/** Closes the offer that shows background tasks; the same record when there is none. */
export function hideBackground(record: ThreadRecord, now: number): ThreadRecord {
  const known = findBackgroundOffer(record);
  if (!known) return record;
  const offers = record.offers.map((offer) => (offer === known ? lapseOffer(offer, now) : offer));
  return { ...record, offers: limitOffers(offers, now) };
}

export function findBackgroundOffer(record: ThreadRecord): Offer | undefined {
  return record.offers.find(({ kind, state }) => kind === 'background' && state.state === 'open');
}

/** A new turn started, so the conversation goes on: offers to continue, to ask again, to try a failed turn again lapse. */
export function lapseContinueOffers(record: ThreadRecord, now: number): ThreadRecord {
  const goesOn = (kind: OfferKind) => kind === 'continue' || kind === 'ask_again';
  const over = (offer: Offer) => (goesOn(offer.kind) || offer.reached === true) && offer.state.state === 'open';
  if (!record.offers.some(over)) return record;
  return {
    ...record,
    offers: limitOffers(
      record.offers.map((offer) => (over(offer) ? lapseOffer(offer, now) : offer)),
      now,
    ),
  };
}

/** Whether an offer to deny a request with a message has lost its request, or its message is no longer queued. */
function isPointless(record: ThreadRecord, { about }: Offer): boolean {
  if (!about) return false;
  const asks = record.approvals.some(({ token, state }) => token === about.approval && state.state === 'open');
  return !asks || !record.inbox.some(({ key }) => key === about.message);
}

/** Asks the author of a message that arrived while their request is open: deny it with the message, or keep it queued? */
export function offerDenial(
  record: ThreadRecord,
  about: NonNullable<Offer['about']>,
  user: UserId,
  token: Token,
  now: number,
): ThreadRecord {
  const waiting = (offer: Offer) => offer.about?.approval === about.approval && offer.state.state === 'open';
  // Only the newest message is asked about, so an earlier offer for the same request lapses.
  const before = record.offers.map((offer) => (waiting(offer) ? lapseOffer(offer, now) : offer));
  const offer = { ...newOffer('deny_or_keep', user, token, now), about, count: 1 };
  return { ...record, offers: limitOffers([...before, offer], now) };
}

/** Whether an open offer is so old that it lapses as soon as its thread is looked at. */
export function isOfferTooOld({ madeAt }: Pick<Offer, 'madeAt'>, now: number): boolean {
  return now - madeAt > OPEN_FOR_MS;
}

/** Closes open offers that are too old or pointless; the same record when there is none. */
export function lapseOldOffers(record: ThreadRecord, now: number): ThreadRecord {
  const old = (offer: Offer) =>
    offer.kind !== 'background' &&
    offer.state.state === 'open' &&
    (isOfferTooOld(offer, now) || isPointless(record, offer));
  if (!record.offers.some(old)) return record;
  return {
    ...record,
    offers: limitOffers(
      record.offers.map((offer) => (old(offer) ? lapseOffer(offer, now) : offer)),
      now,
    ),
  };
}

const OFFER_OF_BUTTON: Readonly<Record<OfferAction, OfferKind>> = {
  run_now: 'run_held',
  drop: 'run_held',
  send_again: 'send_again',
  start_new: 'start_new',
  continue: 'continue',
  ask_again: 'ask_again',
  deny_with_this: 'deny_or_keep',
  keep_queued: 'deny_or_keep',
  make_schedule: 'schedule',
  drop_schedule: 'schedule',
};
const CHOICES = {
  run_now: 'run',
  drop: 'dropped',
  send_again: 'sent',
  start_new: 'started',
  continue: 'continued',
  ask_again: 'asked',
  deny_with_this: 'denied',
  keep_queued: 'kept',
  make_schedule: 'scheduled',
  drop_schedule: 'not_scheduled',
} as const;

/** Whether this kind of offer has this button: a valid token with another button's action is refused. */
export function isButtonOf(offer: Offer, action: OfferAction): boolean {
  return OFFER_OF_BUTTON[action] === offer.kind;
}

export interface OfferClick {
  action: OfferAction;
  /** For `continue`: the message with the button; its key becomes the key of the turn that follows. */
  key: MessageKey;
  ts: SlackTs;
  now: number;
}

/** The record after an allowed click; the same record when the offer is no longer open. */
export function decideOffer(record: ThreadRecord, token: Token, click: OfferClick): ThreadRecord {
  const offer = record.offers.find((each) => each.token === token);
  if (offer?.state.state !== 'open' || !isButtonOf(offer, click.action)) return record;
  const { action, now } = click;
  const decided = changeOffer(offer, { state: { state: 'decided', choice: CHOICES[action], at: now }, items: [] });
  const offers = limitOffers(
    record.offers.map((each) => (each === offer ? decided : each)),
    now,
  );
  const items = itemsToQueue({ ...offer, items: itemsOf(record, offer) }, click).filter(
    (item) => !isQueued(record, item),
  );
  const made = action === 'make_schedule' && offer.draft ? addSchedule(record, offer.draft, now) : record;
  const next = { ...made, offers, inbox: sortByTs([...record.inbox, ...items]) };
  return offer.kind === 'start_new' && hasGoneRuntime(record, offer) ? forgetConversation(next) : next;
}

/**
 * Sets the thread's conversation. Offers that were made because an earlier one is gone forget which one: a server that
 * lost its data gives out the same ids again, so the new conversation could be mistaken for the lost one.
 */
export function setRuntime(record: ThreadRecord, runtime: NonNullable<ThreadRecord['runtime']>): ThreadRecord {
  const offers = record.offers.map((offer) => (offer.gone ? { ...offer, gone: undefined } : offer));
  const before = record.runtime;
  const isSame = before?.agentId === runtime.agentId && before.conversationId === runtime.conversationId;
  const kept = before === null || isSame ? record : forgetConversation(record);
  // A new conversation is known from its beginning.
  const clients = isSame ? kept.clients : (kept.clients ?? { shown: [], from: null });
  return { ...kept, background: record.background, runtime, offers, ...(clients && { clients }) };
}

/** Whether the thread still uses the lost conversation: another click, or a command, may have started a new one. */
function hasGoneRuntime({ runtime }: ThreadRecord, { gone }: Offer): boolean {
  if (!gone) return false;
  return runtime?.agentId === gone.agentId && runtime.conversationId === gone.conversationId;
}

function itemsToQueue(offer: Offer, { action, key, ts, now }: OfferClick): InboxItem[] {
  switch (action) {
    case 'drop':
    case 'deny_with_this':
    case 'keep_queued':
    case 'make_schedule':
    case 'drop_schedule':
      return [];
    case 'run_now':
      return offer.items.map((item) => ({ ...item, askedAt: now }));
    case 'send_again':
    case 'start_new':
      return offer.items.map((item) => ({ ...item, askedAt: now, again: (item.again ?? 0) + 1 }));
    case 'continue':
    case 'ask_again': {
      const text = action === 'continue' ? 'continue' : ASK_AGAIN;
      return [{ key, ts, user: offer.for, spans: [{ kind: 'text', text }], files: [], receivedAt: now, askedAt: now }];
    }
    default:
      return action satisfies never;
  }
}

/** The messages of an offer: those of a turn that is over, but not closed, are still with the turn. */
function itemsOf({ turn }: ThreadRecord, { tail, kind, items }: Offer): InboxItem[] {
  return turn && tail?.turn === turn.id && kind !== 'continue' && kind !== 'ask_again' ? turn.items : items;
}

function isQueued({ inbox, turn }: ThreadRecord, { key }: InboxItem): boolean {
  const open = turn && !turn.ended ? turn.items : [];
  return [...inbox, ...open, ...sentItems(turn)].some((item) => item.key === key);
}

/** The id under which Letta receives a turn that begins with this message. */
export function clientMessageIdOf(item: InboxItem): string {
  return clientMessageId(item.key, item.again ?? 0);
}

/**
 * Whether a message that catch-up found was written before the bridge joined the thread, so that it was never for the
 * agent. `seen` forgets after a day, but then `createdAt` is older than any message that catch-up reads.
 */
export function wasBeforeThread(record: ThreadRecord, ts: SlackTs): boolean {
  if (Number(ts) * 1000 >= record.createdAt) return false;
  return !record.seen.some(({ key }) => compareTs(parseMessageKey(key).ts, ts) <= 0);
}

/** Marks a message as handled that leaves nothing else behind: a command, a refusal. */
export function markSeen(record: ThreadRecord, key: MessageKey, now: number): ThreadRecord {
  return hasSeen(record, key) ? record : { ...record, seen: addSeen(record, key, now) };
}
