import { isDirect } from '../../bridge/ids.ts';
import type { PlaceRights, ToolCall, ToolPlace } from '../../bridge/tools/tool.ts';
import { TOOL_WORDS } from '../words/tools.ts';
import { ToolRefused } from './calls.ts';
import type { ToolParts } from './parts.ts';

/** The place in which the agent answers, as the policy judges it. */
export async function placeOf({ people }: ToolParts, { address, team }: ToolCall): Promise<ToolPlace> {
  const { channel, kind = isDirect(channel) ? 'im' : 'channel' } = address;
  return { channel, channelKind: kind, external: await people.isShared(channel, team) };
}

/** Throws a ToolRefused where the policy hides messages that are not for the agent. */
export function checkReadable({ mayReadMessages }: PlaceRights): void {
  if (!mayReadMessages) throw new ToolRefused(TOOL_WORDS.policyHidesMessages);
}
