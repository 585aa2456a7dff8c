import { BridgeError } from '../../errors.ts';
import { type ChannelId, isDirect, parseThreadKey, type TeamId, type ThreadKey, type UserId } from '../ids.ts';
import type { ChannelKind, InboundCommand, InboundMessage } from '../inbound.ts';
import type { Person } from '../person.ts';
import type { People, UserGroups } from '../ports.ts';
import type { InboxItem } from '../record/thread-record.ts';
import { can, canUsePlace, type Doing, isBot, type Place, UNCONFIRMED, type Verdict } from './can.ts';
import { groupsOf, type Policy, type PolicyBook, tellsGroupDms } from './policy.ts';

export interface DoorParts {
  people: Pick<People, 'getPerson' | 'isShared' | 'isGroupDm'>;
  /** Left out: user groups have no members. */
  groups?: Pick<UserGroups, 'listMembers'> | undefined;
  policies: PolicyBook;
}

/** The author of a message or decision that takes effect later. */
export type Author = Pick<InboxItem, 'user' | 'bot' | 'botUser'>;

/** How old a person's data may be when they are judged again: a message that waited only a second needs no new look-up. */
const AGAIN_MS = 10_000;

/** Who acts, where, and whether they may, by the policy of that moment. */
export interface Judgement {
  person: Person;
  place: Place | null;
  verdict: Verdict;
}

/**
 * Judges everybody who writes, clicks or gives a command: finds out who they are and what kind of place it is, and asks
 * `can`. Rejects with a retryable BridgeError when Slack cannot be asked.
 */
export class Door {
  readonly #parts: DoorParts;

  constructor(parts: DoorParts) {
    this.#parts = parts;
  }

  /** Also rejects while the verdict depends on a user group whose members Slack does not tell. */
  async judgeMessage(message: InboundMessage, doing: Doing = { do: 'speak' }): Promise<Judgement & { place: Place }> {
    const { team, channel, channelKind, isKindGuessed, external } = message;
    const [known, place] = await Promise.all([
      this.#getAuthor(message),
      this.#getPlace(team, channel, isKindGuessed ? null : channelKind, external),
    ]);
    const asked = await this.#judge(known, doing, place);
    if (!asked.verdict.allowed && asked.verdict.reason === UNCONFIRMED) {
      const { notice } = asked.verdict;
      throw new BridgeError('slack_failed', 'Slack does not tell who is in a user group', { notice, retry: true });
    }
    return { ...asked, place };
  }

