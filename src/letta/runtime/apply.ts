import type { ApprovalRequest, DeviceOffers, ToolsetsSeen } from '../../bridge/agent-event.ts';
import { jsonText } from '../../bridge/text/json.ts';
import type { EventFrame, FrameOf, StreamDelta } from '../protocol/incoming.ts';
import { errorText, innermostMessage, saysGone } from './error-text.ts';
import { isBefore, type Stamp, stampOf } from './order.ts';
import {
  changeConnection,
  emitEvent,
  type OpenApproval,
  type QueuedInput,
  requestHistory,
  type Work,
} from './state.ts';
import {
  approvalRequest,
  automaticKeys,
  backgroundTasks,
  clientKeys,
  loopStatus,
  translateDelta,
} from './translate.ts';
import * as memory from './turn-memory.ts';

const KEYS_KEPT = 100;

/** Applies a frame whose turn it is: changes the state and emits events, except those that were emitted before. */
export function applyFrame(work: Work, frame: EventFrame): void {
  switch (frame.type) {
    case 'update_loop_status':
      applyLoop(work, frame);
      break;
    case 'update_device_status':
      applyDevice(work, frame);
      break;
    case 'update_queue':
      applyQueue(work, frame);
      break;
    case 'update_subagent_state':
      changeConnection(work, { subagents: { list: frame.subagents, stamp: stampOf(frame) } });
      emitBackground(work);
      break;
    case 'stream_delta':
      applyDelta(work, frame);
      break;
    case 'control_request':
      applyControlRequest(work, frame);
      break;
    case 'turn_finished':
      if (!wasMadeBeforeLastEnd(work, frame)) endTurn(work, frame, stampOf(frame));
      break;
    case 'crons_updated':
      emitEvent(work, { type: 'schedules-changed' });
      break;
    case 'pong':
    case 'file_ops':
    case 'external_tool_call_request':
      break;
    default:
      frame satisfies never;
  }
}

function applyLoop(work: Work, frame: FrameOf<'update_loop_status'>): void {
  const stamp = stampOf(frame);
  const { loop: before, turn, isEnding: wasEnding, approvals } = work.state.connection;
  if (isBefore(stamp, before?.stamp ?? null)) return;
  const activeRunIds = frame.loop_status.active_run_ids ?? [];
  const clientMessageIdsByRun = frame.loop_status.client_message_ids_by_run_id ?? {};
  const status = wasMadeBeforeLastEnd(work, frame)
    ? 'idle'
    : (loopStatus(frame.loop_status.status, activeRunIds) ?? before?.status ?? 'idle');
  // Runs of the previous status are older than this turn; runs that only this status names may be the turn's own. The
  // first status is a replay: all of its runs are older.
  if (status !== 'idle') openTurn(work, before?.clientMessageIdsByRun ?? clientMessageIdsByRun);
  const isUsingTool = status === 'busy' && frame.loop_status.status === 'EXECUTING_CLIENT_SIDE_TOOL';
  changeConnection(work, {
    loop: { status, isUsingTool, activeRunIds, clientMessageIdsByRun, stamp },
    // A turn with an open request is not ending: "idle" then tells of the turn before it.
    isEnding:
      turn !== null &&
      status === 'idle' &&
      approvals.length === 0 &&
      (wasEnding || (before !== null && before.status !== 'idle')),
  });
  const isNews =
    !before ||
    before.status !== status ||
    before.isUsingTool !== isUsingTool ||
    !sameStrings(before.activeRunIds, activeRunIds) ||
    JSON.stringify(before.clientMessageIdsByRun) !== JSON.stringify(clientMessageIdsByRun);
  if (!isNews) return;
  emitEvent(work, {
    type: 'loop',
    status,
    ...(isUsingTool && { isUsingTool }),
    activeRunIds,
    clientMessageIdsByRun,
  });
}

function applyDevice(work: Work, frame: FrameOf<'update_device_status'>): void {
  const stamp = stampOf(frame);
  const { device: before } = work.state.connection;
  if (isBefore(stamp, before?.stamp ?? null)) return;
  const { device_status: status } = frame;
  const mode = status.current_permission_mode ?? before?.mode ?? null;
  const workingDirectory = status.current_working_directory ?? before?.workingDirectory ?? null;
  changeConnection(work, { device: { mode, workingDirectory, processes: status.background_processes ?? [], stamp } });
  const known = work.state.connection.toolsets;
  const toolsets = toolsetsOf(status) ?? known;
  const offers = offersOf(status, work.state.connection.offers);
  const hasNews = JSON.stringify([known, work.state.connection.offers]) !== JSON.stringify([toolsets, offers]);
  changeConnection(work, { toolsets, offers });
  const hasMoved = !before || before.mode !== mode || before.workingDirectory !== workingDirectory;
  if (mode !== null && (hasMoved || hasNews)) {
    emitEvent(work, {
      type: 'device',
      mode,
      workingDirectory,
      ...(toolsets && { toolsets }),
      ...(offers && { offers }),
    });
  }
  applyPending(work, status.pending_control_requests ?? [], stamp);
  emitBackground(work);
}

