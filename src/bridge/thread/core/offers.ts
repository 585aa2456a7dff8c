import { can } from '../../access/can.ts';
import { makeMessageKey, makeToken, type Token } from '../../ids.ts';
import {
  type ActionName,
  type ActionOutcome,
  type InboundAction,
  type OfferAction,
  type Refused,
  refused,
} from '../../inbound.ts';
import type { Person } from '../../person.ts';
import type { Delivery } from '../../ports.ts';
import { endTurn } from '../../record/inbox.ts';
import {
  closeTail,
  decideOffer,
  dropTail,
  holdStaleMessages,
  isButtonOf,
  type Leftover,
  lapseOldOffers,
  offerAtEnd,
} from '../../record/offers.ts';
import { sentInputs } from '../../record/steered.ts';
import type { Offer, ThreadRecord } from '../../record/thread-record.ts';
import type { TurnView } from '../../view/turn.ts';
import { onlyTheyText } from '../../words/access.ts';
import { NOT_DECIDED, offerDecidedText } from '../../words/requests.ts';
import { mayMake } from './drafts.ts';
import type { OutboxEvent } from './events.ts';
import { placeOf, type Waiting } from './thread.ts';
import { change, emit, log, openTurn, set, touch, type Work } from './work.ts';

/* Offers: what people may decide after a turn or about messages that waited; and since when messages wait. */

const OFFER_ACTIONS: ReadonlySet<string> = new Set<OfferAction>([
  ...([
    'make_schedule',
    'drop_schedule',
    'run_now',
    'drop',
    'send_again',
    'start_new',
    'continue',
    'ask_again',
    'deny_with_this',
    'keep_queued',
  ] as const),
]);

export function isOfferAction(name: ActionName): name is OfferAction {
  return OFFER_ACTIONS.has(name);
}

// ---- since when messages wait ------------------------------------------------------------------

function setWaiting(work: Work, part: Partial<Waiting>): void {
  set(work, { waiting: { ...work.thread.waiting, ...part } });
}

/** @param at ms since 1970 */
const byMonotonic = ({ context }: Work, at: number) => context.monotonic - Math.max(0, context.now - at);

/** Reads from the record, once, since when the thread's messages wait. */
export function beginWaiting(work: Work, { turn, inbox, updatedAt }: ThreadRecord): void {
  if (work.thread.waiting.begun) return;
  setWaiting(work, { begun: true });
  if (turn?.state === 'submitted') setWaiting(work, { inDoubt: byMonotonic(work, updatedAt) });
  if (turn) setWaiting(work, { forLetta: byMonotonic(work, turn.state === 'prepared' ? turn.startedAt : updatedAt) });
  else if (inbox.length > 0)
    setWaiting(work, { forLetta: byMonotonic(work, Math.min(...inbox.map((item) => item.receivedAt))) });
}

/** The link is lost, or cannot be made. */
export function noteLettaLost(work: Work): void {
  const { forLetta, inDoubt } = work.thread.waiting;
  const now = work.context.monotonic;
  setWaiting(work, { isUnreachable: true, forLetta: forLetta ?? now });
  if (openTurn(work)?.state === 'submitted') setWaiting(work, { inDoubt: inDoubt ?? now });
}

/** We no longer try to reach Letta; the next message dials anew and waits from then on. */
export function giveUpLetta(work: Work): void {
  setWaiting(work, { isUnreachable: false, forLetta: null });
}

/** Letta can be reached again: messages that waited too long for it run only if their author wants it. */
export function noteLettaReached(work: Work): void {
  const { forLetta } = work.thread.waiting;
  giveUpLetta(work);
  holdIfSince(work, forLetta);
}

/** No message may run for now. @param since ms since 1970 */
export function pauseMessages(work: Work, since: number): void {
  setWaiting(work, { forPeople: work.thread.waiting.forPeople ?? byMonotonic(work, since) });
}

/** Messages may run again: those that waited too long for it run only if their author wants it. */
export function resumeMessages(work: Work): void {
  const { forPeople } = work.thread.waiting;
  if (forPeople === null) return;
  setWaiting(work, { forPeople: null });
  holdIfSince(work, forPeople);
}

/** Letta never got the open turn's input, so the time in which we could not tell counts as waiting, too. */
export function noteNeverArrived(work: Work): void {
  const { inDoubt } = work.thread.waiting;
  noLongerInDoubt(work);
  holdIfSince(work, inDoubt);
}

/** Nothing of the open turn is in doubt, unless something was handed to it that may not have joined it. */
function noLongerInDoubt(work: Work): void {
  if (sentInputs(openTurn(work)).length === 0) setWaiting(work, { inDoubt: null });
}

function holdIfSince(work: Work, since: number | null): void {
  const { staleAfterMs, monotonic, now } = work.context;
  if (staleAfterMs === null || since === null) return;
  const awayMs = monotonic - since;
  if (awayMs < staleAfterMs) return;
  const token = tokens(work);
  const before = work.thread.record?.offers;
  change(work, (record) => holdStaleMessages(record, staleAfterMs, token, now));
  if (work.thread.record?.offers === before) return;
  log(work, 'info', { awayMs }, 'messages waited too long; asking their author');
  touch(work);
}

/** A change may run again on a newer record, and then the same messages must get the same tokens. */
function tokens({ context }: Work): (index: number) => Token {
  const made: Token[] = [];
  return (index) => {
    made[index] ??= makeToken(context.id());
    return made[index];
  };
}

