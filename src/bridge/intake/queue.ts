import { asBridgeError } from '../../errors.ts';
import type { PolicyBook } from '../access/policy.ts';
import { memoryNotice } from '../commands/memory-notice.ts';
import { type MessageKey, makeToken, type ThreadKey } from '../ids.ts';
import { addressOf, type InboundMessage, type MessageOutcome, placeOf } from '../inbound.ts';
import type { Clock, Random } from '../ports.ts';
import { acceptMessage, addContext, hasSeen, newRecord, noteMention, toInboxItem } from '../record/inbox.ts';
import { forgetContextOnly } from '../record/message-state.ts';
import { ageOf, countHeld, holdLateMessage, markSeen } from '../record/offers.ts';
import type { InboxItem, ThreadRecord } from '../record/thread-record.ts';
import type { ThreadWorkers } from '../thread/workers.ts';
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
  /** How many messages may wait; beyond it one is refused in the open, never dropped in silence. */
  queue?: { perThread: number; total: number };
  /** ms after which a message that came late is not run unasked; left out: it always is. */
  staleAfterMs?: number | undefined;
  /** ms by which our wall clock is ahead of Slack's; left out: nobody knows. */
  clockAheadMs?: (() => number) | undefined;
  /** Told of each thread in which somebody speaks to the agent. */
  onSpoken?: ((key: ThreadKey) => void) | undefined;
  /** Messages that were handled and that no thread remembers, so that looking back does not take them. */
  handled?: RecentKeys<MessageKey> | undefined;
  /** Asked once for a message that leaves nothing in a thread: false for its twin. */
  claimMessage(key: MessageKey): boolean;
}

/** What becomes of a message, and its thread's record then; `null` leaves that as it is. */
interface Placement {
  outcome: MessageOutcome;
  record: ThreadRecord | null;
  /** Why it was refused, fit for people; empty: nobody is told. */
  notice?: string;
  /** Only its author is told. */
  isPrivate?: true;
}

const QUEUE = { perThread: 50, total: 1_000 };
const UNMUTED = 'You mentioned me, so I unmuted this thread: I answer replies here again. `!mute` mutes it again.';
const NOT_QUEUED = 'so I did not queue this one. Send it again later.';

/** Puts messages into the queue of their thread, while there is room: on disk before anybody is told. */
export class MessageQueue {
  readonly #parts: MessageQueueParts;
  readonly #refusals = new NoticeThrottle();
  readonly #limits = new TurnLimits();

  constructor(parts: MessageQueueParts) {
    this.#parts = parts;
  }

  /**
   * Too old to be run unasked: found by looking back, or delivered late (Slack's Delayed Events: up to 24 h,
   * docs/slack.md, HTTP delivery).
   */
  isStale(item: Pick<InboxItem, 'ts' | 'askedAt'>): boolean {
    return this.#isOlderThanLimit(item, this.#clockAheadMs());
  }

