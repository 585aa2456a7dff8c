import { z } from 'zod';
import type { Clock } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { restUrl } from './link/endpoints.ts';
import { agentUnknownText, NOTICES, requestRefusedText } from './words/notices.ts';

/** The part of `fetch` that the bridge uses, so that a test double stays small. */
export type FetchLike = (
  url: string,
  init: { method: string; headers: Record<string, string>; body?: string; signal: AbortSignal },
) => Promise<{ status: number; headers?: { get(name: string): string | null }; text(): Promise<string> }>;

/** A row of the environments API (docs/letta-protocol.md, Hosted: REST). */
export interface Environment {
  deviceId: string;
  /** The current lease; never stored. */
  connectionId: string | null;
  connectionName: string;
  /** ms since 1970 */
  lastHeartbeat: number | null;
  /**
   * When Letta answered, by the same clock that dated the heartbeat; ms since 1970. Left out: the answer had no date.
   */
  answeredAt?: number | undefined;
  /** The version of Letta Code on the device; `null`: not known. */
  version: string | null;
}

export interface AgentSummary {
  id: string;
  name: string;
}

/** What Letta tells of a conversation. The texts are foreign. */
export interface ConversationFacts {
  agentId: string;
  title: string | null;
  agentName: string | null;
}

/** The hosted REST calls that the bridge makes. All reject with a BridgeError. */
export interface HostedApi {
  listOnlineEnvironments(): Promise<Environment[]>;
  /** Also those that are offline. */
  listEnvironments(): Promise<Environment[]>;
  /** `null` when no such device was ever registered. */
  getEnvironment(deviceId: string): Promise<Environment | null>;
  listAgents(): Promise<AgentSummary[]>;
  getAgent(agentId: string): Promise<AgentSummary | null>;
  conversationExists(conversationId: string): Promise<boolean>;
  /** `null` when there is no such conversation; `agent_not_found` when its agent is gone. */
  getConversation(conversationId: string): Promise<ConversationFacts | null>;
  /** @returns the id of a new conversation; `agent_not_found` when there is no such agent. */
  createConversation(agentId: string): Promise<string>;
  /** Messages as Letta keeps them, newest first; `null` when there is no such conversation. */
  listMessages(conversationId: string, limit: number): Promise<unknown[] | null>;
}

export interface HostedApiOptions {
  baseUrl: string;
  apiKey: string;
  fetch: FetchLike;
  clock: Clock;
}

const ANSWERS_WITHIN_MS = 15_000;
const PAGE = 100;
const MOST_PAGES = 20;

const environmentSchema = z.looseObject({
  id: z.string().nullish(),
  deviceId: z.string().min(1),
  connectionId: z.string().nullish(),
  connectionName: z.string().nullish(),
  lastHeartbeat: z.number().nullish(),
  metadata: z.looseObject({ lettaCodeVersion: z.string().nullish() }).nullish(),
});
const environmentsSchema = z.looseObject({
  connections: z.array(z.unknown()),
  hasNextPage: z.boolean().nullish(),
});
const agentSchema = z.looseObject({ id: z.string().min(1), name: z.string().nullish() });
const conversationSchema = z.looseObject({ id: z.string().min(1) });
const factsSchema = z.looseObject({ agent_id: z.string().min(1), summary: z.string().nullish() });
const messagesSchema = z.array(z.unknown());

