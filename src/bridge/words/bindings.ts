import type { ModelName } from '../agent-event.ts';
import { asCode } from '../text/as-code.ts';
import { modelTexts, toolsetText } from './models.ts';

interface Bound {
  permissions: string;
  binding: {
    agentId: string | null;
    device: string | null;
    workingDirectory: string | null;
    model?: ModelName | undefined;
    toolset?: string | undefined;
  } | null;
}

/** What was wrong with what follows `agent` or `mode`. */
export const BINDING = {
  noUnrestricted: 'You can set `unrestricted` only in the configuration (see docs/policy.md).',
  fullPath: 'Give the full path of the directory.',
  agentUsage:
    'Write `agent` and an agent id (`agent-…`), `on` and a device, or `in` and a directory. `default` in their place restores the configured one.',
} as const;

export function modeUsageText(modes: readonly string[]): string {
  return `Write \`mode\` and one of ${modes.join(', ')} or default.`;
}

/** Who answers in a channel, where, and what it may do without asking; Markdown of ours. What is as usual is not named. */
export function bindingText({ permissions, binding }: Bound): string {
  const { agentId = null, device = null, workingDirectory = null, model, toolset } = binding ?? {};
  const where = [
    agentId === null ? 'the usual agent' : `agent ${asCode(agentId)}`,
    ...(device === null ? [] : [`on ${asCode(device)}`]),
    ...(workingDirectory === null ? [] : [`in ${asCode(workingDirectory)}`]),
  ];
  const more = [...(model ? modelTexts(model) : []), ...(toolset === undefined ? [] : [toolsetText(toolset)])];
  return `In this channel: ${[where.join(' '), ...more].join(', ')}, permissions ${permissions}.`;
}
