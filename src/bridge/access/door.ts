import { BridgeError } from '../../errors.ts';
import { type ChannelId, isDirect, parseThreadKey, type TeamId, type ThreadKey, type UserId } from '../ids.ts';
import type { ChannelKind, InboundCommand, InboundMessage } from '../inbound.ts';
import type { Person } from '../person.ts';
import type { People, UserGroups } from '../ports.ts';
import type { InboxItem } from '../record/thread-record.ts';
import { can, type Doing, isBot, type Place, UNCONFIRMED, type Verdict } from './can.ts';
import { groupsOf, type Policy, type PolicyBook } from './policy.ts';

export interface DoorParts {
  people: People;
  /** Left out: user groups have nobody in them. */
  groups?: UserGroups | undefined;
  policies: PolicyBook;
}

/** Who wrote or decided something that takes effect later. */
export type Author = Pick<InboxItem, 'user' | 'bot' | 'botUser'>;

/** What is asked again counts for so long: a queued message of a second ago needs no second look. */
const AGAIN_MS = 10_000;

/** Who asked, where, and whether they may, by the policy of that moment. */
export interface Judgement {
  person: Person;
  place: Place | null;
  verdict: Verdict;
}

/**
 * Everybody who comes in passes here: finds out who they are and what kind of place it is, and asks `can`. Rejects with
 * a retryable BridgeError when Slack cannot be asked.
 */
export class Door {
  readonly #parts: DoorParts;

  constructor(parts: DoorParts) {
    this.#parts = parts;
  }

  /** Rejects, too, while nobody knows whether the author is in the user group that it hangs on. */
  async judgeMessage(message: InboundMessage, doing: Doing = { do: 'speak' }): Promise<Judgement & { place: Place }> {
    const { team, channel, channelKind, external } = message;
    const [known, place] = await Promise.all([
      this.#getAuthor(message),
      external === null ? this.#getPlace(team, channel, channelKind) : { channel, channelKind, external },
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
      // An app that posts with a person's token is not that person.
      const { kind } = await this.#parts.people.getPerson(bot.user, team);
      if (kind !== 'bot') return known;
    }
    return { ...known, botUser: bot.user };
  }

  /** For clicks and modals: they come from the thread's messages, wherever Slack says that they were shown. */
  async judgeClick(key: ThreadKey, user: UserId, doing: Doing): Promise<Judgement> {
    const { team, channel } = parseThreadKey(key);
    const kind = isDirect(channel) ? 'im' : 'channel';
    const [person, place] = await Promise.all([
      this.#parts.people.getPerson(user, team),
      this.#getPlace(team, channel, kind),
    ]);
    return this.#judge(person, doing, place);
  }

  async judgeCommand({ actor, team, channel, channelKind }: InboundCommand): Promise<Judgement & { place: Place }> {
    const [person, place] = await Promise.all([
      this.#parts.people.getPerson(actor.user, team),
      this.#getPlace(team, channel, channelKind),
    ]);
    return { ...(await this.#judge(person, { do: 'command' }, place)), place };
  }

  /**
   * Asked once more when something takes effect that was let in before: whoever wrote or decided it may have lost the
   * right to since. Where Slack does not answer in between, what it said at most ten minutes ago counts; rejects when
   * there is nothing of that age.
   */
  async judgeAgain(key: ThreadKey, who: Author, doing: Doing): Promise<Judgement> {
    const { team, channel } = parseThreadKey(key);
    const [person, place] = await Promise.all([
      this.#getAuthorAnew(who, team),
      this.#getPlace(team, channel, isDirect(channel) ? 'im' : 'channel'),
    ]);
    return this.#judge(person, doing, place);
  }

  #getAuthorAnew({ user, bot, botUser }: Author, team: TeamId): Promise<Person> {
    const { people } = this.#parts;
    if (bot || isBot(user))
      return this.#getAuthor({ user, team, userTeam: null, bot: { user: botUser ?? null, name: null } });
    return people.getPerson(user, team, AGAIN_MS).catch(() => people.getPerson(user, team));
  }

  async judgeHome(user: UserId, team: TeamId): Promise<Judgement> {
    return this.#judge(await this.#parts.people.getPerson(user, team), { do: 'home' }, null);
  }

  async #judge(known: Person, doing: Doing, place: Place | null): Promise<Judgement> {
    // One policy for both questions: it may be another one after the groups were looked up.
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

  /** Slack says only of messages whether their channel is shared. It is asked where that makes a difference. */
  async #getPlace(team: TeamId, channel: ChannelId, channelKind: ChannelKind): Promise<Place> {
    const { channels } = this.#parts.policies.current();
    const mustAskSlack = channelKind !== 'im' && channels.everywhere && !channels.ids.includes(channel);
    return { channel, channelKind, external: mustAskSlack && (await this.#parts.people.isShared(channel, team)) };
  }
}

/**
 * The event itself may know better than the directory that somebody is from outside; but not of somebody whom the
 * directory knows as one of our organisation.
 */
function withTeamOfEvent(person: Person, team: TeamId, userTeam: TeamId | null): Person {
  const isOutsider = userTeam !== null && userTeam !== team && person.kind === 'member' && person.colleague !== true;
  return isOutsider ? { ...person, kind: 'external' } : person;
}
