import { type Approvers, type Permissions, type Policy, servesGroupDms } from '../bridge/access/policy.ts';

export interface AccessFacts {
  policy: Policy;
  /** The workspace's name. */
  workspace: string;
  /** Names of channels by id, as far as they are known. */
  channels: ReadonlyMap<string, string>;
  /** The agent's name; `null`: not known. */
  agent: string | null;
  /** Where its tools run, for people; `null`: not known. */
  machine: string | null;
  /** As which operating-system user, for people; `null`: this machine cannot see it. */
  user: string | null;
}

/** One sentence: who can make which agent run what, where, as which operating-system user. */
export function accessSentence(facts: AccessFacts): string {
  const { policy, agent, machine, user } = facts;
  const who = describePeople(facts);
  const { permissions, autoApprove } = policy.defaults;
  const rules =
    autoApprove.length === 0
      ? ''
      : `, ${countOf(autoApprove.length, 'rule approves', 'rules approve')} without a person`;
  const bound = describeOwnSettings(policy);
  const where = machine === null ? 'on the machine that Letta chooses' : `on ${machine}`;
  const as = user === null ? 'as the user who started letta server there' : `as the operating-system user ${user}`;
  return (
    `${who} can, in ${describePlaces(facts)}, make ${agent === null ? 'the agent' : `the agent ${agent}`} ` +
    `${describeAbilities(permissions)} ${where}, ${as}; ${describeApprovals(permissions, policy.defaults.approvers)}${rules}${bound}.`
  );
}

function describePeople({ policy, workspace }: AccessFacts): string {
  const { everyone, members, ids, groups } = policy.users;
  const parts = [
    ...(everyone || members ? [`Every full member of ${workspace}`] : []),
    ...(ids.length > 0 ? [countOf(ids.length, 'named person', 'named people')] : []),
    ...(groups.length > 0 ? [`the members of ${countOf(groups.length, 'user group', 'user groups')}`] : []),
    ...(policy.bots.ids.length > 0 ? [countOf(policy.bots.ids.length, 'bot', 'bots')] : []),
  ];
  const text = joinWithAnd(parts);
  return text === '' ? 'No one' : text.charAt(0).toUpperCase() + text.slice(1);
}

function describePlaces({ policy, channels }: AccessFacts): string {
  const { everywhere, directMessages, ids } = policy.channels;
  const parts = [
    ...(everywhere ? ['every channel that the bot is in'] : ids.map((id) => `#${channels.get(id) ?? id}`)),
    ...directText(directMessages || everywhere, servesGroupDms(policy)),
  ];
  const shown = parts.length > 8 ? [...parts.slice(0, 7), `${parts.length - 7} more`] : parts;
  return joinWithAnd(shown) || 'no place';
}

function directText(direct: boolean, groups: boolean): string[] {
  if (direct) return [groups ? 'direct messages' : 'direct messages (but not in groups)'];
  return groups ? ['group direct messages'] : [];
}

function describeAbilities(permissions: Permissions): string {
  return permissions === 'unrestricted' ? 'run anything without asking' : 'read files and run tools';
}

function describeApprovals(permissions: Permissions, approvers: Approvers): string {
  const decides = joinWithAnd([
    ...(approvers.requester ? ['the person who asked'] : []),
    ...(approvers.ids.length + approvers.groups.length > 0 ? ['the named approvers'] : []),
  ]);
  const by = `${decides || 'no one'} must approve`;
  switch (permissions) {
    case 'unrestricted':
      return 'the agent asks no one first';
    case 'acceptEdits':
      return `it changes files without asking, and ${by} other commands (acceptEdits)`;
    case 'standard':
      return `${by} file changes and unknown commands (standard)`;
    case 'guarded':
      return `${by} everything but reads inside the working directory (guarded)`;
    case 'strict':
      return `${by} every tool (strict)`;
    default:
      return permissions satisfies never;
  }
}

function describeOwnSettings({ places: all }: Policy): string {
  const bound = [...all.values()].filter(({ binding, permissions }) => binding || permissions).length;
  return bound === 0
    ? ''
    : `; ${countOf(bound, 'place has', 'places have')} ${bound === 1 ? 'its' : 'their'} own agent, machine or permissions`;
}

function countOf(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function joinWithAnd(parts: readonly string[]): string {
  const last = parts.at(-1) ?? '';
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(', ')} and ${last}`;
}
