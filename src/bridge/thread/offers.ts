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
import type { Clock, Log, Random, Surface } from '../ports.ts';
import { endTurn } from '../record/inbox.ts';
import {
  decideOffer,
  holdStaleMessages,
  isButtonOf,
  lapseOldOffers,
  offerAgain,
  offerContinue,
} from '../record/offers.ts';
import type { Offer, ThreadRecord } from '../record/thread-record.ts';
import { offerView } from '../view/offer.ts';
import type { Mail, Mailbox } from './mailbox.ts';
import type { Leftover, ThreadState } from './state.ts';

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
  /** ms that a message may wait for an unreachable device and still be run unasked; left out: for ever. */
  staleAfterMs?: number | undefined;
  /** Something changed that the worker may go on with. */
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

/** A thread's offers: made, shown, decided once by the one whose they are. */
export class ThreadOffers {
  readonly #parts: OfferParts;
  /** Being brought to Slack by this process. */
  readonly #underWay = new Set<Token>();
  /** Since when nothing could be run here, as far as that is known; as all of these, by the monotonic clock. */
  #waitingSince: number | null = null;
  /** Since when nothing may be run here, as people want it so. */
  #pausedSince: number | null = null;
  /** Since when nobody knows whether the open turn's input arrived. */
  #inDoubtSince: number | null = null;
  #unreachable = false;
  #begun = false;

  constructor(parts: OfferParts) {
    this.#parts = parts;
  }

  /** What the thread's record said when this process first looked: since when its messages wait. Later calls do nothing. */
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

  /** The link is lost, or can not be had. */
  lost(): void {
    const now = this.#parts.clock.monotonic();
    this.#unreachable = true;
    this.#waitingSince ??= now;
    if (this.#parts.state.open?.state === 'submitted') this.#inDoubtSince ??= now;
  }

  /** Nobody tries to reach it any more; whoever asks next tries afresh. */
  givenUp(): void {
    this.#unreachable = false;
    this.#waitingSince = null;
  }

  /** The runtime can be reached: what has waited for it too long is not run unasked. */
  reached(): void {
    const since = this.#waitingSince;
    this.#waitingSince = null;
    this.#unreachable = false;
    this.#holdIfSince(since);
  }

  /** Nothing may be run, for now. @param since ms since 1970 */
  paused(since: number): void {
    this.#pausedSince ??= this.#monotonic(since);
  }

  /** The agent may work (again): what has waited for that too long is not run unasked. */
  resumed(): void {
    const since = this.#pausedSince;
    this.#pausedSince = null;
    this.#holdIfSince(since);
  }

  /** The open turn's input, ready to be sent anew, did not arrive: all the while nobody knew, it has waited, too. */
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
    state.dirty = true;
  }

  /** The record once its turn is over, with what is left to be decided. */
  afterTurn(leftover: Leftover | null): (record: ThreadRecord) => ThreadRecord {
    this.#inDoubtSince = null;
    const now = this.#parts.clock.now();
    const token = makeToken(this.#parts.random.id());
    return (record) => {
      const { turn } = record;
      const ended = endTurn(record, now);
      if (!turn || !leftover) return ended;
      return 'certain' in leftover
        ? offerAgain(ended, leftover.offer, turn.items, leftover.certain, token, now)
        : offerContinue(ended, leftover.offer, turn.requester, token, now);
    };
  }

  /** Brings every offer to Slack that is not there as it is. */
  show(): void {
    const { state, clock } = this.#parts;
    const { record } = state;
    if (!record) return;
    if (lapseOldOffers(record, clock.now()) !== record) state.change((now) => lapseOldOffers(now, clock.now()));
    for (const offer of state.record?.offers ?? []) {
      if (offer.display !== 'shown' && !this.#underWay.has(offer.token)) this.#bring(offer);
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
    // On disk first: from here on Slack may have a message that the record does not know.
    if (offer.display === 'wanted' && offer.posts.length === 0) change((now) => ({ ...now, display: 'begun' }));
    const wanted = versionOf(offer);
    const bring = () =>
      surface.showOffer({
        view: offerView(offer, botUser),
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
            const same = versionOf(each) === wanted;
            return { ...each, display: same ? 'shown' : 'wanted' };
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
    // A change may run several times: then the same messages get the same tokens.
    const made: Token[] = [];
    return (index) => {
      made[index] ??= makeToken(this.#parts.random.id());
      return made[index];
    };
  }
}

/** What of an offer is shown. */
function versionOf({ state, count, lines }: Offer): string {
  return JSON.stringify([state, count, lines]);
}

function late(offer: Offer): Refused {
  if (offer.state.state === 'lapsed') return refused('expired', 'This is over, so the button no longer does anything.');
  return refused('already_decided', `<@${offer.for}> already decided this.`);
}