export function createHostedApi({ baseUrl, apiKey, fetch, clock }: HostedApiOptions): HostedApi {
  restUrl(baseUrl, '/');

  async function request(
    method: string,
    path: string,
    query: Record<string, string> = {},
    body?: object,
    onDate?: (ms: number) => void,
  ): Promise<unknown> {
    const abort = new AbortController();
    const timer = clock.after(ANSWERS_WITHIN_MS, () => abort.abort(new Error('no answer in time')));
    const headers: Record<string, string> = { Authorization: `Bearer ${apiKey}`, Accept: 'application/json' };
    if (body) headers['Content-Type'] = 'application/json';
    let status: number;
    let text: string;
    try {
      const answer = await fetch(restUrl(baseUrl, path, query), {
        method,
        headers,
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: abort.signal,
      });
      status = answer.status;
      const date = Date.parse(answer.headers?.get('date') ?? '');
      if (Number.isFinite(date)) onDate?.(date);
      text = await answer.text();
    } catch (error) {
      throw unreachable('no answer', error);
    } finally {
      timer.cancel();
    }
    if (status === 404) return null;
    if (status === 401 || status === 403) {
      throw new BridgeError('letta_unauthorized', `the hosted API answered ${status}`, {
        notice: NOTICES.keyRejected,
      });
    }
    if (status >= 500 || status === 408 || status === 429) throw unreachable(`it answered ${status}`);
    if (status < 200 || status > 299) {
      throw new BridgeError('letta_refused', `the hosted API answered ${status}`, {
        notice: requestRefusedText(status),
      });
    }
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw unreachable('its answer was not JSON', error);
    }
  }

  function parseAnswer<Shape>(schema: z.ZodType<Shape>, value: unknown): Shape {
    const result = schema.safeParse(value);
    if (!result.success) throw unreachable('its answer had another shape', result.error);
    return result.data;
  }

  async function listPages(filter: Record<string, string>): Promise<Environment[]> {
    const found: Environment[] = [];
    let after: string | null = null;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const query: Record<string, string> = { ...filter, limit: String(PAGE) };
      if (after !== null) query.after = after;
      let date: number | undefined;
      const onDate = (ms: number) => {
        date = ms;
      };
      const answer = parseAnswer(
        environmentsSchema,
        await request('GET', '/v1/environments', query, undefined, onDate),
      );
      const before: string | null = after;
      for (const row of answer.connections) {
        const parsed = environmentSchema.safeParse(row);
        if (!parsed.success) continue;
        found.push(toEnvironment(parsed.data, date));
        after = parsed.data.id ?? parsed.data.deviceId;
      }
      if (answer.hasNextPage !== true || after === before) break;
    }
    return found;
  }

  return {
    listOnlineEnvironments: () => listPages({ onlineOnly: 'true' }),
    listEnvironments: () => listPages({}),
    async getEnvironment(deviceId) {
      let date: number | undefined;
      const path = `/v1/environments/${encodeURIComponent(deviceId)}`;
      const row = await request('GET', path, {}, undefined, (ms) => {
        date = ms;
      });
      return row === null ? null : toEnvironment(parseAnswer(environmentSchema, row), date);
    },
    async listAgents() {
      const answer = await request('GET', '/v1/agents/', { limit: '50' });
      return parseAnswer(z.array(agentSchema), answer).map(toAgent);
    },
    async getAgent(agentId) {
      const answer = await request('GET', `/v1/agents/${encodeURIComponent(agentId)}`);
      return answer === null ? null : toAgent(parseAnswer(agentSchema, answer));
    },
    async conversationExists(conversationId) {
      const answer = await request('GET', `/v1/conversations/${encodeURIComponent(conversationId)}`);
      return answer !== null;
    },
    async getConversation(conversationId) {
      const answer = await request('GET', `/v1/conversations/${encodeURIComponent(conversationId)}`);
      if (answer === null) return null;
      const { agent_id: agentId, summary } = parseAnswer(factsSchema, answer);
      const agent = await request('GET', `/v1/agents/${encodeURIComponent(agentId)}`);
      if (agent === null) throw agentNotFound(agentId);
      return { agentId, title: summary ?? null, agentName: parseAnswer(agentSchema, agent).name ?? null };
    },
    async createConversation(agentId) {
      // The slash and the agent in the query are part of the call (docs/letta-protocol.md, Hosted: REST).
      const answer = await request('POST', '/v1/conversations/', { agent_id: agentId }, {});
      if (answer === null) throw agentNotFound(agentId);
      return parseAnswer(conversationSchema, answer).id;
    },
    async listMessages(conversationId, limit) {
      const path = `/v1/conversations/${encodeURIComponent(conversationId)}/messages`;
      const answer = await request('GET', path, { limit: String(limit), order: 'desc' });
      return answer === null ? null : parseAnswer(messagesSchema, answer);
    },
  };
}

export function agentNotFound(agentId: string): BridgeError {
  return new BridgeError('agent_not_found', `agent ${agentId} not found`, {
    notice: agentUnknownText(agentId),
    agent: agentId,
  });
}

function unreachable(why: string, cause?: unknown): BridgeError {
  return new BridgeError('letta_unreachable', `could not use the hosted API: ${why}`, {
    notice: NOTICES.unreachable,
    retry: true,
    cause,
  });
}

function toEnvironment(row: z.infer<typeof environmentSchema>, answeredAt: number | undefined): Environment {
  return {
    deviceId: row.deviceId,
    connectionId: row.connectionId ? row.connectionId : null,
    connectionName: row.connectionName ?? row.deviceId,
    lastHeartbeat: row.lastHeartbeat ?? null,
    ...(answeredAt !== undefined && { answeredAt }),
    version: row.metadata?.lettaCodeVersion ?? null,
  };
}

function toAgent(row: z.infer<typeof agentSchema>): AgentSummary {
  return { id: row.id, name: row.name ?? row.id };
}
