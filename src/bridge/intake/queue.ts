import { asBridgeError } from '../../errors.ts';
import type { PolicyBook } from '../access/policy.ts';
import { type MessageKey, makeToken, type ThreadKey } from '../ids.ts';
import { addressOf, type InboundMessage, type MessageOutcome, placeOf } from '../inbound.ts';
import type { Clock, Random } from '../ports.ts';
import {
  acceptMessage,
  addContext,
  addContextAgain,
  hasSeen,
  newRecord,
  noteMention,
  toInboxItem,
} from '../record/inbox.ts';
import { forgetContextOnly, type MessageState, stateOfMessage } from '../record/message-state.ts';
import { ageOf, countHeld, holdLateMessage, markSeen } from '../record/offers.ts';
import { hasAsked, noteReaction } from '../record/reacted.ts';
import type { InboxItem, ThreadRecord } from '../record/thread-record.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
import { HEARD, ignoresBotsText, tooManyText } from '../words/messages.ts';
import { NoticeThrottle } from './notice-throttle.ts';
import type { Notices } from './notices.ts';
import type { RecentKeys } from './recent-keys.ts';
import { TurnLimits, type TurnPermit } from './turn-limits.ts';

export interface MessageQueueParts {
  workers: ThreadWorkers;
  policies: PolicyBook;
  notices: Notices;
  clock: Clock;
  random: Random;
  /** How many messages may wait; one more is refused with a notice, never dropped silently. */
  queue?: { perThread: number; total: number };
  /** ms after which a late message is offered to its author instead of being run; left out: it always runs. */
  staleAfterMs?: number | undefined;
  /** ms by which our wall clock is ahead of Slack's; left out: not known. */
  clockAheadMs?: (() => number) | undefined;
  /** Called for each thread in which a person writes to the agent. */
  onSpoken?: ((key: ThreadKey) => void) | undefined;
  /** Handled messages that no thread's record remembers, so that catch-up does not handle them again. */
  handled?: RecentKeys<MessageKey> | undefined;
  /** True for the first caller with this key, false for every later one: Slack delivers some messages as two events. */
  claimMessage(key: MessageKey): boolean;
}

/** The outcome for a message and the thread's next record; `null` leaves the record as it is. */
interface Placement {
  outcome: MessageOutcome;
  record: ThreadRecord | null;
  /** Why it was refused, in words for people; empty: no one is told. */
  notice?: string;
  /** Whether only its author is told. */
  isPrivate?: true;
}

const QUEUE = { perThread: 50, total: 1_000 };

/** Puts messages into the queue of their thread while there is room, and tells people only once that is on disk. */
export class MessageQueue {
  readonly #parts: MessageQueueParts;
  readonly #refusals = new NoticeThrottle();
  readonly #limits = new TurnLimits();

  constructor(parts: MessageQueueParts) {
    this.#parts = parts;
  }

  /**
   * Whether a message is too old to run without asking: catch-up found it, or Slack delivered it late (Delayed Events: up
   * to 24 h, docs/slack.md, HTTP delivery).
   */
  isStale(item: Pick<InboxItem, 'ts' | 'askedAt'>): boolean {
    return this.#isOlderThanLimit(item, this.#clockAheadMs());
  }

