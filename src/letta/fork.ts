import type { RuntimeRef } from '../bridge/agent-event.ts';
import { BridgeError } from '../errors.ts';
import { conversationFork, conversationList, conversationRetrieve, conversationUpdate } from './protocol/outgoing.ts';
import { type Ask, linkLost } from './requests.ts';
import { forkRefusedText } from './words/notices.ts';

const ANSWERS_WITHIN_MS = 10_000;
/** A long conversation is written anew. */
const COPIES_WITHIN_MS = 60_000;
/** More than are made at once. */
const LISTED = 100;
/** What a conversation is called that never got a title. */
const UNTITLED = 'Slack thread';

/**
 * Copies a conversation, once for each `id`: Letta gives the copy the title of the conversation (docs/letta-protocol.md,
 * Conversations), which names the id meanwhile, so a copy whose answer was lost is found by it.
 * @param upTo the last item that goes along; `null`: all do
 * @returns the id of the copy
 * @throws BridgeError `letta_refused`; others may be retried with the same id
 */
export async function forkConversation(
  ask: Ask,
  { agentId, conversationId }: RuntimeRef,
  id: string,
  upTo: string | null,
): Promise<string> {
  const mark = ` ⑂ ${id}`;
  const retrieve = (requestId: string) => conversationRetrieve(requestId, conversationId);
  const known = await ask('conversation_retrieve_response', retrieve, ANSWERS_WITHIN_MS);
  if (known === null) throw linkLost({ certain: false });
  if (known.success !== true) throw refused(known.error ?? '');
  const title = (known.conversation?.summary ?? UNTITLED).replace(mark, '');
  const rename = (which: string, to: string) => {
    const make = (requestId: string) => conversationUpdate(requestId, which, to);
    return ask('conversation_update_response', make, ANSWERS_WITHIN_MS);
  };
  let copy = await findCopy(ask, { agentId, conversationId }, title + mark);
  if (copy === null) {
    // Until the title has the mark, a copy could not be found again. Where Letta refuses titles, it is made all the same.
    if ((await rename(conversationId, title + mark)) === null) throw linkLost({ certain: false });
    copy = await makeCopy(ask, { agentId, conversationId }, upTo);
  }
  // These are for people: the copy can be used whatever it is called.
  await rename(conversationId, title);
  await rename(copy, `${title} (2)`);
  return copy;
}

async function findCopy(ask: Ask, { agentId, conversationId }: RuntimeRef, title: string): Promise<string | null> {
  const list = (requestId: string) => conversationList(requestId, { agentId, limit: LISTED });
  const answer = await ask('conversation_list_response', list, ANSWERS_WITHIN_MS);
  if (answer === null) throw linkLost({ certain: false });
  return answer.conversations?.find((each) => each.summary === title && each.id !== conversationId)?.id ?? null;
}

async function makeCopy(ask: Ask, runtime: RuntimeRef, upTo: string | null): Promise<string> {
  const make = (requestId: string) => conversationFork(requestId, runtime, upTo);
  const answer = await ask('conversation_fork_response', make, COPIES_WITHIN_MS);
  if (answer === null) throw linkLost({ certain: false });
  if (answer.success !== true || !answer.conversation) throw refused(answer.error ?? '');
  return answer.conversation.id;
}

function refused(error: string): BridgeError {
  return new BridgeError('letta_refused', `the conversation was not copied: ${error.slice(0, 300)}`, {
    notice: forkRefusedText(error),
  });
}
