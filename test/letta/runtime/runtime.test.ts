import { describe, expect, it } from 'vitest';
import type { AgentEvent, HistoryItem } from '../../../src/bridge/agent-event.ts';
import { emptyTurn, foldTurn, turnText } from '../../../src/bridge/turn/fold.ts';
import { decode } from '../../../src/letta/protocol/decode.ts';
import type { Frame } from '../../../src/letta/protocol/incoming.ts';
import {
  initialRuntime,
  type RuntimeEffect,
  type RuntimeInput,
  snapshot,
  step,
} from '../../../src/letta/runtime/runtime.ts';

const runtime = { agent_id: 'agent-1', conversation_id: 'conv-1' };
const START = Date.UTC(2026, 0, 5, 9);

/** A frame as the device would make it as its `eventSeq`-th, one a millisecond. */
function frame(eventSeq: number, type: string, fields: object): RuntimeInput {
  const decoded = decode(
    JSON.stringify({
      type,
      runtime,
      event_seq: eventSeq,
      emitted_at: new Date(START + eventSeq).toISOString(),
      idempotency_key: `${type}:${eventSeq}:x`,
      ...fields,
    }),
  );
  if (decoded.kind === 'malformed' || !decoded.frame)
    throw new Error(`bad frame in the test: ${JSON.stringify(decoded)}`);
  return { type: 'frame', frame: decoded.frame };
}

const delta = (eventSeq: number, kind: string, fields: object, runId: string | null = 'run-1') =>
  frame(eventSeq, 'stream_delta', {
    delta: { message_type: kind, ...(runId === null ? {} : { run_id: runId }), ...fields },
  });
const text = (eventSeq: number, seqId: number, content: string, id = 'm1', runId = 'run-1') =>
  delta(eventSeq, 'assistant_message', { id, seq_id: seqId, content }, runId);
const stop = (eventSeq: number, seqId: number, reason = 'end_turn', runId = 'run-1') =>
  delta(eventSeq, 'stop_reason', { seq_id: seqId, stop_reason: reason }, runId);
const finished = (eventSeq: number, reason = 'end_turn', fields: object = { run_id: 'run-1' }) =>
  frame(eventSeq, 'turn_finished', { turn_id: 'batch-1', stop_reason: reason, ...fields });
const loop = (eventSeq: number, status: string, fields: object = {}) =>
  frame(eventSeq, 'update_loop_status', { loop_status: { status, active_run_ids: [], ...fields } });
const device = (eventSeq: number, pending: string[] = [], fields: object = {}) =>
  frame(eventSeq, 'update_device_status', {
    device_status: {
      current_permission_mode: 'standard',
      current_working_directory: '/repo',
      pending_control_requests: pending.map((id) => ({ request_id: id, request: bash(id) })),
      ...fields,
    },
  });
const bash = (id: string) => ({
  subtype: 'can_use_tool',
  tool_name: 'Bash',
  input: { command: 'ls' },
  tool_call_id: id.replace('perm-', ''),
});
const asks = (eventSeq: number, id: string) =>
  frame(eventSeq, 'control_request', { request_id: id, request: bash(id) });
const answer = (type: string, requestId: string, fields: object = {}): RuntimeInput => {
  const decoded = decode(JSON.stringify({ type, request_id: requestId, success: true, ...fields }));
  if (decoded.kind !== 'known') throw new Error('bad answer in the test');
  return { type: 'frame', frame: decoded.frame as Frame };
};
const opened = (ordered = false): RuntimeInput => ({ type: 'opened', isOrdered: ordered });

/** A runtime that remembers what it told. */
function start(...inputs: RuntimeInput[]) {
  let state = initialRuntime({ agentId: 'agent-1', conversationId: 'conv-1' });
  const feed = (...more: RuntimeInput[]): RuntimeEffect[] =>
    more.flatMap((input) => {
      const result = step(state, input);
      state = result.state;
      return result.effects;
    });
  feed(...inputs);
  return { feed, events: (...more: RuntimeInput[]) => emitted(feed(...more)), now: () => snapshot(state) };
}

function emitted(effects: RuntimeEffect[]): AgentEvent[] {
  return effects.flatMap((effect) => (effect.type === 'emit' ? [effect.event] : []));
}

const types = (effects: RuntimeEffect[]) =>
  effects.map((effect) => (effect.type === 'emit' ? effect.event.type : effect.type));

