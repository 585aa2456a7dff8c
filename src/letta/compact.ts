import type { Compacted, RuntimeRef } from '../bridge/agent-event.ts';
import { BridgeError } from '../errors.ts';
import { executeCommand } from './protocol/outgoing.ts';
import { type Ask, linkLost } from './requests.ts';
import { compactRefusedText } from './words/notices.ts';

/** A model writes the summary. */
const COMPACTS_WITHIN_MS = 3 * 60_000;

/**
 * Has Letta summarise the earlier messages. Letta tells how many messages there were only in words
 * (docs/letta-protocol.md, Compaction).
 * @throws BridgeError not `certain` when Letta does not answer
 */
export async function compactConversation(ask: Ask, runtime: RuntimeRef): Promise<Compacted> {
  const make = (requestId: string) => executeCommand(requestId, runtime, 'compact');
  const answer = await ask('execute_command_response', make, COMPACTS_WITHIN_MS);
  if (answer === null) throw linkLost({ certain: false });
  const said = answer.error ?? answer.output ?? '';
  if (answer.success !== true) {
    throw new BridgeError('letta_refused', `compact was refused: ${said.slice(0, 300)}`, {
      notice: compactRefusedText(said),
    });
  }
  const [, before, after] = /length reduced from (\d{1,9}) to (\d{1,9})\./.exec(said) ?? [];
  const isTold = before !== undefined && after !== undefined;
  return { messages: isTold ? { before: Number(before), after: Number(after) } : null };
}
