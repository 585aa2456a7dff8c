import { type Policy, settingsOf } from '../access/policy.ts';
import { isDirect } from '../ids.ts';

/**
 * What people must know before they tell the agent something in private; Markdown of ours.
 * @param direct the channel of a direct message, where it is said there
 */
export function memoryNotice(policy: Policy, direct = 'D'): string {
  const own = settingsOf(policy, direct).binding?.agentId ?? null;
  const channels = [...policy.places].filter(([place]) => place !== 'dm' && !isDirect(place));
  const shared = own === null || channels.some(([, { binding }]) => binding?.agentId === own);
  const where = shared ? ', including in channels' : '';
  return `This agent shares one memory, and usually one working copy, across its conversations. What you write in direct messages can come up elsewhere${where}.`;
}