describe('the runtime that frames belong to', () => {
  it('is learned from the answer to runtime_start', () => {
    let state = initialRuntime(null);
    const result = step(state, answer('runtime_start_response', 'r1', { runtime }));
    state = result.state;
    expect(state.runtime).toEqual({ agentId: 'agent-1', conversationId: 'conv-1' });
    expect(result.effects).toMatchObject([{ type: 'response', requestId: 'r1' }]);
  });

  it('stays unknown after a refused runtime_start', () => {
    const { state } = step(
      initialRuntime(null),
      answer('runtime_start_response', 'r1', { success: false, runtime: null }),
    );
    expect(state.runtime).toBeNull();
  });

  it('is not learned from another conversation’s approval request', () => {
    const foreign = frame(1, 'control_request', {
      runtime: { agent_id: 'agent-1', conversation_id: 'conv-other' },
      request_id: 'perm-1',
      request: bash('perm-1'),
    });
    const first = step(initialRuntime(null), foreign);
    expect(first.effects).toEqual([]);
    const { state } = step(first.state, answer('runtime_start_response', 'r1', { runtime }));
    expect(state.runtime).toEqual({ agentId: 'agent-1', conversationId: 'conv-1' });
    expect(snapshot(state).approvals).toEqual([]);
  });

  it('is recognised despite further ids', () => {
    const { events } = start(opened());
    const mine = frame(1, 'stream_delta', {
      runtime: { ...runtime, acting_user_id: 'user-1' },
      delta: { message_type: 'assistant_message', id: 'm1', run_id: 'run-1', seq_id: 1, content: 'hi' },
    });
    expect(events(mine)).toMatchObject([{ type: 'text', text: 'hi' }]);
  });

  it('hands each response on once, even after a reconnect', () => {
    const { feed } = start(opened());
    expect(types(feed(answer('sync_response', 's1'), answer('sync_response', 's1')))).toEqual(['response']);
    expect(types(feed({ type: 'closed' }, opened(), answer('sync_response', 's1')))).toEqual([]);
  });

  it('ignores a frame redelivered on the next connection', () => {
    const { events } = start(opened(), text(1, 1, 'one'));
    expect(events({ type: 'closed' }, opened(), text(1, 1, 'one'))).toEqual([]);
  });
});

describe('the end of a turn', () => {
  it('is reported at once when its run is complete', () => {
    const { feed } = start(opened(), text(1, 1, 'one'), stop(2, 2));
    expect(types(feed(finished(4)))).toEqual(['turn-ended']);
  });

  it('waits for the last deltas; later frames wait behind it', () => {
    const { feed } = start(opened(), text(1, 1, 'one'));
    expect(feed(finished(10))).toEqual([{ type: 'hold', ms: 1000 }]);
    const next = [
      delta(11, 'user_message', { content: 'more', otid: 'cm-2' }, null),
      text(12, 1, 'next', 'm2', 'run-2'),
    ];
    expect(feed(...next)).toEqual([]);
    expect(types(feed(text(2, 2, ' two')))).toEqual(['text']);
    expect(types(feed(stop(3, 3)))).toEqual(['run-ended', 'hold', 'turn-ended', 'user-message', 'text']);
  });

  it('waits one second when aborted, and asks for no history', () => {
    const { feed } = start(opened(), text(1, 1, 'one'));
    expect(types(feed(finished(10, 'cancelled')))).toEqual(['hold']);
    expect(feed({ type: 'hold-expired' })).toEqual([
      { type: 'hold', ms: null },
      { type: 'emit', event: { type: 'turn-ended', runId: 'run-1', stopReason: 'cancelled', error: null } },
    ]);
  });

  it('waits for a retry when aborted after a failure', () => {
    const { feed } = start(opened(), text(1, 1, 'one'), stop(2, 2, 'llm_api_error'));
    expect(types(feed(finished(10, 'cancelled')))).toEqual(['hold']);
    const retry = delta(3, 'retry', { attempt: 1, max_attempts: 3, delay_ms: 1000, reason: 'llm_api_error' });
    expect(types(feed(retry))).toEqual(['retrying', 'hold', 'turn-ended']);
  });

  it('is reported at once where frames come in order', () => {
    const { feed } = start(opened(true), text(1, 1, 'one'));
    expect(types(feed(finished(10, 'cancelled')))).toEqual(['turn-ended']);
  });

  it('waits for the result of a stopped tool', () => {
    const { feed } = start(
      opened(),
      stop(1, 1, 'requires_approval'),
      delta(2, 'client_tool_start', { tool_call_id: 'c1', tool_name: 'Bash', tool_args: '{"command":"ls"}' }),
    );
    expect(types(feed(finished(9, 'cancelled')))).toEqual(['hold']);
    expect(types(feed(delta(3, 'client_tool_end', { tool_call_id: 'c1', status: 'error' })))).toEqual(['tool-ended']);
    const result = delta(4, 'tool_return_message', { tool_call_id: 'c1', status: 'error', tool_return: 'Interrupted' });
    expect(types(feed(result))).toEqual(['tool-returned', 'hold', 'turn-ended']);
  });

  it('is reported before the next turn when it arrives late', () => {
    const { feed } = start(opened(), loop(1, 'SENDING_API_REQUEST'), text(2, 1, 'one'), stop(3, 2));
    feed(loop(4, 'WAITING_ON_INPUT'));
    expect(feed(delta(7, 'user_message', { content: 'next', otid: 'cm-2' }, null))).toEqual([
      { type: 'hold', ms: 1000 },
    ]);
    expect(feed(loop(8, 'SENDING_API_REQUEST'), text(9, 1, 'two', 'm2', 'run-2'))).toEqual([]);
    expect(types(feed(finished(5)))).toEqual(['turn-ended', 'hold', 'user-message', 'loop', 'text']);
  });

  it('is made up when it is lost and the next turn began', () => {
    const { feed } = start(opened(), loop(1, 'SENDING_API_REQUEST'), text(2, 1, 'one'), stop(3, 2));
    feed(loop(4, 'WAITING_ON_INPUT'), loop(8, 'SENDING_API_REQUEST'));
    expect(types(feed({ type: 'hold-expired' }))).toEqual(['hold', 'turn-ended', 'loop']);
  });

  it('makes later frames of its turn obsolete', () => {
    const { feed } = start(opened(), text(1, 1, 'one'), finished(10, 'cancelled'), { type: 'hold-expired' });
    expect(feed(text(2, 2, ' two'), asks(3, 'perm-1'))).toEqual([]);
    expect(types(feed(text(12, 1, 'next', 'm2', 'run-2')))).toEqual(['text']);
  });

  it('does not make frames obsolete when a restarted device recounts', () => {
    const { feed } = start(opened(), text(100, 1, 'one'), stop(101, 2), finished(102));
    const restarted = frame(1, 'stream_delta', {
      emitted_at: new Date(START + 60_000).toISOString(),
      delta: { message_type: 'assistant_message', id: 'm9', run_id: 'run-1', seq_id: 1, content: 'back' },
    });
    expect(types(feed(restarted))).toEqual(['text']);
  });

  it('is reported on a closed connection only if nothing is missing', () => {
    const whole = start(opened(), text(1, 1, 'one'), finished(9, 'cancelled'));
    expect(types(whole.feed({ type: 'closed' }))).toEqual(['hold', 'turn-ended']);
    const broken = start(opened(), text(1, 1, 'one'), finished(9));
    expect(types(broken.feed({ type: 'closed' }))).toEqual(['hold']);
    expect(broken.now().isTurnOpen).toBe(false);
  });
});

