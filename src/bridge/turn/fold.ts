import type { AgentEvent, ApprovalRequest, Tokens } from '../agent-event.ts';
import { addCall, addThought, changeCall, SUMMARIES_KEPT, type Thought, type ToolCall } from './steps.ts';
import { isTodoTool, noTodos, noteTodoCall, noteTodoResult, type TodoList } from './todo.ts';

/** Pieces of the answer in the order in which they first appeared. */
export type TurnPart =
  /**
   * `failed`: its run failed; when Letta retries the run, the text is void. `earlier`: the bridge heard it before a
   * restart; text between this and the next part of the same message may be missing.
   */
  | { kind: 'text'; runId: string; messageId: string; text: string; failed?: true; earlier?: true }
  | { kind: 'approval'; requestId: string }
  /** Input that joined the turn there. */
  | { kind: 'joined'; clientMessageId: string };

/** One turn, folded from its events: values only, no time, no Slack. */
export interface TurnState {
  parts: readonly TurnPart[];
  tools: readonly ToolCall[];
  /** The agent's own list. */
  todo: TodoList;
  /** `null` when the settings do not show them: then they are not kept. */
  thoughts: readonly Thought[] | null;
  /** Summaries that Letta wrote meanwhile: how many tools had been called by then. */
  summaries: readonly number[];
  /** What was heard of what the model used; `null`: nothing. */
  tokens: Tokens | null;
  /** Every request of this turn as Letta sent it, in order. */
  approvals: readonly ApprovalRequest[];
  /** Requests that Letta still waits for. */
  openApprovals: readonly string[];
  phase: 'waiting' | 'thinking' | 'writing' | 'working';
  retrying: { attempt: number; maxAttempts: number } | null;
  /** The echo of the input, of a turn that Letta began by itself. */
  input: string | null;
  /** Runs of this turn, in order. */
  runs: readonly string[];
  /** The latest error text; a retry or a good end clears it. */
  error: string | null;
  end: { stopReason: string; error: string | null } | null;
  /** Why the last run ended; `null` once another run is heard. */
  lastRunEnd: string | null;
  /** The last run that ended to use a tool. */
  askingRun: string | null;
}

export const emptyTurn: TurnState = {
  parts: [],
  tools: [],
  todo: noTodos,
  thoughts: null,
  summaries: [],
  tokens: null,
  approvals: [],
  openApprovals: [],
  phase: 'waiting',
  retrying: null,
  input: null,
  runs: [],
  error: null,
  end: null,
  lastRunEnd: null,
  askingRun: null,
};

