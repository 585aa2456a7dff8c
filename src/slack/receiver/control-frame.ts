import { z } from 'zod';

/** Frames of Socket Mode that are about the connection itself (docs/slack.md, Socket Mode); they are short. */
export type ControlFrame =
  | { type: 'hello'; connections: number | null }
  | { type: 'disconnect'; reason: string | null };

const CONTROL_MAX = 2_000;
const frame = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('hello'), num_connections: z.number().int().nonnegative().nullish().catch(null) }),
  z.looseObject({ type: z.literal('disconnect'), reason: z.string().max(100).nullish().catch(null) }),
]);

/** `null` for every other frame, also for one that is not JSON. */
export function readControlFrame(data: unknown): ControlFrame | null {
  if (typeof data !== 'string' || data.length > CONTROL_MAX || !/"(hello|disconnect)"/.test(data)) return null;
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch {
    return null;
  }
  const parsed = frame.safeParse(json);
  if (!parsed.success) return null;
  const { data: read } = parsed;
  return read.type === 'hello'
    ? { type: 'hello', connections: read.num_connections ?? null }
    : { type: 'disconnect', reason: read.reason ?? null };
}
