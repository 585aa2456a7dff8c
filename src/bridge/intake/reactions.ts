import type { Door } from '../access/door.ts';
import type { KillSwitch } from '../access/kill-switch.ts';
import { type PolicyBook, settingsOf, type Where } from '../access/policy.ts';
import { makeMessageKey, makeThreadKey, ROLLING, type ThreadKey, type UserId } from '../ids.ts';
import type { InboundMessage, InboundReaction, MessageOutcome, ReactionOutcome, RevisionOutcome } from '../inbound.ts';
import { addressOf, placeOf } from '../inbound.ts';
import type { FoundMessage, MessageReader } from '../ports.ts';
import type { ReactionMark } from '../record/thread-record.ts';
import { REACT_AGAIN_THEN } from '../words/access.ts';
import { NOT_BY_REACTION, reactedText, reactionText } from '../words/asks.ts';
import { type FeedbackDesk, verdictOf } from './feedback-desk.ts';
import type { Notices } from './notices.ts';

export interface ReactionParts {
  policies: PolicyBook;
  door: Door;
  killSwitch: KillSwitch;
  notices: Notices;
  feedback: FeedbackDesk;
  /** Left out: a reaction does nothing, because its thread cannot be found. */
  reader?: MessageReader | undefined;
  botUser: UserId;
  /** Handles what the reaction asks like a message of whoever reacted. */
  handleMessage(message: InboundMessage): Promise<MessageOutcome>;
  /** Takes back what a reaction asked, as long as it waits. */
  takeBack(key: ThreadKey, mark: ReactionMark, message: InboundMessage): Promise<RevisionOutcome>;
}

const ignored = (reason: string): ReactionOutcome => ({ outcome: 'ignored', reason });

/**
 * Reactions to messages: one that the policy names asks the agent about the message, 👍 and 👎 on an answer say what
 * somebody thinks of it. Slack is asked about the message only once this person may do that; others are not told
 * anything, because they may have meant nothing by it.
 */
export class Reactions {
  readonly #parts: ReactionParts;

  constructor(parts: ReactionParts) {
    this.#parts = parts;
  }

  /** Resolves when it is on disk or needs not be. Rejects while Slack cannot be asked about the person or the message. */
  handleReaction(reaction: InboundReaction): Promise<ReactionOutcome> {
    if (!reaction.isOurs) return this.#askAgent(reaction);
    return verdictOf(reaction.emoji) === null ? Promise.resolve(ignored('own_message')) : this.#vote(reaction);
  }