describe('text missing from the stream', () => {
  const history = (...items: HistoryItem[]) => items;
  const input = (clientMessageId: string): HistoryItem => ({
    kind: 'user',
    id: `u-${clientMessageId}`,
    clientMessageId,
    text: 'q',
  });
  const said = (id: string, content: string): HistoryItem => ({ kind: 'assistant', id, text: content });

  it('is fetched before the turn ends', () => {
    const { feed } = start(opened(), text(1, 1, 'one'), text(2, 4, ' four'), stop(3, 5));
    expect(feed(finished(5))).toEqual([
      { type: 'repair', repairId: 1 },
      { type: 'hold', ms: 10_000 },
    ]);
    const items = history(input('cm-1'), said('m1', 'one two three four'));
    expect(feed({ type: 'history', repairId: 1, items })).toEqual([
      {
        type: 'emit',
        event: { type: 'text-repaired', runId: 'run-1', messageId: 'm1', text: 'one two three four' },
      },
      { type: 'hold', ms: null },
      { type: 'emit', event: { type: 'turn-ended', runId: 'run-1', stopReason: 'end_turn', error: null } },
    ]);
  });

  it('is fetched when the last deltas never come', () => {
    const { feed } = start(opened(), text(1, 1, 'one'));
    expect(types(feed(finished(9), { type: 'hold-expired' }))).toEqual(['hold', 'repair', 'hold']);
    const items = history(input('cm-1'), said('m1', 'one two'));
    expect(types(feed({ type: 'history', repairId: 1, items }))).toEqual(['text-repaired', 'hold', 'turn-ended']);
  });

  it('does not delay the end for ever when the history fails', () => {
    const holed = [opened(), text(1, 1, 'one'), text(2, 4, ' four'), stop(3, 5), finished(5)];
    const unread = start(...holed);
    expect(types(unread.feed({ type: 'history', repairId: 1, items: null }))).toEqual(['hold', 'turn-ended']);
    const silent = start(...holed);
    expect(types(silent.feed({ type: 'hold-expired' }))).toEqual(['hold', 'turn-ended']);
    expect(silent.feed({ type: 'history', repairId: 1, items: [said('m1', 'one two three four')] })).toEqual([]);
  });

  it('before a tool call is fetched while the turn goes on', () => {
    const { feed } = start(opened(), text(1, 1, 'one'), text(2, 4, ' four'));
    expect(types(feed(stop(3, 5, 'requires_approval')))).toEqual(['run-ended', 'repair']);
    const items = history(input('cm-1'), said('m1', 'one two three four'));
    expect(types(feed({ type: 'history', repairId: 1, items }))).toEqual(['text-repaired']);
    expect(types(feed(text(6, 1, 'done', 'm2', 'run-2'), stop(7, 2, 'end_turn', 'run-2')))).toEqual([
      'text',
      'run-ended',
    ]);
    expect(types(feed(finished(9, 'end_turn', { run_id: 'run-2' })))).toEqual(['turn-ended']);
  });

  it('may be a whole message, and is inserted at its place', () => {
    const told = start(
      opened(),
      loop(1, 'PROCESSING_API_RESPONSE', { client_message_ids_by_run_id: { 'run-3': ['cm-1'] } }),
      text(2, 1, 'First.', 'm1'),
      text(20, 1, 'Third.', 'm3', 'run-3'),
      stop(21, 2, 'end_turn', 'run-3'),
    );
    const events = [
      ...told.events(finished(23, 'end_turn', { run_id: 'run-3' })),
      ...told.events({
        type: 'history',
        repairId: 1,
        items: history(
          input('cm-0'),
          said('m0', 'An older answer.'),
          input('cm-1'),
          said('m1', 'First.'),
          said('m2', 'Second.'),
          said('m3', 'Third.'),
          input('cm-9'),
          said('m9', 'A later answer.'),
        ),
      }),
    ];
    expect(events[0]).toMatchObject({ type: 'text-repaired', messageId: 'm2', text: 'Second.', before: 'm3' });
    const shown: AgentEvent[] = [
      { type: 'text', runId: 'run-1', messageId: 'm1', text: 'First.' },
      { type: 'text', runId: 'run-3', messageId: 'm3', text: 'Third.' },
      ...events,
    ];
    expect(turnText(shown.reduce(foldTurn, emptyTurn))).toBe('First.\n\nSecond.\n\nThird.');
  });

  it('is found when Letta’s own queued input joined the turn', () => {
    const told = start(
      opened(),
      loop(1, 'PROCESSING_API_RESPONSE', { client_message_ids_by_run_id: { 'run-1': ['slack-1'] } }),
      text(2, 1, 'First.', 'm1'),
      text(20, 1, 'Third.', 'm3', 'run-3'),
      stop(21, 2, 'end_turn', 'run-3'),
    );
    const tool: HistoryItem = { kind: 'tool', id: 't1', callId: 'c1', tool: null };
    const items = history(
      ...[input('slack-1'), said('m1', 'First.'), tool, input('cm-q-1'), input('cm-q-2'), said('m2', 'Second.')],
      ...[tool, input('cm-q-3'), said('m3', 'Third.'), input('slack-2'), said('m9', 'Not mine.')],
    );
    const shown: AgentEvent[] = [
      { type: 'text', runId: 'run-1', messageId: 'm1', text: 'First.' },
      { type: 'text', runId: 'run-3', messageId: 'm3', text: 'Third.' },
      ...told.events(finished(23, 'end_turn', { run_id: 'run-3' })),
      ...told.events({ type: 'history', repairId: 1, items }),
    ];
    expect(turnText(shown.reduce(foldTurn, emptyTurn))).toBe('First.\n\nSecond.\n\nThird.');
  });

  it('is found behind a summary, and the text that was summarised stays', () => {
    const told = start(
      opened(),
      loop(1, 'PROCESSING_API_RESPONSE', { client_message_ids_by_run_id: { 'run-1': ['slack-1'] } }),
      text(2, 2, 'First.', 'm1'),
      stop(3, 3, 'requires_approval'),
      text(20, 2, 'hird.', 'm3', 'run-3'),
      stop(21, 3, 'end_turn', 'run-3'),
    );
    const summary: HistoryItem = { kind: 'summary', id: 's' };
    const items = [summary, ...history(said('m2', 'Second.'), said('m3', 'Third.'))];
    const events = [
      ...told.events(finished(23, 'end_turn', { run_id: 'run-3' })),
      ...[1, 2].flatMap((repairId) => told.events({ type: 'history', repairId, items })),
    ];
    const shown: AgentEvent[] = [
      { type: 'text', runId: 'run-1', messageId: 'm1', text: 'First.' },
      { type: 'text', runId: 'run-3', messageId: 'm3', text: 'hird.' },
      ...events,
    ];
    expect(turnText(shown.reduce(foldTurn, emptyTurn))).toBe('First.\n\nSecond.\n\nThird.');
  });

  it('of an unheard run is found by the message it answers', () => {
    const tied = { 'run-1': ['slack-1'], 'run-2': ['slack-1'], 'run-0': ['slack-0'] };
    const told = start(
      opened(),
      loop(1, 'SENDING_API_REQUEST', { client_message_ids_by_run_id: { 'run-0': ['slack-0'] } }),
      loop(5, 'PROCESSING_API_RESPONSE', { active_run_ids: ['run-2'], client_message_ids_by_run_id: tied }),
      text(6, 1, 'Second.', 'm2', 'run-2'),
      stop(7, 2, 'end_turn', 'run-2'),
    );
    const items = history(input('slack-0'), said('m0', 'Older.'), input('slack-1'), said('m1', 'First.'));
    const events = [
      ...told.events(finished(8, 'end_turn', { run_id: 'run-2' })),
      ...told.events({ type: 'history', repairId: 1, items: [...items, said('m2', 'Second.')] }),
    ];
    const shown: AgentEvent[] = [{ type: 'text', runId: 'run-2', messageId: 'm2', text: 'Second.' }, ...events];
    expect(turnText(shown.reduce(foldTurn, emptyTurn))).toBe('First.\n\nSecond.');
  });

  it('at the start of Letta’s own turn is fetched from its input', () => {
    const told = start(
      opened(),
      delta(5, 'client_tool_end', { tool_call_id: 'c1', status: 'success', run_id: 'run-1' }),
      text(6, 1, 'Second.', 'm2', 'run-2'),
      stop(7, 2, 'end_turn', 'run-2'),
    );
    const tool: HistoryItem = { kind: 'tool', id: 't1', callId: 'c1', tool: null };
    const items = history(input('slack-1'), said('m0', 'Older.'), input('cm-q-1'), said('m1', 'First.'), tool);
    const events = [
      ...told.events(finished(8, 'end_turn', { run_id: 'run-2' })),
      ...told.events({ type: 'history', repairId: 1, items: [...items, said('m2', 'Second.')] }),
    ];
    const shown: AgentEvent[] = [{ type: 'text', runId: 'run-2', messageId: 'm2', text: 'Second.' }, ...events];
    expect(turnText(shown.reduce(foldTurn, emptyTurn))).toBe('First.\n\nSecond.');
  });

  it('of an aborted turn is not taken from the turn after it', () => {
    const told = start(
      opened(),
      text(1, 1, 'Let me', 'm1'),
      text(5, 4, ' see.', 'm1'),
      stop(6, 5, 'requires_approval'),
    );
    const tool: HistoryItem = { kind: 'tool', id: 't1', callId: 'c1', tool: null };
    const items = history(
      input('slack-1'),
      said('m1', 'Let me just see.'),
      tool,
      input('cm-q-1'),
      said('m9', 'Other.'),
    );
    const events = [
      ...told.events(finished(8, 'cancelled', { run_id: 'run-1' })),
      ...told.events({ type: 'history', repairId: 2, items }),
    ];
    expect(events.flatMap((event) => (event.type === 'text-repaired' ? [event.text] : []))).toEqual([
      'Let me just see.',
    ]);
  });

  it('of an unknown turn is not taken from after its end', () => {
    const tool = { tool_call_id: 'c1', status: 'error', tool_return: 'Interrupted' };
    const told = start(opened(), delta(1, 'tool_return_message', tool));
    const at = (item: HistoryItem, ms: number): HistoryItem => ({ ...item, at: START + ms });
    const items = history(
      at(input('cm-q-1'), 0),
      at(said('m1', 'Let me see.'), 1),
      at(input('cm-q-2'), 5),
      at(said('m9', 'Other.'), 6),
    );
    const events = [
      ...told.events(finished(3, 'cancelled', { run_id: 'run-1' })),
      ...told.events({ type: 'history', repairId: 1, items }),
    ];
    expect(events.flatMap((event) => (event.type === 'text-repaired' ? [event.text] : []))).toEqual(['Let me see.']);
  });

  it('of a run before the turn was known is fetched', () => {
    const connection = start(opened(), loop(1, 'WAITING_ON_INPUT'));
    const events = connection.events(
      // The device's socket was away until here.
      loop(20, 'PROCESSING_API_RESPONSE', { client_message_ids_by_run_id: { 'run-1': ['cm-1'], 'run-2': ['cm-1'] } }),
      text(21, 1, 'Done.', 'm2', 'run-2'),
      stop(22, 2, 'end_turn', 'run-2'),
      finished(24, 'end_turn', { run_id: 'run-2' }),
      { type: 'history', repairId: 1, items: history(input('cm-1'), said('m1', 'Let me look.'), said('m2', 'Done.')) },
    );
    expect(turnText(events.reduce(foldTurn, emptyTurn))).toBe('Let me look.\n\nDone.');
  });

  it('of an unheard run is fetched even if the end comes early', () => {
    const connection = start(opened(), loop(1, 'WAITING_ON_INPUT'), loop(2, 'SENDING_API_REQUEST'));
    const events = connection.events(
      finished(24, 'end_turn', { run_id: 'run-2' }),
      loop(20, 'PROCESSING_API_RESPONSE', { client_message_ids_by_run_id: { 'run-1': ['cm-1'], 'run-2': ['cm-1'] } }),
      text(21, 1, 'Done.', 'm2', 'run-2'),
      stop(22, 2, 'end_turn', 'run-2'),
      { type: 'history', repairId: 1, items: history(input('cm-1'), said('m1', 'Let me look.'), said('m2', 'Done.')) },
    );
    expect(turnText(events.reduce(foldTurn, emptyTurn))).toBe('Let me look.\n\nDone.');
  });

  it('is void when Letta retried its run while disconnected', () => {
    const connection = start(opened(), text(1, 1, 'Let me', 'm1'));
    const events = connection.events(
      // Its failure and the retry are lost.
      text(5, 1, 'Done.', 'm2', 'run-2'),
      stop(6, 2, 'end_turn', 'run-2'),
      finished(8, 'end_turn', { run_id: 'run-2' }),
      { type: 'history', repairId: 1, items: history(input('cm-1'), said('m2', 'Done.')) },
    );
    const before: AgentEvent = { type: 'text', runId: 'run-1', messageId: 'm1', text: 'Let me' };
    expect(turnText([before, ...events].reduce(foldTurn, emptyTurn))).toBe('Done.');
  });

  it('is not declared void while the history lags behind', () => {
    const connection = start(opened(), text(1, 1, 'Let me', 'm1'));
    const events = connection.events(
      text(5, 1, 'Done.', 'm2', 'run-2'),
      stop(6, 2, 'end_turn', 'run-2'),
      finished(8, 'end_turn', { run_id: 'run-2' }),
      { type: 'history', repairId: 1, items: history(input('cm-1')) },
    );
    expect(events.map((event) => event.type)).not.toContain('text-void');
  });

  it('is not taken from the turn after one with a lost end', () => {
    const at = (item: HistoryItem, ms: number): HistoryItem => ({ ...item, at: START + ms });
    const tool: HistoryItem = { kind: 'tool', id: 't1', callId: 'c1', tool: null };
    const connection = start(
      opened(),
      loop(1, 'EXECUTING_CLIENT_SIDE_TOOL', { client_message_ids_by_run_id: { 'run-1': ['slack-1'] } }),
      delta(2, 'client_tool_end', { tool_call_id: 'c1', status: 'success' }),
      loop(3, 'WAITING_ON_INPUT'),
    );
    const events = connection.events(
      delta(40, 'user_message', { id: 'u2', content: 'task', otid: 'auto-1' }, null),
      { type: 'hold-expired' },
      {
        type: 'history',
        repairId: 1,
        items: history(at(input('slack-1'), 0), at(tool, 1), at(input('auto-1'), 40), at(said('m9', 'Other.'), 41)),
      },
    );
    expect(events).toContainEqual(expect.objectContaining({ type: 'turn-ended', stopReason: 'cancelled' }));
    expect(events.map((event) => event.type)).not.toContain('text-repaired');
  });

  it('is not inserted twice when an earlier connection brought it', () => {
    const connection = start(
      opened(),
      text(1, 1, 'Let me look.', 'm1'),
      stop(2, 2, 'requires_approval'),
      { type: 'closed' },
      opened(),
    );
    const events = connection.events(
      loop(20, 'EXECUTING_CLIENT_SIDE_TOOL', { client_message_ids_by_run_id: { 'run-1': ['cm-1'] } }),
      delta(21, 'client_tool_end', { tool_call_id: 'c1', status: 'success' }),
      text(22, 1, 'Done.', 'm2', 'run-2'),
      stop(23, 2, 'end_turn', 'run-2'),
      finished(25, 'end_turn', { run_id: 'run-2' }),
      { type: 'history', repairId: 1, items: history(input('cm-1'), said('m1', 'Let me look.'), said('m2', 'Done.')) },
    );
    const before: AgentEvent = { type: 'text', runId: 'run-1', messageId: 'm1', text: 'Let me look.' };
    expect(turnText([before, ...events].reduce(foldTurn, emptyTurn))).toBe('Let me look.\n\nDone.');
  });

  it('before a lost end is fetched before the next turn', () => {
    const { feed } = start(
      opened(),
      loop(1, 'SENDING_API_REQUEST'),
      text(2, 1, 'one'),
      text(3, 4, ' four'),
      stop(4, 5),
    );
    feed(loop(5, 'WAITING_ON_INPUT'), loop(8, 'SENDING_API_REQUEST'), text(9, 1, 'next', 'm2', 'run-2'));
    expect(types(feed({ type: 'hold-expired' }))).toEqual(['repair', 'hold']);
    const items = history(input('cm-1'), said('m1', 'one two three four'));
    expect(types(feed({ type: 'history', repairId: 1, items }))).toEqual([
      'text-repaired',
      'hold',
      'turn-ended',
      'loop',
      'text',
    ]);
  });

  it('of a run that was retried is not fetched', () => {
    const { feed } = start(
      opened(),
      text(1, 1, 'cut'),
      text(2, 5, ' off'),
      stop(3, 6, 'llm_api_error'),
      delta(4, 'retry', { attempt: 1, max_attempts: 3, delay_ms: 1000, message: 'again' }),
      text(5, 1, 'whole', 'm2', 'run-2'),
      stop(6, 2, 'end_turn', 'run-2'),
    );
    expect(types(feed(finished(8, 'end_turn', { run_id: 'run-2' })))).toEqual(['turn-ended']);
  });

  it('is not replaced by a shorter text from the history', () => {
    const { feed } = start(opened(), text(1, 1, 'one'), text(2, 4, ' four'), stop(3, 5), finished(5));
    const items = history(input('cm-1'), said('m1', 'one'));
    expect(types(feed({ type: 'history', repairId: 1, items }))).toEqual(['hold', 'turn-ended']);
  });

  it('is not assumed from a gap in event_seq', () => {
    const { feed } = start(opened(), text(1, 1, 'one'), text(50, 2, ' two'), stop(90, 3));
    expect(types(feed(finished(120)))).toEqual(['turn-ended']);
  });
});

