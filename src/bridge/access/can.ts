import { type ChannelId, SLACKBOT, type UserId } from '../ids.ts';
import type { ChannelKind } from '../inbound.ts';
import type { PersonKind } from '../person.ts';
import {
  askText,
  chooseModelText,
  namesText,
  onlyRequesterText,
  onlyTheyText,
  REFUSALS,
  sharedPlaceText,
  strangerText,
} from '../words/access.ts';
import {
  type GroupId,
  mayApproversStartAgents,
  type PeopleList,
  type Policy,
  servesGroupDms,
  settingsOf,
} from './policy.ts';

export interface Subject {
  id: UserId;
  kind: PersonKind;
  /** The user groups of the policy that they are in; left out: none. */
  groups?: readonly GroupId[];
  /** User groups of the policy whose members Slack does not tell right now. */
  unconfirmedGroups?: readonly GroupId[];
  /** Of a bot: its user id, besides its bot id. */
  botUser?: UserId;
}

export interface Place {
  channel: ChannelId;
  channelKind: ChannelKind;
  /** Whether the channel is shared with another organisation. */
  external: boolean;
}

export type Doing =
  /** Write to the agent. A bot may do nothing else. */
  | { do: 'speak' }
  /** Use a command, open the home tab, hand over a file. */
  | { do: 'command' | 'home' | 'file' }
  /** See a request or a turn's details in full; stop a turn. Approvers may, even if they may not write to the agent. */
  | { do: 'look' | 'stop' }
  /** Answer a question or decide about messages: only `requester` may. */
  | { do: 'answer'; requester: UserId }
  /**
   * Decide whether a turn that `requester` started may use a tool. `startsAgent`: the tool starts another agent, which
   * never asks for approval. `author`: the person who wrote the command, if not the agent.
   */
  | { do: 'decide'; requester: UserId; startsAgent?: boolean; author?: UserId }
  /** Choose the model of a conversation that `starter` began; `null`: only admins may. */
  | { do: 'choose_model'; starter: UserId | null }
  /** See the skills of the agent's machine, run its own commands. */
  | { do: 'device_commands' }
  /** Bind places to agents, change permissions, pause everything. */
  | { do: 'administer' };

export type Verdict =
  | { allowed: true }
  /** `reason` is for the log; `notice` is one line for the person, Markdown of ours. */
  | { allowed: false; reason: string; notice: string };

const allowed: Verdict = { allowed: true };

function denied(reason: string, notice: string): Verdict {
  return { allowed: false, reason, notice };
}

/** The reason of a refusal that may become a yes once Slack tells again who is in a user group. */
export const UNCONFIRMED = 'membership_unconfirmed';

/**
 * The only answer to "may they?": asked for every message, click, modal, command, file and home tab when it happens, and
 * again when it takes effect. When the answer depends on a user group whose members Slack does not tell, it is no, with
 * the reason {@link UNCONFIRMED}.
 * @param place `null` for what happens nowhere in particular (the home tab).
 */
export function can(policy: Policy, subject: Subject, doing: Doing, place: Place | null): Verdict {
  const verdict = judge(policy, subject, doing, place);
  const { groups = [], unconfirmedGroups = [] } = subject;
  if (verdict.allowed || unconfirmedGroups.length === 0) return verdict;
  const perhaps = judge(policy, { ...subject, groups: [...groups, ...unconfirmedGroups] }, doing, place);
  return perhaps.allowed ? denied(UNCONFIRMED, REFUSALS.unconfirmed) : verdict;
}

function judge(policy: Policy, subject: Subject, doing: Doing, place: Place | null): Verdict {
  if (subject.kind === 'deactivated') return denied('user_deactivated', REFUSALS.deactivated);
  if (subject.kind === 'bot' && doing.do !== 'speak') {
    return denied('bot_may_only_speak', REFUSALS.botMayOnlySpeak);
  }
  const isAdmin = includes(policy.admins, subject);
  const settings = place ? settingsOf(policy, place) : policy.defaults;
  const isApprover = CLICKS.has(doing.do) && includes(settings.approvers, subject);
  if (!isAdmin && !isApprover && !isUser(policy, subject)) return notAdmitted(policy, subject);
  // Admins may do this in any channel, because only they see the answer.
  if (place && !(isAdmin && BY_ADMINS.has(doing.do))) {
    const verdict = canUsePlace(policy, place);
    if (!verdict.allowed) return verdict;
  }
  switch (doing.do) {
    case 'administer':
      return isAdmin ? allowed : denied('not_an_admin', `${REFUSALS.adminsDo} ${whomToAsk(policy)}`);
    case 'choose_model':
      if (isAdmin || (settings.models === 'starter' && doing.starter === subject.id)) return allowed;
      return denied('may_not_choose_model', `${chooseModelText(settings.models, doing.starter)} ${whomToAsk(policy)}`);
    case 'device_commands':
      if (settings.deviceCommands === 'everyone' || (settings.deviceCommands === 'admins' && isAdmin)) return allowed;
      return settings.deviceCommands === 'admins'
        ? denied('not_an_admin', `${REFUSALS.adminsDo} ${whomToAsk(policy)}`)
        : denied('device_commands_closed', REFUSALS.noDeviceCommands);
    case 'answer':
      if (doing.requester === subject.id || (isBot(doing.requester) && isAdmin)) return allowed;
      if (isBot(doing.requester)) return denied('not_an_admin', `${REFUSALS.adminsAnswer} ${whomToAsk(policy)}`);
      return denied('not_the_requester', onlyRequesterText(doing.requester, 'answer'));
    case 'decide':
      return doing.startsAgent === true
        ? canStartAgent(policy, subject, doing.requester, place)
        : canDecide(policy, subject, doing, place);
    default:
      return allowed;
  }
}

