import type { StreamDelta } from './incoming.ts';

type Fields = Record<string, unknown>;

/**
 * Checks a `stream_delta` with text or reasoning by hand, because thousands of them come each second and zod would be
 * too slow. It checks what their schemas check. `null`: something is unusual, so the schema must decide and say what is
 * wrong.
 */
export function readTextDelta(value: Fields, delta: Fields): StreamDelta | null {
  const fits = isEnvelope(value) && isRunDelta(delta) && hasWords(delta);
  return fits ? (value as unknown as StreamDelta) : null;
}

function isEnvelope({ runtime, seq, event_seq, emitted_at, idempotency_key, subagent_id }: Fields): boolean {
  return (
    isRuntime(runtime) &&
    isNumber(seq) &&
    isNumber(event_seq) &&
    isString(emitted_at) &&
    isString(idempotency_key) &&
    isString(subagent_id)
  );
}

function isRuntime(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (typeof value !== 'object') return false;
  const { agent_id, conversation_id } = value as Fields;
  return typeof agent_id === 'string' && typeof conversation_id === 'string';
}

function isRunDelta({ id, run_id, seq_id }: Fields): boolean {
  return isString(id) && isString(run_id) && isNumber(seq_id);
}

function hasWords(delta: Fields): boolean {
  if (delta.message_type === 'reasoning_message') return typeof delta.reasoning === 'string';
  if (delta.message_type !== 'assistant_message') return false;
  const { content } = delta;
  return typeof content === 'string' || (Array.isArray(content) && content.every(isPart));
}

function isPart(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const { type, text } = value as Fields;
  return isString(type) && isString(text);
}

const isString = (value: unknown) => value === undefined || value === null || typeof value === 'string';
const isNumber = (value: unknown) => value === undefined || value === null || typeof value === 'number';
