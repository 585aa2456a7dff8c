import type { Delta } from '../protocol/deltas.ts';

/**
 * An error's text and how good its source is: the same error comes up to four times (docs/letta-protocol.md, Errors).
 */
export interface ErrorText {
  readonly text: string;
  /** 3: `api_error.message`, 2: `error_message.message`, 1: what `loop_error` or `turn_finished` say themselves. */
  readonly rank: 1 | 2 | 3;
}

const DEPTH = 6;
const LONGEST = 4000;

export function errorText(delta: Extract<Delta, { message_type: 'loop_error' | 'error_message' }>): ErrorText {
  if (delta.message_type === 'error_message') return { text: innermostMessage(delta.message), rank: 2 };
  const api = delta.api_error?.message;
  return api ? { text: innermostMessage(api), rank: 3 } : { text: innermostMessage(delta.message), rank: 1 };
}

/** The text itself, or the deepest `message` where the text is an error object printed as JSON. */
export function innermostMessage(text: string): string {
  return (text.trimStart().startsWith('{') ? (messageIn(text, DEPTH) ?? text) : text).slice(0, LONGEST);
}

function messageIn(value: unknown, depth: number): string | null {
  if (depth === 0) return null;
  if (typeof value === 'string') {
    if (!value.trimStart().startsWith('{')) return null;
    try {
      return messageIn(JSON.parse(value), depth - 1);
    } catch {
      return null;
    }
  }
  if (typeof value !== 'object' || value === null) return null;
  const inner = 'error' in value ? messageIn(value.error, depth - 1) : null;
  if (inner !== null) return inner;
  if (!('message' in value) || typeof value.message !== 'string') return null;
  return messageIn(value.message, depth - 1) ?? value.message;
}

/**
 * Whether an error says that the agent or conversation does not exist. Letta sends no code for it, only this wording
 * (docs/letta-protocol.md, runtime_start).
 */
export function saysGone(text: string): boolean {
  return /^(?:Agent|Conversation) \S+ not found/i.test(text);
}
