import { type Policy, settingsOf } from '../access/policy.ts';
import { isDirect } from '../ids.ts';
import { headsUpText, memoryText } from '../words/memory.ts';

/** Tells people that direct messages share the agent's memory with other conversations; Markdown of ours. */
export function memoryNotice(policy: Policy): string {
  return memoryText(isInChannels(policy, 'D'));
}

/** The same for one direct message, whose channel this is. */
export function headsUp(policy: Policy, direct: string): string {
  return headsUpText(isInChannels(policy, direct));
}

/** Whether the agent that answers there answers in channels, too. */
function isInChannels(policy: Policy, direct: string): boolean {
  const own = settingsOf(policy, direct).binding?.agentId ?? null;
  const channels = [...policy.places].filter(([place]) => place !== 'dm' && place !== 'group_dm' && !isDirect(place));
  if (own === policy.defaults.binding?.agentId) return true;
  return own === null || channels.some(([, { binding }]) => binding?.agentId === own);
}
