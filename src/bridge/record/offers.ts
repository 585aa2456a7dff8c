import {
  clientMessageId,
  compareTs,
  type MessageKey,
  parseMessageKey,
  type SlackTs,
  type Token,
  type UserId,
} from '../ids.ts';
import type { OfferAction } from '../inbound.ts';
import { addSeen, hasSeen, noteMention, sortByTs } from './inbox.ts';
import type { InboxItem, Offer, OfferKind, ThreadRecord } from './thread-record.ts';

/** Decided ones that are remembered, so that a late click gets a true answer. */
const CLOSED_KEPT = 20;
/** Open ones per thread; the oldest lapses when there are more. */
const OPEN_LIMIT = 20;
/** Nobody will decide it any more, and it holds what people wrote. */
const OPEN_FOR_MS = 7 * 24 * 60 * 60 * 1000;

/** How old a message is, in ms, counted from when it was written or when a person last asked for it to be run. */
export function ageOf(item: Pick<InboxItem, 'ts' | 'askedAt'>, now: number): number {
  return now - Math.max(Number(item.ts) * 1000, item.askedAt ?? 0);
}

/** How many messages wait for somebody's word. */
export function countHeld(record: ThreadRecord): number {
  return record.offers.reduce((sum, offer) => sum + offer.items.length, 0);
}

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

/** The offer as it is now; what Slack shows of it is older. */
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

/** A message that waits for its author's word, changed or, with `null`, taken back; nothing is left to decide about none. */
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

/** Messages that are not run unasked. One offer for each author: only they may decide. */
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
 * A message that came too late to be run unasked: it counts as handled, and its author decides.
 * @param clockAheadMs it only seems late: our clock is so far ahead of Slack's
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
 * The device was away for long: messages that waited for it all the while are not run unasked. A turn that was about to
 * be sent loses all its messages (those that are young enough wait for a turn of their own) and so is over.
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
      context: sortByTs([...dissolved.context, ...record.context]),
    }),
  };
  return holdMessages(kept, old, token, now);
}

/**
 * Messages that the agent did not get, or may not have got.
 * @param kind `start_new` when the thread's conversation (or its agent) is gone at Letta
 * @param certain the agent did not get them; else nobody knows
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

/** @param kind `ask_again` when it was cut off while it asked. */
export function offerContinue(
  record: ThreadRecord,
  kind: 'continue' | 'ask_again',
  requester: UserId,
  token: Token,
  now: number,
): ThreadRecord {
  return { ...record, offers: limitOffers([...record.offers, newOffer(kind, requester, token, now)], now) };
}

/** What goes on after its turn, with a button to stop it: one line that is kept as things are. */
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

/** Nothing goes on any more; the same record when nobody was shown that something does. */
export function hideBackground(record: ThreadRecord, now: number): ThreadRecord {
  const known = findBackgroundOffer(record);
  if (!known) return record;
  const offers = record.offers.map((offer) => (offer === known ? lapseOffer(offer, now) : offer));
  return { ...record, offers: limitOffers(offers, now) };
}

export function findBackgroundOffer(record: ThreadRecord): Offer | undefined {
  return record.offers.find(({ kind, state }) => kind === 'background' && state.state === 'open');
}

/** The conversation went on by itself: nobody needs to say so any more. */
export function lapseContinueOffers(record: ThreadRecord, now: number): ThreadRecord {
  const goesOn = (kind: OfferKind) => kind === 'continue' || kind === 'ask_again';
  const over = (offer: Offer) => goesOn(offer.kind) && offer.state.state === 'open';
  if (!record.offers.some(over)) return record;
  return {
    ...record,
    offers: limitOffers(
      record.offers.map((offer) => (over(offer) ? lapseOffer(offer, now) : offer)),
      now,
    ),
  };
}

/** The request was decided in another way, or the message runs or is withdrawn. */
function isPointless(record: ThreadRecord, { about }: Offer): boolean {
  if (!about) return false;
  const asks = record.approvals.some(({ token, state }) => token === about.approval && state.state === 'open');
  return !asks || !record.inbox.some(({ key }) => key === about.message);
}

/** A message came while a request waits for its author: it is kept, unless they mean it as the reason for a no. */
export function offerDenial(
  record: ThreadRecord,
  about: NonNullable<Offer['about']>,
  user: UserId,
  token: Token,
  now: number,
): ThreadRecord {
  const waiting = (offer: Offer) => offer.about?.approval === about.approval && offer.state.state === 'open';
  // One at a time: the newest message is the one that is asked about.
  const before = record.offers.map((offer) => (waiting(offer) ? lapseOffer(offer, now) : offer));
  const offer = { ...newOffer('deny_or_keep', user, token, now), about, count: 1 };
  return { ...record, offers: limitOffers([...before, offer], now) };
}

