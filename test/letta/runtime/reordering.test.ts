import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type TurnState, turnText } from '../../../src/bridge/turn/fold.ts';
import { decode } from '../../../src/letta/protocol/decode.ts';
import { initialRuntime, type RuntimeInput, step } from '../../../src/letta/runtime/runtime.ts';
import { runs } from '../../support/runs.ts';
import { findTrace, historyOf, inputsOf, replay, type TraceLine } from '../traces.ts';

type Inputs = ReturnType<typeof inputsOf>;

/** One of each kind of story: plain, tools, approvals, stop, queue, errors and retries, background, a pair of lanes. */
const stories = ['03', '05b', '06', '11', '13', '13c', '14', '15', '15b', '17', '31', '32', 'h02', 'h03', 'h06b'];

function load(number: string): { lines: TraceLine[]; inputs: Inputs } {
  const lines = findTrace(number);
  const socks = [...new Set(lines.flatMap((line) => line.sock ?? []))];
  return { lines, inputs: inputsOf(lines, { socks, ordered: false }) };
}

/** All that a reader sees of the turns in the end. */
function shown(turns: readonly TurnState[]) {
  return turns.map((turn) => ({
    text: turnText(turn),
    order: turn.parts.map((part) =>
      part.kind === 'text' ? part.messageId : part.kind === 'approval' ? part.requestId : part.clientMessageId,
    ),
    tools: turn.tools.map(({ tool, status, output }) => [tool, status, output]),
    end: turn.end,
    error: turn.error,
  }));
}

const isControl = (input: RuntimeInput | 'submit') =>
  input !== 'submit' &&
  input.type === 'frame' &&
  (input.frame.type === 'turn_finished' || input.frame.type === 'control_request');

/** How far the lanes run apart at most; the runtime waits twice as long. */
const SKEW_MS = 500;

/** The control lane early or late by so many frames of the stream, never across the client's own doings. */
function skew(inputs: Inputs, offsets: readonly number[]): Inputs {
  const result = [...inputs];
  let nth = 0;
  for (const item of inputs) {
    if (!isControl(item.input)) continue;
    const offset = offsets[nth++ % offsets.length] ?? 0;
    let at = result.findIndex(({ input }) => input === item.input);
    let time = item.t;
    for (let moved = 0; moved < Math.abs(offset); moved += 1) {
      const next = at + Math.sign(offset);
      const other = result[next];
      if (!other || other.input === 'submit' || other.input.type !== 'frame' || isControl(other.input)) break;
      if (Math.abs(other.t - item.t) > SKEW_MS) break;
      // Places keep their times: only what comes at them changes.
      result[next] = { t: other.t, input: item.input };
      result[at] = { t: time, input: other.input };
      time = other.t;
      at = next;
    }
  }
  return result;
}

describe('frames reordered by the relay', () => {
  it.each(stories)('%s: redelivered frames change nothing', (number) => {
    const { lines, inputs } = load(number);
    const history = historyOf(lines);
    const { events, responses } = replay(inputs, { history });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(40)), { maxLength: 30 }), (copies) => {
        const again = [...inputs];
        for (const [pick, later] of copies) {
          const at = pick % again.length;
          const item = again[at];
          if (!item || item.input === 'submit' || item.input.type !== 'frame') continue;
          const to = Math.min(at + 1 + later, again.length);
          // Within the same connection: the copy comes when its neighbour comes.
          if (again.slice(at, to).some(({ input }) => input !== 'submit' && input.type !== 'frame')) continue;
          again.splice(to, 0, { t: again[to - 1]?.t ?? item.t, input: item.input });
        }
        const result = replay(again, { history });
        expect(result.events).toEqual(events);
        expect(result.responses).toEqual(responses);
      }),
      { numRuns: runs(25) },
    );
  });

  it.each(stories)('%s: an early or late control lane changes nothing shown', (number) => {
    const { lines, inputs } = load(number);
    const history = historyOf(lines);
    const wanted = shown(replay(inputs, { history }).turns);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -8, max: 4 }), { minLength: 1, maxLength: 8 }), (offsets) => {
        expect(shown(replay(skew(inputs, offsets), { history }).turns)).toEqual(wanted);
      }),
      { numRuns: runs(100) },
    );
  });

  it.each(stories)('%s: deltas of an unknown kind change nothing', (number) => {
    const { lines, inputs } = load(number);
    const history = historyOf(lines);
    const { events } = replay(inputs, { history });
    const strange = (t: number, at: number, runtime: unknown) => {
      const decoded = decode(
        JSON.stringify({
          type: 'stream_delta',
          delta: { message_type: `thought_${at}`, id: 'x', run_id: 'local-run-strange' },
          runtime,
          event_seq: null,
        }),
      );
      if (decoded.kind !== 'unknown' || !decoded.frame) throw new Error('expected a delta of an unknown kind');
      return { t, input: { type: 'frame' as const, frame: decoded.frame } };
    };
    const runtime = inputs.flatMap(({ input }) =>
      input !== 'submit' && input.type === 'frame' && input.frame.runtime ? [input.frame.runtime] : [],
    )[0];
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 10 }), (places) => {
        const mixed = [...inputs];
        for (const place of places) {
          const at = 1 + (place % (mixed.length - 1));
          mixed.splice(at, 0, strange(mixed[at - 1]?.t ?? 0, place, runtime));
        }
        expect(replay(mixed, { history }).events).toEqual(events);
      }),
      { numRuns: runs(20) },
    );
  });

  it('of a subagent or another runtime leave the state untouched', () => {
    const { inputs } = load('03');
    let state = initialRuntime({ agentId: 'agent-other', conversationId: 'local-conv-4' });
    state = step(state, { type: 'opened', isOrdered: true }).state;
    for (const { input } of inputs) {
      if (input === 'submit' || input.type !== 'frame' || 'request_id' in input.frame) continue;
      const result = step(state, input);
      expect(result).toEqual({ state, effects: [] });
      expect(result.state).toBe(state);
    }
    const mine = initialRuntime(null);
    const subagent = inputs.flatMap(({ input }) =>
      input !== 'submit' && input.type === 'frame' ? [{ ...input.frame, subagent_id: 'subagent-1' }] : [],
    );
    for (const frame of subagent) expect(step(mine, { type: 'frame', frame }).state).toBe(mine);
  });
});
