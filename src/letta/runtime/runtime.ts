import type {
  ApprovalRequest,
  BackgroundTask,
  DeviceOffers,
  HistoryItem,
  LoopStatus,
  RuntimeRef,
  ToolsetsSeen,
} from '../../bridge/agent-event.ts';
import {
  type EventFrame,
  type Frame,
  type FrameOf,
  type ResponseFrame,
  responseSchemas,
} from '../protocol/incoming.ts';
import { applyFrame } from './apply.ts';
import { isBefore, stampOf } from './order.ts';
import { addSeen, emptySeen, hasSeen } from './seen.ts';
import {
  type Barrier,
  type Connection,
  changeConnection,
  emitEvent,
  freshConnection,
  type QueuedInput,
  type RuntimeEffect,
  type RuntimeState,
  requestHistory,
  type Work,
} from './state.ts';
import { externalCall, loopStatus } from './translate.ts';
import * as memory from './turn-memory.ts';

export type { RuntimeEffect, RuntimeState };

/*
 * Theory of operation. Frames of all lanes come in as they arrive; events for one runtime go out in the order in which
 * a reader needs them, each once.
 *
 * A frame passes: subagent? other runtime? seen before (`idempotency_key`)? Then, behind the relay, one question of
 * order: control frames (`turn_finished`, `control_request`) and the stream are not ordered against each other
 * (docs/letta-protocol.md, Hosted: what the device tells the relay). A frame that came too early becomes the *barrier*:
 * it waits, frames made before it pass, frames made after it wait behind it. It is released when what it waits for has
 * arrived, or when its time is up:
 *   turn_finished     waits for the `stop_reason` of its run and the results of its tools (`deltas`), then, where
 *                     text is missing, for the `history`
 *   control_request   waits for the `stop_reason` of the run that asked (`deltas`)
 *   the next turn     waits for the `turn_finished` of the one before (`end`)
 *
 * State lives as long as the connection, because `run_id` and `event_seq` may restart with the next one; only the keys
 * of seen frames and answered requests are kept longer. A state is immutable: each step returns a new one.
 */

const HOLD_MS = 1_000;
const HISTORY_MS = 10_000;
/** More frames than any turn sends within those times. Beyond it the barrier is released, out of order if need be. */
const HELD_FRAMES_MAX = 5_000;

export type RuntimeInput =
  /**
   * A connection (all lanes) is open. Everything known from an earlier one is dropped, except the keys of seen frames.
   */
  | {
      type: 'opened';
      /** True where frames arrive in the order in which they were made (App Server); false behind the hosted relay. */
      isOrdered: boolean;
    }
  /** Of any lane, after `decode`; also the `frame` of an unknown one where it has one. */
  | { type: 'frame'; frame: Frame }
  /** The answer to the `repair` of that id; `null` when the history could not be had. */
  | { type: 'history'; repairId: number; items: readonly HistoryItem[] | null }
  /**
   * An input is about to be sent. The bridge sends only when Letta is idle, so a turn that still looks open is an
   * earlier one.
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
  /** A tool runs on the device. */
  isUsingTool: boolean;
  activeRunIds: string[];
  clientMessageIdsByRun: Record<string, string[]>;
  /** Inputs of people that wait in Letta's queue. */
  queued: readonly QueuedInput[];
  /** What an abort left there until more input comes, also of Letta's own, by client ids. */
  paused: readonly string[];
  /** `null`: not told. */
  toolsets: ToolsetsSeen | null;
  /** `null`: none, or not told. */
  offers: DeviceOffers | null;
  mode: string | null;
  workingDirectory: string | null;
  approvals: ApprovalRequest[];
  background: readonly BackgroundTask[];
  /** True between the first sign of a turn and its `turn-ended`. */
  isTurnOpen: boolean;
}

/**
 * @param runtime `null` for a new conversation: the first frame that names its runtime sets it
 */
