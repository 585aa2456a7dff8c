import type { ApprovalRequest, BackgroundTask, HistoryItem, LoopStatus, RuntimeRef } from '../../bridge/agent-event.ts';
import {
  type EventFrame,
  type Frame,
  type FrameOf,
  type ResponseFrame,
  responseSchemas,
} from '../protocol/incoming.ts';
import { apply } from './apply.ts';
import { isBefore, stampOf } from './order.ts';
import { addSeen, emptySeen, hasSeen } from './seen.ts';
import {
  askForHistory,
  type Barrier,
  type Connection,
  change,
  emit,
  freshConnection,
  type RuntimeEffect,
  type RuntimeState,
  type Work,
} from './state.ts';
import { loopStatus } from './translate.ts';
import * as memory from './turn-memory.ts';

export type { RuntimeEffect, RuntimeState };

/*
 * Theory of operation. Frames of all lanes come in as they arrive; what they mean for one runtime goes out, in the
 * order in which a reader needs it, each thing once.
 *
 * A frame passes: subagent? other runtime? seen before (`idempotency_key`)? Then, behind the relay, one question of
 * order: control frames (`turn_finished`, `control_request`) and the stream are not ordered against each other
 * (docs/letta-protocol.md, Hosted: what the device tells the relay). A frame that came too early becomes the *barrier*:
 * it waits, frames made before it pass, frames made after it wait behind it. It is let through when what it waited for
 * has come, or when its time is up:
 *   turn_finished     waits for the `stop_reason` of its run and the results of its tools (`deltas`), then, where
 *                     text is missing, for the `history`
 *   control_request   waits for the `stop_reason` of the run that asked (`deltas`)
 *   the next turn     waits for the `turn_finished` of the one before (`end`)
 *
 * State lives as long as the connection, since `run_id` and `event_seq` may start again with the next one; only the
 * keys of what was seen and answered are kept longer. A state is a value: no step changes an earlier one.
 */

const HOLD_MS = 1_000;
const HISTORY_MS = 10_000;
/** More than any turn sends within those times; then order gives way. */
const WAITING_MAX = 5_000;

export type RuntimeInput =
  /** A connection (all lanes) is open; everything known about an earlier one is void, except what was seen already. */
  | {
      type: 'opened';
      /** True where frames arrive in the order in which they were made (App Server); false behind the hosted relay. */
      ordered: boolean;
    }
  /** Of any lane, after `decode`; also the `frame` of an unknown one where it has one. */
  | { type: 'frame'; frame: Frame }
  /** The answer to the `repair` of that id; `null` when the history could not be had. */
  | { type: 'history'; repairId: number; items: readonly HistoryItem[] | null }
  /**
   * An input is about to be sent, which happens only when Letta is idle: what was heard of a turn is of an earlier one.
   */
  | { type: 'submitting' }
  /** The time that the last `hold` gave has passed. */
  | { type: 'hold-expired' }
  | { type: 'closed' };

/** What is known about the runtime on the present connection. */
export interface RuntimeSnapshot {
  runtime: RuntimeRef | null;
  /** `null` until the replay told. */
  loop: LoopStatus | null;
  activeRunIds: string[];
  clientMessageIdsByRun: Record<string, string[]>;
  mode: string | null;
  workingDirectory: string | null;
  approvals: ApprovalRequest[];
  background: readonly BackgroundTask[];
  /** True between the first sign of a turn and its `turn-ended`. */
  turnOpen: boolean;
}

/**
 * @param runtime `null` until `runtime_start` has made the conversation: then the first frame that names one tells it
 */
export function initialRuntime(runtime: RuntimeRef | null): RuntimeState {
  return { runtime, seen: emptySeen, answered: emptySeen, repairs: 0, connection: freshConnection(false) };
}

/** What an input means for the runtime. Pure, never throws; effects are to be carried out in their order. */
export function step(state: RuntimeState, input: RuntimeInput): { state: RuntimeState; effects: RuntimeEffect[] } {
  const work: Work = { state, effects: [] };
  switch (input.type) {
    case 'opened':
      dropBarrier(work);
      work.state = { ...work.state, connection: freshConnection(input.ordered) };
      break;
    case 'frame':
      receive(work, input.frame);
      break;
    case 'history':
      takeHistory(work, input.repairId, input.items);
      break;
    case 'hold-expired':
      giveUpWaiting(work);
      break;
    case 'submitting':
      forgetTurn(work);
      break;
    case 'closed':
      close(work);
      break;
    default:
      input satisfies never;
  }
  return work;
}