const CLICKS: ReadonlySet<Doing['do']> = new Set(['look', 'stop', 'decide']);
const BY_ADMINS: ReadonlySet<Doing['do']> = new Set(['command', 'administer']);

/** A user group admits its full members only: putting a guest into it does not admit the guest. */
function includes(list: PeopleList, { id, kind, groups = [] }: Subject): boolean {
  return list.ids.includes(id) || (kind === 'member' && list.groups.some((group) => groups.includes(group)));
}

/** Whether an id is a bot's or an app's. Bots decide nothing, so admins decide what their turns ask. */
export function isBot(requester: UserId): boolean {
  return /^[AB]/.test(requester) || requester === SLACKBOT;
}

function isUser(policy: Policy, subject: Subject): boolean {
  const { users, bots } = policy;
  if (subject.kind === 'bot') {
    return [subject.id, subject.botUser ?? subject.id].some((id) => users.ids.includes(id) || bots.ids.includes(id));
  }
  return includes(users, subject) || (subject.kind === 'member' && (users.everyone || users.members));
}

function notAdmitted(policy: Policy, { kind }: Subject): Verdict {
  const ask = whomToAsk(policy, ' for access');
  if (kind === 'member') return denied('user_not_allowed', `${REFUSALS.notAllowedYet} ${ask}`);
  const stranger = kind === 'guest' || kind === 'external' ? kind : 'bot';
  return denied(`user_is_${kind}`, `${strangerText(stranger)} ${ask}`);
}

function canDecide(
  policy: Policy,
  subject: Subject,
  { requester, author }: { requester: UserId; author?: UserId },
  place: Place | null,
): Verdict {
  const { approvers, selfApproval } = place ? settingsOf(policy, place) : policy.defaults;
  const isOwn = requester === subject.id;
  const isForBot = approvers.requester && isBot(requester);
  if (isForBot && includes(policy.admins, subject)) return allowed;
  // Do not name people who may not decide it either.
  const may = (id: string) => selfApproval || (id !== requester && id !== author);
  const named = [
    ...(isForBot ? mentions(policy.admins, may) : approvers.requester && may(requester) ? [`<@${requester}>`] : []),
    ...mentions(approvers, may),
  ];
  if (!(isOwn && approvers.requester) && !includes(approvers, subject)) {
    const isRequesterAlone = approvers.ids.length === 0 && approvers.groups.length === 0;
    if (isRequesterAlone && isBot(requester))
      return denied('not_an_admin', `${REFUSALS.adminsDecide} ${whomToAsk(policy)}`);
    if (named.length === 0) return denied('nobody_may_decide', `${REFUSALS.noOneMay} ${whomToAsk(policy)}`);
    if (isRequesterAlone) return denied('not_the_requester', onlyRequesterText(requester, 'decide'));
    return denied('not_an_approver', onlyTheyText(namesText(named)));
  }
  const others = named.length === 0 ? `${REFUSALS.noOneMay} ${whomToAsk(policy)}` : askText(namesText(named));
  if (isOwn && !selfApproval) {
    return denied('self_approval', `${REFUSALS.ownRequest} ${others}`);
  }
  if (author === subject.id && !selfApproval) {
    return denied('self_approval', `${REFUSALS.ownCommand} ${others}`);
  }
  return allowed;
}

/** As {@link canDecide} where the channel lets approvers start agents; elsewhere only admins may approve. */
function canStartAgent(policy: Policy, subject: Subject, requester: UserId, place: Place | null): Verdict {
  const usual = canDecide(policy, subject, { requester }, place);
  if (place && mayApproversStartAgents(policy, place)) return usual;
  if (includes(policy.admins, subject)) return requester === subject.id ? usual : allowed;
  return usual.allowed ? denied('not_an_admin', `${REFUSALS.startsAgent} ${whomToAsk(policy)}`) : usual;
}

/** Whether the agent may work in a place, whoever asks it to. */
export function canUsePlace(policy: Policy, place: Place): Verdict {
  if (policy.channels.ids.includes(place.channel)) return allowed;
  const ask = whomToAsk(policy, ' for access');
  if (place.channelKind === 'im') {
    if (policy.channels.directMessages || policy.channels.everywhere) return allowed;
    return denied('direct_messages_closed', REFUSALS.noDirectMessages);
  }
  if (place.external) {
    return denied('channel_is_external', `${sharedPlaceText(place.channelKind === 'mpim')} ${ask}`);
  }
  if (place.channelKind === 'mpim') {
    if (servesGroupDms(policy)) return allowed;
    return denied('group_direct_messages_closed', REFUSALS.noGroupDirectMessages);
  }
  if (policy.channels.everywhere) return allowed;
  return denied('channel_not_allowed', `${REFUSALS.notInThisChannel} ${ask}`);
}

/** One sentence. */
function whomToAsk(policy: Policy, what = ''): string {
  const admins = mentions(policy.admins);
  return askText(admins.length === 0 ? null : namesText(admins), what);
}

function mentions({ ids, groups }: PeopleList, which: (id: string) => boolean = () => true): string[] {
  return [...ids.filter(which).map((id) => `<@${id}>`), ...groups.map((id) => `the group ${id}`)];
}
