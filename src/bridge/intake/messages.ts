import { BoundedMap } from '../../bounded-map.ts';
import { can, type Place } from '../access/can.ts';
import type { Door, Judgement } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import { settingsOf } from '../access/policy.ts';
import { Chains } from '../chains.ts';
import type { CommandRunner } from '../commands/command-runner.ts';
import { saysStop } from '../commands/stop-words.ts';
import { type CommandName, helpText, type ParsedCommand, parseBang } from '../commands/table.ts';
import { type MessageKey, makeThreadKey, ROLLING, type ThreadKey, type UserId } from '../ids.ts';
import {
  addressOf,
  type InboundMessage,
  type InboundRevision,
  type MessageOutcome,
  placeOf,
  type RevisionOutcome,
} from '../inbound.ts';
import type { Person } from '../person.ts';
import type { Log, Threads } from '../ports.ts';
import { hasSeen, newRecord, noteMention } from '../record/inbox.ts';
import { isContextOnly, type MessageState, stateOfMessage } from '../record/message-state.ts';
import { markSeen, wasBeforeThread } from '../record/offers.ts';
import { isActive, needsLetta, type ThreadRecord } from '../record/thread-record.ts';
import type { Typed } from '../thread/approvals/replies.ts';
import { isBlankText, noNames, spansText } from '../turn/prompt.ts';
import { RevisionDesk, threadOfRevision } from './edits.ts';
import { NoticeThrottle } from './notice-throttle.ts';
import { MessageQueue, type MessageQueueParts } from './queue.ts';
import { type Relevance, relevanceOf } from './relevance.ts';

export interface MessageIntakeParts extends Omit<MessageQueueParts, 'claimMessage'> {
  threads: Pick<Threads, 'load'>;
  log: Log;
  killSwitch: KillSwitch;
  door: Door;
  commands: CommandRunner;
  botUser: UserId;
  /** The message in its channel's present id; the same one where that is its own. */
  inCurrentChannel(message: InboundMessage): InboundMessage;
}

const POINTS = 'I never take a message as an approval. To decide, use the buttons on the card above.';
const UNREACHABLE =
  'I can’t reach Letta right now, so your answer did not arrive and the question above stays open. Send it again in a moment.';
const TRIES_ON =
  'Slack can’t tell me right now whether you may use this agent. I’ll keep trying for a few minutes; you don’t need to send your message again.';
const UNREADABLE =
  'I can’t read this message, because all its text is in attachments or blocks that I don’t get. I did not run it. Send it as plain text.';
/** Longer than this nobody is left without a sign. */
const SIGN_AFTER_MS = 1_000;
/** Messages that leave nothing on disk (commands, help) come twice too: mention and message twins, retries. */
const RECENT_LIMIT = 2_000;
const OVERHEARD_EVERY_MS = 60 * 60_000;
/** What they do is not stored together with the message, so a restart between the two leaves nobody who knows. */
const CARRIED_OUT_ELSEWHERE: ReadonlySet<string> = new Set<CommandName | ''>([
  ...(['pause', 'resume', 'agent', 'mode', 'approve', 'deny'] as const),
]);

/** What people write, and change of it: is it for us, may they, is it new, is there room; then it is on disk, in order. */
export class MessageIntake {
  readonly #parts: MessageIntakeParts;
  readonly #claimed = new BoundedMap<MessageKey, true>(RECENT_LIMIT);
  readonly #overhearRefusals = new NoticeThrottle(OVERHEARD_EVERY_MS);
  /** A bot that posts so posts so often. */
  readonly #unreadableBots = new NoticeThrottle(OVERHEARD_EVERY_MS);
  /** Who was told that their message waits for a word of Slack's. */
  readonly #waitNotices = new NoticeThrottle();
  /** A reply that came behind a mention is judged behind it: whether it is for the bot depends on it. */
  readonly #perThread = new Chains<ThreadKey>();
  readonly #queue: MessageQueue;
  readonly #revisions: RevisionDesk;

