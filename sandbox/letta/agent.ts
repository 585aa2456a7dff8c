import { randomUUID } from 'node:crypto';
import { Conversation } from './conversation.ts';
import { Crons } from './crons.ts';
import { runtimeKey } from './outlet.ts';
import type { Json, Runtime } from './types.ts';
import { text } from './types.ts';
import type { World } from './world.ts';

const MAX_CONVERSATIONS = 2000;
const MODEL = 'lmstudio/scripted';

export interface SeedAgent {
  readonly id: string;
  readonly name: string;
}

/** The agents of one Letta and their conversations. They survive a restart; running turns do not. */
export class Agents {
  readonly world: World;
  /** Like the conversations, schedules survive a restart. */
  readonly crons: Crons = new Crons(this);
  readonly #agents = new Map<string, Json>();
  readonly #conversations = new Map<string, Conversation>();

  constructor(world: World, seed: readonly SeedAgent[]) {
    this.world = world;
    for (const { id, name } of seed) this.#agents.set(id, agentRecord(id, name));
  }

  listAgents(limit: number): Json[] {
    return [...this.#agents.values()].slice(0, limit);
  }

  getAgent(id: string): Json | undefined {
    return this.#agents.get(id);
  }

  createAgent(body: Json): Json {
    const id = `agent-local-${randomUUID()}`;
    const agent = { ...agentRecord(id, text(body.name) ?? 'Agent'), model: text(body.model) ?? MODEL };
    this.#agents.set(id, agent);
    return agent;
  }

  setModel(id: string, model: Json): void {
    const agent = this.#agents.get(id);
    if (agent) this.#agents.set(id, { ...agent, ...model });
  }

  /** Deletes an agent and its conversations, even those with a connected client. False: no such agent. */
  deleteAgent(id: string): boolean {
    if (!this.#agents.delete(id)) return false;
    for (const one of this.#conversations.values()) {
      if (one.runtime.agent_id === id) one.missing = `Agent ${id} not found`;
    }
    return true;
  }

  /** False: no such conversation. */
  deleteConversation(id: string): boolean {
    const found = this.conversationById(id);
    if (found) found.missing = `Conversation ${id} not found`;
    return found !== undefined;
  }

  /** Null: no such agent. */
  createConversation(agentId: string, summary: string | null): Conversation | null {
    if (!this.#agents.has(agentId)) return null;
    const conversation = this.#addConversation({ agent_id: agentId, conversation_id: this.world.nextConversationId() });
    conversation.summary = summary;
    return conversation;
  }

  /** A conversation with all that another one has so far, or its items up to one. A string: why there is none. */
  forkConversation(id: string, agentId: string | undefined, upTo: string | null): Conversation | string {
    const source =
      id === 'default' && agentId !== undefined
        ? this.findConversation({ agent_id: agentId, conversation_id: id })
        : this.conversationById(id);
    if (!source) return `Conversation ${id} not found`;
    const owner = agentId ?? source.runtime.agent_id;
    if (!this.#agents.has(owner)) return `Agent ${owner} not found`;
    const copy = new Conversation({ agent_id: owner, conversation_id: this.world.nextConversationId() }, this.world);
    if (!copy.copyFrom(source, upTo)) return `Message ${upTo} not found`;
    this.#keep(copy);
    return copy;
  }

  listConversations(agentId: string, limit: number): Conversation[] {
    const own = [...this.#conversations.values()].filter((one) => one.runtime.agent_id === agentId && !one.missing);
    return own.reverse().slice(0, limit);
  }

  conversationById(id: string): Conversation | undefined {
    return [...this.#conversations.values()].find((one) => one.runtime.conversation_id === id && !one.missing);
  }

  /** An existing conversation; "default" exists for every agent. */
  findConversation(runtime: Runtime): Conversation | undefined {
    const found = this.#conversations.get(runtimeKey(runtime));
    if (found) return found.missing === null ? found : undefined;
    const isDefault = runtime.conversation_id === 'default' && this.#agents.has(runtime.agent_id);
    return isDefault ? this.#addConversation(runtime) : undefined;
  }

  /**
   * The conversation that a frame names, made on demand: only `runtime_start` checks that it exists
   * (docs/letta-protocol.md, runtime_start).
   */
  openConversation(runtime: Runtime): Conversation {
    const found = this.findConversation(runtime) ?? this.#conversations.get(runtimeKey(runtime));
    if (found) return found;
    const conversation = this.#addConversation(runtime);
    const { agent_id: agentId, conversation_id: id } = runtime;
    conversation.missing = this.#agents.has(agentId) ? `Conversation ${id} not found` : `Agent ${agentId} not found`;
    return conversation;
  }

  allConversations(): Conversation[] {
    return [...this.#conversations.values()];
  }

  restart(): void {
    this.world.resetCounters();
    for (const conversation of this.#conversations.values()) conversation.restart();
  }

  stop(): void {
    this.world.stop();
    for (const conversation of this.#conversations.values()) conversation.stop();
  }

  #addConversation(runtime: Runtime): Conversation {
    return this.#keep(new Conversation(runtime, this.world));
  }

  #keep(conversation: Conversation): Conversation {
    const [oldest] = this.#conversations;
    if (this.#conversations.size >= MAX_CONVERSATIONS && oldest) {
      oldest[1].stop();
      this.#conversations.delete(oldest[0]);
    }
    this.#conversations.set(runtimeKey(conversation.runtime), conversation);
    return conversation;
  }
}

function agentRecord(id: string, name: string): Json {
  return {
    id,
    name,
    description: null,
    system: '',
    tools: [],
    tags: ['git-memory-enabled', 'origin:letta-code'],
    model: MODEL,
    model_settings: { provider_type: 'lmstudio_openai', context_window_limit: 128_000, max_tokens: 32_000 },
    message_ids: [],
    in_context_message_ids: [],
    last_run_completion: new Date().toISOString(),
    llm_config: {
      model: 'scripted',
      model_endpoint_type: 'lmstudio',
      model_endpoint: 'https://example.invalid/v1',
      context_window: 128_000,
      max_tokens: 32_000,
    },
  };
}