/** A status without skills tells nothing new; one without commands: there are none. `null`: there is nothing. */
function offersOf(
  { current_available_skills: skills, mod_commands: commands }: FrameOf<'update_device_status'>['device_status'],
  known: DeviceOffers | null,
): DeviceOffers | null {
  const seen = {
    skills: skills?.length
      ? skills.slice(0, MOST_OFFERED).map(({ name, description }) => ({ name, description: description ?? '' }))
      : (known?.skills ?? []),
    commands: (commands ?? []).slice(0, MOST_OFFERED).map(({ id, description, args }) => {
      return { name: id, description: description ?? '', args: args ?? '' };
    }),
  };
  return seen.skills.length + seen.commands.length > 0 ? seen : null;
}

const MOST_OFFERED = 200;

/** A status without them tells nothing new. */
function toolsetsOf(status: FrameOf<'update_device_status'>['device_status']): ToolsetsSeen | null {
  const { current_toolset_preference: chosen, available_toolsets: options } = status;
  if (!chosen || !options || options.length === 0) return null;
  return {
    chosen,
    options: options.slice(0, MOST_TOOLSETS).map(({ id, display_name: name }) => ({ id, name: name || id })),
  };
}

/** Letta has five. */
const MOST_TOOLSETS = 50;

/**
 * The device's list is complete: requests older than it that it lacks are settled; requests that we missed are added.
 */
function applyPending(
  work: Work,
  pending: NonNullable<FrameOf<'update_device_status'>['device_status']['pending_control_requests']>,
  stamp: Stamp | null,
): void {
  const isOpen = ({ request, stamp: asked }: OpenApproval) =>
    pending.some((entry) => entry.request_id === request.requestId) || isBefore(stamp, asked);
  changeConnection(work, { approvals: work.state.connection.approvals.filter(isOpen) });
  for (const entry of pending) addApproval(work, approvalRequest(entry.request_id, entry.request), stamp);

  const { approvals, lastOpenApprovals } = work.state.connection;
  const requestIds = approvals.map((approval) => approval.request.requestId);
  if (lastOpenApprovals && sameStrings(lastOpenApprovals, requestIds)) return;
  changeConnection(work, { lastOpenApprovals: requestIds });
  emitEvent(work, { type: 'approvals-open', requestIds });
}

function applyControlRequest(work: Work, frame: FrameOf<'control_request'>): void {
  const stamp = stampOf(frame);
  // A newer device status that does not list the request means that it is settled: do not open it again.
  if (wasMadeBeforeLastEnd(work, frame) || isBefore(stamp, work.state.connection.device?.stamp ?? null)) return;
  openTurn(work);
  addApproval(work, approvalRequest(frame.request_id, frame.request), stamp);
}

/**
 * The same id with another input is emitted again, because nobody may decide about an input that they have not seen.
 */
function addApproval(work: Work, request: ApprovalRequest, stamp: Stamp | null): void {
  const { approvals } = work.state.connection;
  const isSame = ({ request: known }: OpenApproval) => known.requestId === request.requestId;
  const known = approvals.find(isSame);
  if (known && (isBefore(stamp, known.stamp) || sameInput(known.request, request))) return;
  changeConnection(work, { approvals: [...approvals.filter((approval) => !isSame(approval)), { request, stamp }] });
  emitEvent(work, { type: 'approval-asked', request });
}

function sameInput(a: ApprovalRequest, b: ApprovalRequest): boolean {
  return a.tool === b.tool && jsonText(a.input) === jsonText(b.input);
}

function applyQueue(work: Work, frame: FrameOf<'update_queue'>): void {
  const { automaticInputs, clientInputs, queue } = work.state.connection;
  changeConnection(work, {
    automaticInputs: withKeys(automaticInputs, automaticKeys(frame.queue)),
    clientInputs: withKeys(clientInputs, clientKeys(frame.queue)),
  });
  const stamp = stampOf(frame);
  if (isBefore(stamp, queue.stamp)) return;
  const items = frame.queue.flatMap(({ id, kind, client_message_id: clientMessageId }) =>
    kind === 'message' && clientMessageId ? [{ id, clientMessageId }] : [],
  );
  const paused = frame.queue.flatMap((item) => (item.paused ? [item.client_message_id ?? item.id] : []));
  changeConnection(work, { queue: { items, paused, stamp } });
  const clientMessageIds = idsOf(items);
  if (sameStrings(idsOf(queue.items), clientMessageIds) && sameStrings(queue.paused, paused)) return;
  emitEvent(work, { type: 'queue', clientMessageIds, ...(paused.length > 0 && { paused }) });
}

