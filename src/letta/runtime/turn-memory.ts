import type { AgentEvent, HistoryItem } from '../../bridge/agent-event.ts';
import { beginsTurn } from '../../bridge/turn/after-reconnect.ts';
import { isGoodStopReason } from '../../bridge/turn/fold.ts';
import type { Delta } from '../protocol/deltas.ts';
import type { FrameOf } from '../protocol/incoming.ts';
import type { ErrorText } from './error-text.ts';
import { isToolSnapshot } from './translate.ts';

/** What this connection has received of one run. */
interface RunMemory {
  readonly runId: string;
  readonly lastSeqId: number;
  /** A `seq_id` was skipped, or its `stop_reason` never came (docs/letta-protocol.md, Envelope, order, duplicates).
   */
  readonly mayMissText: boolean;
  /** Its `stop_reason` came: the model sends no further delta in it. */
  readonly hasStopped: boolean;
  /** The model failed in it, so Letta may retry. */
  readonly hasFailed: boolean;
  /** Its `stop_reason` is one with which a turn ends well. */
  readonly isLastOfTurn: boolean;
  /** Letta retried it, so its text is void. */
  readonly wasRetried: boolean;
}

interface MessageMemory {
  readonly messageId: string;
  readonly runId: string;
  /** Characters that arrived; where deltas were lost, the history has more. */
  readonly length: number;
  /** Its text was read from the history, where it is always complete: deltas of it that arrive later are repeats. */
  readonly isFromHistory: boolean;
}

/** What the runtime remembers of the open turn, to find missing text and repeats. */
export interface TurnMemory {
  readonly runs: readonly RunMemory[];
  readonly messages: readonly MessageMemory[];
  /** Ids of the messages that the turn answers, as far as Letta named them. */
  readonly clientMessageIds: readonly string[];
  /** Ids of tool calls that started and have not returned. */
  readonly openToolCalls: readonly string[];
  readonly errors: readonly ErrorText[];
  /** Runs that Letta named before the turn began: the same message may have run before. */
  readonly earlierRuns: readonly string[];
  /** Its `turn_finished` came, with a `stop_reason` that means success. */
  readonly hasEndedWell: boolean;
  /** When it ended, ms since 1970 by the device's clock; `null`: not known. */
  readonly endedAt: number | null;
}

/** Far more than a turn has. Beyond it the oldest entries are dropped and can no longer be repaired. */
const KEPT = 1_000;

export const emptyTurnMemory: TurnMemory = {
  runs: [],
  messages: [],
  clientMessageIds: [],
  openToolCalls: [],
  errors: [],
  earlierRuns: [],
  hasEndedWell: false,
  endedAt: null,
};

/** The run that a delta without `run_id` belongs to. */
export function currentRun(turn: TurnMemory): string | null {
  return turn.runs.at(-1)?.runId ?? null;
}

/** Whether the last run ended as the last run of a successful turn does. */
export function hasModelSaidAll(turn: TurnMemory): boolean {
  return turn.runs.at(-1)?.isLastOfTurn ?? false;
}

/** Whether the `stop_reason` of a run has not come yet. */
export function hasOpenRun(turn: TurnMemory): boolean {
  return turn.runs.some((run) => !run.hasStopped);
}

/** Whether a delta shows that a turn is running; errors about the bridge's own frames and commands do not. */
export function belongsToTurn(delta: Delta): boolean {
  switch (delta.message_type) {
    case 'status':
    case 'loop_error':
    case 'usage_statistics':
    case 'summary_message':
    case 'slash_command_start':
    case 'slash_command_end':
    case 'command_start':
    case 'command_end':
    case null:
      return false;
    default:
      return true;
  }
}

/**
 * Whether a delta repeats text that was already read from the history (the history's reply may overtake the stream;
 * docs/letta-protocol.md, Hosted: what the device tells the relay).
 */
export function wasReadFromHistory(turn: TurnMemory, delta: Delta): boolean {
  return (
    delta.message_type === 'assistant_message' &&
    turn.messages.some((message) => message.isFromHistory && message.messageId === delta.id)
  );
}

