import { randomUUID } from 'node:crypto';
import type { UserInput } from './history.ts';
import type { TurnInput } from './turn-input.ts';
import type { Json } from './types.ts';

const MAX_ITEMS = 100;

export interface QueueItem {
  readonly id: string;
  readonly clientMessageId: string;
  readonly clientIds: readonly string[];
  readonly messages: readonly UserInput[];
  readonly input: TurnInput;
  readonly frame: Json;
  isPaused: boolean;
}

/** The input that waits in one conversation (docs/letta-protocol.md, Queue and deduplication). */
export class Queue {
  #items: QueueItem[] = [];
  #added = 0;
  /** Ids that are used up: what is sent again under one of them never runs. */
  readonly #used = new Set<string>();

  get length(): number {
    return this.#items.length;
  }

  get hasRunnable(): boolean {
    return this.#items.some((item) => !item.isPaused);
  }

  toFrames(): Json[] {
    return this.#items.map(({ frame, isPaused }) => (isPaused ? { ...frame, paused: true } : frame));
  }

  /** Whether an input with this id waits or has waited. */
  hasHad(clientMessageId: string): boolean {
    return this.#used.has(clientMessageId);
  }

  /** A message of a person. New input releases what an abort had paused. */
  addMessage(input: TurnInput): void {
    this.resumeAll();
    const { messages } = input;
    const content = messages.length === 1 ? messages[0]?.content : messages.map((message) => message.content);
    this.#addItem(input, 'message', 'user', content, input.clientIds[0] ?? `cm-submit-${randomUUID()}`);
  }

  addNotification(content: string): void {
    const id = `cm-q-${this.#added + 1}`;
    const input = { messages: [{ role: 'user', content, otid: id }], clientIds: [], options: {} };
    this.#addItem(input, 'task_notification', 'task_notification', content, id);
  }

  /** @returns the item's id */
  addCron(shown: string, content: string): string {
    const id = `cm-q-${this.#added + 1}`;
    const input = {
      messages: [{ role: 'user', content, otid: randomUUID(), queueId: id }],
      clientIds: [],
      options: {},
    };
    this.#addItem(input, 'cron_prompt', 'cron', shown, id);
    return `q-${this.#added}`;
  }

  /** Over the limit it drops the oldest item, as the server does. */
  #addItem(input: TurnInput, kind: string, source: string, content: unknown, clientMessageId: string): void {
    this.#added += 1;
    const id = `q-${this.#added}`;
    const enqueued_at = new Date().toISOString();
    const frame = { id, client_message_id: clientMessageId, kind, source, content, enqueued_at };
    const messages = input.messages.map((message) => ({ otid: clientMessageId, ...message }));
    this.#items.push({ id, clientMessageId, clientIds: input.clientIds, messages, input, frame, isPaused: false });
    for (const clientId of input.clientIds) this.#used.add(clientId);
    if (this.#items.length > MAX_ITEMS) this.#items.shift();
  }

  /** The client id of what was removed; undefined: no such item. */
  removeItem(id: string): string | undefined {
    const found = this.#items.find((item) => item.id === id);
    this.#items = this.#items.filter((item) => item !== found);
    return found?.clientMessageId;
  }

  removeAll(): void {
    this.#items = [];
  }

  pauseAll(): void {
    for (const item of this.#items) item.isPaused = true;
  }

  /** How many were paused. */
  resumeAll(): number {
    const paused = this.#items.filter((item) => item.isPaused);
    for (const item of paused) item.isPaused = false;
    return paused.length;
  }

  /** Removes and returns the items that may run now. */
  takeRunnable(): QueueItem[] {
    const taken = this.#items.filter((item) => !item.isPaused);
    this.#items = this.#items.filter((item) => item.isPaused);
    return taken;
  }
}
