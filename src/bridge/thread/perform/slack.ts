import { asBridgeError } from '../../../errors.ts';
import type { TurnId, UserId } from '../../ids.ts';
import type { ThreadAddress } from '../../inbound.ts';
import type { Clock, DetailsStore, Log, Surface, TurnSurface, UserGroups } from '../../ports.ts';
import type { OpenTurn, PostRecord } from '../../record/thread-record.ts';
import type { TurnState } from '../../turn/fold.ts';
import { offerView, tailOfferView } from '../../view/offer.ts';
import type { SlackEffect } from '../core/effects.ts';
import type { ThreadEvent } from '../core/events.ts';
import { addressOf, type Thread } from '../core/thread.ts';
import { isSeenUnknown } from '../core/view.ts';
import type { Mailbox } from '../mailbox.ts';
import type { ForkEffect } from './fork.ts';
import type { Jobs, Performs } from './jobs.ts';

export interface SlackSideParts {
  surface: Surface;
  /** Left out: every user group counts as empty. */
  groups?: UserGroups | undefined;
  details?: DetailsStore | undefined;
  clock: Clock;
  botUser: string;
  log: Log;
  mailbox: Mailbox;
  thread(): Thread;
  /** Takes a step; called only while a mail or its effects are handled. */
  handle(event: ThreadEvent): void;
}

type Of<Do extends SlackEffect['do']> = Extract<SlackEffect, { do: Do }>;

/** How many people are reminded of one request. */
const REMINDED_MOST = 20;

/** Shows in Slack what steps want shown, and stores what is needed for that. */
export class SlackSide {
  readonly #parts: SlackSideParts;
  readonly #jobs: Jobs;
  #turn: TurnSurface | null = null;
  /** The text that was last handed to the disk; `null`: none, or the disk failed. */
  #said: TurnState['parts'] | null = null;

  constructor(parts: SlackSideParts, jobs: Jobs) {
    this.#parts = parts;
    this.#jobs = jobs;
  }

  /** Shows the open turn; `null`: none is shown. */
  get turn(): TurnSurface | null {
    return this.#turn;
  }

  get #address(): ThreadAddress {
    return addressOf(this.#parts.thread());
  }

  /** Leaves all that Slack shows of the thread as it is. Resolves when no call is running any more and posts are stored. */
  async freeze(): Promise<void> {
    await this.#parts.surface.freeze?.(this.#address);
  }

  /** The thread has moved, so that its open turn is shown under another address. */
  reopen(turn: OpenTurn | null): void {
    this.#turn = turn && this.#openTurn(turn, false);
  }

  readonly performs: Performs<Exclude<SlackEffect, ForkEffect>> = {
    say: ({ text }) => this.#jobs.begin('could not post a notice', () => this.#parts.surface.say(this.#address, text)),
    whisper: ({ user, text, stop }) =>
      this.#jobs.begin('could not show a private notice', () =>
        this.#parts.surface.whisper(this.#address, user, text, { stop }),
      ),
    direct: (effect) => this.#tell(effect),
    remind: (effect) => this.#remind(effect),
    open_turn: ({ turn, resumed }) => {
      // A closed thread would never end the view that it begins to show.
      if (!this.#parts.mailbox.closed) this.#turn = this.#openTurn(turn, resumed);
    },
    close_turn: () => {
      this.#turn = null;
    },
    finish: (effect) => this.#finish(effect),
    finish_late: (effect) => this.#finishLate(effect),
    recheck_cards: () => this.#turn?.recheckCards?.(),
    show_offer: (effect) => this.#showOffer(effect),
  };