describe('approvals', () => {
  it('wait for the text before them', () => {
    const { feed } = start(opened(), text(1, 1, 'Let me'));
    expect(feed(asks(9, 'perm-1'))).toEqual([{ type: 'hold', ms: 1000 }]);
    expect(types(feed(text(2, 2, ' look.'), stop(3, 3, 'requires_approval')))).toEqual([
      'text',
      'run-ended',
      'hold',
      'approval-asked',
    ]);
  });

  it('are reported once, from a request or from the list', () => {
    const { events } = start(opened(), device(1));
    expect(events(asks(5, 'perm-1'), device(6, ['perm-1']), asks(7, 'perm-1')).map((event) => event.type)).toEqual([
      'approval-asked',
      'approvals-open',
    ]);
  });

  it('with changed input under one id are reported again, older ones not', () => {
    const asked = (eventSeq: number, command: string) => {
      const frame = asks(eventSeq, 'perm-1');
      if (frame.type !== 'frame' || frame.frame.type !== 'control_request') throw new Error('it asks');
      const request = { ...frame.frame.request, input: { command } };
      return { ...frame, frame: { ...frame.frame, request } } as RuntimeInput;
    };
    const { events, now } = start(opened(), device(1), asked(5, 'ls'));
    const told = events(asked(8, 'rm'), asked(9, 'rm'), asked(6, 'ls'));
    expect(told).toMatchObject([
      { type: 'approval-asked', request: { requestId: 'perm-1', input: { command: 'rm' } } },
    ]);
    expect(now().approvals.map((approval) => approval.input)).toEqual([{ command: 'rm' }]);
  });

  it('stay open when an older list lacks them', () => {
    const { events, now } = start(opened(), device(1), asks(5, 'perm-1'));
    expect(events(device(3, [], { current_working_directory: '/other' }))).toEqual([
      { type: 'device', mode: 'standard', workingDirectory: '/other' },
      { type: 'approvals-open', requestIds: ['perm-1'] },
    ]);
    expect(now().approvals.map((approval) => approval.requestId)).toEqual(['perm-1']);
  });

  it('are not reported when a newer list lacks them', () => {
    const { events, now } = start(opened(), device(9));
    expect(events(asks(5, 'perm-1'))).toEqual([]);
    expect(now().approvals).toEqual([]);
  });

  it('may reuse an id after it was settled', () => {
    const { events } = start(opened(), asks(1, 'perm-1'), device(2, ['perm-1']), device(3));
    expect(events(asks(4, 'perm-1')).map((event) => event.type)).toEqual(['approval-asked']);
  });

  it('are listed after every reconnect, even when there are none', () => {
    const { events } = start(opened(), device(1), { type: 'closed' }, opened());
    expect(events(device(1001))).toContainEqual({ type: 'approvals-open', requestIds: [] });
  });

  it('with an unreadable question still count as question', () => {
    const request = { subtype: 'can_use_tool', tool_name: 'AskUserQuestion', input: { questions: 'What?' } };
    const { events } = start(opened());
    expect(events(frame(1, 'control_request', { request_id: 'perm-1', request }))).toMatchObject([
      { type: 'approval-asked', request: { questions: [] } },
    ]);
  });

  it('say why a diff cannot be shown', () => {
    const diffs = [
      { mode: 'fallback', fileName: 'a.bin', reason: 'binary file' },
      { mode: 'unpreviewable', fileName: 'b.txt' },
      { odd: true },
    ];
    const { events } = start(opened());
    const [asked] = events(
      frame(1, 'control_request', { request_id: 'perm-1', request: { ...bash('perm-1'), diffs } }),
    );
    expect(asked?.type === 'approval-asked' && asked.request.diffs).toEqual([
      { kind: 'unavailable', fileName: 'a.bin', reason: 'binary file' },
      { kind: 'unavailable', fileName: 'b.txt', reason: 'unpreviewable' },
      { kind: 'unavailable', fileName: '', reason: 'unknown form of diff' },
    ]);
  });
});