function idsOf(items: readonly QueuedInput[]): string[] {
  return items.map(({ clientMessageId }) => clientMessageId);
}

function withKeys(known: readonly string[], keys: readonly string[]): readonly string[] {
  const fresh = keys.filter((key) => !known.includes(key));
  return fresh.length === 0 ? known : [...known, ...fresh].slice(-KEYS_KEPT);
}

function emitBackground(work: Work): void {
  const { device, subagents, background } = work.state.connection;
  const processes = device?.processes ?? [];
  // Letta does not always report a subagent's end (31-subagent): a newer device status that lacks it means that it
  // ended.
  const isListOlder = isBefore(subagents.stamp, device?.stamp ?? null);
  const isOver = (agent: FrameOf<'update_subagent_state'>['subagents'][number]) =>
    isListOlder && agent.is_background !== false && !processes.some(({ subagent_id: id }) => id === agent.subagent_id);
  const tasks = backgroundTasks(
    processes,
    subagents.list.filter((agent) => !isOver(agent)),
  );
  if (JSON.stringify(tasks) === JSON.stringify(background)) return;
  changeConnection(work, { background: tasks });
  emitEvent(work, { type: 'background', tasks });
}

function applyDelta(work: Work, frame: StreamDelta): void {
  if (wasMadeBeforeLastEnd(work, frame)) return;
  const { delta } = frame;
  if (memory.belongsToTurn(delta)) openTurn(work);
  const { turn, automaticInputs, clientInputs } = work.state.connection;
  if (delta.message_type === 'loop_error' || delta.message_type === 'error_message') {
    applyError(work, delta);
    return;
  }
  if (turn) changeConnection(work, { turn: memory.noteDelta(turn, delta) });
  const now = work.state.connection.turn;
  if (turn && memory.wasReadFromHistory(turn, delta)) return;
  for (const event of translateDelta(delta, {
    runId: now ? memory.currentRun(now) : null,
    automatic: automaticInputs,
    queued: clientInputs,
  })) {
    emitEvent(work, event);
  }
  if (delta.message_type === 'stop_reason' && delta.stop_reason === 'requires_approval' && now) {
    if (memory.hasRunWithGaps(now)) requestHistory(work);
  }
}

/** Emits each error once, the best wording last. An error after `turn_finished` repeats one of the turn that ended. */
function applyError(
  work: Work,
  delta: Extract<StreamDelta['delta'], { message_type: 'loop_error' | 'error_message' }>,
): void {
  const { turn, lastEnded } = work.state.connection;
  const noted = turn ? memory.noteDelta(turn, delta) : (lastEnded?.turn ?? memory.emptyTurnMemory);
  const { turn: next, isNews } = memory.noteError(noted, errorText(delta));
  if (turn) changeConnection(work, { turn: next });
  else changeConnection(work, { lastEnded: { stamp: lastEnded?.stamp ?? null, turn: next } });
  if (isNews) for (const event of translateDelta(delta, { runId: null, automatic: [] })) emitEvent(work, event);
}

function openTurn(work: Work, runsBefore = work.state.connection.loop?.clientMessageIdsByRun ?? {}): void {
  if (!work.state.connection.turn)
    changeConnection(work, { turn: { ...memory.emptyTurnMemory, earlierRuns: Object.keys(runsBefore) } });
}

function endTurn(work: Work, frame: FrameOf<'turn_finished'>, stamp: Stamp | null): void {
  const { turn } = work.state.connection;
  const endedTurn = memory.noteError(turn ?? memory.emptyTurnMemory, {
    text: innermostMessage(frame.error ?? ''),
    rank: 1,
  }).turn;
  const isFailure = !memory.isGoodEnd(frame);
  changeConnection(work, { turn: null, isEnding: false, lastEnded: { stamp, turn: endedTurn } });
  emitEvent(work, {
    type: 'turn-ended',
    runId: frame.run_id ?? null,
    stopReason: frame.stop_reason,
    error: isFailure ? memory.bestError(endedTurn) : null,
    ...(isFailure && !frame.run_id && saysGone(frame.error ?? '') && { gone: true }),
  });
}

/** The frame is older than the last `turn-ended` that we emitted: we gave its text up, or read it from the history. */
function wasMadeBeforeLastEnd(work: Work, frame: EventFrame): boolean {
  return isBefore(stampOf(frame), work.state.connection.lastEnded?.stamp ?? null);
}

function sameStrings(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((word, at) => word === b[at]);
}