  /**
   * The same by our own clock, where that is known to be ahead of Slack's: nobody can be sure, so its author is asked.
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
   * Resolves when it is on disk, or was refused for good; rejects when the disk fails.
   * @param askedAt ms since 1970, when its author made it one for the agent long after it was written
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
    let isNewThread = false;
    let wasUnmuted = false;
    let permit: TurnPermit | null = null;
    let releaseTurn = () => {};
    // A change may run twice: room is asked for once.
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
        isNewThread = record === null;
        const now = clock.now();
        const item: InboxItem = { ...toInboxItem(message, now), ...(askedAt !== undefined && { askedAt }) };
        const thread = record ?? newRecord(key, addressOf(message), message.user, now);
        const known = askedAt === undefined ? thread : forgetContextOnly(thread, item.key);
        placed = hasSeen(known, item.key)
          ? { outcome: { outcome: 'repeated' }, record: null }
          : relevance === 'context'
            ? { outcome: { outcome: 'context' }, record: addContext(known, item) }
            : this.#placeMessage(known, item, message.mentionsBot, permitFor);
        wasUnmuted = record?.muted === true && placed.record?.muted !== true;
        // A thread is not made for what it does not keep.
        return placed.outcome.outcome === 'refused' || placed.outcome.outcome === 'ignored'
          ? record && placed.record
          : placed.record;
      });
    } catch (error) {
      // It counts when Slack sends it again.
      releaseTurn();
      // Which would be in vain, again and again.
      const { code, notice } = asBridgeError(error);
      if (code !== 'record_too_large') throw error;
      placed = { outcome: { outcome: 'refused', reason: code }, record: null, notice };
    }
    const { outcome } = placed;
    if (outcome.outcome === 'refused') {
      if (stored === null) await handled?.storeKey(message.key);
      if (!claimMessage(message.key)) return { outcome: 'repeated' };
      if (relevance === 'speak') this.#tellRefusal(key, message, outcome.reason, placed);
    }
    if (outcome.outcome === 'accepted') {
      if (isNewThread) this.#postMemoryNotice(message);
      if (wasUnmuted && placed.record) this.#parts.notices.whisper(addressOf(message), message.user, UNMUTED);
      onSpoken?.(key);
    }
    return outcome;
  }

  /** @param permitFor whether its author and its channel may have one more turn */
  #placeMessage(
    record: ThreadRecord,
    item: InboxItem,
    isMention: boolean,
    permitFor: (item: InboxItem) => TurnPermit,
  ): Placement {
    const { clock, workers, random, policies } = this.#parts;
    const { perThread, total } = this.#parts.queue ?? QUEUE;
    const { inARow } = policies.current().bots;
    // Its author is told to send it again: looking back must not find it.
    const seen = markSeen(record, item.key, clock.now());
    // Their author is told to send it again, and may do so by a plain reply.
    const passed = isMention ? noteMention(seen, item.user) : seen;
    const refused = (reason: string, notice: string): Placement => ({
      outcome: { outcome: 'refused', reason },
      record: passed,
      notice,
    });
    const { botsInARow = 0 } = record;
    if (item.bot && botsInARow >= inARow) {
      const told = refused('bots_in_a_row', botsInARow === inARow ? afterBots(inARow) : '');
      return { ...told, record: { ...passed, botsInARow: inARow + 1 } };
    }
    if (record.inbox.length + countHeld(record) >= perThread) {
      return refused('inbox_full', `Too many messages are already waiting here (${perThread}), ${NOT_QUEUED}`);
    }
    if (this.isStale(item)) {
      // A bot would never say what is to become of it.
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
      const where = `for the agent (${total} in all threads)`;
      return refused('queue_full', `Too many messages are already waiting ${where}, ${NOT_QUEUED}`);
    }
    // What joins a message of the same person goes with it as one turn.
    if (record.inbox.at(-1)?.user !== item.user) {
      const permit = permitFor(item);
      if (!permit.isGranted) return { ...refused(permit.reason, permit.notice), isPrivate: true };
    }
    return { outcome: { outcome: 'accepted' }, record: acceptMessage(record, item, isMention) };
  }

  #postMemoryNotice(message: InboundMessage): void {
    if (message.channelKind !== 'im' || message.threadTs !== null) return;
    const { notices, policies } = this.#parts;
    notices.say(addressOf(message), memoryNotice(policies.current(), message.channel));
  }

  #tellRefusal(key: ThreadKey, message: InboundMessage, reason: string, { notice = '', isPrivate }: Placement): void {
    const { notices, clock } = this.#parts;
    const address = addressOf(message);
    if (notice === '') return;
    // A bot reads no whisper, and might answer what is said openly: so that is said once, for people.
    if (message.bot) {
      if (reason === 'bots_in_a_row') notices.say(address, notice);
    } else if (isPrivate) notices.whisper(placeOf(message), message.user, notice);
    else if (this.#refusals.mayPost(key, clock.monotonic())) notices.say(address, `<@${message.user}> ${notice}`);
    else notices.whisper(address, message.user, notice);
  }
}

function afterBots(most: number): string {
  const messages = most === 1 ? '1 bot message' : `${most} bot messages`;
  return `${messages} since a person last wrote: I’ll ignore bots here until a person writes.`;
}