/** The state after an event; the same state object when the event changes nothing. */
export function foldTurn(state: TurnState, event: AgentEvent): TurnState {
  switch (event.type) {
    case 'text':
      return {
        ...addRun(state, event.runId),
        parts: appendText(state.parts, event.runId, event.messageId, event.text),
        phase: 'writing',
        retrying: null,
        lastRunEnd: null,
      };
    case 'text-repaired':
      return {
        ...addRun(state, event.runId),
        parts: replaceText(state.parts, event),
      };
    case 'reasoning':
      if (state.thoughts === null && state.phase === 'thinking' && !state.retrying && state.lastRunEnd === null)
        return addRun(state, event.runId);
      return {
        ...addRun(state, event.runId),
        thoughts: state.thoughts && addThought(state.thoughts, event, state.tools.length),
        phase: 'thinking',
        retrying: null,
        lastRunEnd: null,
      };
    case 'tool-called':
      if (state.tools.some((tool) => tool.callId === event.callId)) return state;
      return {
        ...addRun(state, event.runId),
        tools: addCall(state.tools, {
          callId: event.callId,
          runId: event.runId,
          tool: event.tool,
          input: event.input,
          status: 'called',
          output: '',
        }),
        todo: noteTodoCall(state.todo, event),
        phase: 'working',
        retrying: null,
        lastRunEnd: null,
      };
    case 'tool-started': {
      const todo = noteTodoCall(state.todo, event);
      return changeCallIn(
        todo === state.todo ? state : { ...state, todo },
        event.callId,
        { input: event.input, status: 'running' },
        event.tool,
      );
    }
    case 'tool-output':
      return changeCallIn(state, event.callId, { output: event.output });
    case 'tool-ended':
      return changeCallIn(state, event.callId, { status: event.ok ? 'ok' : 'failed' });
    case 'tool-returned':
      return changeCallIn(withTodoResult(state, event), event.callId, {
        status: event.ok ? 'ok' : 'failed',
        output: withoutImages(event.output),
      });
    case 'text-void':
      return { ...state, parts: state.parts.filter((part) => part.kind !== 'text' || part.runId !== event.runId) };
    case 'retrying':
      return {
        ...state,
        parts: state.parts.filter((part) => part.kind !== 'text' || part.runId !== event.runId),
        tools: state.tools.filter((tool) => tool.runId !== event.runId || tool.status !== 'called'),
        thoughts: state.thoughts?.filter((thought) => thought.runId !== event.runId) ?? null,
        retrying: { attempt: event.attempt, maxAttempts: event.maxAttempts },
        error: null,
        lastRunEnd: null,
      };
    case 'error':
      return { ...state, error: event.message };
    case 'approval-asked': {
      const { requestId } = event.request;
      if (state.openApprovals.includes(requestId)) return state;
      // When Letta asks a settled request again, only its latest form counts.
      const others = state.approvals.filter((approval) => approval.requestId !== requestId);
      return {
        ...state,
        parts: [...state.parts, { kind: 'approval', requestId }],
        approvals: [...others, event.request],
        openApprovals: [...state.openApprovals, requestId],
        lastRunEnd: null,
      };
    }
    case 'approvals-open': {
      const open = state.openApprovals.filter((requestId) => event.requestIds.includes(requestId));
      return open.length === state.openApprovals.length ? state : { ...state, openApprovals: open };
    }
    case 'run-ended':
      if (event.stopReason === 'requires_approval') return { ...state, askingRun: event.runId };
      return {
        ...(isGoodStopReason(event.stopReason) ? state : markFailed(state, event.runId)),
        phase: 'waiting',
        lastRunEnd: event.stopReason,
      };
    case 'turn-ended': {
      const well = isGoodStopReason(event.stopReason) || event.stopReason === 'cancelled';
      return {
        ...(event.runId === null ? state : addRun(state, event.runId)),
        openApprovals: [],
        retrying: null,
        phase: 'waiting',
        error: well ? null : (event.error ?? state.error),
        end: { stopReason: event.stopReason, error: event.error },
      };
    }
    case 'user-message':
      return event.automatic && state.input === null ? { ...state, input: event.clientMessageId } : state;
    case 'tokens-used': {
      const { input, cached, output } = state.tokens ?? { input: 0, cached: 0, output: 0 };
      const tokens = { input: input + event.input, cached: cached + event.cached, output: output + event.output };
      return { ...addRun(state, event.runId), tokens };
    }
    case 'compacted':
      return { ...state, summaries: [...state.summaries, state.tools.length].slice(-SUMMARIES_KEPT) };
    case 'loop':
    case 'command-ended':
    case 'context-used':
    case 'queue':
    case 'external-call':
    case 'notice':
    case 'background':
    case 'device':
    case 'schedules-changed':
      return state;
    default:
      return event satisfies never;
  }
}

/** The state once input that was handed to the turn has joined it; what the agent says from now on comes behind. */
export function foldJoined(state: TurnState, clientMessageId: string): TurnState {
  return { ...state, parts: [...state.parts, { kind: 'joined', clientMessageId }] };
}

/** Whether a turn that stopped for this reason finished its answer (docs/letta-protocol.md, A turn). */
export function isGoodStopReason(stopReason: string): boolean {
  return stopReason === 'end_turn' || stopReason === 'tool_rule' || stopReason === 'max_steps';
}

/** The agent's text of the turn as the paragraphs it came in. */
export function turnText(state: TurnState): string {
  return state.parts.flatMap((part) => (part.kind === 'text' && part.text !== '' ? [part.text] : [])).join('\n\n');
}

/**
 * Id of the last message whose text this process heard; `null` when there is none.
 * @param isAllKnown whether text of before a restart counts, too, because nothing behind it is missing
 */