export function initialRuntime(runtime: RuntimeRef | null): RuntimeState {
  return {
    runtime,
    seenFrames: emptySeen,
    answeredRequests: emptySeen,
    repairCount: 0,
    connection: freshConnection(false),
  };
}

/** One step of the machine: pure, never throws. The caller carries out the effects in their order. */
export function step(state: RuntimeState, input: RuntimeInput): { state: RuntimeState; effects: RuntimeEffect[] } {
  const work: Work = { state, effects: [] };
  switch (input.type) {
    case 'opened':
      dropBarrier(work);
      work.state = { ...work.state, connection: freshConnection(input.isOrdered) };
      break;
    case 'frame':
      receiveFrame(work, input.frame);
      break;
    case 'history':
      applyHistory(work, input.repairId, input.items);
      break;
    case 'hold-expired':
      expireBarrier(work);
      break;
    case 'submitting':
      forgetTurn(work);
      break;
    case 'closed':
      closeConnection(work);
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
    isUsingTool: connection.loop?.isUsingTool ?? false,
    activeRunIds: connection.loop?.activeRunIds ?? [],
    clientMessageIdsByRun: connection.loop?.clientMessageIdsByRun ?? {},
    queued: connection.queue.items,
    paused: connection.queue.paused,
    toolsets: connection.toolsets,
    offers: connection.offers,
    mode: connection.device?.mode ?? null,
    workingDirectory: connection.device?.workingDirectory ?? null,
    approvals: connection.approvals.map((approval) => approval.request),
    background: connection.background,
    isTurnOpen: connection.turn !== null,
  };
}

// ---- in: whose, and seen before? ----------------------------------------------------------------

function receiveFrame(work: Work, frame: Frame): void {
  if (frame.subagent_id) return;
  if (frame.type === 'pong' || frame.type === 'file_ops') return;
  if (frame.type === 'crons_updated' && !frame.runtime) {
    emitEvent(work, { type: 'schedules-changed' });
    return;
  }
  if (isResponse(frame)) {
    receiveResponse(work, frame);
    return;
  }
  if (!isOurs(work, frame)) return;
  if (frame.type === 'external_tool_call_request') {
    // It has no place in the order of events, and Letta waits for the answer.
    emitEvent(work, externalCall(frame));
    return;
  }
  if (frame.idempotency_key) {
    if (hasSeen(work.state.seenFrames, frame.idempotency_key)) return;
    work.state = { ...work.state, seenFrames: addSeen(work.state.seenFrames, frame.idempotency_key) };
  }
  admitFrame(work, frame);
}

function isResponse(frame: Frame): frame is ResponseFrame {
  return Object.hasOwn(responseSchemas, frame.type);
}

/** Matches answers by `request_id` alone, because the relay may send answers without `runtime` to every socket. */
function receiveResponse(work: Work, frame: ResponseFrame): void {
  const { request_id: requestId } = frame;
  if (hasSeen(work.state.answeredRequests, requestId)) return;
  work.state = { ...work.state, answeredRequests: addSeen(work.state.answeredRequests, requestId) };
  if (frame.type === 'runtime_start_response' && frame.success) isOurs(work, frame);
  work.effects.push({ type: 'response', requestId, frame });
}

/** Compares only the two ids, because the relay adds other fields (docs/letta-protocol.md, Hosted: socket). */
function isOurs(work: Work, frame: Frame): boolean {
  if (!frame.runtime) return false;
  const { agent_id: agentId, conversation_id: conversationId } = frame.runtime;
  const { runtime } = work.state;
  if (runtime) return runtime.agentId === agentId && runtime.conversationId === conversationId;
  // An App Server sends each new socket the open requests of other conversations; a new conversation has none yet.
  if (frame.type === 'control_request' || frame.type === 'external_tool_call_request') return false;
  work.state = { ...work.state, runtime: { agentId, conversationId } };
  return true;
}

// ---- order --------------------------------------------------------------------------------------

