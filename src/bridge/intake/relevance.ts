import type { Listening } from '../access/policy.ts';
import type { UserId } from '../ids.ts';
import type { InboundMessage, Span } from '../inbound.ts';
import type { ThreadRecord } from '../record/thread-record.ts';

/** `speak`: for the agent. `context`: a reply in a thread of ours that is not for it. */
export type Relevance = 'speak' | 'context' | 'ignore';

/**
 * Whether a message is for the agent. Everything in a DM is, and what mentions it; a reply of somebody who mentioned it
 * in that thread is where the place listens to threads, anything is where it listens to all; unless the thread is muted,
 * or the message addresses somebody else.
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