describe('states of loop, device and tasks', () => {
  it('are reported only when they change', () => {
    const { events } = start(opened());
    expect(
      events(loop(1, 'SENDING_API_REQUEST'), loop(2, 'WAITING_FOR_API_RESPONSE'), loop(3, 'WAITING_ON_INPUT')),
    ).toMatchObject([
      { type: 'loop', status: 'busy' },
      { type: 'loop', status: 'idle' },
    ]);
    expect(events(device(4), device(5)).map((event) => event.type)).toEqual(['device', 'approvals-open']);
  });

  it('report no turn for a command of the device', () => {
    const { events, now } = start(opened(), loop(1, 'WAITING_ON_INPUT'));
    expect(events(loop(2, 'EXECUTING_COMMAND'), loop(3, 'WAITING_ON_INPUT'))).toEqual([]);
    expect(now().isTurnOpen).toBe(false);
  });

  it('report newly tied messages even when nothing else changed', () => {
    const { events } = start(opened(), loop(1, 'PROCESSING_API_RESPONSE'));
    const told = loop(2, 'PROCESSING_API_RESPONSE', {
      active_run_ids: ['run-1'],
      client_message_ids_by_run_id: { 'run-1': ['cm-1'] },
    });
    expect(events(told)).toMatchObject([{ type: 'loop', clientMessageIdsByRun: { 'run-1': ['cm-1'] } }]);
  });

  it('report when a tool begins and ends to run', () => {
    const { events, now } = start(opened(), loop(1, 'PROCESSING_API_RESPONSE'));
    expect(events(loop(2, 'EXECUTING_CLIENT_SIDE_TOOL'), loop(3, 'SENDING_API_REQUEST'))).toMatchObject([
      { type: 'loop', status: 'busy', isUsingTool: true },
      { type: 'loop', status: 'busy' },
    ]);
    expect(now().isUsingTool).toBe(false);
  });

  it('are not replaced by older ones', () => {
    const { events, now } = start(opened(), loop(5, 'WAITING_ON_INPUT'), device(6));
    expect(events(loop(4, 'PROCESSING_API_RESPONSE'), device(3, [], { current_permission_mode: 'strict' }))).toEqual(
      [],
    );
    expect(now()).toMatchObject({ loop: 'idle', mode: 'standard' });
  });

  it('list a subagent once that is also a background process', () => {
    const { events } = start(opened(), device(1));
    const running = (eventSeq: number, status: string) =>
      frame(eventSeq, 'update_subagent_state', { subagents: [{ subagent_id: 's1', status }] });
    const processes = [
      { process_id: 'task_1', status: 'running', subagent_id: 's1' },
      { process_id: 'bash_1', status: 'running' },
      { process_id: 'bash_2', status: 'exited' },
    ];
    const told = events(
      running(2, 'pending'),
      device(3, [], { background_processes: processes }),
      running(4, 'completed'),
      device(5),
    ).flatMap((event) => (event.type === 'background' ? [event.tasks.map(({ id }) => id)] : []));
    expect(told).toEqual([['s1'], ['s1', 'bash_1'], ['bash_1'], []]);
  });

  it('tell which inputs of people wait, and forget them', () => {
    const { events } = start(opened());
    const mine = { id: 'q-2', client_message_id: 'slack-1', kind: 'message', content: 'hello' };
    const cron = { id: 'q-1', client_message_id: 'cm-q-1', kind: 'cron_prompt', content: 'daily report' };
    const told = events(
      frame(1, 'update_queue', { queue: [cron, mine], removed: [] }),
      frame(2, 'update_queue', { queue: [mine], removed: [] }),
      frame(3, 'update_queue', { queue: [], removed: [] }),
    );
    expect(told).toEqual([
      { type: 'queue', clientMessageIds: ['slack-1'] },
      { type: 'queue', clientMessageIds: [] },
    ]);
  });

  it('tell what an abort left in the queue, also of Letta’s own', () => {
    const { events } = start(opened());
    const mine = { id: 'q-2', client_message_id: 'slack-1', kind: 'message', content: 'hello' };
    const cron = { id: 'q-1', client_message_id: 'cm-q-1', kind: 'cron_prompt', content: 'daily report' };
    const paused = [cron, mine].map((item) => ({ ...item, paused: true }));
    const told = events(
      frame(1, 'update_queue', { queue: [cron, mine], removed: [] }),
      frame(2, 'update_queue', { queue: paused, removed: [] }),
      frame(3, 'update_queue', { queue: paused, removed: [] }),
      frame(4, 'update_queue', { queue: [cron, mine], removed: [] }),
    );
    expect(told).toEqual([
      { type: 'queue', clientMessageIds: ['slack-1'] },
      { type: 'queue', clientMessageIds: ['slack-1'], paused: ['cm-q-1', 'slack-1'] },
      { type: 'queue', clientMessageIds: ['slack-1'] },
    ]);
  });

  it('mark a queued cron prompt as automatic, by its text', () => {
    const { events } = start(opened());
    const queue = [{ id: 'q-1', client_message_id: 'cm-q-1', kind: 'cron_prompt', content: 'daily report' }];
    const told = events(
      frame(1, 'update_queue', { queue, removed: [] }),
      delta(2, 'user_message', { content: 'daily report', otid: 'other-id' }, null),
      delta(3, 'user_message', { content: 'daily report?', otid: 'cm-person' }, null),
    );
    expect(told).toEqual([
      { type: 'user-message', clientMessageId: 'other-id', automatic: true },
      { type: 'user-message', clientMessageId: 'cm-person', automatic: false },
    ]);
  });
});

