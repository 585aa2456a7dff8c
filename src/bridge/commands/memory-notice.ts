import { type Policy, settingsOf } from '../access/policy.ts';
import { isDirect } from '../ids.ts';

/**
 * Tells people that direct messages share the agent's memory with other conversations; Markdown of ours.
 * @param direct the direct message's channel, when the notice is posted in one
 */
export function memoryNotice(policy: Policy, direct = 'D'): string {
  const own = settingsOf(policy, direct).binding?.agentId ?? null;
  const channels = [...policy.places].filter(([place]) => place !== 'dm' && !isDirect(place));
  const shared = own === null || channels.some(([, { binding }]) => binding?.agentId === own);
  const where = shared ? ', including in channels' : '';
  return `This agent shares one memory, and usually one working copy, across its conversations. What you write in direct messages can come up elsewhere${where}.`;
}