/** The turn with this delta counted in its run. */
export function noteDelta(turn: TurnMemory, delta: Delta): TurnMemory {
  if (delta.message_type === 'user_message') {
    return delta.otid ? { ...turn, clientMessageIds: [...turn.clientMessageIds.slice(1 - KEPT), delta.otid] } : turn;
  }
  return noteRunDelta(noteTool(turn, delta), delta);
}

function noteTool(turn: TurnMemory, delta: Delta): TurnMemory {
  if (delta.message_type === 'client_tool_start') {
    return { ...turn, openToolCalls: [...turn.openToolCalls.slice(1 - KEPT), delta.tool_call_id] };
  }
  if (delta.message_type === 'tool_return_message' && !isToolSnapshot(delta) && turn.openToolCalls.length > 0) {
    return { ...turn, openToolCalls: turn.openToolCalls.filter((callId) => callId !== delta.tool_call_id) };
  }
  return turn;
}

function noteRunDelta(turn: TurnMemory, delta: Delta): TurnMemory {
  const runId = delta.run_id ?? currentRun(turn);
  if (runId === null) return turn;
  if (delta.message_type === 'retry') return noteRetry(noteRun(turn, runId, true), runId);
  if (typeof delta.seq_id !== 'number') return comesAfterModel(delta) ? noteRun(turn, runId, true) : turn;
  const noted = noteSeqId(noteRun(turn, runId, false), runId, delta);
  return delta.message_type === 'assistant_message' ? noteText(noted, runId, delta) : noted;
}

/**
 * Whether everything before `turn_finished` has arrived: the last run's `stop_reason` and the result of each tool. If
 * the turn was stopped after the model failed, also whether Letta retried.
 */
export function hasAllArrived(turn: TurnMemory | null, finished: FrameOf<'turn_finished'>): boolean {
  if (turn === null) return hasModelFinished(turn, finished);
  const mayRetry = finished.stop_reason === 'cancelled' && turn.runs.at(-1)?.hasFailed && !turn.runs.at(-1)?.wasRetried;
  return hasModelFinished(turn, finished) && turn.openToolCalls.length === 0 && !mayRetry;
}

function hasModelFinished(turn: TurnMemory | null, finished: FrameOf<'turn_finished'>): boolean {
  if (turn !== null && hasOpenRun(turn)) return false;
  return !finished.run_id || (turn?.runs.some((run) => run.runId === finished.run_id) ?? false);
}

/** Whether text of a run may be missing; a retried run does not count, its text is void. */
export function hasRunWithGaps(turn: TurnMemory): boolean {
  return turn.runs.some((run) => run.mayMissText && !run.wasRetried);
}

/**
 * Whether the history may have text of the finished turn that did not arrive. Letta never writes an aborted answer
 * there (docs/letta-protocol.md, Deltas), so an aborted turn without a `stop_reason` does not count.
 */
export function mayFindTextInHistory(turn: TurnMemory | null, finished: FrameOf<'turn_finished'>): boolean {
  if (turn !== null && hasRunWithGaps(turn)) return true;
  return isGoodStopReason(finished.stop_reason) && !hasModelFinished(turn, finished);
}

/** Whether the turn ended without an error: it succeeded, or a person stopped it. */
export function isGoodEnd(finished: FrameOf<'turn_finished'>): boolean {
  return isGoodStopReason(finished.stop_reason) || finished.stop_reason === 'cancelled';
}

/** The turn with how it ended, and with the run that `turn_finished` names even if nothing of that run arrived. */
export function noteEnd(turn: TurnMemory, finished: FrameOf<'turn_finished'>): TurnMemory {
  const endedAt = Date.parse(finished.emitted_at ?? '');
  const ended: TurnMemory = {
    ...turn,
    hasEndedWell: isGoodStopReason(finished.stop_reason),
    endedAt: Number.isNaN(endedAt) ? null : endedAt,
  };
  return finished.run_id ? noteRun(ended, finished.run_id, true) : ended;
}