export function lastSaidMessageId({ parts }: TurnState, isAllKnown = false): string | null {
  const last = parts.findLast((part) => part.kind === 'text' && part.text !== '' && (isAllKnown || !part.earlier));
  return last?.kind === 'text' ? last.messageId : null;
}

function withTodoResult(state: TurnState, result: { callId: string; ok: boolean; output: string }): TurnState {
  const call = state.tools.findLast(({ callId }) => callId === result.callId);
  return call && isTodoTool(call.tool) ? { ...state, todo: noteTodoResult(state.todo, call, result) } : state;
}

function markFailed(state: TurnState, runId: string): TurnState {
  const isOfRun = (part: TurnPart) => part.kind === 'text' && part.runId === runId;
  if (!state.parts.some(isOfRun)) return state;
  return { ...state, parts: state.parts.map((part) => (isOfRun(part) ? { ...part, failed: true } : part)) };
}

function addRun(state: TurnState, runId: string): TurnState {
  return state.runs.includes(runId) ? state : { ...state, runs: [...state.runs, runId] };
}

function textIndex(parts: readonly TurnPart[], runId: string, messageId: string): number {
  return parts.findLastIndex(
    (part) => part.kind === 'text' && !part.earlier && part.runId === runId && part.messageId === messageId,
  );
}

function appendText(parts: readonly TurnPart[], runId: string, messageId: string, text: string): TurnPart[] {
  const at = textIndex(parts, runId, messageId);
  const part = parts[at];
  if (part?.kind !== 'text') return [...parts, { kind: 'text', runId, messageId, text }];
  return parts.with(at, { ...part, text: part.text + text });
}

/** Finds the message by its id alone, because the history does not name runs. */
function replaceText(
  parts: readonly TurnPart[],
  event: Extract<AgentEvent, { type: 'text-repaired' }>,
): readonly TurnPart[] {
  const { runId, messageId, text, before } = event;
  const isMessage = (id: string | undefined) => (part: TurnPart) => part.kind === 'text' && part.messageId === id;
  const earlier = parts.find((part) => part.kind === 'text' && part.earlier && part.messageId === messageId);
  if (earlier) return completeMessage(parts, messageId, text);
  const at = parts.findLastIndex(isMessage(messageId));
  const known = parts[at];
  if (known?.kind === 'text') return known.text === text ? parts : parts.with(at, { ...known, text });
  const next = parts.findIndex(isMessage(before));
  const fresh: TurnPart = { kind: 'text', runId, messageId, text };
  return next < 0 ? [...parts, fresh] : parts.toSpliced(next, 0, fresh);
}

/**
 * Replaces the parts of a message, heard in part before a restart, by its whole text. A shorter text replaces nothing,
 * because people may have seen more: an abort leaves less in the history (docs/letta-protocol.md, Deltas).
 */
export function completeMessage(parts: readonly TurnPart[], messageId: string, text: string): TurnPart[] {
  const at = parts.findIndex((part) => part.kind === 'text' && part.messageId === messageId);
  const first = parts[at];
  if (first?.kind !== 'text' || text.length < first.text.length) return [...parts];
  const { earlier: _, ...whole } = { ...first, text };
  const isRest = (part: TurnPart, place: number) =>
    place > at && part.kind === 'text' && part.messageId === messageId && part.text.length <= text.length;
  return parts.with(at, whole).filter((part, place) => !isRest(part, place));
}

function changeCallIn(state: TurnState, callId: string, change: Partial<ToolCall>, tool?: string): TurnState {
  const tools = changeCall(state.tools, callId, change, tool);
  if (tools === state.tools) return state;
  return { ...state, tools, ...(tools.length > state.tools.length && { phase: 'working' }) };
}

/** A result with an image comes as JSON with its base64 (docs/letta-protocol.md, External tools: a call). */
function withoutImages(output: string): string {
  if (!output.startsWith('[{') || !output.includes('"type":"image"')) return output;
  const texts = [...output.matchAll(/"type":"text","text":"((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) =>
    unquoted(text),
  );
  return [...texts, '(an image)'].join('\n');
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return text;
  }
}
