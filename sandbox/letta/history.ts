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

/** How many messages there were and are, and the words in place of what is gone. */
interface Summary {
  readonly before: number;
  readonly after: number;
  readonly summary: string;
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
    return [...new Set(this.#items.map(baseOf))];
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

  /**
   * Takes over what another conversation has, under ids of its own, up to one item; `null`: all of it. False: there is no
   * such item.
   */
  copyFrom(source: History, upTo: string | null): boolean {
    const at = upTo === null ? source.#items.length - 1 : source.#items.findIndex(({ id }) => id === upTo);
    if (upTo !== null && at < 0) return false;
    const ids = new Map<string, string>();
    this.#items = source.#items.slice(0, at + 1).map((item) => {
      const base = baseOf(item);
      const id = ids.get(base) ?? this.#nextId();
      ids.set(base, id);
      return { ...item, ...this.#runtime, id: id + String(item.id).slice(base.length) };
    });
    // What the model was sent has no ids: as many messages go along as there are items.
    const left = new Set(source.#items.slice(at + 1).map(baseOf)).size;
    this.#model = left === 0 ? [...source.#model] : source.#model.slice(0, -left);
    return true;
  }

  /**
   * Begins to summarise; the function that it returns puts the summary in place of the earlier messages. What was added
   * in between is gone then, as with Letta (docs/letta-protocol.md, Compaction).
   * @param keeps ids of calls that wait for approval: with mode `all` only they stay
   */
  beginSummary(mode: 'all' | 'sliding_window', keeps: readonly string[]): () => Summary {
    const items = [...this.#items];
    const model = [...this.#model];
    const ids = this.ids;
    return () => {
      const before = this.ids.length;
      const dropped = new Set(mode === 'all' ? ids : ids.slice(0, cut(items, ids)));
      const isKept = (item: Json) => !dropped.has(baseOf(item)) || keeps.some((id) => String(item.id).includes(id));
      this.#items = items.filter((item) => isKept(item) && item.message_type !== 'summary_message');
      const summary = ids.length === 0 ? 'No prior conversation messages.' : 'word1 word2';
      this.#addItem(this.#nextId(), 'summary_message', { summary });
      this.#items.unshift(...this.#items.splice(-1));
      this.#model = model.slice(Math.ceil(model.length * (mode === 'all' ? 1 : 0.3)));
      return { before, after: this.ids.length, summary };
    };
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

/** How many messages a summary replaces: 30 %, and what follows up to the next message of the agent. */
function cut(items: readonly Json[], ids: readonly string[]): number {
  const ofAgent = new Set(items.filter(({ message_type }) => OF_AGENT.has(String(message_type))).map(baseOf));
  const from = Math.floor(ids.length * 0.3);
  const at = ids.slice(from).findIndex((id) => ofAgent.has(id));
  return at < 0 ? ids.length : from + at;
}

const OF_AGENT: ReadonlySet<string> = new Set(['assistant_message', 'reasoning_message', 'approval_request_message']);

/** The id of the message that the item is a part of. */
const baseOf = (item: Json): string => String(item.id).split(':')[0] ?? '';

function reminders(): Json[] {
  return REMINDERS.map((words) => ({ type: 'text', text: words }));
}