describe('errors of a turn', () => {
  const errorMessage = (eventSeq: number, message: string) =>
    delta(eventSeq, 'error_message', { seq_id: eventSeq, message });
  const loopError = (eventSeq: number, message: string, fields: object = {}) =>
    delta(eventSeq, 'loop_error', { message, is_terminal: false, ...fields });
  const messages = (events: AgentEvent[]) => events.flatMap((event) => (event.type === 'error' ? [event.message] : []));

  it('are reported again only in a better wording', () => {
    const { events } = start(opened(true), loop(1, 'SENDING_API_REQUEST'));
    const told = events(
      loopError(2, '{"error":{"error":{"type":"x","message":"the inner one"},"run_id":"run-1"}}'),
      errorMessage(3, 'from the model'),
      loopError(4, 'whatever', { api_error: { message: 'from the API' } }),
      errorMessage(5, 'from the model, again'),
    );
    expect(messages(told)).toEqual(['the inner one', 'from the model', 'from the API']);
  });

  it('give its end the best wording, from whichever frame', () => {
    const { events } = start(
      opened(true),
      loop(0, 'SENDING_API_REQUEST'),
      loopError(1, '{"message":"plain"}', { api_error: { message: 'rate limited' } }),
    );
    expect(events(finished(2, 'error', { error: '{\n  "error": { "message": "plain" }\n}' }))).toMatchObject([
      { type: 'turn-ended', error: 'rate limited' },
    ]);
    expect(messages(events(loopError(3, 'rate limited', { is_terminal: true })))).toEqual([]);
  });

  it('may repeat after a retry and in the next turn', () => {
    const { events } = start(opened(true), loop(1, 'SENDING_API_REQUEST'));
    const retry = delta(3, 'retry', { attempt: 1, max_attempts: 3, delay_ms: 1000, reason: 'llm_api_error' });
    expect(messages(events(errorMessage(2, 'cut'), retry, errorMessage(4, 'cut')))).toEqual(['cut', 'cut']);
    const next = events(
      finished(5, 'error'),
      loop(6, 'WAITING_ON_INPUT'),
      loop(7, 'SENDING_API_REQUEST'),
      errorMessage(8, 'cut'),
    );
    expect(messages(next)).toEqual(['cut']);
  });

  it('with JSON that cannot be parsed are reported as they are', () => {
    const { events } = start(opened(true));
    expect(messages(events(loopError(1, '{not json'), loopError(2, '{"no":"message"}')))).toEqual([
      '{not json',
      '{"no":"message"}',
    ]);
  });

  it('are not attached to an end that went well', () => {
    const { events } = start(opened(true), errorMessage(1, 'hiccup'), stop(2, 2));
    expect(events(finished(3)).at(-1)).toMatchObject({ type: 'turn-ended', error: null });
  });
});

describe('frames waiting behind a barrier', () => {
  it('are released when there are too many', () => {
    const { feed } = start(opened(), text(1, 1, 'one'), finished(2, 'cancelled'));
    const flood = Array.from({ length: 5_000 }, (_, at) => text(10 + at, at + 1, 'x', 'm2', 'run-2'));
    const told = types(feed(...flood));
    expect(told.slice(0, 2)).toEqual(['hold', 'turn-ended']);
    expect(told.filter((type) => type === 'text')).toHaveLength(5_000);
  });
});
