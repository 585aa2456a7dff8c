import type { Listening } from '../access/policy.ts';
import type { UserId } from '../ids.ts';
import type { InboundMessage, Span } from '../inbound.ts';
import type { ThreadRecord } from '../record/thread-record.ts';

/** `speak`: for the agent. `context`: not for the agent, but a reply in one of our threads. `ignore`: neither. */
export type Relevance = 'speak' | 'context' | 'ignore';

/**
 * Whether a message is for the agent. It is when it is a direct message or mentions the bot. Otherwise the channel's
 * `listen` decides: with `thread`, replies of people who mentioned the bot in that thread are; with `all`, every message
 * is; unless the thread is muted or the message begins by mentioning another person.
 */
export function relevanceOf(
  message: InboundMessage,
  record: ThreadRecord | null,
  { botUser, listen }: { botUser: UserId; listen: Listening },
): Relevance {
  if (message.channelKind === 'im' || message.mentionsBot) return 'speak';
  const known = message.threadTs === null ? null : record;
  const otherwise = known ? 'context' : 'ignore';
  if (known?.muted || addressesSomeoneElse(message, botUser)) return otherwise;
  if (listen === 'all') return 'speak';
  return listen === 'thread' && known?.participants.includes(message.user) ? 'speak' : otherwise;
}

function addressesSomeoneElse({ spans }: InboundMessage, botUser: UserId): boolean {
  const first = spans.find((span: Span) => span.kind !== 'text' || span.text.trim() !== '');
  return first?.kind === 'user' && first.id !== botUser;
}