// ---- making and showing them -------------------------------------------------------------------

/** Offers what the open turn, which is over, leaves to decide: its last message shows it. */
export function offeringAtEnd(work: Work, left: Leftover | null): (record: ThreadRecord) => ThreadRecord {
  const { now } = work.context;
  const token = makeToken(work.context.id());
  // The end of a turn that was stored before stays as it is.
  return (record) => (left && !record.turn?.ended ? offerAtEnd(record, left, token, now) : record);
}

/** Makes the change that closes the turn in the record. @param view the turn's last view, as Slack shows it */
export function closingTurn(
  work: Work,
  view: TurnView | null,
  delivery: Delivery,
): (record: ThreadRecord) => ThreadRecord {
  noLongerInDoubt(work);
  const { now } = work.context;
  return (record) => {
    const { turn } = record;
    const left = record.offers.find(({ tail }) => tail?.turn === turn?.id);
    const isUnsure = (left?.kind === 'send_again' || left?.kind === 'start_new') && !left.reached;
    const ended = endTurn(record, now, !isUnsure);
    if (!turn) return ended;
    if (!delivery.delivered) return dropTail(ended, turn.id);
    const state = view?.offer?.buttons.length === 0 ? 'decided' : 'open';
    return closeTail(ended, turn, delivery.tail ? { tail: delivery.tail, state } : null);
  };
}

/** Posts or edits every offer whose message in Slack is missing or outdated. */
export function showOffers(work: Work): void {
  const { now } = work.context;
  change(work, (record) => lapseOldOffers(record, now));
  for (const offer of work.thread.record?.offers ?? []) {
    const { token, display, posts, tail } = offer;
    // The last message of the open turn shows its offer.
    const isInTurn = tail !== undefined && tail.turn === openTurn(work)?.id;
    if (display === 'shown' || isInTurn || work.thread.showing.has(token)) continue;
    set(work, { showing: new Set([...work.thread.showing, token]) });
    // On disk before the call, so that a restart looks for a message that Slack has and the record does not.
    if (display === 'wanted' && posts.length === 0) changeOffer(work, token, (to) => ({ ...to, display: 'begun' }));
    emit(work, { do: 'show_offer', offer, wanted: versionOf(offer) });
  }
}

export function changeOffer(work: Work, token: Token, to: (offer: Offer) => Offer): void {
  change(work, (record) => ({
    ...record,
    offers: record.offers.map((each) => (each.token === token ? to(each) : each)),
  }));
}

/** An offer was shown, or Slack refused it for good. @param isShown `false`: neither is known */
export function offerShown(work: Work, { token, wanted, isShown, posts }: OutboxEvent & { type: 'offer_shown' }): void {
  set(work, { showing: new Set([...work.thread.showing].filter((each) => each !== token)) });
  if (posts) changeOffer(work, token, (offer) => ({ ...offer, posts }));
  if (!isShown) return;
  changeOffer(work, token, (offer) => {
    if (versionOf(offer) !== wanted) return { ...offer, display: 'wanted' };
    const { tail, ...shown } = offer;
    // What else the message shows is kept only as long as the offer may still change.
    const kept = tail && (offer.state.state === 'open' ? tail : { turn: tail.turn });
    return { ...shown, ...(kept && { tail: kept }), display: 'shown' };
  });
}

/** The parts of an offer that its message shows, to tell whether that is outdated. */
function versionOf({ state, count, lines }: Offer): string {
  return JSON.stringify([state, count, lines]);
}

// ---- deciding them -----------------------------------------------------------------------------

/** Lets the person whom an offer is for decide it, once. */
export function clickOffer(work: Work, action: InboundAction & { name: OfferAction }, person: Person): ActionOutcome {
  const { policy, pausedNotice, now } = work.context;
  const { name, token, team, channel, messageTs: ts } = action;
  const offer = work.thread.record?.offers.find((each) => each.token === token);
  if (!offer || !isButtonOf(offer, name)) return refused('expired', NOT_DECIDED.over);
  const verdict = can(policy, person, { do: 'answer', requester: offer.for }, placeOf(work.thread));
  if (!verdict.allowed) {
    const theirs = onlyTheyText(`<@${offer.for}>`);
    return refused('not_allowed', verdict.reason === 'not_the_requester' ? theirs : verdict.notice, verdict.reason);
  }
  if (offer.state.state !== 'open') return late(offer);
  const isNo = name === 'drop' || name === 'drop_schedule';
  if (!isNo && pausedNotice !== null) return refused('paused', pausedNotice);
  if (!isNo && work.thread.waiting.isUnreachable) {
    return refused('unreachable', NOT_DECIDED.unreachable);
  }
  if (name === 'make_schedule') {
    const notice = offer.draft ? mayMake(work, offer.draft, person) : '';
    if (notice !== null) return refused('not_allowed', notice);
  }
  const key = makeMessageKey({ team, channel, ts });
  change(work, (record) => decideOffer(record, token, { action: name, key, ts, now }));
  const fields = { offer: offer.kind, choice: name, by: person.id, messages: offer.count };
  log(work, 'info', fields, 'offer decided');
  return { result: 'decided' };
}

function late(offer: Offer): Refused {
  if (offer.state.state === 'lapsed') return refused('expired', NOT_DECIDED.over);
  return refused('already_decided', offerDecidedText(offer.for));
}