function admitFrame(work: Work, frame: EventFrame): void {
  const { connection } = work.state;
  const { barrier } = connection;
  if (barrier && !isBefore(stampOf(frame), stampOf(barrier.frame))) {
    const heldFrames = [...barrier.heldFrames, frame];
    changeConnection(work, { barrier: { ...barrier, heldFrames } });
    if (heldFrames.length >= HELD_FRAMES_MAX) releaseBarrier(work);
    return;
  }
  if (frame.type === 'turn_finished') noteUnheardRuns(work, frame);
  // The `turn_finished` that a barrier waits for may itself have to wait: then it becomes the barrier.
  const isAwaited = barrier?.waitsFor === 'end' && frame.type === 'turn_finished';
  const waitsFor = !barrier || isAwaited ? whatToWaitFor(work.state.connection, frame) : null;
  if (waitsFor) {
    raiseBarrier(work, { frame, waitsFor, heldFrames: barrier ? [barrier.frame, ...barrier.heldFrames] : [] });
    return;
  }
  applyFrame(work, frame);
  checkBarrier(work);
}

function whatToWaitFor(connection: Connection, frame: EventFrame): Barrier['waitsFor'] | null {
  const { turn, isOrdered } = connection;
  if (frame.type === 'turn_finished') {
    if (!isOrdered && !memory.hasAllArrived(turn, frame)) return 'deltas';
    return memory.mayFindTextInHistory(turn, frame) ? 'history' : null;
  }
  if (isOrdered || !turn) return null;
  if (frame.type === 'control_request') {
    const isKnown = connection.approvals.some(({ request }) => request.requestId === frame.request_id);
    return !isKnown && memory.hasOpenRun(turn) ? 'deltas' : null;
  }
  return connection.isEnding && opensTurn(frame) ? 'end' : null;
}

/** Whether the frame can only belong to a next turn, although the `turn_finished` of this one has not come. */
function opensTurn(frame: EventFrame): boolean {
  if (frame.type === 'stream_delta') return frame.delta.message_type === 'user_message';
  if (frame.type !== 'update_loop_status') return false;
  return loopStatus(frame.loop_status.status, frame.loop_status.active_run_ids ?? []) === 'busy';
}

function raiseBarrier(work: Work, barrier: Barrier): void {
  if (barrier.waitsFor === 'history' && barrier.frame.type === 'turn_finished') {
    changeConnection(work, {
      turn: memory.noteEnd(work.state.connection.turn ?? memory.emptyTurnMemory, barrier.frame),
    });
    requestHistory(work);
  }
  changeConnection(work, { barrier });
  work.effects.push({ type: 'hold', ms: barrier.waitsFor === 'history' ? HISTORY_MS : HOLD_MS });
}

/** Releases the barrier when what it waits for has arrived. */
function checkBarrier(work: Work): void {
  const { barrier, turn } = work.state.connection;
  if (!barrier) return;
  const { frame, waitsFor } = barrier;
  if (waitsFor === 'end') {
    if (turn === null) releaseBarrier(work);
  } else if (waitsFor === 'deltas' && frame.type === 'turn_finished') {
    if (memory.hasAllArrived(turn, frame)) releaseTurnEnd(work, barrier, frame);
  } else if (waitsFor === 'deltas') {
    if (!turn || !memory.hasOpenRun(turn)) releaseBarrier(work);
  }
}

function expireBarrier(work: Work): void {
  const { barrier, turn, loop } = work.state.connection;
  if (!barrier) return;
  const { frame, waitsFor, heldFrames } = barrier;
  if (waitsFor === 'deltas' && frame.type === 'turn_finished') {
    releaseTurnEnd(work, barrier, frame);
  } else if (waitsFor === 'end' && turn) {
    const end = guessLostEnd(turn, frame, loop?.stamp?.emittedAt);
    releaseTurnEnd(work, { frame: end, waitsFor: 'deltas', heldFrames: [frame, ...heldFrames] }, end);
  } else {
    releaseBarrier(work);
  }
}