  async #getAuthor({
    user,
    team,
    userTeam,
    bot,
  }: Pick<InboundMessage, 'user' | 'team' | 'userTeam' | 'bot'>): Promise<Person> {
    if (!bot) return withTeamOfEvent(await this.#parts.people.getPerson(user, team), team, userTeam);
    const known: Person = { id: user, team, kind: 'bot', name: bot.name ?? user };
    if (bot.user === null) return known;
    const { users, bots } = this.#parts.policies.current();
    if (!bots.ids.includes(bot.user)) {
      if (!users.ids.includes(bot.user)) return known;
      // An app that posts with a person's token does not get that person's rights.
      const { kind } = await this.#parts.people.getPerson(bot.user, team);
      if (kind !== 'bot') return known;
    }
    return { ...known, botUser: bot.user };
  }

  /** For clicks and modals: judged for the thread's own channel, whichever channel Slack reports. */
  async judgeClick(key: ThreadKey, user: UserId, doing: Doing): Promise<Judgement> {
    const { team, channel } = parseThreadKey(key);
    const [person, place] = await Promise.all([
      this.#parts.people.getPerson(user, team),
      this.#getPlace(team, channel),
    ]);
    return this.#judge(person, doing, place);
  }

  /** For what is done in a channel without a message or a thread of it. */
  async judgeActor(team: TeamId, channel: ChannelId, user: UserId, doing: Doing): Promise<Judgement> {
    const [person, place] = await Promise.all([
      this.#parts.people.getPerson(user, team),
      this.#getPlace(team, channel),
    ]);
    return this.#judge(person, doing, place);
  }

  async judgeCommand({ actor, team, channel }: InboundCommand): Promise<Judgement & { place: Place }> {
    const [person, place] = await Promise.all([
      this.#parts.people.getPerson(actor.user, team),
      this.#getPlace(team, channel),
    ]);
    return { ...(await this.#judge(person, { do: 'command' }, place)), place };
  }

  /**
   * Judges an author again when their message or decision takes effect, because they may have lost the right since. When
   * Slack does not answer, what it said at most ten minutes ago counts; rejects when nothing is that young.
   */
  async judgeAgain(key: ThreadKey, who: Author, doing: Doing): Promise<Judgement> {
    const { team, channel } = parseThreadKey(key);
    const [person, place] = await Promise.all([this.#getAuthorAnew(who, team), this.#getPlace(team, channel)]);
    return this.#judge(person, doing, place);
  }

  /** Whether an author may write to the agent there, as far as is known; not for decisions. Rejects as {@link judgeAgain}. */
  async mayUseAgent(key: ThreadKey, { user, bot }: Pick<InboundMessage, 'user' | 'bot'>): Promise<boolean> {
    const { team, channel } = parseThreadKey(key);
    const [person, place] = await Promise.all([
      this.#getAuthor({ user, team, userTeam: null, bot }),
      this.#getPlace(team, channel),
    ]);
    return (await this.#judge(person, { do: 'speak' }, place)).verdict.allowed;
  }

  #getAuthorAnew({ user, bot, botUser }: Author, team: TeamId): Promise<Person> {
    const { people } = this.#parts;
    if (bot || isBot(user))
      return this.#getAuthor({ user, team, userTeam: null, bot: { user: botUser ?? null, name: null } });
    return people.getPerson(user, team, AGAIN_MS).catch(() => people.getPerson(user, team));
  }

  /** Whether the agent may work in a channel, whoever asks it to. */
  async judgePlace({ team, channel }: Pick<InboundMessage, 'team' | 'channel'>) {
    const place = await this.#getPlace(team, channel);
    return canUsePlace(this.#parts.policies.current(), place);
  }

  async judgeHome(user: UserId, team: TeamId): Promise<Judgement> {
    return this.#judge(await this.#parts.people.getPerson(user, team), { do: 'home' }, null);
  }

  async #judge(known: Person, doing: Doing, place: Place | null): Promise<Judgement> {
    // One policy for both questions, because it may change while the groups are looked up.
    const policy = this.#parts.policies.current();
    const person = await this.#addGroups(known, policy);
    return { person, place, verdict: can(policy, person, doing, place) };
  }

  async #addGroups(person: Person, policy: Policy): Promise<Person> {
    const { groups } = this.#parts;
    const named = person.kind === 'member' && groups ? groupsOf(policy) : [];
    if (!groups || named.length === 0) return person;
    const members = await Promise.all(named.map((group) => groups.listMembers(group).catch(() => null)));
    return {
      ...person,
      groups: named.filter((_, at) => members[at]?.has(person.id)),
      unconfirmedGroups: named.filter((_, at) => members[at] === null),
    };
  }

  /**
   * Asks Slack what the event does not say (only message events say it), and only if the answer matters.
   * @param said the kind, if Slack's event says it: names and ids cannot tell a group direct message
   */
  async #getPlace(
    team: TeamId,
    channel: ChannelId,
    said: ChannelKind | null = null,
    external: boolean | null = null,
  ): Promise<Place> {
    const { people, policies } = this.#parts;
    const { channels } = policies.current();
    const isNamed = channels.ids.includes(channel);
    const channelKind = isDirect(channel) ? 'im' : (said ?? (await this.#getKind(team, channel, isNamed)));
    const mustAskSlack = channelKind === 'mpim' || (channelKind !== 'im' && channels.everywhere);
    const isExternal = external ?? (mustAskSlack && !isNamed && (await people.isShared(channel, team)));
    return { channel, channelKind, external: isExternal };
  }

  /** The agent may work in a named channel of any kind, so there Slack's silence stops nobody. */
  async #getKind(team: TeamId, channel: ChannelId, isNamed: boolean): Promise<ChannelKind> {
    const { people, policies } = this.#parts;
    if (!tellsGroupDms(policies.current())) return 'channel';
    const asked = people.isGroupDm(channel, team);
    return (await (isNamed ? asked.catch(() => false) : asked)) ? 'mpim' : 'channel';
  }
}

/**
 * Treats a member as external when the event names another team, unless the directory knows them as a colleague: the
 * directory may not know yet that a person is from outside.
 */
function withTeamOfEvent(person: Person, team: TeamId, userTeam: TeamId | null): Person {
  const isOutsider = userTeam !== null && userTeam !== team && person.kind === 'member' && person.colleague !== true;
  return isOutsider ? { ...person, kind: 'external' } : person;
}