/**
 * The turn with those runs for its messages of which nothing arrived, so that their text is repaired, too.
 */
export function noteUnheardRuns(
  turn: TurnMemory,
  finished: FrameOf<'turn_finished'>,
  clientMessageIdsByRun: Record<string, readonly string[]>,
): TurnMemory {
  const heard = new Set([...turn.earlierRuns, ...turn.runs.map((run) => run.runId)]);
  if (finished.run_id) heard.add(finished.run_id);
  const mine = [...turn.runs.map((run) => run.runId), finished.run_id ?? ''];
  const ids = new Set(mine.flatMap((runId) => clientMessageIdsByRun[runId] ?? []));
  const unheard = Object.entries(clientMessageIdsByRun).flatMap(([runId, inputs]): RunMemory[] =>
    heard.has(runId) || !inputs.some((id) => ids.has(id))
      ? []
      : [{ ...freshRun(runId), mayMissText: true, hasStopped: true }],
  );
  return unheard.length === 0 ? turn : { ...turn, runs: [...unheard, ...turn.runs].slice(-KEPT) };
}

/** The turn with the messages that its runs answer. */
export function noteInputs(turn: TurnMemory, clientMessageIdsByRun: Record<string, readonly string[]>): TurnMemory {
  const ids = turn.runs.flatMap((run) => clientMessageIdsByRun[run.runId] ?? []);
  return { ...turn, clientMessageIds: [...new Set([...turn.clientMessageIds, ...ids])] };
}

/**
 * Text of this turn that the history has and that did not arrive, in the history's order. Messages of which nothing
 * arrived are looked for between the turn's input and the next turn's.
 */
export function findRepairs(turn: TurnMemory, history: readonly HistoryItem[]): AgentEvent[] {
  const items = history.filter(({ kind }) => kind !== 'summary');
  const isCut = maySummaryHold(turn, history);
  const retried = new Set(turn.runs.filter((run) => run.wasRetried).map((run) => run.runId));
  const known = new Map(turn.messages.map((message) => [message.messageId, message]));
  const inputs = new Set(turn.clientMessageIds);
  const isInput = (item: HistoryItem) => item.kind === 'user' && item.clientMessageId !== null;
  const hadBegun = ({ at }: HistoryItem) => !turn.endedAt || !at || at <= turn.endedAt;
  // The echo of the next turn's input may come before word of this one's end.
  const isOurs = (item: HistoryItem) =>
    item.kind === 'user' && item.clientMessageId !== null && inputs.has(item.clientMessageId) && hadBegun(item);

  const inputBefore = (place: number) => {
    const input = items.slice(0, Math.max(0, place)).findLastIndex(isInput);
    return input < 0 ? (isCut ? Math.min(0, place) : place) : input;
  };
  const starts = [
    ...turn.clientMessageIds.map((id) =>
      items.findLastIndex((item) => item.kind === 'user' && item.clientMessageId === id),
    ),
    inputBefore(items.findIndex((item) => known.has(item.id))),
  ].filter((at) => at >= 0);
  // Nothing of the turn is in the history by id: it must be the last turn that had begun when this one ended.
  const start =
    starts.length > 0 ? Math.min(...starts) : items.findLastIndex((item) => isInput(item) && hadBegun(item));
  const heard = items.findLastIndex((item) => known.has(item.id));
  // After the last message that arrived, any input belongs to another turn. Only a turn that succeeded may have taken
  // in more input: then the next turn is where an item begins one.
  const next = items.findIndex(
    (item, at) =>
      at > Math.max(start, heard) && (turn.hasEndedWell ? beginsTurn(items, at) : isInput(item)) && !isOurs(item),
  );
  const end = next < 0 ? items.length : next;

  // A message that the history lacks is still being written, or was aborted (docs/letta-protocol.md, Deltas):
  // everything from the history goes above it.
  const ids = new Set(items.map((item) => item.id));
  const isUnwritten = ({ messageId, runId }: (typeof turn.messages)[number]) =>
    !ids.has(messageId) && !retried.has(runId);
  // Behind a summary earlier messages are gone, so only the last one may still be being written.
  const last = turn.messages.at(-1);
  const isWriting = last && !turn.runs.find(({ runId }) => runId === last.runId)?.hasStopped;
  const unwritten = isCut ? (isWriting && isUnwritten(last) ? last : undefined) : turn.messages.find(isUnwritten);

  const found: AgentEvent[] = [];
  const fallback = turn.runs.findLast((run) => !run.wasRetried)?.runId ?? '';
  for (const [at, item] of items.entries()) {
    if (item.kind !== 'assistant' || item.text === '') continue;
    const message = known.get(item.id);
    if (message) {
      if (retried.has(message.runId) || item.text.length <= message.length) continue;
      found.push({ type: 'text-repaired', runId: message.runId, messageId: item.id, text: item.text });
    } else if (at >= start && at < end && known.size < KEPT) {
      const below = items.slice(at + 1, end);
      const later = below.find((other) => known.has(other.id));
      const isShown = (other: HistoryItem) =>
        other.kind === 'assistant' && other.text !== '' && !retried.has(known.get(other.id)?.runId ?? '');
      const before = below.find(isShown)?.id ?? unwritten?.messageId;
      const runId = (later && known.get(later.id)?.runId) ?? fallback;
      found.push({
        type: 'text-repaired',
        runId,
        messageId: item.id,
        text: item.text,
        ...(before === undefined ? {} : { before }),
      });
    }
  }
  // Last to first, so that the message named by `before` exists when a message is inserted before it.
  return found.reverse();
}