  async #askAgent(reaction: InboundReaction): Promise<ReactionOutcome> {
    const { door, reader, policies, notices, handleMessage, takeBack, killSwitch } = this.#parts;
    const { emoji, user, kind } = reaction;
    if (!reader || !this.#mayAsk(reaction)) return ignored('no_such_trigger');
    const { person, place, verdict } = await door.judgeMessage(this.#messageOf(reaction, '', null));
    // Two bots that react to each other would never end.
    if (person.kind === 'bot') return ignored('reaction_of_a_bot');
    if (!verdict.allowed) return ignored(verdict.reason);
    const prompt = settingsOf(policies.current(), place).reactions[emoji];
    if (prompt === undefined) return ignored('no_such_trigger');
    const found = await reader.readMessage(reaction.channel, reaction.ts);
    if (found?.message == null) return ignored(found?.own ? 'own_message' : 'no_such_message');
    const message = { ...this.#messageOf(reaction, prompt, found), channelKind: place.channelKind };
    if (kind === 'removed') {
      if (hasReacted(found, reaction) === true) return ignored('reacted_again');
      const { outcome } = await takeBack(threadOf(message), { to: reaction.ts, user, emoji }, message);
      return outcome === 'withdrawn' ? { outcome } : ignored(outcome === 'asked' ? 'runs_already' : 'not_waiting');
    }
    if (hasReacted(found, reaction) === false) return ignored('taken_back');
    if (killSwitch.notice !== null) {
      notices.whisper(placeOf(message), user, `${killSwitch.notice} ${REACT_AGAIN_THEN}`);
      return { outcome: 'refused', reason: 'paused' };
    }
    const outcome = await handleMessage(message);
    if (outcome.outcome === 'accepted') {
      notices.say(addressOf(message), reactedText(user, emoji, prompt, message.asked?.startsThread === true));
    }
    return outcome;
  }

  /** Whether the policy may let this emoji ask there; what kind of channel it is may not be known yet. */
  #mayAsk({ channel, channelKind, emoji }: InboundReaction): boolean {
    const policy = this.#parts.policies.current();
    const kinds: Where[] = [
      { channel, channelKind },
      { channel, channelKind: channelKind === 'im' ? 'im' : 'mpim' },
    ];
    return kinds.some((where) => Object.hasOwn(settingsOf(policy, where).reactions, emoji));
  }

  async #vote(reaction: InboundReaction): Promise<ReactionOutcome> {
    const { door, reader, feedback, notices } = this.#parts;
    const { channel, ts, user, team, kind } = reaction;
    const verdict = verdictOf(reaction.emoji);
    if (!reader || verdict === null) return ignored('own_message');
    const asked = await door.judgeMessage(this.#messageOf(reaction, '', null), { do: 'look' });
    if (!asked.verdict.allowed) return ignored(asked.verdict.reason);
    const found = await reader.readMessage(channel, ts);
    if (!found?.own) return ignored('no_such_message');
    const { own, threadTs, channelKind } = found;
    if (own.kind === 'card' && kind === 'added') {
      const startsThread = threadTs === null;
      const asking = { to: ts, about: null, startsThread };
      notices.whisper(placeOf({ team, channel, threadTs, asked: asking }), user, NOT_BY_REACTION);
    }
    if (own.kind !== 'answer' || own.turn === null) return ignored('not_an_answer');
    const thread = makeThreadKey({ team, channel, root: threadTs ?? (channelKind === 'im' ? ROLLING : ts) });
    // Slack may deliver in any order: what it shows now counts, and only where it does not tell all, the event.
    const isThere = hasReacted(found, reaction) ?? kind === 'added';
    const other = verdict === 'good' ? 'bad' : 'good';
    const isOtherThere = hasReacted(found, { user, emoji: other === 'good' ? '+1' : '-1' }) === true;
    return feedback.react(
      { thread, turn: own.turn, user },
      { verdict, isThere, isOtherThere, isNew: kind === 'added' },
    );
  }

  /** What the reaction says, as a message of whoever reacted. */
  #messageOf(reaction: InboundReaction, prompt: string, found: FoundMessage | null): InboundMessage {
    const { team, channel, channelKind, external, ts, at, user, emoji } = reaction;
    const root = found?.threadTs ?? null;
    // What is said at the top of a direct message belongs to its rolling conversation.
    const threadTs = root ?? (channelKind === 'im' ? null : ts);
    return {
      key: makeMessageKey({ team, channel, ts: at }),
      ...{ team, channel, channelKind, external, user },
      ...(channelKind !== 'im' && found === null && { isKindGuessed: true as const }),
      ts: at,
      threadTs,
      userTeam: null,
      spans: [
        { kind: 'user', id: this.#parts.botUser },
        { kind: 'text', text: ` ${prompt}\n${reactionText(emoji, ts)}` },
      ],
      files: [],
      mentionsBot: true,
      asked: { to: ts, about: found?.message ?? null, startsThread: threadTs === ts && root === null, emoji },
    };
  }
}

/** Whether Slack shows that reaction of that person; `null`: it does not name all who reacted. */
function hasReacted({ reactions }: FoundMessage, { user, emoji }: Pick<InboundReaction, 'user' | 'emoji'>) {
  const all = reactions.filter((each) => each.emoji === emoji);
  if (all.some(({ users }) => users.includes(user))) return true;
  return all.every(({ isComplete }) => isComplete) ? false : null;
}

function threadOf({ team, channel, channelKind, ts, threadTs }: InboundMessage): ThreadKey {
  return makeThreadKey({ team, channel, root: threadTs ?? (channelKind === 'im' ? ROLLING : ts) });
}
