import { asBridgeError } from '../../errors.ts';
import type { PolicyBook } from '../access/policy.ts';
import type { MessageKey, ThreadKey } from '../ids.ts';
import { addressOf, type InboundMessage, type MessageOutcome, placeOf } from '../inbound.ts';
import type { Clock } from '../ports.ts';
import { type Admission, isStale, type Placement, type StaleRules } from '../record/inbox-change.ts';
import type { InboxItem } from '../record/thread-record.ts';
import type { Stored, ThreadWorkers } from '../thread/workers.ts';
import { HEARD, tooManyText } from '../words/messages.ts';
import { NoticeThrottle } from './notice-throttle.ts';
import type { Notices } from './notices.ts';
import type { RecentKeys } from './recent-keys.ts';
import { TurnLimits } from './turn-limits.ts';

export interface MessageQueueParts {
  workers: ThreadWorkers;
  policies: PolicyBook;
  notices: Notices;
  clock: Clock;
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

const BOT_REFUSALS_EVERY_MS = 60 * 60_000;
const QUEUE = { perThread: 50, total: 1_000 };

/** Puts messages into the queue of their thread while there is room, and tells people only once that is on disk. */
export class MessageQueue {
  readonly #parts: MessageQueueParts;
  readonly #refusals = new NoticeThrottle();
  readonly #botRefusals = new NoticeThrottle(BOT_REFUSALS_EVERY_MS);
  readonly #limits = new TurnLimits();

  constructor(parts: MessageQueueParts) {
    this.#parts = parts;
  }

  /** Whether a message is too old to run without asking. */
  isStale(item: Pick<InboxItem, 'ts' | 'askedAt'>): boolean {
    return isStale(item, this.#staleRules(), this.#parts.clock.now());
  }

  #staleRules(): StaleRules {
    const { staleAfterMs = null, clockAheadMs } = this.#parts;
    return { staleAfterMs, clockAheadMs: clockAheadMs?.() ?? 0 };
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
    let stored: Stored = { record: null, isChanged: false, wasUnmuted: false };
    let placed: Placement | undefined;
    let permit: Admission | null = null;
    let releaseTurn = () => {};
    const { perThread, total } = this.#parts.queue ?? QUEUE;
    // The store may ask twice, so the permit is requested only once.
    const admit = (item: InboxItem, begins: boolean): Admission => {
      if (workers.waiting >= total) {
        return { isGranted: false, reason: 'queue_full', notice: tooManyText('everywhere', total) };
      }
      if (!begins) return { isGranted: true };
      if (permit) return permit;
      const now = clock.monotonic();
      const policy = this.#parts.policies.current();
      permit = this.#limits.reserveTurn(key, item, policy, () => workers.busy(), now, clock.now());
      if (permit.isGranted) releaseTurn = () => this.#limits.releaseTurn(key, item.user, now);
      return permit;
    };
    const rules = { most: perThread, ...this.#staleRules(), ...(askedAt !== undefined && { askedAt }) };
    try {
      stored = await workers.store(key, { do: 'place', message, as: relevance, rules }, admit);
      placed = stored.placed;
    } catch (error) {
      // Slack delivers the message again, and it counts then.
      releaseTurn();
      // A record that is too large stays so: refuse the message instead of failing at each delivery.
      const { code, notice } = asBridgeError(error);
      if (code !== 'record_too_large') {
        // It may be stored all the same, and Slack may give up: then catch-up has to look here for what comes next.
        if (relevance === 'speak') onSpoken?.(key);
        throw error;
      }
      placed = { outcome: { outcome: 'refused', reason: code }, record: null, notice };
    }
    if (!placed) throw new TypeError('the message was not placed');
    const { outcome } = placed;
    if (outcome.outcome === 'refused') {
      if (stored.record === null) await handled?.storeKey(message.key);
      if (!claimMessage(message.key)) return { outcome: 'repeated' };
      if (relevance === 'speak') this.#tellRefusal(key, message, outcome.reason, placed);
    }
    if (outcome.outcome === 'accepted') {
      if (stored.wasUnmuted) this.#parts.notices.whisper(addressOf(message), message.user, HEARD.unmuted);
      onSpoken?.(key);
    }
    return outcome;
  }

  #tellRefusal(key: ThreadKey, message: InboundMessage, reason: string, { notice = '', isPrivate }: Placement): void {
    const { notices, clock } = this.#parts;
    const address = addressOf(message);
    if (notice === '') return;
    // A bot sees no ephemeral message and may answer a public one: post only the notice that people need, once.
    if (message.bot) {
      const isDue = reason === 'bots_rate' && this.#botRefusals.mayPost(message.channel, clock.monotonic());
      if (isDue || reason === 'bots_in_a_row') notices.say(address, notice);
    } else if (isPrivate) notices.whisper(placeOf(message), message.user, notice);
    else if (this.#refusals.mayPost(key, clock.monotonic())) notices.say(address, `<@${message.user}> ${notice}`);
    else notices.whisper(address, message.user, notice);
  }
}