/** Whether a summary may have taken the place of the turn's beginning: no input is there before what is left of it. */
function maySummaryHold({ messages }: TurnMemory, items: readonly HistoryItem[]): boolean {
  if (!items.some(({ kind }) => kind === 'summary')) return false;
  const first = items.findIndex(({ id }) => messages.some(({ messageId }) => messageId === id));
  const before = first < 0 ? items : items.slice(0, first);
  return !before.some((item) => item.kind === 'user' && item.clientMessageId !== null);
}

/**
 * Runs that Letta retried while we were disconnected: the turn succeeded and the history has later text, but none of
 * theirs.
 */
export function retriedWhileDisconnected(turn: TurnMemory, items: readonly HistoryItem[]): string[] {
  if (!turn.hasEndedWell || maySummaryHold(turn, items)) return [];
  const ids = new Set(items.map((item) => item.id));
  const last = turn.messages.findLastIndex(({ messageId }) => ids.has(messageId));
  return turn.runs.flatMap(({ runId, mayMissText, wasRetried }) => {
    const said = [...turn.messages.entries()].filter(([, message]) => message.runId === runId);
    const isGone = said.length > 0 && said.every(([at, { messageId }]) => at < last && !ids.has(messageId));
    return mayMissText && !wasRetried && isGone ? [runId] : [];
  });
}

/** The turn after the repairs: runs whose messages the history has no longer miss text. */
export function noteRepairs(turn: TurnMemory, items: readonly HistoryItem[], found: readonly AgentEvent[]): TurnMemory {
  const ids = new Set(items.map((item) => item.id));
  const isWhole = (run: RunMemory) => {
    const messages = turn.messages.filter((message) => message.runId === run.runId);
    return run.hasStopped && messages.length > 0 && messages.every((message) => ids.has(message.messageId));
  };
  return {
    ...turn,
    runs: turn.runs.map((run) => (run.mayMissText && isWhole(run) ? { ...run, mayMissText: false } : run)),
    messages: found.reduce(
      (messages, event) =>
        event.type === 'text-repaired'
          ? setLength(messages, event.runId, event.messageId, () => event.text.length, true)
          : messages,
      turn.messages,
    ),
  };
}

/**
 * Adds an error. It is news unless it repeats an earlier one in the same or in poorer words (docs/letta-protocol.md,
 * Errors).
 */
