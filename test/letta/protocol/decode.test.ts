import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../src/letta/protocol/decode.ts';
import { readTrace, traceNames } from '../traces.ts';

const runtime = { agent_id: 'agent-1', conversation_id: 'conv-1' };

function text(content: unknown): string {
  return JSON.stringify({
    type: 'stream_delta',
    delta: { message_type: 'assistant_message', id: 'm1', run_id: 'r1', seq_id: 1, content },
    runtime,
  });
}

describe('decode', () => {
  it('knows every frame of the recordings', () => {
    const strange = new Set<string>();
    for (const name of traceNames()) {
      for (const { dir, frame } of readTrace(name)) {
        if ((dir !== 'recv' && dir !== 'device->router') || frame === undefined) continue;
        const decoded = decode(JSON.stringify(frame));
        if (decoded.kind !== 'known') strange.add(`${name} ${decoded.kind} ${decoded.type}`);
      }
    }
    // What the device sends to its router, where no client ever listens.
    expect([...strange]).toEqual(['h00-device-side unknown ping']);
  });

  it('keeps the fields of the envelope', () => {
    const envelope = {
      runtime: { ...runtime, acting_user_id: 'user-1' },
      seq: 14,
      event_seq: 11,
      emitted_at: '2026-11-22T20:02:34.193Z',
      idempotency_key: 'stream_delta:11:8f44',
      subagent_id: 'subagent-1',
    };
    const decoded = decode(
      JSON.stringify({
        type: 'stream_delta',
        delta: { message_type: 'stop_reason', stop_reason: 'end_turn' },
        ...envelope,
      }),
    );
    expect(decoded).toMatchObject({ kind: 'known', seq: 14, frame: envelope });
  });

  it('reads content as string, as parts and as bytes', () => {
    expect(decode(text('hello'))).toMatchObject({ kind: 'known', frame: { delta: { content: 'hello' } } });
    expect(decode(text([{ type: 'text', text: 'hello' }]))).toMatchObject({ kind: 'known' });
    expect(decode(Buffer.from(text('höllo')))).toMatchObject({ kind: 'known', frame: { delta: { content: 'höllo' } } });
  });

  it('keeps unknown fields', () => {
    const decoded = decode(JSON.stringify({ type: 'turn_finished', stop_reason: 'end_turn', runtime, mood: 'good' }));
    expect(decoded).toMatchObject({ kind: 'known', frame: { type: 'turn_finished', mood: 'good' } });
  });

  it('names an unknown type and keeps its seq for the ack', () => {
    expect(decode('{"type":"update_weather","seq":7,"secret":"x"}')).toEqual({
      kind: 'unknown',
      type: 'update_weather',
      frame: null,
      seq: 7,
    });
    for (const type of ['constructor', '__proto__', 'toString']) {
      expect(decode(JSON.stringify({ type }))).toMatchObject({ kind: 'unknown', type });
    }
  });

  it('keeps ids of an unknown delta, so that its run counts it', () => {
    const decoded = decode(
      JSON.stringify({
        type: 'stream_delta',
        delta: { message_type: 'hidden_thought', id: 'm1', run_id: 'r1', seq_id: 3, thought: 'secret' },
        runtime,
        seq: 9,
      }),
    );
    expect(decoded).toMatchObject({ kind: 'unknown', type: 'stream_delta:hidden_thought', seq: 9 });
    expect(decoded.kind === 'unknown' && decoded.frame).toMatchObject({
      type: 'stream_delta',
      delta: { message_type: null, id: 'm1', run_id: 'r1', seq_id: 3 },
    });
    expect(JSON.stringify(decoded)).not.toContain('secret');
  });

  it.each([
    ['not JSON', '{"type":'],
    ['not an object', '[1,2]'],
    ['not an object', 'null'],
    ['no type', '{"seq":3}'],
    ['delta: not an object', '{"type":"stream_delta","delta":7}'],
    ['delta.message_type: not a string', '{"type":"stream_delta","delta":{}}'],
    ['stop_reason: invalid_type', '{"type":"turn_finished"}'],
    ['delta.content: invalid_union', text({ secret: 'value' })],
  ])('says why a frame is malformed, without its contents: %s', (reason, data) => {
    const decoded = decode(data);
    expect(decoded).toMatchObject({ kind: 'malformed', reason });
    expect(JSON.stringify(decoded)).not.toContain('secret');
  });

  it('keeps the seq of a malformed frame for the ack', () => {
    expect(decode('{"type":"turn_finished","seq":12}')).toMatchObject({ kind: 'malformed', seq: 12 });
  });

  it('reads a frame of 20 MB', () => {
    const content = 'x'.repeat(20 * 1024 * 1024);
    const decoded = decode(JSON.stringify({ type: 'file_ops', path: 'a', document_content: content, runtime }));
    expect(decoded.kind).toBe('known');
    expect(decode(text(content)).kind).toBe('known');
    expect(decode(content)).toMatchObject({ kind: 'malformed', reason: 'not JSON' });
  });

  it('never throws, whatever the text', () => {
    const known = ['stream_delta', 'update_device_status', 'control_request', 'turn_finished', 'input_accepted'];
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.uint8Array().map((bytes) => Buffer.from(bytes)),
        ),
        (data) => {
          expect(['known', 'unknown', 'malformed']).toContain(decode(data).kind);
        },
      ),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...known),
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.jsonValue(),
        (type, more, delta) => {
          const frame = { ...more, type, delta, request: delta, device_status: delta };
          expect(['known', 'unknown', 'malformed']).toContain(decode(JSON.stringify(frame)).kind);
        },
      ),
    );
  });
});
