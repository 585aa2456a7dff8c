import type { RuntimeRef } from '../bridge/agent-event.ts';

const WEB = 'https://chat.letta.com';
/** Of the hosted API whose conversations the web app shows. */
const API_HOST = 'api.letta.com';

/**
 * The address of a conversation in Letta's web app, which shows agents of Letta's own cloud only (docs/letta-protocol.md,
 * Conversations); `null` for all others.
 */
export function webPage(baseUrl: string, { agentId, conversationId }: RuntimeRef): string | null {
  if (URL.parse(baseUrl)?.hostname !== API_HOST || agentId.startsWith('agent-local-')) return null;
  return `${WEB}/chat/${encodeURIComponent(agentId)}?conversation=${encodeURIComponent(conversationId)}`;
}