export function noteError(turn: TurnMemory, error: ErrorText): { turn: TurnMemory; isNews: boolean } {
  const isNews = error.text !== '' && turn.errors.every((told) => told.text !== error.text && told.rank <= error.rank);
  return isNews ? { turn: { ...turn, errors: [...turn.errors.slice(1 - KEPT), error] }, isNews } : { turn, isNews };
}

/** The best wording of what went wrong. */
export function bestError(turn: TurnMemory | null): string | null {
  return turn?.errors.at(-1)?.text ?? null;
}

/** Whether the device sends this delta only after the model has ended its run. */
function comesAfterModel(delta: Delta): boolean {
  return (
    delta.message_type === 'approval_classification_end' ||
    delta.message_type === 'client_tool_start' ||
    delta.message_type === 'client_tool_end' ||
    delta.message_type === 'tool_return_message'
  );
}

/**
 * @param hasEnded the run has ended although nothing of it arrived, so all its text is missing
 */
function noteRun(turn: TurnMemory, runId: string, hasEnded: boolean): TurnMemory {
  if (turn.runs.some((run) => run.runId === runId)) return turn;
  // A run begins only after the one before has ended, so a `stop_reason` that has not come by now is lost. A failed run
  // whose retry has not come has lost that.
  const isWhole = (run: RunMemory) => run.hasStopped && (run.wasRetried || !run.hasFailed);
  const runs = turn.runs.map((run) => (isWhole(run) ? run : { ...run, hasStopped: true, mayMissText: true }));
  return {
    ...turn,
    runs: [...runs.slice(1 - KEPT), { ...freshRun(runId), mayMissText: hasEnded, hasStopped: hasEnded }],
  };
}

function freshRun(runId: string): RunMemory {
  return {
    runId,
    lastSeqId: 0,
    mayMissText: false,
    hasStopped: false,
    hasFailed: false,
    isLastOfTurn: false,
    wasRetried: false,
  };
}

function noteSeqId(turn: TurnMemory, runId: string, delta: Delta): TurnMemory {
  const seqId = delta.seq_id ?? 0;
  const stops = delta.message_type === 'stop_reason' ? delta.stop_reason : null;
  return changeRun(turn, runId, (run) => ({
    ...run,
    lastSeqId: Math.max(run.lastSeqId, seqId),
    mayMissText: run.mayMissText || seqId > run.lastSeqId + 1,
    hasStopped: run.hasStopped || stops !== null,
    hasFailed: run.hasFailed || stops === 'llm_api_error',
    isLastOfTurn: run.isLastOfTurn || (stops !== null && isGoodStopReason(stops)),
  }));
}

function noteRetry(turn: TurnMemory, runId: string): TurnMemory {
  return { ...changeRun(turn, runId, (run) => ({ ...run, hasStopped: true, wasRetried: true })), errors: [] };
}

function changeRun(turn: TurnMemory, runId: string, change: (run: RunMemory) => RunMemory): TurnMemory {
  const at = turn.runs.findLastIndex((known) => known.runId === runId);
  const run = turn.runs[at];
  return run ? { ...turn, runs: turn.runs.with(at, change(run)) } : turn;
}

function noteText(
  turn: TurnMemory,
  runId: string,
  delta: Extract<Delta, { message_type: 'assistant_message' }>,
): TurnMemory {
  const length = textLength(delta.content);
  return { ...turn, messages: setLength(turn.messages, runId, delta.id ?? '', (before) => before + length) };
}

function setLength(
  messages: readonly MessageMemory[],
  runId: string,
  messageId: string,
  length: (before: number) => number,
  isFromHistory = false,
): MessageMemory[] {
  const at = messages.findIndex((message) => message.messageId === messageId && message.runId === runId);
  const message = messages[at];
  return message
    ? messages.with(at, {
        ...message,
        length: length(message.length),
        isFromHistory: message.isFromHistory || isFromHistory,
      })
    : [...messages.slice(1 - KEPT), { messageId, runId, length: length(0), isFromHistory }];
}

function textLength(content: string | readonly { text?: string | null | undefined }[]): number {
  return typeof content === 'string'
    ? content.length
    : content.reduce((sum, part) => sum + (part.text?.length ?? 0), 0);
}
