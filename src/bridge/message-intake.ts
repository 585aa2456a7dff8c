import { asBridgeError } from '../errors.ts';
import type { Typed } from './approvals/typing.ts';
import { Chains } from './chains.ts';
import type { CommandDesk } from './command-desk.ts';
import { helpText, parseBang } from './commands.ts';
import type { Door } from './door.ts';
import { type MessageKey, makeThreadKey, makeToken, ROLLING, type ThreadKey, type UserId } from './ids.ts';
import type { InboundMessage, InboundRevision, MessageOutcome, RevisionOutcome, ThreadAddress } from './inbound.ts';
import { accept, hasSeen, itemOf, newRecord, overhear } from './inbox.ts';
import type { KillSwitch } from './kill-switch.ts';
import { memoryNotice } from './memory-notice.ts';
import type { Notices } from './notices.ts';
import { ageOf, heldCount, holdNew, isBeforeThread, markSeen } from './offers.ts';
import { OpenRefusals } from './open-refusals.ts';
import { type PolicyBook, settingsOf } from './policy.ts';
import type { Clock, Log, Person, Random, Surface, Threads } from './ports.ts';
import { spansText } from './prompt.ts';
import type { RecentKeys } from './recent-keys.ts';
import { type Relevance, relevanceOf } from './relevance.ts';
import { RevisionDesk, threadOfRevision } from './revision-desk.ts';
import type { InboxItem, ThreadRecord } from './thread-record.ts';
import type { ThreadWorkers } from './thread-workers.ts';
import { type Room, TurnLimits } from './turn-limits.ts';

export interface MessageIntakeParts {
  threads: Threads;
  workers: ThreadWorkers;
  surface: Surface;
  policies: PolicyBook;
  killSwitch: KillSwitch;
  door: Door;
  desk: CommandDesk;
  notices: Notices;
  botUser: UserId;
  clock: Clock;
  random: Random;
  log: Log;
  /** How many messages may wait; beyond it one is refused in the open, never dropped in silence. */
  queue?: { perThread: number; total: number };
  /** ms after which a message that came late is not run unasked; left out: it always is. */
  staleAfterMs?: number | undefined;
  /** Told of each thread in which somebody speaks to the agent. */
  onSpoken?: ((key: ThreadKey) => void) | undefined;
  /** Messages that were handled and that no thread remembers, so that looking back does not take them. */
  handled?: RecentKeys<MessageKey> | undefined;
}

const noNames = { users: new Map<string, string>(), channels: new Map<string, string>() };
/** Messages that leave nothing on disk (commands, help) come twice too: mention and message twins, retries. */
const RECENT_LIMIT = 2_000;
const OVERHEARD_EVERY_MS = 60 * 60_000;
const QUEUE = { perThread: 50, total: 1_000 };

/** What people write, and change of it: is it for us, may they, is it new, is there room; then it is on disk, in order. */
export class MessageIntake {
  readonly #parts: MessageIntakeParts;
  readonly #recent = new Set<MessageKey>();
  readonly #refusals = new OpenRefusals();
  readonly #overhearRefusals = new OpenRefusals(OVERHEARD_EVERY_MS);
  readonly #limits = new TurnLimits();
  /** A reply that came behind a mention is judged behind it: whether it is for the bot depends on it. */
  readonly #inOrder = new Chains<ThreadKey>();
  readonly #revisions: RevisionDesk;

  constructor(parts: MessageIntakeParts) {
    this.#parts = parts;
    this.#revisions = new RevisionDesk(parts, (message) => this.#message(message, false, parts.clock.now()));
  }

  /**
   * Resolves when the message is on disk or needs not be.
   * @param caughtUp found by looking, perhaps long after it was written
   */
  take(message: InboundMessage, caughtUp: boolean): Promise<MessageOutcome> {
    return this.#inOrder.run(threadOf(message), () => this.#message(message, caughtUp));
  }

  /** Resolves when the change is on disk or needs not be. */
  revise(revision: InboundRevision): Promise<RevisionOutcome> {
    const key = threadOfRevision(revision);
    return this.#inOrder.run(key, () => this.#revisions.take(key, revision));
  }

