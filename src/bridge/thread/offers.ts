import { can } from '../access/can.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import type { PolicyBook } from '../access/policy.ts';
import { makeMessageKey, makeToken, type Token, type UserId } from '../ids.ts';
import {
  type ActionName,
  type ActionOutcome,
  type InboundAction,
  type OfferAction,
  type Refused,
  refused,
} from '../inbound.ts';
import type { Person } from '../person.ts';
import type { Clock, Delivery, Log, Random, Surface } from '../ports.ts';
import { endTurn } from '../record/inbox.ts';
import {
  closeTail,
  decideOffer,
  dropTail,
  holdStaleMessages,
  isButtonOf,
  type Leftover,
  lapseOldOffers,
  offerAtEnd,
} from '../record/offers.ts';
import type { Offer, ThreadRecord } from '../record/thread-record.ts';
import { offerView, tailOfferView } from '../view/offer.ts';
import type { TurnView } from '../view/turn.ts';
import type { Mail, Mailbox } from './mailbox.ts';
import type { ThreadState } from './state.ts';

export interface OfferParts {
  state: ThreadState;
  mailbox: Mailbox;
  surface: Surface;
  policies: PolicyBook;
  killSwitch: KillSwitch;
  botUser: UserId;
  clock: Clock;
  random: Random;
  log: Log;
  /** ms that a message may wait for an unreachable device and still run without asking; left out: no limit. */
  staleAfterMs?: number | undefined;
  /** An offer was shown, so the worker looks at what is due. */
  onShown: Mail;
}