/** The record without open offers that had their time; the same one when there is none. */
export function lapseOldOffers(record: ThreadRecord, now: number): ThreadRecord {
  const old = (offer: Offer) =>
    offer.kind !== 'background' &&
    offer.state.state === 'open' &&
    (now - offer.madeAt > OPEN_FOR_MS || isPointless(record, offer));
  if (!record.offers.some(old)) return record;
  return {
    ...record,
    offers: limitOffers(
      record.offers.map((offer) => (old(offer) ? lapseOffer(offer, now) : offer)),
      now,
    ),
  };
}

const ASK_AGAIN =
  'The connection was lost before anyone could decide about your request, so nothing of it ran. If you still need it, ask again.';

const OFFER_OF_BUTTON: Readonly<Record<OfferAction, OfferKind>> = {
  run_now: 'run_held',
  drop: 'run_held',
  send_again: 'send_again',
  start_new: 'start_new',
  continue: 'continue',
  ask_again: 'ask_again',
  deny_with_this: 'deny_or_keep',
  keep_queued: 'deny_or_keep',
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
} as const;

/** Whether this button belongs to this offer: a token alone does not make a Drop of a Continue. */
export function isButtonOf(offer: Offer, action: OfferAction): boolean {
  return OFFER_OF_BUTTON[action] === offer.kind;
}

export interface OfferClick {
  action: OfferAction;
  /** For `continue`: the message that carries the button; the turn that follows is known by it. */
  key: MessageKey;
  ts: SlackTs;
  now: number;
}

/** The record after a click that may be; the same one when the offer is decided already. */
export function decideOffer(record: ThreadRecord, token: Token, click: OfferClick): ThreadRecord {
  const offer = record.offers.find((each) => each.token === token);
  if (offer?.state.state !== 'open' || !isButtonOf(offer, click.action)) return record;
  const { action, now } = click;
  const decided = changeOffer(offer, { state: { state: 'decided', choice: CHOICES[action], at: now }, items: [] });
  const offers = limitOffers(
    record.offers.map((each) => (each === offer ? decided : each)),
    now,
  );
  const items = itemsToQueue(offer, click).filter((item) => !isQueued(record, item));
  const next = { ...record, offers, inbox: sortByTs([...record.inbox, ...items]) };
  return offer.kind === 'start_new' && hasGoneRuntime(record, offer)
    ? { ...next, runtime: null, background: false }
    : next;
}

/**
 * The record with the conversation that the thread is held in from now on. What was offered because the one before is
 * gone only brings its messages into this one: a server that lost everything gives the same ids again.
 */
export function setRuntime(record: ThreadRecord, runtime: NonNullable<ThreadRecord['runtime']>): ThreadRecord {
  const offers = record.offers.map((offer) => (offer.gone ? { ...offer, gone: undefined } : offer));
  return { ...record, runtime, offers };
}

/** Whether the thread still has the conversation that is gone: another click, or a command, may have started a new one. */
function hasGoneRuntime({ runtime }: ThreadRecord, { gone }: Offer): boolean {
  if (!gone) return false;
  return runtime?.agentId === gone.agentId && runtime.conversationId === gone.conversationId;
}

function itemsToQueue(offer: Offer, { action, key, ts, now }: OfferClick): InboxItem[] {
  switch (action) {
    case 'drop':
    case 'deny_with_this':
    case 'keep_queued':
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

function isQueued(record: ThreadRecord, { key }: InboxItem): boolean {
  return [...record.inbox, ...(record.turn?.items ?? [])].some((item) => item.key === key);
}

/** The id under which Letta gets a turn that begins with this message. */
export function clientMessageIdOf(item: InboxItem): string {
  return clientMessageId(item.key, item.again ?? 0);
}

/**
 * Whether a message that was found late was passed over on purpose: it stood in the thread before the bridge was asked
 * into it. What was seen is forgotten after a day, then the record itself is older than what can be found.
 */
export function wasBeforeThread(record: ThreadRecord, ts: SlackTs): boolean {
  if (Number(ts) * 1000 >= record.createdAt) return false;
  return !record.seen.some(({ key }) => compareTs(parseMessageKey(key).ts, ts) <= 0);
}

/** Marks a message as handled that leaves nothing else behind: a command, a refusal. */
export function markSeen(record: ThreadRecord, key: MessageKey, now: number): ThreadRecord {
  return hasSeen(record, key) ? record : { ...record, seen: addSeen(record, key, now) };
}
