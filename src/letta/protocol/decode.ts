import * as z from 'zod';
import { deltaSchemas } from './deltas.ts';
import { eventSchemas, type Frame, frame, responseSchemas } from './incoming.ts';
import { readTextDelta } from './text-delta.ts';

/**
 * What a socket delivered. `seq` is set even for unusable frames, because the hosted relay wants every frame acked.
 * - `unknown`: a type that this version does not know; count it, and log only its `type`. A delta of an unknown kind
 * still counts in its run's `seq_id`, so it has a `frame` that goes to the runtime like any other.
 * - `malformed`: not JSON, no object, or a known type without what the bridge needs. `reason` names places, never
 * contents.
 */
export type Decoded =
  | { kind: 'known'; frame: Frame; seq: number | null }
  | { kind: 'unknown'; type: string; frame: Frame | null; seq: number | null }
  | { kind: 'malformed'; type: string | null; reason: string; seq: number | null };

const schemas = new Map<string, z.ZodType<Frame>>(
  Object.entries({ ...eventSchemas, ...responseSchemas }) as [string, z.ZodType<Frame>][],
);
const deltas = new Map<string, z.ZodType<Frame>>(
  Object.entries(deltaSchemas).map(([type, delta]) => [
    type,
    frame('stream_delta', { delta }) as unknown as z.ZodType<Frame>,
  ]),
);
const otherDelta = frame('stream_delta', {
  delta: z.looseObject({
    id: z.string().nullish(),
    run_id: z.string().nullish(),
    seq_id: z.number().nullish(),
  }),
});

const NAME = 64;

/**
 * Reads one frame. Never throws: an unusable frame is a result, too (docs/letta-protocol.md, Envelope, order,
 * duplicates; Server to client; Deltas).
 */
export function decode(data: string | Buffer): Decoded {
  let value: unknown;
  try {
    value = JSON.parse(typeof data === 'string' ? data : data.toString('utf8'));
  } catch {
    return { kind: 'malformed', type: null, reason: 'not JSON', seq: null };
  }
  if (!isObject(value)) return { kind: 'malformed', type: null, reason: 'not an object', seq: null };
  const seq = Number.isSafeInteger(value.seq) ? (value.seq as number) : null;
  const { type } = value;
  if (typeof type !== 'string') return { kind: 'malformed', type: null, reason: 'no type', seq };
  if (type === 'stream_delta') return decodeDelta(value, seq);
  const schema = schemas.get(type);
  if (!schema) return { kind: 'unknown', type: shortName(type), frame: null, seq };
  return read(schema, value, type, seq);
}

function decodeDelta(value: Record<string, unknown>, seq: number | null): Decoded {
  const { delta } = value;
  if (!isObject(delta)) return { kind: 'malformed', type: 'stream_delta', reason: 'delta: not an object', seq };
  const { message_type: kind } = delta;
  if (typeof kind !== 'string') {
    return { kind: 'malformed', type: 'stream_delta', reason: 'delta.message_type: not a string', seq };
  }
  const text = readTextDelta(value, delta);
  if (text !== null) return { kind: 'known', frame: text, seq };
  const schema = deltas.get(kind);
  const type = `stream_delta:${shortName(kind)}`;
  if (schema) return read(schema, value, type, seq);
  const parsed = otherDelta.safeParse(value);
  if (!parsed.success) return { kind: 'unknown', type, frame: null, seq };
  const { id, run_id, seq_id } = parsed.data.delta;
  return {
    kind: 'unknown',
    type,
    frame: { ...parsed.data, delta: { message_type: null, id, run_id, seq_id } },
    seq,
  };
}

function read(schema: z.ZodType<Frame>, value: unknown, type: string, seq: number | null): Decoded {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { kind: 'known', frame: parsed.data, seq };
  const [issue] = parsed.error.issues;
  const reason = issue ? `${issue.path.map(String).join('.').slice(0, 200)}: ${issue.code}` : 'does not fit';
  return { kind: 'malformed', type, reason, seq };
}

/** Types go to the log, and strangers may have sent them: keep them short. */
function shortName(type: string): string {
  return type.length > NAME ? `${type.slice(0, NAME)}…` : type;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
