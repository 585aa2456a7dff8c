import type { FoundConversation, HistoryItem } from '../bridge/agent-event.ts';
import type { Conversations } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { createPageReader } from './history-pages.ts';
import { agentNotFound, type ConversationFacts } from './hosted-api.ts';
import { agentRetrieve, conversationMessagesList, conversationRetrieve } from './protocol/outgoing.ts';
import type { Ask } from './requests.ts';
import type { Route } from './routes/route.ts';
import { readHistory } from './runtime/history.ts';
import { readSavedRules } from './saved-rules.ts';
import { type VisitParts, visit } from './visit.ts';
import { conversationUnknownText, NOTICES } from './words/notices.ts';

const ANSWERS_WITHIN_MS = 10_000;
/** For one page. */
const HISTORY_WITHIN_MS = 5_000;

/** Looks conversations up over a link of its own, which carries no frames of theirs. */
export function createConversations(
  parts: Omit<VisitParts, 'endpoints' | 'unreachable'> & { route: Route },
): Conversations {
  const { route, ...rest } = parts;

  return {
    async find(conversationId, { binding, device }, most): Promise<FoundConversation> {
      const told = await route.retrieveConversation?.(conversationId);
      if (told === null) throw notFound(conversationId, route);
      const wanted = { agentId: told?.agentId ?? '', conversationId, deviceId: null };
      const none = { agentId: null, device: null, workingDirectory: null };
      const plan = await route.makePlan(wanted, device === null ? binding : { ...(binding ?? none), device });
      const { deviceId, deviceName } = plan;
      if (device !== null && deviceId === null) {
        throw new BridgeError('no_environment', 'an App Server has no devices', { notice: NOTICES.noDevices });
      }
      // On a socket that conversations share, a link that names its own would take the frames from the thread's.
      const endpoints = plan.endpoints.map(({ runtime: _, ...endpoint }) => endpoint);
      return visit({ ...rest, endpoints, unreachable: route.unreachable }, async (ask) => {
        const facts = told ?? (await retrieve(ask, conversationId, route));
        const items = await readLatest(ask, conversationId, most, route);
        const { agentId, title, agentName } = facts;
        return { runtime: { agentId, conversationId, deviceId }, title, agentName, deviceName, items };
      });
    },
    async readRules(runtime, directory) {
      const plan = await route.makePlan(runtime, null);
      const endpoints = plan.endpoints.map(({ runtime: _, ...endpoint }) => endpoint);
      return visit({ ...rest, endpoints, unreachable: route.unreachable }, (ask) => readSavedRules(ask, directory));
    },
  };
}

/** Asks the device what Letta's API tells of a conversation elsewhere. */
async function retrieve(ask: Ask, conversationId: string, route: Route): Promise<ConversationFacts> {
  const make = (requestId: string) => conversationRetrieve(requestId, conversationId);
  const answer = await ask('conversation_retrieve_response', make, ANSWERS_WITHIN_MS);
  if (answer === null) throw silent();
  const { conversation } = answer;
  if (answer.success !== true || !conversation?.agent_id) throw notFound(conversationId, route);
  const agentId = conversation.agent_id;
  const found = await ask('agent_retrieve_response', (id) => agentRetrieve(id, agentId), ANSWERS_WITHIN_MS);
  if (found === null) throw silent();
  if (found.success !== true) throw agentNotFound(agentId);
  return { agentId, title: conversation.summary ?? null, agentName: found.agent?.name ?? null };
}

async function readLatest(ask: Ask, conversationId: string, most: number, route: Route): Promise<HistoryItem[]> {
  const items = await createPageReader(route.isOrdered)(most, async (query) => {
    const make = (requestId: string) => conversationMessagesList(requestId, conversationId, query);
    const answer = await ask('conversation_messages_list_response', make, HISTORY_WITHIN_MS);
    if (answer?.success !== true || !answer.messages) return null;
    return { messages: answer.messages, before: answer.has_more === false ? null : (answer.next_before ?? null) };
  });
  if (items !== null) return items;
  const messages = await route.listMessages(conversationId, most);
  if (messages === null) throw silent();
  return readHistory(messages);
}

function notFound(conversationId: string, { hasOnlyLocalAgents }: Route): BridgeError {
  // Ids of the cloud begin with `conv-`, those of a local backend with `local-conv-` (seen with 0.32.18).
  const isOfCloud = hasOnlyLocalAgents && conversationId.startsWith('conv-');
  return new BridgeError('conversation_not_found', `conversation ${conversationId} not found`, {
    notice: conversationUnknownText(conversationId, isOfCloud),
  });
}

function silent(): BridgeError {
  return new BridgeError('letta_unreachable', 'Letta did not tell of a conversation', {
    notice: NOTICES.silent,
    retry: true,
  });
}