  /** @param askedAt ms since 1970, when its author made it one for the agent long after it was written */
  async #message(message: InboundMessage, caughtUp: boolean, askedAt?: number): Promise<MessageOutcome> {
    const { threads, botUser } = this.#parts;
    const key = threadOf(message);
    const record = await threads.load(key);
    const { listen } = settingsOf(this.#parts.policies.current(), message.channel);
    const relevance = relevanceOf(message, record, { botUser, listen });
    if (relevance === 'ignore')
      return { outcome: 'ignored', reason: record ? 'not_for_the_bot' : 'not_a_thread_of_ours' };
    if (this.#recent.has(message.key) || this.#parts.handled?.has(message.key)) return { outcome: 'repeated' };
    if (record && hasSeen(record, message.key)) return this.#repeated(record, message.key, caughtUp);

    if (caughtUp && record && !isPlainlyOurs(message) && isBeforeThread(record, message.ts)) {
      return { outcome: 'ignored', reason: 'before_the_thread_was_ours' };
    }

    const { person, place, verdict } = await this.#parts.door.message(message);
    if (!verdict.allowed) {
      // What is found late may have been answered in its time; of this nothing is on disk. A bot reads no whisper.
      if (relevance !== 'speak' || caughtUp || message.bot) return { outcome: 'ignored', reason: verdict.reason };
      if (!this.#isFirst(message.key)) return { outcome: 'repeated' };
      // At top level without `thread_ts`: an ephemeral reply in a thread that does not exist yet is invisible.
      if (this.#isDue(message)) this.#parts.notices.whisper(placeOf(message), message.user, verdict.notice);
      return { outcome: 'refused', reason: verdict.reason };
    }

    const text = spansText(message.spans, noNames, botUser);
    // A bot gives no commands.
    const parsed = message.bot ? null : parseBang(text);
    // "stop" of a bystander is meant, too; "!important" among people is not.
    const bang = relevance === 'speak' || parsed?.kind === 'command' ? parsed : null;
    if (bang || relevance === 'speak') {
      const isStale = this.#isStale({ ts: message.ts, askedAt });
      if (bang && (caughtUp || isStale)) return this.#missedCommand(key, message, record);
      if (bang) {
        if (!this.#isFirst(message.key)) return { outcome: 'repeated' };
        const name = bang.kind === 'unknown' ? 'unknown' : bang.name;
        try {
          this.#parts.notices.whisper(
            placeOf(message),
            message.user,
            await this.#parts.desk.give(bang, { person, team: message.team, place, thread: key, mark: '!' }),
          );
        } catch (error) {
          // Slack sends it again.
          this.#recent.delete(message.key);
          throw error;
        }
        await this.#remember(key, message);
        return { outcome: 'command', name };
      }
      if (text === '' && message.files.length === 0) {
        if (caughtUp) return { outcome: 'ignored', reason: 'help_was_missed' };
        if (!this.#isFirst(message.key)) return { outcome: 'repeated' };
        this.#parts.notices.say(addressOf(message), helpText(botUser));
        return { outcome: 'helped' };
      }
    }
    const { notice } = this.#parts.killSwitch;
    if (relevance === 'speak' && notice !== null) {
      if (!this.#isFirst(message.key)) return { outcome: 'repeated' };
      // Looking back must not find it once the agent is resumed: its author was told.
      await this.#remember(key, message);
      this.#parts.notices.whisper(placeOf(message), message.user, `${notice} Send your message again then.`);
      return { outcome: 'refused', reason: 'paused' };
    }
    // What is found long after it was written decides nothing any more.
    const typed = this.#isStale({ ts: message.ts, askedAt })
      ? 'nothing'
      : await this.#typed(key, record, message, relevance, person);
    if (typed === 'answers' || typed === 'points') return { outcome: typed === 'answers' ? 'answered' : 'pointed' };
    const outcome = await this.#store(key, message, relevance, askedAt);
    if (typed === 'waits' && outcome.outcome === 'accepted') await this.#askAbout(key, message, person);
    return outcome;
  }

  /** Too old to be run unasked: found by looking back, or delivered late (Slack's Delayed Events: up to 24 h, PLATFORM.md 5.1). */
  #isStale(item: Pick<InboxItem, 'ts' | 'askedAt'>): boolean {
    const { clock, staleAfterMs } = this.#parts;
    return staleAfterMs !== undefined && ageOf(item, clock.now()) > staleAfterMs;
  }

  /** A request may wait for its author: then it must not just wait behind it. */
  async #typed(
    key: ThreadKey,
    record: ThreadRecord | null,
    message: InboundMessage,
    relevance: Relevance,
    person: Person,
  ): Promise<Typed> {
    const asks = record?.approvals.some(({ state }) => state.state === 'open') ?? false;
    if (!asks || message.bot || relevance !== 'speak') return 'nothing';
    const typed = await this.#parts.workers.get(key).desk.typed(message, person);
    if (typed === 'points') {
      await this.#remember(key, message);
      const text = 'A message never approves anything: what waits for you is decided by the buttons on its card above.';
      this.#parts.notices.say(addressOf(message), `<@${message.user}> ${text}`);
    }
    return typed;
  }

  async #askAbout(key: ThreadKey, message: InboundMessage, person: Person): Promise<void> {
    try {
      await this.#parts.workers.get(key).desk.askAbout(message, person);
    } catch (error) {
      // It is queued, which is what happens when nobody says anything.
      this.#parts.log.warn({ message: message.key, err: error }, 'nobody could be asked about a message');
    }
  }

  /** Where all is listened to, people are told once in a while, not at each word that they say among themselves. */
  #isDue(message: InboundMessage): boolean {
    if (isPlainlyOurs(message)) return true;
    return this.#overhearRefusals.isDue(`${message.channel} ${message.user}`, this.#parts.clock.now());
  }

  /** A command is of its moment: carried out hours later it would hit something else. */
  async #missedCommand(key: ThreadKey, message: InboundMessage, record: ThreadRecord | null): Promise<MessageOutcome> {
    if (record) {
      await this.#remember(key, message);
      const text =
        'A command of yours came while the bridge was away and was not carried out. Write it again if it still matters.';
      this.#parts.notices.whisper(placeOf(message), message.user, text);
    }
    return { outcome: 'ignored', reason: 'command_was_missed' };
  }