export function snapshot(state: RuntimeState): RuntimeSnapshot {
  const { connection } = state;
  return {
    runtime: state.runtime,
    loop: connection.loop?.status ?? null,
    activeRunIds: connection.loop?.activeRunIds ?? [],
    clientMessageIdsByRun: connection.loop?.clientMessageIdsByRun ?? {},
    mode: connection.device?.mode ?? null,
    workingDirectory: connection.device?.workingDirectory ?? null,
    approvals: connection.approvals.map((approval) => approval.request),
    background: connection.background,
    turnOpen: connection.turn !== null,
  };
}

// ---- in: whose, and seen before? ----------------------------------------------------------------

function receive(work: Work, frame: Frame): void {
  if (frame.subagent_id) return;
  if (frame.type === 'pong' || frame.type === 'file_ops' || frame.type === 'external_tool_call_request') return;
  if (isResponse(frame)) {
    receiveResponse(work, frame);
    return;
  }
  if (!isOurs(work, frame)) return;
  if (frame.idempotency_key) {
    if (hasSeen(work.state.seen, frame.idempotency_key)) return;
    work.state = { ...work.state, seen: addSeen(work.state.seen, frame.idempotency_key) };
  }
  admit(work, frame);
}

function isResponse(frame: Frame): frame is ResponseFrame {
  return Object.hasOwn(responseSchemas, frame.type);
}

/** Answers are told apart by `request_id` alone: the relay may hand answers without `runtime` to every socket. */
function receiveResponse(work: Work, frame: ResponseFrame): void {
  const { request_id: requestId } = frame;
  if (hasSeen(work.state.answered, requestId)) return;
  work.state = { ...work.state, answered: addSeen(work.state.answered, requestId) };
  if (frame.type === 'runtime_start_response' && frame.success) isOurs(work, frame);
  work.effects.push({ type: 'response', requestId, frame });
}

/** Compares the two ids only: the relay adds others (docs/letta-protocol.md, Hosted: socket). */
function isOurs(work: Work, frame: Frame): boolean {
  if (!frame.runtime) return false;
  const { agent_id: agentId, conversation_id: conversationId } = frame.runtime;
  const { runtime } = work.state;
  if (runtime) return runtime.agentId === agentId && runtime.conversationId === conversationId;
  // An App Server tells each new socket what other conversations ask for; a new one asks for nothing yet.
  if (frame.type === 'control_request') return false;
  work.state = { ...work.state, runtime: { agentId, conversationId } };
  return true;
}

// ---- order --------------------------------------------------------------------------------------

function admit(work: Work, frame: EventFrame): void {
  const { connection } = work.state;
  const { barrier } = connection;
  if (barrier && !isBefore(stampOf(frame), stampOf(barrier.frame))) {
    const waiting = [...barrier.waiting, frame];
    change(work, { barrier: { ...barrier, waiting } });
    if (waiting.length >= WAITING_MAX) release(work);
    return;
  }
  if (frame.type === 'turn_finished') noteUnheard(work, frame);
  // The end that a barrier waits for may have to wait itself; then it takes over.
  const isAwaited = barrier?.waitsFor === 'end' && frame.type === 'turn_finished';
  const waitsFor = !barrier || isAwaited ? mustWaitFor(work.state.connection, frame) : null;
  if (waitsFor) {
    wait(work, { frame, waitsFor, waiting: barrier ? [barrier.frame, ...barrier.waiting] : [] });
    return;
  }
  apply(work, frame);
  lookAtBarrier(work);
}

function mustWaitFor(connection: Connection, frame: EventFrame): Barrier['waitsFor'] | null {
  const { turn, ordered } = connection;
  if (frame.type === 'turn_finished') {
    if (!ordered && !memory.isComplete(turn, frame)) return 'deltas';
    return memory.missesText(turn, frame) ? 'history' : null;
  }
  if (ordered || !turn) return null;
  if (frame.type === 'control_request') {
    const isKnown = connection.approvals.some(({ request }) => request.requestId === frame.request_id);
    return !isKnown && memory.isSpeaking(turn) ? 'deltas' : null;
  }
  return connection.ending && opensTurn(frame) ? 'end' : null;
}

/** What a turn begins with when the one before has not been told to have ended. */
function opensTurn(frame: EventFrame): boolean {
  if (frame.type === 'stream_delta') return frame.delta.message_type === 'user_message';
  if (frame.type !== 'update_loop_status') return false;
  return loopStatus(frame.loop_status.status, frame.loop_status.active_run_ids ?? []) === 'busy';
}

function wait(work: Work, barrier: Barrier): void {
  if (barrier.waitsFor === 'history' && barrier.frame.type === 'turn_finished') {
    change(work, { turn: memory.noteEnd(work.state.connection.turn ?? memory.emptyTurnMemory, barrier.frame) });
    askForHistory(work);
  }
  change(work, { barrier });
  work.effects.push({ type: 'hold', ms: barrier.waitsFor === 'history' ? HISTORY_MS : HOLD_MS });
}