  /**
   * Whether a message is too old only by our own clock, while that runs ahead of Slack's: the author is asked, because the
   * bridge cannot tell.
   */
  #mayBeStale(item: InboxItem): boolean {
    return this.#clockAheadMs() > 0 && this.#isOlderThanLimit(item, 0);
  }

  #isOlderThanLimit(item: Pick<InboxItem, 'ts' | 'askedAt'>, aheadMs: number): boolean {
    const { clock, staleAfterMs } = this.#parts;
    return staleAfterMs !== undefined && ageOf(item, clock.now() - aheadMs) > staleAfterMs;
  }

  #clockAheadMs(): number {
    return this.#parts.clockAheadMs?.() ?? 0;
  }

  /**
   * Resolves when the message is on disk or refused; rejects when the disk fails.
   * @param askedAt ms since 1970, when an edit added the mention long after the message was written
   */
  async queueMessage(
    key: ThreadKey,
    message: InboundMessage,
    relevance: 'speak' | 'context',
    askedAt: number | undefined,
  ): Promise<MessageOutcome> {
    const { clock, workers, handled, claimMessage, onSpoken } = this.#parts;
    let placed: Placement = { outcome: { outcome: 'repeated' }, record: null };
    let stored: ThreadRecord | null = null;
    let wasUnmuted = false;
    let permit: TurnPermit | null = null;
    let releaseTurn = () => {};
    // The store may run the change twice, so the permit is requested only once.
    const permitFor = ({ user }: InboxItem) => {
      if (permit) return permit;
      const now = clock.monotonic();
      const policy = this.#parts.policies.current();
      permit = this.#limits.reserveTurn(key, user, policy, () => workers.busy(), now, clock.now());
      if (permit.isGranted) releaseTurn = () => this.#limits.releaseTurn(key, user, now);
      return permit;
    };
    try {
      stored = await workers.store(key, (record) => {
        const now = clock.now();
        const item: InboxItem = { ...toInboxItem(message, now), ...(askedAt !== undefined && { askedAt }) };
        const thread = withAbout(record ? withKind(record, message) : firstRecord(key, message, now), message, now);
        const known = askedAt === undefined ? thread : forgetContextOnly(thread, item.key);
        placed =
          hasSeen(known, item.key) || hasAsked(known, item)
            ? { outcome: { outcome: 'repeated' }, record: null }
            : relevance === 'context'
              ? { outcome: { outcome: 'context' }, record: addContext(known, item) }
              : this.#placeMessage(known, item, message.mentionsBot, permitFor);
        if (placed.outcome.outcome === 'accepted' && placed.record)
          placed = { ...placed, record: noteReaction(placed.record, item) };
        wasUnmuted = record?.muted === true && placed.record?.muted !== true;
        // Do not create a record just to refuse a message.
        return placed.outcome.outcome === 'refused' || placed.outcome.outcome === 'ignored'
          ? record && placed.record
          : placed.record;
      });
    } catch (error) {
      // Slack delivers the message again, and it counts then.
      releaseTurn();
      // A record that is too large stays so: refuse the message instead of failing at each delivery.
      const { code, notice } = asBridgeError(error);
      if (code !== 'record_too_large') {
        // It may be stored all the same, and Slack may give up: then catch-up has to look here for what comes next.
        if (placed.outcome.outcome === 'accepted') onSpoken?.(key);
        throw error;
      }
      placed = { outcome: { outcome: 'refused', reason: code }, record: null, notice };
    }
    const { outcome } = placed;
    if (outcome.outcome === 'refused') {
      if (stored === null) await handled?.storeKey(message.key);
      if (!claimMessage(message.key)) return { outcome: 'repeated' };
      if (relevance === 'speak') this.#tellRefusal(key, message, outcome.reason, placed);
    }
    if (outcome.outcome === 'accepted') {
      if (wasUnmuted && placed.record) this.#parts.notices.whisper(addressOf(message), message.user, HEARD.unmuted);
      onSpoken?.(key);
    }
    return outcome;
  }

  /** @param permitFor says whether the author and the channel may begin one more turn */
  #placeMessage(
    record: ThreadRecord,
    item: InboxItem,
    isMention: boolean,
    permitFor: (item: InboxItem) => TurnPermit,
  ): Placement {
    const { clock, workers, random, policies } = this.#parts;
    const { perThread, total } = this.#parts.queue ?? QUEUE;
    const { inARow } = policies.current().bots;
    // The author is told to send it again, so catch-up must not find it.
    const seen = markSeen(record, item.key, clock.now());
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
    if (record.inbox.length + countHeld(record) >= perThread) {
      return refused('inbox_full', tooManyText('here', perThread));
    }
    if (this.isStale(item)) {
      // A bot cannot answer an offer.
      if (item.bot) return { outcome: { outcome: 'ignored', reason: 'stale_from_a_bot' }, record: passed };
      return {
        outcome: { outcome: 'accepted' },
        record: holdLateMessage(record, item, isMention, makeToken(random.id())),
      };
    }
    if (!item.bot && this.#mayBeStale(item)) {
      const held = holdLateMessage(record, item, isMention, makeToken(random.id()), this.#clockAheadMs());
      return { outcome: { outcome: 'accepted' }, record: held };
    }
    if (workers.waiting >= total) {
      return refused('queue_full', tooManyText('everywhere', total));
    }
    // Consecutive messages of one person run as one turn, so only the first of them needs a permit.
    if (record.inbox.at(-1)?.user !== item.user) {
      const permit = permitFor(item);
      if (!permit.isGranted) return { ...refused(permit.reason, permit.notice), isPrivate: true };
    }
    return { outcome: { outcome: 'accepted' }, record: acceptMessage(record, item, isMention) };
  }

  #tellRefusal(key: ThreadKey, message: InboundMessage, reason: string, { notice = '', isPrivate }: Placement): void {
    const { notices, clock } = this.#parts;
    const address = addressOf(message);
    if (notice === '') return;
    // A bot sees no ephemeral message and may answer a public one: post only the notice that people need, once.
    if (message.bot) {
      if (reason === 'bots_in_a_row') notices.say(address, notice);
    } else if (isPrivate) notices.whisper(placeOf(message), message.user, notice);
    else if (this.#refusals.mayPost(key, clock.monotonic())) notices.say(address, `<@${message.user}> ${notice}`);
    else notices.whisper(address, message.user, notice);
  }
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
