import type { Doing } from '../access/can.ts';
import type { UserId } from '../ids.ts';
import { startsAgent } from './auto-approval/starts-agent.ts';

/** What a person who approves this request does, for `can()`. */
export function whoDecides({
  tool,
  requester,
  edit,
}: {
  tool: string;
  requester: UserId;
  edit?: { by: UserId } | undefined;
}): Extract<Doing, { do: 'answer' | 'decide' }> {
  if (tool === 'AskUserQuestion') return { do: 'answer', requester };
  return { do: 'decide', requester, startsAgent: startsAgent(tool), ...(edit && { author: edit.by }) };
}
