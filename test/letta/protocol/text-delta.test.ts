import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../src/letta/protocol/decode.ts';
import { deltaSchemas } from '../../../src/letta/protocol/deltas.ts';
import { frame } from '../../../src/letta/protocol/incoming.ts';
import { readTextDelta } from '../../../src/letta/protocol/text-delta.ts';

const schemas = {
  assistant_message: frame('stream_delta', { delta: deltaSchemas.assistant_message }),
  reasoning_message: frame('stream_delta', { delta: deltaSchemas.reasoning_message }),
};

/** Mostly what Letta sends, now and then anything else. */
const or = <T>(usual: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 20, arbitrary: usual },
    { weight: 1, arbitrary: fc.constantFrom<unknown>(null, undefined, 7, 'word', [], {}, true) },
  );
const part = or(fc.record({ type: or(fc.constant('text')), text: or(fc.string()) }));
const delta = fc.record({
  message_type: fc.constantFrom('assistant_message', 'reasoning_message'),
  content: or(fc.oneof(fc.string(), fc.array(part, { maxLength: 3 }))),
  reasoning: or(fc.string()),
  id: or(fc.string()),
  run_id: or(fc.string()),
  seq_id: or(fc.nat()),
  date: fc.string(),
});
const streamDelta = fc.record({
  type: fc.constant('stream_delta' as const),
  delta,
  runtime: or(fc.record({ agent_id: or(fc.string()), conversation_id: or(fc.string()) })),
  seq: or(fc.nat()),
  event_seq: or(fc.nat()),
  emitted_at: or(fc.string()),
  idempotency_key: or(fc.string()),
  subagent_id: or(fc.string()),
});

describe('readTextDelta', () => {
  it('accepts and returns exactly what the zod schema does', () => {
    let byHand = 0;
    fc.assert(
      fc.property(streamDelta, (sent) => {
        const value = JSON.parse(JSON.stringify(sent));
        const parsed = schemas[sent.delta.message_type].safeParse(value);
        const read = readTextDelta(value, value.delta);
        expect(read !== null).toBe(parsed.success);
        if (read !== null) {
          byHand += 1;
          expect(read).toEqual(parsed.data);
        }
        expect(decode(JSON.stringify(sent)).kind).toBe(parsed.success ? 'known' : 'malformed');
      }),
      { numRuns: 2_000, seed: 20_261_125 },
    );
    expect(byHand).toBeGreaterThan(500);
  });
});
