import type { Span } from '../../bridge/inbound.ts';
import { mrkdwnSpans } from './mrkdwn.ts';
import { richTextSpans } from './rich-text.ts';

/**
 * What a person wrote, as Markdown that an agent can read, with references kept apart from text. `blocks` is what
 * was typed, so it is preferred; `text` is Slack's rendering of it and the only one that apps and old clients send.
 */
export function messageSpans(message: { text?: string | undefined; blocks?: unknown }): Span[] {
  return richTextSpans(message.blocks) ?? mrkdwnSpans(message.text ?? '');
}