  /** So that looking back does not find it as something new. It was carried out: a disk that fails is no reason to repeat it. */
  async #remember(key: ThreadKey, message: InboundMessage): Promise<void> {
    const { threads, clock, log, handled } = this.#parts;
    try {
      const record = await threads.update(key, (known) => known && markSeen(known, message.key, clock.now()));
      if (record === null) await handled?.keep(message.key);
    } catch (error) {
      log.warn({ message: message.key, err: error }, 'a command could not be remembered');
    }
  }

  async #store(
    key: ThreadKey,
    message: InboundMessage,
    relevance: Exclude<Relevance, 'ignore'>,
    askedAt: number | undefined,
  ): Promise<MessageOutcome> {
    const { threads, clock, workers, random } = this.#parts;
    let outcome: MessageOutcome = { outcome: relevance === 'speak' ? 'accepted' : 'context' };
    const queue = this.#parts.queue ?? QUEUE;
    const full = workers.waiting >= queue.total;
    const policy = this.#parts.policies.current();
    let room: Room | null = null;
    let first = false;
    let privately = false;
    let notice = '';
    let stored: ThreadRecord | null = null;
    try {
      stored = await threads.update(key, (record) => {
        const now = clock.now();
        first = record === null;
        const known = record ?? newRecord(key, addressOf(message), message.user, now);
        if (hasSeen(known, message.key)) {
          outcome = { outcome: 'repeated' };
          return null;
        }
        const item: InboxItem = { ...itemOf(message, now), ...(askedAt !== undefined && { askedAt }) };
        if (relevance === 'context') return overhear(known, item);
        const refuse = (reason: string, words: string) => {
          notice = words;
          outcome = { outcome: 'refused', reason };
          // Its author is told to send it again: looking back must not find it.
          return record && markSeen(record, message.key, now);
        };
        if (item.bot && (known.botsInARow ?? 0) >= policy.bots.inARow) {
          const first = known.botsInARow === policy.bots.inARow;
          const told = refuse('bots_in_a_row', first ? botsInARow(policy.bots.inARow) : '');
          return told && { ...told, botsInARow: policy.bots.inARow + 1 };
        }
        if (known.inbox.length + heldCount(known) >= queue.perThread) {
          const words = `Too many messages are waiting here already (${queue.perThread}); this one was not taken. Send it again later.`;
          return refuse('inbox_full', words);
        }
        if (this.#isStale(item)) {
          // A bot would never say what is to become of it.
          if (item.bot) {
            outcome = { outcome: 'ignored', reason: 'stale_from_a_bot' };
            return record && markSeen(record, message.key, now);
          }
          return holdNew(known, item, message.mentionsBot, makeToken(random.id()));
        }
        if (full) {
          const words = `Too many messages are waiting for the agent already (${queue.total} in all threads); this one was not taken. Send it again later.`;
          return refuse('queue_full', words);
        }
        // What joins a message of the same person goes with it as one turn. A change may run twice: asked once.
        if (known.inbox.at(-1)?.user !== item.user) {
          room ??= this.#limits.take(key, item.user, policy, () => workers.busy(), now);
          if (!room.room) {
            const whispered = refuse(room.reason, room.notice);
            privately = true;
            return whispered;
          }
        }
        return accept(known, item, message.mentionsBot);
      });
    } catch (error) {
      // Slack would send it again and again, in vain.
      const failure = asBridgeError(error);
      if (failure.code !== 'record_too_large') throw error;
      notice = failure.notice;
      outcome = { outcome: 'refused', reason: failure.code };
    }
    if (outcome.outcome === 'refused') {
      if (stored === null) await this.#parts.handled?.keep(message.key);
      if (!this.#isFirst(message.key)) return { outcome: 'repeated' };
      if (relevance !== 'speak' || notice === '') return outcome;
      if (message.bot) this.#tellOfBot(message, outcome.reason, notice);
      else if (privately) this.#parts.notices.whisper(placeOf(message), message.user, notice);
      else this.#refuse(key, message, notice);
    }
    if (outcome.outcome === 'accepted') {
      if (first && message.channelKind === 'im' && message.threadTs === null) {
        this.#parts.notices.say(addressOf(message), memoryNotice(policy, message.channel));
      }
      this.#parts.onSpoken?.(key);
      workers.wake(key, stored);
    }
    return outcome;
  }

  /** A write that failed may have been done all the same: then nobody has told the worker yet. */
  #repeated(record: ThreadRecord, key: MessageKey, caughtUp: boolean): MessageOutcome {
    if (record.inbox.some((item) => item.key === key)) this.#parts.workers.wake(record.key, record);
    if (!caughtUp) this.#parts.onSpoken?.(record.key);
    return { outcome: 'repeated' };
  }

  #refuse(key: ThreadKey, message: InboundMessage, notice: string): void {
    const address = addressOf(message);
    if (this.#refusals.isDue(key, this.#parts.clock.now()))
      this.#parts.notices.say(address, `<@${message.user}> ${notice}`);
    else this.#parts.notices.whisper(address, message.user, notice);
  }

  /** A bot reads no whisper, and might answer what is said openly: so that is said once, for people. */
  #tellOfBot(message: InboundMessage, reason: string, notice: string): void {
    if (reason === 'bots_in_a_row') this.#parts.notices.say(addressOf(message), notice);
  }

  /** Asked in the step that acts, as twins may both have come this far: only one of them hears yes. */
  #isFirst(key: MessageKey): boolean {
    if (this.#recent.has(key)) return false;
    this.#recent.add(key);
    for (const oldest of this.#recent) {
      if (this.#recent.size <= RECENT_LIMIT) break;
      this.#recent.delete(oldest);
    }
    return true;
  }
}

function botsInARow(most: number): string {
  const messages = most === 1 ? '1 message' : `${most} messages`;
  return `Bots have written ${messages} to the agent here since a person last did; it answers them again once a person has written.`;
}

/** A DM's top level is one rolling conversation; everything else is a thread, which a top-level message begins. */
function threadOf(message: InboundMessage): ThreadKey {
  const { team, channel, channelKind, ts, threadTs } = message;
  return makeThreadKey({ team, channel, root: threadTs ?? (channelKind === 'im' ? ROLLING : ts) });
}

function addressOf(message: InboundMessage): ThreadAddress {
  const { team, channel, channelKind, ts, threadTs } = message;
  return { team, channel, threadTs: threadTs ?? (channelKind === 'im' ? null : ts) };
}

/** Whether it is for the agent wherever the thread comes from. */
function isPlainlyOurs(message: InboundMessage): boolean {
  return message.channelKind === 'im' || message.mentionsBot;
}

/** Where a private word to the author is visible: not in a thread that does not exist yet. */
function placeOf(message: InboundMessage): ThreadAddress {
  return { team: message.team, channel: message.channel, threadTs: message.threadTs };
}
