import { BoundedMap } from '../../bounded-map.ts';
import { can, type Place } from '../access/can.ts';
import type { Door, Judgement } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import { settingsOf } from '../access/policy.ts';
import { Chains } from '../chains.ts';
import type { CommandRunner } from '../commands/command-runner.ts';
import { asMessageForNow } from '../commands/now.ts';
import { saysStop } from '../commands/stop-words.ts';
import { type CommandName, type ParsedCommand, parseBang } from '../commands/table.ts';
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
import { hasSeen } from '../record/inbox.ts';
import { isContextOnly, type MessageState, stateOfMessage } from '../record/message-state.ts';
import { wasBeforeThread } from '../record/offers.ts';
import { whyNotNow } from '../record/steered.ts';
import { needsLetta, type ReactionMark, type ThreadRecord } from '../record/thread-record.ts';
import type { Typed } from '../thread/core/clicks.ts';
import { isBlankText, noNames, spansText } from '../turn/prompt.ts';
import { SEND_AGAIN_THEN } from '../words/access.ts';
import { helpText } from '../words/commands.ts';
import { HEARD, missedCommandText } from '../words/messages.ts';
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
  /** The message with its channel's current id; the same object when the id has not changed. */
  inCurrentChannel(message: InboundMessage): InboundMessage;
}

/** When Slack takes longer than this to say who the author is, the author is told to wait. */
const SIGN_AFTER_MS = 1_000;
/** Slack delivers a message up to several times (as two events, as retries); those that leave nothing on disk, too. */
const RECENT_LIMIT = 2_000;
const OVERHEARD_EVERY_MS = 60 * 60_000;
/** Their effect is not stored together with the message, so after a crash between the two it is unknown if they ran. */
const CARRIED_OUT_ELSEWHERE: ReadonlySet<string> = new Set<CommandName | ''>([
  ...(['pause', 'resume', 'agent', 'mode', 'approve', 'deny', 'attach'] as const),
]);

/**
 * Handles what people write and edit: is it for the agent, may they, is it new, is there room; then stores it. Messages
 * of one thread are handled one after another.
 */
export class MessageIntake {
  readonly #parts: MessageIntakeParts;
  readonly #claimed = new BoundedMap<MessageKey, true>(RECENT_LIMIT);
  readonly #overhearRefusals = new NoticeThrottle(OVERHEARD_EVERY_MS);
  /** A bot whose messages are unreadable posts many of them: say so at most once an hour. */
  readonly #unreadableBots = new NoticeThrottle(OVERHEARD_EVERY_MS);
  /** Tells an author at most once a minute that Slack cannot say who they are. */
  readonly #waitNotices = new NoticeThrottle();
  /** A reply right after a mention is handled after it, because the mention makes its author a participant. */
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
        // The key was claimed as a message; as a command it is new.
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

  /** As {@link handleMessage}, for what was typed into a dialog, which may have been open for long. */
  handleAsked(message: InboundMessage): Promise<MessageOutcome> {
    const now = this.#parts.clock.now();
    return this.#perThread.run(threadOf(message), () => this.#processMessage(message, false, now));
  }

  /** Resolves when what a reaction asked is withdrawn, or its author was offered to stop it. */
  takeBackReaction(key: ThreadKey, mark: ReactionMark, message: InboundMessage): Promise<RevisionOutcome> {
    return this.#perThread.run(key, () => this.#revisions.takeBackReaction(key, mark, message));
  }

  /** Resolves when the change is on disk or needs not be. */
  handleRevision(revision: InboundRevision): Promise<RevisionOutcome> {
    const key = threadOfRevision(revision);
    return this.#perThread.run(key, () => this.#revisions.handleRevision(key, revision));
  }