  constructor(parts: MessageIntakeParts) {
    this.#parts = parts;
    this.#queue = new MessageQueue({ ...parts, claimMessage: (key) => this.#claimMessage(key) });
    this.#revisions = new RevisionDesk(parts, {
      handleMessage: (message, asksNow) =>
        this.#processMessage(message, !asksNow, asksNow ? parts.clock.now() : undefined),
      markHandled: async (key) => {
        this.#claimMessage(key);
        await parts.handled?.storeKey(key);
      },
      findCommand: (message, where) => this.#findCommandInEdit(message, where),
      runCommand: (command, message, asked) => {
        // As a message it was taken before; as a command it is new.
        this.#claimed.delete(message.key);
        return this.#runCommand(command, message, asked);
      },
    });
  }

  /**
   * Resolves when the message is on disk or needs not be.
   * @param caughtUp found by looking, perhaps long after it was written
   */
  handleMessage(message: InboundMessage, caughtUp: boolean): Promise<MessageOutcome> {
    return this.#perThread.run(threadOf(message), () => this.#processMessage(message, caughtUp));
  }

  /** Resolves when the change is on disk or needs not be. */
  handleRevision(revision: InboundRevision): Promise<RevisionOutcome> {
    const key = threadOfRevision(revision);
    return this.#perThread.run(key, () => this.#revisions.handleRevision(key, revision));
  }

  /** @param askedAt ms since 1970, when its author made it one for the agent long after it was written */
  async #processMessage(message: InboundMessage, caughtUp: boolean, askedAt?: number): Promise<MessageOutcome> {
    const { threads, botUser } = this.#parts;
    const key = threadOf(message);
    const record = await threads.load(key);
    const { listen } = settingsOf(this.#parts.policies.current(), message.channel);
    const relevance = relevanceOf(message, record, { botUser, listen });
    if (relevance === 'ignore')
      return { outcome: 'ignored', reason: record ? 'not_for_the_bot' : 'not_a_thread_of_ours' };
    if (this.#claimed.has(message.key) || this.#parts.handled?.has(message.key)) return { outcome: 'repeated' };
    const asksNow = askedAt !== undefined && record !== null && isContextOnly(stateOfMessage(record, message.key));
    if (record && hasSeen(record, message.key) && !asksNow) return this.#handleRepeat(record, caughtUp);

    if (caughtUp && record && !isPlainlyOurs(message) && wasBeforeThread(record, message.ts)) {
      return { outcome: 'ignored', reason: 'before_the_thread_was_ours' };
    }

    const text = spansText(message.spans, noNames, botUser);
    const isEmpty = isBlankText(text) && message.files.length === 0;
    const command = this.#findCommand(message, text, relevance, record);
    const { person, place, verdict } = await this.#judgeAuthor(
      message,
      (relevance === 'speak' || command !== null) && !caughtUp,
    );
    // Whoever may stop a turn by its button may do so by the word, also where they may not speak.
    const stops = command?.kind === 'command' && command.name === 'stop';
    const mayStop = stops && can(this.#parts.policies.current(), person, { do: 'stop' }, place).allowed;
    if (!verdict.allowed && !mayStop) {
      // What is found late may have been answered in its time; of this nothing is on disk. A bot reads no whisper.
      const isHeard = relevance === 'speak' || command !== null;
      if (!isHeard || caughtUp || message.bot) return { outcome: 'ignored', reason: verdict.reason };
      if (!this.#claimMessage(message.key)) return { outcome: 'repeated' };
      // At top level without `thread_ts`: an ephemeral reply in a thread that does not exist yet is invisible.
      if (command || this.#mayPostRefusal(message))
        this.#parts.notices.whisper(placeOf(message), message.user, verdict.notice);
      return { outcome: 'refused', reason: verdict.reason };
    }

    if (command || relevance === 'speak') {
      const isStale = this.#queue.isStale({ ts: message.ts, askedAt });
      if (command && (caughtUp || isStale)) return this.#reportMissedCommand(command, key, message, record);
      if (command) return this.#runCommand(command, message, { person, place });
      if (isEmpty && message.unread) return this.#refuseUnreadable(key, message, caughtUp);
      if (isEmpty) {
        if (caughtUp) return { outcome: 'ignored', reason: 'help_was_missed' };
        if (!this.#claimMessage(message.key)) return { outcome: 'repeated' };
        await this.#addParticipant(key, message);
        this.#parts.notices.say(addressOf(message), helpText(botUser));
        return { outcome: 'helped' };
      }
    }
    if (isEmpty) return { outcome: 'ignored', reason: 'empty' };
    const { notice } = this.#parts.killSwitch;
    if (relevance === 'speak' && notice !== null) {
      if (!this.#claimMessage(message.key)) return { outcome: 'repeated' };
      // Looking back must not find it once the agent is resumed: its author was told.
      await this.#rememberHandled(key, message);
      this.#parts.notices.whisper(placeOf(message), message.user, `${notice} Send your message again then.`);
      return { outcome: 'refused', reason: 'paused' };
    }
    // What is found long after it was written decides nothing any more.
    const typed = this.#queue.isStale({ ts: message.ts, askedAt })
      ? 'nothing'
      : await this.#passToApprovals(key, record, message, relevance, person);
    if (typed === 'answers' || typed === 'points') return { outcome: typed === 'answers' ? 'answered' : 'pointed' };
    if (typed === 'unreachable') return { outcome: 'refused', reason: typed };
    const placed = this.#parts.inCurrentChannel(message);
    // Its channel got another id while it was judged.
    if (placed !== message) {
      return this.#perThread.run(threadOf(placed), () => this.#processMessage(placed, caughtUp, askedAt));
    }
    const outcome = await this.#queue.queueMessage(key, message, relevance, askedAt);
    if (typed === 'waits' && outcome.outcome === 'accepted') await this.#askAboutDenial(key, message, person);
    return outcome;
  }

  /**
   * Rejects while Slack does not tell who the author is, so that it is not acknowledged: Slack delivers it again, and
   * what it gives up is found by looking back. Its author is told, once.
   * @param waits whether its author waits for something to happen
   */
  async #judgeAuthor(message: InboundMessage, waits: boolean): Promise<Judgement & { place: Place }> {
    const tellToWait = () => {
      if (!waits || message.bot || !isPlainlyOurs(message)) return;
      const { user, channel, threadTs } = message;
      if (!this.#waitNotices.mayPost(`${user} ${channel} ${threadTs}`, this.#parts.clock.monotonic())) return;
      this.#parts.notices.whisper(placeOf(message), user, TRIES_ON);
    };
    const timer = this.#parts.clock.after(SIGN_AFTER_MS, tellToWait);
    try {
      return await this.#parts.door.judgeMessage(message);
    } catch (error) {
      tellToWait();
      throw error;
    } finally {
      timer.cancel();
    }
  }

  /** Help says that replies in the thread count: so do those of whoever asked for it by a mention. */
  async #addParticipant(key: ThreadKey, message: InboundMessage): Promise<void> {
    const { workers, clock, log, onSpoken } = this.#parts;
    const { user, channelKind, mentionsBot } = message;
    // In direct messages everything counts.
    if (channelKind === 'im' || !mentionsBot) return;
    const now = clock.now();
    try {
      await workers.store(key, (known) => {
        const record = known ?? newRecord(key, addressOf(message), user, now);
        return noteMention(markSeen(record, message.key, now), user);
      });
      onSpoken?.(key);
    } catch (error) {
      log.warn({ message: message.key, err: error }, 'could not remember who asked for help');
    }
  }

  /** Nothing is run of which the agent would get no word; that is said where its author, or people, can see it. */
  async #refuseUnreadable(key: ThreadKey, message: InboundMessage, caughtUp: boolean): Promise<MessageOutcome> {
    if (caughtUp) return { outcome: 'ignored', reason: 'unreadable' };
    if (!this.#claimMessage(message.key)) return { outcome: 'repeated' };
    await this.#rememberHandled(key, message);
    const { notices, clock } = this.#parts;
    if (!message.bot) notices.whisper(placeOf(message), message.user, UNREADABLE);
    else if (this.#unreadableBots.mayPost(`${message.channel} ${message.user}`, clock.monotonic())) {
      notices.say(addressOf(message), UNREADABLE);
    }
    return { outcome: 'refused', reason: 'unreadable' };
  }

  /**
   * The command that a message is, if it is one. A bot gives none. "stop" of a bystander is meant, too, while there is
   * something to be stopped; "!important" among people is not.
   */
  #findCommand(
    message: InboundMessage,
    text: string,
    relevance: Relevance,
    record: ThreadRecord | null,
  ): ParsedCommand | null {
    if (message.bot) return null;
    if (saysStop(message.spans, this.#parts.botUser)) {
      const isMarked = text.startsWith('!');
      const runs = record !== null && needsLetta(record);
      return relevance === 'speak' || isMarked || runs ? { kind: 'command', name: 'stop', args: '' } : null;
    }
    const parsed = parseBang(text);
    return relevance === 'speak' || parsed?.kind === 'command' ? parsed : null;
  }

  /** Carries a command out, once. Its author alone hears the answer. */
  async #runCommand(
    command: ParsedCommand,
    message: InboundMessage,
    { person, place }: { person: Person; place: Place },
  ): Promise<MessageOutcome> {
    if (!this.#claimMessage(message.key)) return { outcome: 'repeated' };
    const key = threadOf(message);
    const now = this.#parts.clock.now();
    const also = (record: ThreadRecord) => markSeen(record, message.key, now);
    try {
      const answer = await this.#parts.commands.runCommand(command, {
        ...{ person, team: message.team, place, thread: key, mark: '!' },
        also,
      });
      this.#parts.notices.whisper(placeOf(message), message.user, answer);
    } catch (error) {
      // Slack sends it again.
      this.#claimed.delete(message.key);
      throw error;
    }
    if (command.kind === 'unknown' || command.name === 'help') await this.#addParticipant(key, message);
    await this.#rememberHandled(key, message);
    return { outcome: 'command', name: command.kind === 'unknown' ? 'unknown' : command.name };
  }

  /**
   * The command that a message was changed into, if it is one that a change may give: what runs already was said, and
   * only Stop can still be meant.
   */
  #findCommandInEdit(message: InboundMessage, where: MessageState): ParsedCommand | null {
    const { botUser } = this.#parts;
    if (message.bot) return null;
    const stops = saysStop(message.spans, botUser);
    const parsed = stops ? null : parseBang(spansText(message.spans, noNames, botUser));
    if (stops) return { kind: 'command', name: 'stop', args: '' };
    return where !== 'running' && parsed?.kind === 'command' ? parsed : null;
  }

  /** A request may wait for its author: then it must not just wait behind it. */
  async #passToApprovals(
    key: ThreadKey,
    record: ThreadRecord | null,
    message: InboundMessage,
    relevance: Relevance,
    person: Person,
  ): Promise<Typed> {
    const asks = record?.approvals.some(({ state }) => state.state === 'open') ?? false;
    if (!asks || message.bot || relevance !== 'speak') return 'nothing';
    const typed = await this.#parts.workers.get(key).desk.typed(message, person);
    const notice = typed === 'points' ? POINTS : typed === 'unreachable' ? UNREACHABLE : null;
    if (notice !== null) {
      await this.#rememberHandled(key, message);
      this.#parts.notices.say(addressOf(message), `<@${message.user}> ${notice}`);
    }
    return typed;
  }

  async #askAboutDenial(key: ThreadKey, message: InboundMessage, person: Person): Promise<void> {
    try {
      await this.#parts.workers.get(key).desk.askAbout(message, person);
    } catch (error) {
      // It is queued, which is what happens when nobody says anything.
      this.#parts.log.warn(
        { message: message.key, err: error },
        'could not ask whether a message is a reason for a denial',
      );
    }
  }

  /** Where all is listened to, people are told once in a while, not at each word that they say among themselves. */
  #mayPostRefusal(message: InboundMessage): boolean {
    if (isPlainlyOurs(message)) return true;
    return this.#overhearRefusals.mayPost(`${message.channel} ${message.user}`, this.#parts.clock.monotonic());
  }

  /** A command is of its moment: carried out hours later it would hit something else. */
  async #reportMissedCommand(
    command: ParsedCommand,
    key: ThreadKey,
    message: InboundMessage,
    record: ThreadRecord | null,
  ): Promise<MessageOutcome> {
    if (record) {
      await this.#rememberHandled(key, message);
      const done = CARRIED_OUT_ELSEWHERE.has(command.kind === 'command' ? command.name : '')
        ? 'and I can’t tell whether it was carried out'
        : 'so I did not carry it out';
      const text = `I was not running when you wrote a command, ${done}. Write it again if it still matters.`;
      this.#parts.notices.whisper(placeOf(message), message.user, text);
    }
    return { outcome: 'ignored', reason: 'command_was_missed' };
  }

  /** So that looking back does not find it as something new. It was carried out: a disk that fails is no reason to repeat it. */
  async #rememberHandled(key: ThreadKey, message: InboundMessage): Promise<void> {
    const { workers, clock, log, handled } = this.#parts;
    try {
      const record = await workers.store(key, (known) => known && markSeen(known, message.key, clock.now()));
      if (record === null) await handled?.storeKey(message.key);
    } catch (error) {
      log.warn({ message: message.key, err: error }, 'could not remember that a command was handled');
    }
  }

  /** A write that failed may have been done all the same: then nobody has told the worker yet. */
  #handleRepeat(record: ThreadRecord, caughtUp: boolean): MessageOutcome {
    if (isActive(record)) this.#parts.workers.wake(record.key, record);
    if (!caughtUp) this.#parts.onSpoken?.(record.key);
    return { outcome: 'repeated' };
  }

  /** Asked in the step that acts, as twins may both have come this far: only one of them hears yes. */
  #claimMessage(key: MessageKey): boolean {
    if (this.#claimed.has(key)) return false;
    this.#claimed.set(key, true);
    return true;
  }
}

/** A DM's top level is one rolling conversation; everything else is a thread, which a top-level message begins. */
function threadOf(message: InboundMessage): ThreadKey {
  const { team, channel, channelKind, ts, threadTs } = message;
  return makeThreadKey({ team, channel, root: threadTs ?? (channelKind === 'im' ? ROLLING : ts) });
}

/** Whether it is for the agent wherever the thread comes from. */
function isPlainlyOurs(message: InboundMessage): boolean {
  return message.channelKind === 'im' || message.mentionsBot;
}
