/** Why a person may not do something; each ends with what to do, or {@link askText} follows. Markdown of ours. */
export const REFUSALS = {
  unconfirmed:
    'Slack can’t tell me right now who is in a user group, so I can’t check whether you may do this. I did nothing. Try again in a minute.',
  deactivated: 'This account is deactivated.',
  botMayOnlySpeak: 'Bots can only write to this agent.',
  noDeviceCommands:
    'Skills and commands of the agent’s machine are switched off here. An admin can allow them: `device_commands` in policy.yml.',
  adminsDo: 'Only admins can do this.',
  adminsAnswer: 'Only admins can answer this.',
  adminsDecide: 'Only admins can decide this.',
  notAllowedYet: 'You can’t use this agent yet.',
  ownRequest: 'Someone else must decide this, because it is your request.',
  ownCommand: 'Someone else must approve this, because you wrote the command.',
  noOneMay:
    'No one can decide this here: the person who asked may not (self_approval), and no other approvers are named.',
  startsAgent: 'Only admins can approve this: it starts another agent, and that one never asks for approval.',
  noDirectMessages: 'I don’t answer direct messages. Mention me in a channel.',
  noGroupDirectMessages: 'I don’t answer group direct messages. Mention me in a channel.',
  notInThisChannel: 'I’m not allowed to work in this channel.',
  mayNotSpeak: 'You can approve or deny this, but you may not run your own command on the agent’s machine.',
  noOneElse:
    'Someone else would have to approve your command, and no one else here can. Deny with a reason instead: the agent reads it.',
} as const;

const STRANGERS = { guest: 'Guests', external: 'People of other organisations', bot: 'Other bots' } as const;

export function strangerText(kind: keyof typeof STRANGERS): string {
  return `${STRANGERS[kind]} can’t use this agent unless an admin allows them.`;
}

export function sharedPlaceText(isGroupMessage: boolean): string {
  const what = isGroupMessage ? 'group direct message' : 'channel';
  return `This ${what} is shared with another organisation, and no admin has allowed me to work here.`;
}

/** @param requester mentioned: it is their request */
export function onlyRequesterText(requester: string, may: 'answer' | 'decide'): string {
  return `Only <@${requester}> can ${may} this (it’s their request).`;
}

/** @param starter who began the thread; `null`: admins alone choose here */
export function chooseModelText(who: 'starter' | 'admins', starter: string | null): string {
  const isOpen = who === 'starter' && starter !== null;
  return `Only admins${isOpen ? ` and <@${starter}>, who began this thread,` : ''} can choose the model here.`;
}

/** @param names as {@link namesText} makes it */
export function onlyTheyText(names: string): string {
  return `Only ${names} can decide this.`;
}

/** @param names as {@link namesText} makes it; `null`: the policy names no one @param forWhat for example ` for access` */
export function askText(names: string | null, forWhat = ''): string {
  return `Ask ${names ?? 'the person who runs this bot'}${forWhat}.`;
}

const NAMED = 3;

/** @param names mentions, at least one */
export function namesText(names: readonly string[]): string {
  const shown = names.slice(0, NAMED);
  if (names.length > NAMED) return `${shown.join(', ')} or another`;
  return shown.length < 2 ? (shown[0] ?? 'no one') : `${shown.slice(0, -1).join(', ')} or ${shown.at(-1)}`;
}

/** For people who write while the agent is paused. @param since as `moment()` says it */
export function pausedByText(by: string, since: string): string {
  return `<@${by}> paused the agent (${since}). It runs nothing until an admin resumes it.`;
}

/** Follows {@link pausedByText} for the author of a message that is refused. */
export const REACT_AGAIN_THEN = 'React again then.';
export const SEND_AGAIN_THEN = 'Send your message again then.';
