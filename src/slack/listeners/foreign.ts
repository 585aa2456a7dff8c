import type { InboundKind } from '../../bridge/inbound.ts';
import { type Foreign, whyForeign } from '../inbound/ours.ts';
import type { Envelope } from '../receiver/transport.ts';
import { countIgnored, type ListenerContext } from './context.ts';

/** Logs a delivery for another app or workspace, and returns why it is not for us; `null`: it is for us. */
export function noteForeign(context: ListenerContext, envelope: Envelope): string | null {
  const reason = whyForeign(envelope.body, context.identity());
  if (reason !== null) noteIgnoredDelivery(context, envelope, reason);
  return reason;
}

/** Logs and counts a delivery that is for no workspace of ours. */
export function noteIgnoredDelivery(
  context: Pick<ListenerContext, 'log' | 'metrics'>,
  { kind, body }: Envelope,
  reason: Foreign,
): void {
  countIgnored(context, { kind: kindOf(kind, body), reason });
}

function kindOf(kind: Envelope['kind'], { type, event }: Record<string, unknown>): InboundKind {
  if (kind === 'slash_commands') return 'command';
  if (kind === 'interactive') return type === 'block_actions' ? 'click' : 'modal';
  const said = typeof event === 'object' && event !== null && 'type' in event ? event.type : null;
  return said === 'message' || said === 'app_mention' ? 'message' : 'event';
}
