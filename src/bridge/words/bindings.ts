import type { PlaceSettings } from '../access/policy.ts';
import { asCode } from '../text/as-code.ts';

/** Who answers in a channel, where, and what it may do without asking; Markdown of ours. What is as usual is not named. */
export function bindingText({ permissions, binding }: PlaceSettings): string {
  const { agentId = null, device = null, workingDirectory = null } = binding ?? {};
  const where = [
    agentId === null ? 'the usual agent' : `agent ${asCode(agentId)}`,
    ...(device === null ? [] : [`on ${asCode(device)}`]),
    ...(workingDirectory === null ? [] : [`in ${asCode(workingDirectory)}`]),
  ];
  return `In this channel: ${where.join(' ')}, permissions ${permissions}.`;
}
