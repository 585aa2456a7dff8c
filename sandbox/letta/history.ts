import { randomUUID } from 'node:crypto';
import type { Json, ModelMessage, Runtime, ToolCall } from './types.ts';
import { isJson, text } from './types.ts';

const MAX_ITEMS = 500;

const REMINDERS: readonly string[] = [
  "<system-reminder>\nThis is an automated message providing context about the user's environment.\nThis conversation is now connected to a Letta Code execution environment.\n</system-reminder>",
  '<system-reminder> This is an automated message providing information about you.\n</system-reminder>',
  '<system-reminder>\nMCP servers with available tools: None\n</system-reminder>',
];

const INTERRUPTED = '<system-reminder>The user interrupted the active stream.</system-reminder>\n';

export interface UserInput {
  readonly role: string;
  readonly content: unknown;
  readonly otid?: string;
  /** Under which the queue has it, where that is another id. */
  readonly queueId?: string;
}

/** Text and number of images of a message's content: a string or parts. */
function readContent(content: unknown): { text: string; images: number } {
  if (typeof content === 'string') return { text: content, images: 0 };
  const parts = Array.isArray(content) ? content.filter(isJson) : [];
  const images = parts.filter((part) => part.type === 'image').length;
  return { text: parts.map((part) => text(part.text) ?? '').join('\n'), images };
}

/** A conversation's items, which clients can list, and its messages for the model. Survives a restart. */
export class History {
  readonly #runtime: Runtime;
  readonly #nextId: () => string;
  #items: Json[] = [];
  #model: ModelMessage[] = [];
  lastAt: string | null = null;

  constructor(runtime: Runtime, nextId: () => string) {
    this.#runtime = runtime;
    this.#nextId = nextId;
  }

  get model(): readonly ModelMessage[] {
    return this.#model;
  }

  /** Ids of whole messages; parts of one message share an id. */
  get ids(): string[] {
    return [...new Set(this.#items.map((item) => String(item.id).split(':')[0] ?? ''))];
  }

  /**
   * `remind`: the first input of a process carries the server's own parts in front (docs/letta-protocol.md, Queue and
   * deduplication).
   */
  addUser(input: UserInput, withReminders: boolean): void {
    const own = typeof input.content === 'string' ? [{ type: 'text', text: input.content }] : input.content;
    const parts = [...(withReminders ? reminders() : []), ...(Array.isArray(own) ? own : [])];
    this.#addUserItem(parts, input.otid);
    const { text: words, images } = readContent(input.content);
    this.#addModelMessage({ role: 'user', text: words, images });
  }

  addInterrupted(withReminders: boolean): void {
    this.#addUserItem([...(withReminders ? reminders() : []), { type: 'text', text: INTERRUPTED }], randomUUID());
    this.#addModelMessage({ role: 'user', text: INTERRUPTED });
  }

  addAssistant(id: string, parts: { reasoning?: string; text?: string; calls: readonly ToolCall[] }): void {
    const reasoned = parts.reasoning !== undefined;
    if (reasoned) this.#addItem(`${id}:reasoning:0`, 'reasoning_message', { reasoning: parts.reasoning });
    if (parts.text !== undefined) {
      const content = [{ type: 'text', text: parts.text }];
      this.#addItem(reasoned ? `${id}:assistant:1` : id, 'assistant_message', { role: 'assistant', content });
    }
    for (const call of parts.calls) {
      const fields = { tool_call_id: call.id, name: call.name, arguments: JSON.stringify(call.input) };
      this.#addItem(`${id}:tool:${call.id}:request`, 'approval_request_message', { tool_call: fields });
    }
    this.#addModelMessage({ role: 'assistant', text: parts.text ?? '' });
  }

  addToolReturn(callId: string, status: string, result: string): void {
    this.#addItem(this.#nextId(), 'tool_return_message', { tool_call_id: callId, status, tool_return: result });
    this.#addModelMessage({ role: 'tool', text: result });
  }

  /** A page, newest first unless `order` is "asc"; `before` is the id the page ends before. */
  listPage(query: Json): Json {
    const limit = typeof query.limit === 'number' ? query.limit : 50;
    const ordered = query.order === 'asc' ? this.#items : this.#items.toReversed();
    const at = ordered.findIndex((item) => item.id === query.before);
    const rest = ordered.slice(at + 1);
    const messages = rest.slice(0, limit);
    return { messages, next_before: messages.at(-1)?.id ?? null, has_more: rest.length > limit };
  }

  #addUserItem(content: readonly unknown[], otid: string | undefined): void {
    this.#addItem(this.#nextId(), 'user_message', { role: 'user', content, ...(otid === undefined ? {} : { otid }) });
  }

  #addItem(id: string, messageType: string, fields: Json): void {
    const date = new Date().toISOString();
    this.lastAt = date;
    this.#items.push({ id, date, ...this.#runtime, message_type: messageType, ...fields });
    if (this.#items.length > MAX_ITEMS) this.#items = this.#items.slice(-MAX_ITEMS);
  }

  #addModelMessage(message: ModelMessage): void {
    this.#model.push(message);
    if (this.#model.length > MAX_ITEMS) this.#model = this.#model.slice(-MAX_ITEMS);
  }
}

function reminders(): Json[] {
  return REMINDERS.map((words) => ({ type: 'text', text: words }));
}