/** Lets the barrier through when what it waited for has come. */
function lookAtBarrier(work: Work): void {
  const { barrier, turn } = work.state.connection;
  if (!barrier) return;
  const { frame, waitsFor } = barrier;
  if (waitsFor === 'end') {
    if (turn === null) release(work);
  } else if (waitsFor === 'deltas' && frame.type === 'turn_finished') {
    if (memory.isComplete(turn, frame)) releaseEnd(work, barrier, frame);
  } else if (waitsFor === 'deltas') {
    if (!turn || !memory.isSpeaking(turn)) release(work);
  }
}

function giveUpWaiting(work: Work): void {
  const { barrier, turn, loop } = work.state.connection;
  if (!barrier) return;
  const { frame, waitsFor, waiting } = barrier;
  if (waitsFor === 'deltas' && frame.type === 'turn_finished') {
    releaseEnd(work, barrier, frame);
  } else if (waitsFor === 'end' && turn) {
    const end = lostEnd(turn, frame, loop?.stamp?.emittedAt);
    releaseEnd(work, { frame: end, waitsFor: 'deltas', waiting: [frame, ...waiting] }, end);
  } else {
    release(work);
  }
}

function releaseEnd(work: Work, barrier: Barrier, frame: FrameOf<'turn_finished'>): void {
  change(work, { barrier });
  // The end may have overtaken the word of what it ends.
  noteUnheard(work, frame);
  if (memory.missesText(work.state.connection.turn, frame)) wait(work, { ...barrier, waitsFor: 'history' });
  else release(work);
}

function noteUnheard(work: Work, frame: FrameOf<'turn_finished'>): void {
  const { turn, loop } = work.state.connection;
  if (turn && loop) change(work, { turn: memory.noteUnheard(turn, frame, loop.clientMessageIdsByRun) });
}

function release(work: Work): void {
  const { barrier } = work.state.connection;
  if (!barrier) return;
  dropBarrier(work);
  apply(work, barrier.frame);
  for (const frame of barrier.waiting) admit(work, frame);
}

function dropBarrier(work: Work): void {
  if (!work.state.connection.barrier) return;
  change(work, { barrier: null });
  work.effects.push({ type: 'hold', ms: null });
}

/**
 * A `turn_finished` that got lost with the device's socket before `next` was made, as far as it can be guessed.
 * @param idleAt when the loop went idle: whatever began since is not the turn's
 */
function lostEnd(turn: memory.TurnMemory, next: EventFrame, idleAt: string | undefined): FrameOf<'turn_finished'> {
  return {
    event_seq: next.event_seq,
    emitted_at: idleAt || next.emitted_at,
    type: 'turn_finished',
    stop_reason: memory.saidAll(turn) ? 'end_turn' : 'cancelled',
    run_id: memory.currentRun(turn),
  };
}

/**
 * A turn whose end is known and whose text is whole has ended. One that still misses text is left open: after the
 * reconnect it is found idle and finished from the history.
 */
function close(work: Work): void {
  const { barrier, turn } = work.state.connection;
  if (barrier?.frame.type === 'turn_finished' && barrier.waitsFor === 'deltas') {
    if (!memory.missesText(turn, barrier.frame)) release(work);
  }
  dropBarrier(work);
  change(work, { turn: null, repairId: null });
}

/** Its end got lost: the bridge has settled it by other means. */
function forgetTurn(work: Work): void {
  const { barrier, loop } = work.state.connection;
  if (loop !== null && loop.status !== 'idle') return;
  if (barrier) release(work);
  const { turn, ended } = work.state.connection;
  if (turn) change(work, { turn: null, ending: false, repairId: null, ended: { stamp: ended?.stamp ?? null, turn } });
}

// ---- missing text -------------------------------------------------------------------------------

function takeHistory(work: Work, repairId: number, items: readonly HistoryItem[] | null): void {
  const { connection } = work.state;
  if (connection.repairId !== repairId) return;
  change(work, { repairId: null });
  if (items && connection.turn) {
    const turn = memory.noteInputs(connection.turn, connection.loop?.clientMessageIdsByRun ?? {});
    const found = memory.repairs(turn, items);
    for (const event of found) emit(work, event);
    const repaired = memory.noteRepairs(turn, items, found);
    for (const runId of memory.takenBack(repaired, items)) emit(work, { type: 'text-void', runId });
    change(work, { turn: repaired });
  }
  if (connection.barrier?.waitsFor === 'history') release(work);
}