const OFFER_ACTIONS: ReadonlySet<string> = new Set<OfferAction>([
  ...([
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

/** A thread's offers: makes and shows them, and lets the person whom an offer is for decide it once. */
export class ThreadOffers {
  readonly #parts: OfferParts;
  /** Offers whose call to Slack is running. */
  readonly #underWay = new Set<Token>();
  /** Since when Letta could not be reached, as far as known. By the monotonic clock, like the two below. */
  #waitingSince: number | null = null;
  /** Since when messages may not run, because people paused the agent or Slack holds up the thread's answer. */
  #pausedSince: number | null = null;
  /** Since when we cannot tell whether Letta got the open turn's input. */
  #inDoubtSince: number | null = null;
  #unreachable = false;
  #begun = false;

  constructor(parts: OfferParts) {
    this.#parts = parts;
  }

  /** Reads from the record, once, since when the thread's messages wait. Later calls do nothing. */
  begin(record: ThreadRecord): void {
    if (this.#begun) return;
    this.#begun = true;
    const { turn, inbox, updatedAt } = record;
    if (turn?.state === 'submitted') this.#inDoubtSince = this.#monotonic(updatedAt);
    if (turn) this.#waitingSince = this.#monotonic(turn.state === 'prepared' ? turn.startedAt : updatedAt);
    else if (inbox.length > 0) this.#waitingSince = this.#monotonic(Math.min(...inbox.map((item) => item.receivedAt)));
  }

  /** @param at ms since 1970 */
  #monotonic(at: number): number {
    const { clock } = this.#parts;
    return clock.monotonic() - Math.max(0, clock.now() - at);
  }

  /** The link is lost, or cannot be made. */
  lost(): void {
    const now = this.#parts.clock.monotonic();
    this.#unreachable = true;
    this.#waitingSince ??= now;
    if (this.#parts.state.open?.state === 'submitted') this.#inDoubtSince ??= now;
  }

  /** We no longer try to reach Letta; the next message dials anew and waits from then on. */
  givenUp(): void {
    this.#unreachable = false;
    this.#waitingSince = null;
  }

  /** Letta can be reached again: messages that waited too long for it run only if their author wants it. */
  reached(): void {
    const since = this.#waitingSince;
    this.#waitingSince = null;
    this.#unreachable = false;
    this.#holdIfSince(since);
  }

  /** No message may run for now. @param since ms since 1970 */
  paused(since: number): void {
    this.#pausedSince ??= this.#monotonic(since);
  }

  /** Messages may run again: those that waited too long for it run only if their author wants it. */
  resumed(): void {
    const since = this.#pausedSince;
    this.#pausedSince = null;
    this.#holdIfSince(since);
  }

  /** Letta never got the open turn's input, so the time in which we could not tell counts as waiting, too. */
  neverArrived(): void {
    const since = this.#inDoubtSince;
    this.#inDoubtSince = null;
    this.#holdIfSince(since);
  }

  #holdIfSince(since: number | null): void {
    const { state, clock, staleAfterMs, log } = this.#parts;
    if (staleAfterMs === undefined || since === null) return;
    const awayMs = clock.monotonic() - since;
    if (awayMs < staleAfterMs) return;
    const tokens = this.#tokens();
    const before = state.record?.offers;
    state.change((record) => holdStaleMessages(record, staleAfterMs, tokens, clock.now()));
    if (state.record?.offers === before) return;
    log.info({ awayMs }, 'messages waited too long; asking their author');
    state.isViewOutdated = true;
  }

  /** Offers what the open turn, which is over, leaves to decide: its last message shows it. */
  atEnd(leftover: Leftover | null): (record: ThreadRecord) => ThreadRecord {
    const now = this.#parts.clock.now();
    const token = makeToken(this.#parts.random.id());
    // The end of a turn that was stored before stays as it is.
    return (record) => (leftover && !record.turn?.ended ? offerAtEnd(record, leftover, token, now) : record);
  }

  /** Makes the change that closes the turn in the record. @param view the turn's last view, as Slack shows it */
  afterTurn(view: TurnView | null, delivery: Delivery): (record: ThreadRecord) => ThreadRecord {
    this.#inDoubtSince = null;
    const now = this.#parts.clock.now();
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
  show(): void {
    const { state, clock } = this.#parts;
    const { record } = state;
    if (!record) return;
    if (lapseOldOffers(record, clock.now()) !== record) state.change((now) => lapseOldOffers(now, clock.now()));
    for (const offer of state.record?.offers ?? []) {
      // The last message of the open turn shows its offer.
      const isInTurn = offer.tail !== undefined && offer.tail.turn === state.open?.id;
      if (offer.display !== 'shown' && !isInTurn && !this.#underWay.has(offer.token)) this.#bring(offer);
    }
  }

  act(action: InboundAction & { name: OfferAction }, person: Person): ActionOutcome {
    const { state, mailbox, policies, clock, log } = this.#parts;
    const { name, token, team, channel, messageTs: ts } = action;
    const offer = state.record?.offers.find((each) => each.token === token);
    if (!offer || !isButtonOf(offer, name))
      return refused('expired', 'This is over, so the button no longer does anything.');
    const verdict = can(policies.current(), person, { do: 'answer', requester: offer.for }, state.place);
    if (!verdict.allowed) {
      const theirs = `Only <@${offer.for}> can decide this.`;
      return refused('not_allowed', verdict.reason === 'not_the_requester' ? theirs : verdict.notice, verdict.reason);
    }
    if (offer.state.state !== 'open') return late(offer);
    const { notice } = this.#parts.killSwitch;
    if (name !== 'drop' && notice !== null) return refused('paused', notice);
    if (name !== 'drop' && this.#unreachable) {
      return refused('unreachable', 'I can’t reach Letta right now, so nothing was decided. Try again in a moment.');
    }
    const key = makeMessageKey({ team, channel, ts });
    let won = false;
    state.change((record) => {
      const next = decideOffer(record, token, { action: name, key, ts, now: clock.now() });
      won = next !== record;
      return next;
    });
    if (!won) return late(offer);
    const fields = { offer: offer.kind, choice: name, by: person.id, messages: offer.count };
    mailbox.after(() => log.info(fields, 'offer decided'));
    return { result: 'decided' };
  }

  #bring(offer: Offer): void {
    const { state, mailbox, surface, botUser, log } = this.#parts;
    const { token } = offer;
    this.#underWay.add(token);
    const change = (to: (offer: Offer) => Offer) =>
      state.change((record) => ({
        ...record,
        offers: record.offers.map((each) => (each.token === token ? to(each) : each)),
      }));
    // On disk before the call, so that a restart looks for a message that Slack has and the record does not.
    if (offer.display === 'wanted' && offer.posts.length === 0) change((now) => ({ ...now, display: 'begun' }));
    const wanted = versionOf(offer);
    const message = offer.tail?.message;
    const view = (message !== undefined && tailOfferView(offer)) || offerView(offer, botUser);
    const bring = () =>
      surface.showOffer({
        view,
        ...(message !== undefined && { message }),
        address: state.address,
        posts: offer.posts,
        resumed: offer.display === 'begun' && offer.posts.length === 0,
        onPosts: (posts) => mailbox.posted(() => change((now) => ({ ...now, posts }))),
      });
    mailbox.away(
      bring,
      (delivery) => {
        if (!delivery.delivered) log.warn({ offer: offer.kind, reason: delivery.reason }, 'could not show an offer');
        this.#underWay.delete(token);
        state.change((record) => ({
          ...record,
          offers: record.offers.map((each): Offer => {
            if (each.token !== token) return each;
            if (versionOf(each) !== wanted) return { ...each, display: 'wanted' };
            const { tail, ...shown } = each;
            // What else the message shows is kept only as long as the offer may still change.
            const kept = tail && (each.state.state === 'open' ? tail : { turn: tail.turn });
            return { ...shown, ...(kept && { tail: kept }), display: 'shown' };
          }),
        }));
        return this.#parts.onShown();
      },
      (error) => {
        this.#underWay.delete(token);
        log.error({ offer: offer.kind, err: error }, 'could not show an offer');
      },
    );
  }

  #tokens(): (index: number) => Token {
    // A change may run several times on newer records, and then the same messages must get the same tokens.
    const made: Token[] = [];
    return (index) => {
      made[index] ??= makeToken(this.#parts.random.id());
      return made[index];
    };
  }
}

/** The parts of an offer that its message shows, to tell whether that is outdated. */
function versionOf({ state, count, lines }: Offer): string {
  return JSON.stringify([state, count, lines]);
}

function late(offer: Offer): Refused {
  if (offer.state.state === 'lapsed') return refused('expired', 'This is over, so the button no longer does anything.');
  return refused('already_decided', `<@${offer.for}> already decided this.`);
}