  /** @param askedAt ms since 1970, when an edit added the mention long after the message was written */
  async #processMessage(written: InboundMessage, caughtUp: boolean, askedAt?: number): Promise<MessageOutcome> {
    const { threads, botUser } = this.#parts;
    const message = asMessageForNow(written, botUser);
    const key = threadOf(message);
    const record = await threads.load(key);
    const { listen } = settingsOf(this.#parts.policies.current(), message);
    const heard = relevanceOf(message, record, { botUser, listen });
    // Like a command, `!now` is for the bridge without a mention in its own threads; elsewhere it is another bot's word.
    const relevance = message.now && heard === 'context' ? 'speak' : heard;
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
    if (message.isKindGuessed) {
      const known = { ...message, channelKind: place.channelKind, isKindGuessed: undefined };
      return this.#processMessage(known, caughtUp, askedAt);
    }
    // Whoever may press Stop may also write "stop", even where they may not write to the agent.
    const isStop = command?.kind === 'command' && command.name === 'stop';
    const mayStop = isStop && can(this.#parts.policies.current(), person, { do: 'stop' }, place).allowed;
    if (!verdict.allowed && !mayStop) {
      // Do not refuse what catch-up found: the refusal may have been told in its time, and nothing of it is on disk. A bot
      // sees no ephemeral message.
      const isHeard = relevance === 'speak' || command !== null;
      if (!isHeard || caughtUp || message.bot || message.asked?.emoji !== undefined)
        return { outcome: 'ignored', reason: verdict.reason };
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
      // Catch-up must not find it once the agent is resumed, because its author was told to send it again.
      await this.#rememberHandled(key, message);
      this.#parts.notices.whisper(placeOf(message), message.user, `${notice} ${SEND_AGAIN_THEN}`);
      return { outcome: 'refused', reason: 'paused' };
    }
    // A stale message decides nothing: the request that it answered may be another one by now. One for the running turn
    // says itself where it is to go.
    const isForAgentAlone = message.now === true || this.#queue.isStale({ ts: message.ts, askedAt });
    const typed = isForAgentAlone ? 'nothing' : await this.#passToApprovals(key, record, message, relevance, person);
    if (typed === 'answers' || typed === 'points')
      return { outcome: typed === 'answers' ? 'answered' : 'yes_needs_click' };
    if (typed === 'unreachable') return { outcome: 'refused', reason: typed };
    const placed = this.#parts.inCurrentChannel(message);
    // When Slack changed the channel's id meanwhile, the message belongs to the thread under the new id.
    if (placed !== message) {
      return this.#perThread.run(threadOf(placed), () => this.#processMessage(placed, caughtUp, askedAt));
    }
    const outcome = await this.#queue.queueMessage(key, message, relevance, askedAt);
    if (typed === 'waits' && outcome.outcome === 'accepted') await this.#askAboutDenial(key, message, person);
    if (message.now && !caughtUp && outcome.outcome === 'accepted') this.#explainWait(record, message);
    return outcome;
  }

  /**
   * Rejects while Slack does not say who the author is, so that the message is not acknowledged: Slack delivers it again,
   * and catch-up finds it when Slack gives up. The author is told once.
   * @param expectsReaction whether the author expects a reaction
   */
  async #judgeAuthor(message: InboundMessage, expectsReaction: boolean): Promise<Judgement & { place: Place }> {
    const tellToWait = () => {
      if (!expectsReaction || message.bot || !isPlainlyOurs(message)) return;
      const { user, channel, threadTs } = message;
      if (!this.#waitNotices.mayPost(`${user} ${channel} ${threadTs}`, this.#parts.clock.monotonic())) return;
      this.#parts.notices.whisper(placeOf(message), user, HEARD.asksSlack);
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

  /** Makes the author who mentioned the bot for help a participant, because help says that their replies count. */
  async #addParticipant(key: ThreadKey, message: InboundMessage): Promise<void> {
    const { workers, log, onSpoken } = this.#parts;
    const { channelKind, mentionsBot } = message;
    // In direct messages every message counts anyway.
    if (channelKind === 'im' || !mentionsBot) return;
    try {
      await workers.store(key, { do: 'join', message });
    } catch (error) {
      log.warn({ message: message.key, err: error }, 'could not remember who asked for help');
    }
    // Also when the disk failed, because it may be stored all the same.
    onSpoken?.(key);
  }

  /** Refuses a message whose text the bridge does not receive, and says so: privately to a person, publicly for a bot. */
  async #refuseUnreadable(key: ThreadKey, message: InboundMessage, caughtUp: boolean): Promise<MessageOutcome> {
    if (caughtUp) return { outcome: 'ignored', reason: 'unreadable' };
    if (!this.#claimMessage(message.key)) return { outcome: 'repeated' };
    await this.#rememberHandled(key, message);
    const { notices, clock } = this.#parts;
    if (!message.bot) notices.whisper(placeOf(message), message.user, HEARD.unreadable);
    else if (this.#unreadableBots.mayPost(`${message.channel} ${message.user}`, clock.monotonic())) {
      notices.say(addressOf(message), HEARD.unreadable);
    }
    return { outcome: 'refused', reason: 'unreadable' };
  }

  /**
   * The command in a message; `null` when it is none. Bots give no commands. "stop" from somebody who is not talking to
   * the agent counts while something runs; other `!words` among people, such as "!important", do not.
   */
  #findCommand(
    message: InboundMessage,
    text: string,
    relevance: Relevance,
    record: ThreadRecord | null,
  ): ParsedCommand | null {
    // The words of a reaction are the policy's.
    if (message.bot || message.asked?.emoji !== undefined || message.now) return null;
    if (saysStop(message.spans, this.#parts.botUser)) {
      const isMarked = text.startsWith('!');
      const runs = record !== null && needsLetta(record);
      return relevance === 'speak' || isMarked || runs ? { kind: 'command', name: 'stop', args: '' } : null;
    }
    const parsed = parseBang(text);
    return relevance === 'speak' || parsed?.kind === 'command' ? parsed : null;
  }

  /** Runs a command once; only its author sees the answer. */
  async #runCommand(
    command: ParsedCommand,
    message: InboundMessage,
    { person, place }: { person: Person; place: Place },
  ): Promise<MessageOutcome> {
    if (!this.#claimMessage(message.key)) return { outcome: 'repeated' };
    const key = threadOf(message);
    try {
      const { commands, notices } = this.#parts;
      const given = { person, team: message.team, place, thread: key, mark: '!' as const, seen: message.key };
      const answer = await commands.runCommand(command, given);
      const buttons = answer === '' ? {} : await commands.buttonsFor(command, given);
      if (answer !== '') notices.whisper(placeOf(message), message.user, answer, buttons);
    } catch (error) {
      // Slack delivers it again, and then it must not be taken for a repeat.
      this.#claimed.delete(message.key);
      throw error;
    }
    if (command.kind === 'unknown' || command.name === 'help' || command.name === 'commands')
      await this.#addParticipant(key, message);
    await this.#rememberHandled(key, message);
    return { outcome: 'command', name: command.kind === 'unknown' ? 'unknown' : command.name };
  }

  /**
   * The command that an edit made of a message; `null` when it is none. An edit of a message that already runs can only
   * mean Stop.
   */
  #findCommandInEdit(message: InboundMessage, where: MessageState): ParsedCommand | null {
    const { botUser } = this.#parts;
    if (message.bot) return null;
    const stops = saysStop(message.spans, botUser);
    const parsed = stops ? null : parseBang(spansText(message.spans, noNames, botUser));
    if (stops) return { kind: 'command', name: 'stop', args: '' };
    return where !== 'running' && where !== 'steered' && parsed?.kind === 'command' ? parsed : null;
  }

  /** Lets an open request take the message first (as an answer, or as a yes that needs a click), before it is queued. */
  async #passToApprovals(
    key: ThreadKey,
    record: ThreadRecord | null,
    message: InboundMessage,
    relevance: Relevance,
    person: Person,
  ): Promise<Typed> {
    const asks = record?.approvals.some(({ state }) => state.state === 'open') ?? false;
    if (!asks || message.bot || message.asked?.emoji !== undefined || relevance !== 'speak') return 'nothing';
    const typed = await this.#parts.workers.get(key).typed(message, person);
    const notice = typed === 'points' ? HEARD.points : typed === 'unreachable' ? HEARD.unreachable : null;
    if (notice !== null) {
      await this.#rememberHandled(key, message);
      this.#parts.notices.say(addressOf(message), `<@${message.user}> ${notice}`);
    }
    return typed;
  }

