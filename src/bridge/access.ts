import type { ChannelId, UserId } from './ids.ts';
import type { ChannelKind } from './inbound.ts';
import type { PersonKind } from './ports.ts';

/** Who may use the bot and where. Empty means closed: nobody, nowhere. */
export interface Policy {
  users: {
    /** `*` and `members` admit the same people: full members. Everybody else must be named. */
    everyone: boolean;
    members: boolean;
    ids: readonly UserId[];
  };
  channels: {
    /** `*`: wherever the bot is, except channels that other organisations share: those must be named. */
    everywhere: boolean;
    directMessages: boolean;
    ids: readonly ChannelId[];
  };
}

export interface Subject {
  id: UserId;
  kind: PersonKind;
}

export interface Place {
  channel: ChannelId;
  channelKind: ChannelKind;
  /** Shared with another organisation. */
  external: boolean;
}

export type Doing =
  /** Write to the agent, use a command, open the home tab, stop a turn. */
  | { do: 'speak' | 'command' | 'stop' | 'home' }
  /** Decide an approval or answer a question of a turn that `requester` started. */
  | { do: 'decide'; requester: UserId };

export type Verdict =
  | { allowed: true }
  /** `reason` is for the log; `notice` is one line for the person. */
  | { allowed: false; reason: string; notice: string };

const allowed: Verdict = { allowed: true };

function denied(reason: string, notice: string): Verdict {
  return { allowed: false, reason, notice };
}

/**
 * The one answer to "may they?", asked for every message, click, modal and command at the moment it happens.
 * @param place `null` for what happens nowhere in particular (the home tab).
 */
export function can(policy: Policy, subject: Subject, doing: Doing, place: Place | null): Verdict {
  if (subject.kind === 'deactivated') return denied('user_deactivated', 'This account is deactivated.');
  const named = policy.users.ids.includes(subject.id);
  if (!named) {
    if (subject.kind !== 'member') {
      const who = { guest: 'Guests', external: 'People of other organisations', bot: 'Other bots' }[subject.kind];
      return denied(`user_is_${subject.kind}`, `${who} may not use this agent. Ask whoever runs it to name you.`);
    }
    if (!policy.users.everyone && !policy.users.members) {
      return denied('user_not_allowed', 'You may not use this agent. Ask whoever runs it to add you.');
    }
  }
  if (place) {
    const verdict = canUsePlace(policy, place);
    if (!verdict.allowed) return verdict;
  }
  if (doing.do === 'decide' && doing.requester !== subject.id) {
    return denied('not_the_requester', `Only <@${doing.requester}> may decide this: the turn is theirs.`);
  }
  return allowed;
}

function canUsePlace(policy: Policy, place: Place): Verdict {
  if (policy.channels.ids.includes(place.channel)) return allowed;
  if (place.channelKind === 'im') {
    if (policy.channels.directMessages || policy.channels.everywhere) return allowed;
    return denied('direct_messages_closed', 'This agent does not answer direct messages. Mention it in a channel.');
  }
  if (place.external) {
    return denied(
      'channel_is_external',
      'This channel is shared with another organisation; the agent is not open here.',
    );
  }
  if (policy.channels.everywhere) return allowed;
  return denied('channel_not_allowed', 'This agent is not open in this channel. Ask whoever runs it.');
}
