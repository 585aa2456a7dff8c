import type { UserId } from '../ids.ts';
import type { InboundMessage, Span } from '../inbound.ts';

const NOW = /^(\s*(?:[:,]\s*)?)!now\b(?![\w-])\s*/i;

/** A message that begins with `!now`, without that word and marked; others as they are. */
export function asMessageForNow(message: InboundMessage, botUser: UserId): InboundMessage {
  if (message.bot || message.asked || message.now) return message;
  const spans = withoutNow(message.spans, botUser);
  return spans === null ? message : { ...message, spans, now: true };
}

/**
 * The words of a message that begins with `!now`, after the mention that addresses the bot if there is one, without that
 * word; `null`: it does not, or it says nothing else.
 */
function withoutNow(spans: readonly Span[], botUser: UserId): Span[] | null {
  const at = spans.findIndex((span) => span.kind !== 'text' || span.text.trim() !== '');
  const first = spans[at];
  const isAddress = first?.kind === 'user' && first.id === botUser;
  const start = isAddress ? at + 1 : at;
  const span = spans[start];
  if (span?.kind !== 'text' || !NOW.test(span.text)) return null;
  const rest = { kind: 'text', text: span.text.replace(NOW, isAddress ? ' ' : '') } as const;
  const others = spans.slice(start + 1);
  if (rest.text.trim() === '' && others.length === 0) return null;
  return [...spans.slice(0, start), rest, ...others];
}
