import type { RuntimeRef } from '../bridge/agent-event.ts';

const WEB = 'https://chat.letta.com';
/** Of the hosted API whose conversations the web app shows. */
const API_HOST = 'api.letta.com';

/**
 * The address of a conversation in Letta's web app, which shows agents of a cloud only (docs/letta-protocol.md,
 * Conversations); `null` for all others.
 * @param webUrl `LETTA_WEB_URL`: the web app of that API; `null`: Letta's own cloud has one, others have none
 */
export function webPage(
  { baseUrl, webUrl = null }: { baseUrl: string; webUrl?: string | null | undefined },
  { agentId, conversationId }: RuntimeRef,
): string | null {
  const app = webUrl ?? (URL.parse(baseUrl)?.hostname === API_HOST ? WEB : null);
  if (app === null || agentId.startsWith('agent-local-')) return null;
  return `${app}/chat/${encodeURIComponent(agentId)}?conversation=${encodeURIComponent(conversationId)}`;
}
