import * as z from 'zod';
import type { HistoryItem } from '../../bridge/agent-event.ts';
import { textContent } from '../protocol/deltas.ts';

const toolCall = z.looseObject({ tool_call_id: z.string().nullish(), name: z.string().nullish() });

const wireItem = z.looseObject({
  id: z.string(),
  message_type: z.string(),
  date: z.string().nullish(),
  content: textContent.nullish(),
  otid: z.string().nullish(),
  tool_call: toolCall.nullish(),
  tool_call_id: z.string().nullish(),
  name: z.string().nullish(),
  tool_return: z.unknown().optional(),
});

/** What the server puts in the place of a result that it lost (docs/letta-protocol.md, Loss and restart). */
const CLOSINGS = ['The agent harness automatically closed this stale', 'Interrupted by user'];

function isClosing(result: unknown): boolean {
  return typeof result === 'string' && CLOSINGS.some((words) => result.startsWith(words));
}

/** Matches only at the beginning: further down, a person may be writing about system reminders. */
const REMINDERS = /^(?:\s*<system-reminder>[\s\S]*?<\/system-reminder>\s*)+/;

/**
 * Items of `conversation_messages_list` or of REST's `/v1/conversations/{id}/messages`, newest first as they come with
 * `order: desc`, as HistoryItems, oldest first (docs/letta-protocol.md, Queue and deduplication). What the server added
 * to a person's words is stripped. Left out: messages with nothing else in them, and kinds that the bridge does not
 * use.
 * Never throws.
 */
export function readHistory(newestFirst: readonly unknown[]): HistoryItem[] {
  const items: HistoryItem[] = [];
  for (const value of newestFirst.toReversed()) {
    const parsed = wireItem.safeParse(value);
    if (!parsed.success) continue;
    const item = readItem(parsed.data);
    const at = Date.parse(parsed.data.date ?? '');
    if (item) items.push({ ...item, ...(Number.isNaN(at) ? {} : { at }) });
  }
  return items;
}

function readItem(item: z.infer<typeof wireItem>): HistoryItem | null {
  switch (item.message_type) {
    case 'user_message': {
      const text = withoutReminders(textParts(item.content));
      // Only reminders: the server wrote it, even if it has an otid. Only images: a person wrote it.
      if (text === '' && (!item.otid || holdsTextOnly(item.content))) return null;
      return { kind: 'user', id: item.id, clientMessageId: item.otid ?? null, text };
    }
    case 'assistant_message':
      return { kind: 'assistant', id: item.id, text: textParts(item.content).join('') };
    case 'approval_request_message':
    case 'tool_call_message':
      return {
        kind: 'tool',
        id: item.id,
        callId: item.tool_call?.tool_call_id ?? null,
        tool: item.tool_call?.name ?? null,
      };
    case 'tool_return_message':
      return {
        kind: 'tool',
        id: item.id,
        callId: item.tool_call_id ?? null,
        tool: item.name ?? null,
        result: isClosing(item.tool_return) ? 'closed' : 'real',
      };
    case 'summary_message':
      return { kind: 'summary', id: item.id };
    default:
      return null;
  }
}

function textParts(value: z.infer<typeof textContent> | null | undefined): string[] {
  if (value === null || value === undefined) return [];
  if (typeof value === 'string') return [value];
  return value.flatMap((part) => (typeof part.text === 'string' ? [part.text] : []));
}

function holdsTextOnly(value: z.infer<typeof textContent> | null | undefined): boolean {
  return !Array.isArray(value) || value.every((part) => typeof part.text === 'string');
}

function withoutReminders(parts: readonly string[]): string {
  return parts
    .map((part) => part.replace(REMINDERS, ''))
    .filter((part) => part !== '')
    .join('\n');
}