  #openTurn(turn: OpenTurn, resumed: boolean): TurnSurface {
    const { surface, mailbox, handle } = this.#parts;
    const { id } = turn;
    this.#said = null;
    return surface.openTurn({
      turn: id,
      address: this.#address,
      posts: turn.posts,
      resumed,
      ...(turn.schedule?.inChannel && { inChannel: true }),
      onPosts: (posts) => mailbox.posted(() => handle({ type: 'posts', of: id, posts })),
      onText: () => this.#keepSaid(id),
      onCardRefused: (reason, cards) => this.#jobs.post({ type: 'card_refused', turn: id, reason, cards }),
      onHeldUp: (held) => this.#jobs.post({ type: 'held_up', turn: id, held }),
    });
  }

  /**
   * Stores what the agent has said so far before people see it, so that a restarted bridge never replaces it by less.
   * When the disk fails, people see the text all the same.
   */
  #keepSaid(turn: TurnId): Promise<void> | undefined {
    const { thread, mailbox, handle, log } = this.#parts;
    const { live } = thread();
    if (live?.id !== turn || live.fold.parts === this.#said || isSeenUnknown(live)) return undefined;
    const { parts } = live.fold;
    this.#said = parts;
    return mailbox
      .posted(() => handle({ type: 'said', turn, parts }))
      .catch((error) => {
        this.#said = null;
        log.warn({ turn, err: error }, 'could not store what the agent has said');
      });
  }

  #finish({ turn, view, endedAt, details }: Of<'finish'>): void {
    const { log, details: store } = this.#parts;
    const surface = this.#turn;
    if (!surface) return;
    const keep = async () => {
      if (!details || !store) return;
      try {
        await store.put(details.ref, details.details);
        await store.drop(details.drop);
      } catch (error) {
        // Only the details are lost.
        log.warn({ turn, err: error }, 'could not store the details of a turn');
      }
    };
    this.#jobs.begin(
      'could not deliver the answer',
      () => keep().then(() => surface.finish(view, endedAt)),
      (delivery) => ({ type: 'finished', turn, delivery }),
      // The surface has closed, so the next start shows the end that is on disk.
      (error) => (asBridgeError(error).retry ? null : { type: 'finished', turn, delivery: { delivered: true } }),
      { level: 'error', turn },
    );
  }

  #tell({ user, text, copy }: Of<'direct'>): void {
    const { surface, log } = this.#parts;
    const { team } = this.#address;
    const message = 'could not tell a person what their thread does not show';
    const told = (isDelivered: boolean) => copy && ({ type: 'told', turn: copy.turn, isDelivered } as const);
    const tell = surface.sendDirectMessage?.bind(surface);
    if (!tell) return;
    this.#jobs.begin(
      message,
      () => tell(user, team, text, copy),
      (delivery) => {
        if (!delivery.delivered) log.warn({ user, reason: delivery.reason }, message);
        return told(delivery.delivered);
      },
      () => told(false),
    );
  }

  #remind({ whom, text, there, open }: Of<'remind'>): void {
    const { surface } = this.#parts;
    const { team } = this.#address;
    const tell = (user: UserId) => surface.sendDirectMessage?.(user, team, text, null, open);
    const remind = async () => {
      const missed: UserId[] = [];
      for (const user of await this.#people(whom)) if (!(await tell(user))?.delivered) missed.push(user);
      return missed;
    };
    this.#jobs.begin('could not remind people of a request', remind, (users) =>
      users.length === 0 ? null : { type: 'unreminded', users, text: there },
    );
  }

  /** The people among these users and user groups (`S…`), each once; bots read no direct messages. */
  async #people(whom: readonly string[]): Promise<UserId[]> {
    const { groups } = this.#parts;
    const people = new Set<UserId>();
    for (const id of whom) {
      const members = id.startsWith('S') ? ((await groups?.listMembers(id)) ?? []) : [id];
      for (const member of members) if (/^[UW]/.test(member)) people.add(member);
    }
    return [...people].slice(0, REMINDED_MOST);
  }

  #finishLate({ turn, posts, view }: Of<'finish_late'>): void {
    const { surface, mailbox, handle, clock } = this.#parts;
    const late = surface.openTurn({
      turn,
      address: this.#address,
      posts,
      resumed: true,
      isLate: true,
      onPosts: (now) => mailbox.posted(() => handle({ type: 'late_posts', of: turn, posts: now })),
    });
    this.#jobs.ask(
      'could not finish a late answer',
      () => late.finish(view, clock.now()),
      (delivery) => ({ type: 'late_shown', of: turn, delivery }),
    );
  }

  #showOffer({ offer, wanted }: Of<'show_offer'>): void {
    const { surface, mailbox, handle, botUser, log } = this.#parts;
    const { token, kind, posts, display } = offer;
    const message = offer.tail?.message;
    const view = (message !== undefined && tailOfferView(offer)) || offerView(offer, botUser);
    let latest: PostRecord[] | null = null;
    const show = () =>
      surface.showOffer({
        view,
        ...(message !== undefined && { message }),
        address: this.#address,
        posts,
        resumed: display === 'begun' && posts.length === 0,
        onPosts: (now) => {
          latest = now;
          return mailbox.posted(() => handle({ type: 'offer_posts', token, posts: now }));
        },
      });
    // The disk may have failed for longer than the outbox tries: this is stored as soon as it works again.
    const told = (isShown: boolean) =>
      ({ type: 'offer_shown', token, wanted, isShown, ...(latest && { posts: latest }) }) as const;
    this.#jobs.begin(
      'could not show an offer',
      show,
      (delivery) => {
        if (!delivery.delivered) log.warn({ offer: kind, reason: delivery.reason }, 'could not show an offer');
        return told(true);
      },
      () => told(false),
    );
  }
}
