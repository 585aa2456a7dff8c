import type { Span } from '../../bridge/inbound.ts';
import { mrkdwnSpans } from './mrkdwn.ts';
import { richTextSpans } from './rich-text.ts';

/**
 * A message as Markdown for the agent, with references as spans of their own. Uses `blocks` where possible, because
 * they hold what was typed; apps and old clients send only `text`, Slack's rendering of it.
 */
export function messageSpans(message: { text?: string | undefined; blocks?: unknown }): Span[] {
  return richTextSpans(message.blocks) ?? mrkdwnSpans(message.text ?? '');
}