function releaseTurnEnd(work: Work, barrier: Barrier, frame: FrameOf<'turn_finished'>): void {
  changeConnection(work, { barrier });
  // Runs of this turn may have been named only after its `turn_finished` arrived.
  noteUnheardRuns(work, frame);
  if (memory.mayFindTextInHistory(work.state.connection.turn, frame))
    raiseBarrier(work, { ...barrier, waitsFor: 'history' });
  else releaseBarrier(work);
}

function noteUnheardRuns(work: Work, frame: FrameOf<'turn_finished'>): void {
  const { turn, loop } = work.state.connection;
  if (turn && loop) changeConnection(work, { turn: memory.noteUnheardRuns(turn, frame, loop.clientMessageIdsByRun) });
}

function releaseBarrier(work: Work): void {
  const { barrier } = work.state.connection;
  if (!barrier) return;
  dropBarrier(work);
  applyFrame(work, barrier.frame);
  for (const frame of barrier.heldFrames) admitFrame(work, frame);
}

function dropBarrier(work: Work): void {
  if (!work.state.connection.barrier) return;
  changeConnection(work, { barrier: null });
  work.effects.push({ type: 'hold', ms: null });
}

/**
 * Stands in for a `turn_finished` that was lost with the device's socket before the device made `next`.
 * @param idleAt when the loop went idle: what began later belongs to the next turn
 */
function guessLostEnd(turn: memory.TurnMemory, next: EventFrame, idleAt: string | undefined): FrameOf<'turn_finished'> {
  return {
    event_seq: next.event_seq,
    emitted_at: idleAt || next.emitted_at,
    type: 'turn_finished',
    stop_reason: memory.hasModelSaidAll(turn) ? 'end_turn' : 'cancelled',
    run_id: memory.currentRun(turn),
  };
}

/**
 * Ends a turn whose `turn_finished` came and whose text is complete. A turn that still lacks text stays open: after the
 * reconnect Letta is idle, and the bridge finishes the turn from the history.
 */
function closeConnection(work: Work): void {
  const { barrier, turn } = work.state.connection;
  if (barrier?.frame.type === 'turn_finished' && barrier.waitsFor === 'deltas') {
    if (!memory.mayFindTextInHistory(turn, barrier.frame)) releaseBarrier(work);
  }
  dropBarrier(work);
  changeConnection(work, { turn: null, repairId: null });
}

/**
 * Drops a turn whose `turn_finished` was lost: the bridge has closed it some other way, or it would not send an input.
 */
function forgetTurn(work: Work): void {
  const { barrier, loop } = work.state.connection;
  if (loop !== null && loop.status !== 'idle') return;
  if (barrier) releaseBarrier(work);
  const { turn, lastEnded } = work.state.connection;
  if (turn)
    changeConnection(work, {
      turn: null,
      isEnding: false,
      repairId: null,
      lastEnded: { stamp: lastEnded?.stamp ?? null, turn },
    });
}

// ---- missing text -------------------------------------------------------------------------------

function applyHistory(work: Work, repairId: number, items: readonly HistoryItem[] | null): void {
  const { connection } = work.state;
  if (connection.repairId !== repairId) return;
  changeConnection(work, { repairId: null });
  if (items && connection.turn) {
    const turn = memory.noteInputs(connection.turn, connection.loop?.clientMessageIdsByRun ?? {});
    const found = memory.findRepairs(turn, items);
    for (const event of found) emitEvent(work, event);
    const repaired = memory.noteRepairs(turn, items, found);
    for (const runId of memory.retriedWhileDisconnected(repaired, items)) emitEvent(work, { type: 'text-void', runId });
    changeConnection(work, { turn: repaired });
  }
  if (connection.barrier?.waitsFor === 'history') releaseBarrier(work);
}
