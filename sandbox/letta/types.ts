export type Json = Record<string, unknown>;

export interface Runtime {
  readonly agent_id: string;
  readonly conversation_id: string;
}

/** One message as the scripted model sees it; it reads its directives from these. */
export interface ModelMessage {
  readonly role: 'user' | 'assistant' | 'tool';
  readonly text: string;
  readonly images?: number;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: Json;
}

export interface ToolResult {
  readonly status: 'success' | 'error';
  readonly text: string;
  /** base64 of an image among it. */
  readonly image?: string | undefined;
}

export type PermissionMode = 'standard' | 'acceptEdits' | 'unrestricted' | 'strict';

export const PERMISSION_MODES: readonly string[] = ['standard', 'acceptEdits', 'unrestricted', 'strict'];

/**
 * All in milliseconds, except `scale`, which stretches the times a script itself asks for (slow, hang, sleep, retry).
 */
export interface Timings {
  /** Between the steps of a model call. */
  latency: number;
  /** Between two words of a plain `say`. */
  word: number;
  /** What a quick tool takes. */
  tool: number;
  /** From the end of a turn until the queue runs. */
  pump: number;
  /**
   * How long after the end of a direct turn an input starts a turn that the server does not track
   * (docs/letta-protocol.md, Queue and deduplication).
   */
  settle: number;
  /** How long the summary of earlier messages takes. */
  summary: number;
  /** How long a subagent takes to answer. */
  subagent: number;
  scale: number;
}

export const RECORDED_TIMINGS: Timings = {
  latency: 15,
  word: 2,
  tool: 35,
  pump: 38,
  settle: 30,
  subagent: 150,
  summary: 200,
  scale: 1,
};

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