  /** Tells the author of a message for the running turn why it waits for a turn of its own, if it does. */
  #explainWait(before: ThreadRecord | null, message: InboundMessage): void {
    const turn = before?.turn;
    if (!turn || turn.ended || turn.stoppedBy) return;
    const notice = whyNotNow(turn, message.user);
    if (notice !== null) this.#parts.notices.whisper(placeOf(message), message.user, notice);
  }

  async #askAboutDenial(key: ThreadKey, message: InboundMessage, person: Person): Promise<void> {
    try {
      await this.#parts.workers.get(key).askAbout(message, person);
    } catch (error) {
      // The message stays queued, as it would without an answer.
      this.#parts.log.warn(
        { message: message.key, err: error },
        'could not ask whether a message is a reason for a denial',
      );
    }
  }

  /** With `listen: all`, a person is refused at most once an hour, not at each message to other people. */
  #mayPostRefusal(message: InboundMessage): boolean {
    if (isPlainlyOurs(message)) return true;
    return this.#overhearRefusals.mayPost(`${message.channel} ${message.user}`, this.#parts.clock.monotonic());
  }

  /** Does not run a command that arrives late, because it would hit something else by now; tells its author. */
  async #reportMissedCommand(
    command: ParsedCommand,
    key: ThreadKey,
    message: InboundMessage,
    record: ThreadRecord | null,
  ): Promise<MessageOutcome> {
    if (record) {
      await this.#rememberHandled(key, message);
      const mayHaveRun = CARRIED_OUT_ELSEWHERE.has(command.kind === 'command' ? command.name : '');
      this.#parts.notices.whisper(placeOf(message), message.user, missedCommandText(mayHaveRun));
    }
    return { outcome: 'ignored', reason: 'command_was_missed' };
  }

  /** Marks the message as handled, so that catch-up skips it. A failing disk is only logged: the message took effect. */
  async #rememberHandled(key: ThreadKey, message: InboundMessage): Promise<void> {
    const { workers, log, handled } = this.#parts;
    try {
      const { record } = await workers.store(key, { do: 'see', key: message.key });
      if (record === null) await handled?.storeKey(message.key);
    } catch (error) {
      log.warn({ message: message.key, err: error }, 'could not remember that a command was handled');
    }
  }

  /** Reports the thread on a repeat, too: the first write may have landed although it reported a failure. */
  #handleRepeat(record: ThreadRecord, caughtUp: boolean): MessageOutcome {
    if (!caughtUp) this.#parts.onSpoken?.(record.key);
    return { outcome: 'repeated' };
  }

  /** True for the first caller with this key. Call it right before acting: both twins of a message may get that far. */
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

/** Whether it is for the agent whatever the thread's history is: a direct message or a mention. */
function isPlainlyOurs(message: InboundMessage): boolean {
  return message.channelKind === 'im' || message.mentionsBot;
}
