import * as z from 'zod';
import type {
  AgentEvent,
  ApprovalRequest,
  BackgroundTask,
  DiffLine,
  ExternalCall,
  FileDiff,
  LoopStatus,
  Question,
} from '../../bridge/agent-event.ts';
import { isClientMessageId } from '../../bridge/ids.ts';
import { readFiring } from '../../bridge/schedules/firing.ts';
import { jsonText } from '../../bridge/text/json.ts';
import type { Delta } from '../protocol/deltas.ts';
import type { FrameOf, WireControlRequest } from '../protocol/incoming.ts';
import { errorText } from './error-text.ts';

/** All that translating a delta needs to know about its runtime. */
export interface DeltaContext {
  /** The run that a delta without `run_id` belongs to. */
  runId: string | null;
  /** Ids and {@link textKey}s of input that Letta queued itself (docs/letta-protocol.md, Activity nobody asked for). */
  automatic: readonly string[];
  /** Ids and {@link textKey}s of input that clients queued. */
  queued?: readonly string[];
}

const SNAPSHOT = 'synthetic-tool-return-stream-';
const NOTIFICATION = '<task-notification>';

/** A call of a tool that the bridge runs. */
export function externalCall(frame: FrameOf<'external_tool_call_request'>): AgentEvent & { type: 'external-call' } {
  const { request_id: requestId, tool_call_id: callId, tool_name: tool, input } = frame;
  const call: ExternalCall = { requestId, callId, tool, input: input ?? {} };
  return { type: 'external-call', call };
}

/** The events that a delta means; most lifecycle deltas mean none (docs/letta-protocol.md, Deltas). */
export function translateDelta(delta: Delta, context: DeltaContext): AgentEvent[] {
  const runId = delta.run_id ?? context.runId;
  switch (delta.message_type) {
    case 'assistant_message': {
      const text = contentText(delta.content);
      return text === '' ? [] : [{ type: 'text', runId: runId ?? '', messageId: delta.id ?? '', text }];
    }
    case 'reasoning_message':
      return [{ type: 'reasoning', runId: runId ?? '', messageId: delta.id ?? '', text: delta.reasoning }];
    case 'approval_request_message':
    case 'tool_call_message': {
      const { tool_call_id: callId, name: tool, arguments: input } = delta.tool_call;
      return [{ type: 'tool-called', runId: runId ?? '', callId, tool, input: toolInput(input) }];
    }
    case 'client_tool_start':
      return [
        {
          type: 'tool-started',
          callId: delta.tool_call_id,
          tool: delta.tool_name,
          input: toolInput(delta.tool_args),
        },
      ];
    case 'client_tool_end':
      return [{ type: 'tool-ended', callId: delta.tool_call_id, ok: delta.status === 'success' }];
    case 'tool_return_message': {
      const output = returnText(delta.tool_return);
      return isToolSnapshot(delta)
        ? [{ type: 'tool-output', callId: delta.tool_call_id, output }]
        : [{ type: 'tool-returned', callId: delta.tool_call_id, ok: delta.status === 'success', output }];
    }
    case 'stop_reason':
      return [{ type: 'run-ended', runId: runId ?? '', stopReason: delta.stop_reason }];
    case 'retry':
      return [
        {
          type: 'retrying',
          runId,
          attempt: delta.attempt,
          maxAttempts: delta.max_attempts,
          delayMs: delta.delay_ms ?? 0,
          reason: delta.message ?? delta.reason ?? '',
        },
      ];
    case 'error_message':
      return [{ type: 'error', message: errorText(delta).text, terminal: false }];
    case 'loop_error':
      return [{ type: 'error', message: errorText(delta).text, terminal: delta.is_terminal === true }];
    case 'status':
      return [{ type: 'notice', message: delta.message, level: delta.level ?? 'info' }];
    case 'user_message': {
      const clientMessageId = delta.otid ?? null;
      const text = contentText(delta.content);
      // An input of ours is never a firing, whatever a person wrote.
      const firing = clientMessageId !== null && isClientMessageId(clientMessageId) ? null : readFiring(text);
      const automatic =
        firing !== null ||
        text.trimStart().startsWith(NOTIFICATION) ||
        context.automatic.includes(textKey(text)) ||
        (clientMessageId !== null && context.automatic.includes(clientMessageId));
      // Letta also echoes what it adds to a turn itself, such as a skill: that was never queued.
      const isOurs = clientMessageId !== null && isClientMessageId(clientMessageId);
      const wasQueued = [clientMessageId ?? '', textKey(text)].some((key) => context.queued?.includes(key));
      const asked = !automatic && !isOurs && wasQueued ? { asked: text } : {};
      return [{ type: 'user-message', clientMessageId, automatic, ...(firing && { firing }), ...asked }];
    }
    case 'usage_statistics': {
      const { context_tokens: context, prompt_tokens: input, completion_tokens: output } = delta;
      const cached = delta.cached_input_tokens ?? 0;
      const isTold = input != null && output != null && runId !== null;
      return [
        ...(isTold ? [{ type: 'tokens-used' as const, runId, input, output, cached: Math.min(cached, input) }] : []),
        ...(context == null ? [] : [{ type: 'context-used' as const, tokens: context }]),
      ];
    }
    case 'summary_message':
      return [{ type: 'compacted', tokens: delta.compaction_stats?.context_tokens_after ?? null }];
    case 'slash_command_end': {
      const { command_id: command, input: line = null, output, success } = delta;
      if (!command) return [];
      const ok = success === true;
      // The device says so of a prompt, and nothing else tells it (docs/letta-protocol.md, Slash commands and skills).
      const begins = ok && output === `Running /${command}...`;
      return [{ type: 'command-ended', command, line, ok, output: output ?? '', ...(begins && { begins }) }];
    }
    case 'approval_classification_end':
    case 'slash_command_start':
    case 'command_start':
    case 'command_end':
    case null:
      return [];
    default:
      return delta satisfies never;
  }
}

/** Whether the delta holds a running tool's output so far, not its result (docs/letta-protocol.md, Deltas). */
export function isToolSnapshot(delta: { id?: string | null | undefined }): boolean {
  return delta.id?.startsWith(SNAPSHOT) ?? false;
}

/**
 * Keys of queued input that no person sent. Its text is a key, too: Letta echoes it under another id (seen: 31, 32).
 */
export function automaticKeys(queue: FrameOf<'update_queue'>['queue']): string[] {
  return keysOf(queue.filter(({ kind }) => kind === 'task_notification' || kind === 'cron_prompt'));
}

/** Keys of input that clients queued; of an input without an id, Letta echoes another one than it queued. */
export function clientKeys(queue: FrameOf<'update_queue'>['queue']): string[] {
  return keysOf(queue.filter(({ kind }) => kind === 'message'));
}

function keysOf(queue: FrameOf<'update_queue'>['queue']): string[] {
  return queue.flatMap(({ client_message_id: id, content }) => [
    ...(id ? [id] : []),
    ...(content ? [textKey(contentText(content))] : []),
  ]);
}

/** A short stand-in for a text, so that whole texts need not be kept. */
function textKey(text: string): string {
  return `${text.length} ${text.slice(0, 200)}`;
}

/**
 * Letta's loop states reduced to three. `null`: the state tells nothing about a turn, like the EXECUTING_COMMAND that
 * `change_device_state` makes when idle (docs/letta-protocol.md, Other frames of the client; Loop states).
 */
export function loopStatus(status: string, activeRunIds: readonly string[]): LoopStatus | null {
  switch (status) {
    case 'WAITING_ON_INPUT':
      return 'idle';
    case 'WAITING_ON_APPROVAL':
      return 'waiting_on_approval';
    case 'SENDING_API_REQUEST':
    case 'WAITING_FOR_API_RESPONSE':
    case 'PROCESSING_API_RESPONSE':
    case 'EXECUTING_CLIENT_SIDE_TOOL':
    case 'RETRYING_API_REQUEST':
      return 'busy';
    default:
      return activeRunIds.length > 0 ? 'busy' : null;
  }
}

/** A `control_request`, or an entry of `pending_control_requests` (docs/letta-protocol.md, Approvals). */
export function approvalRequest(requestId: string, request: WireControlRequest): ApprovalRequest {
  const input = request.input ?? {};
  const questions = request.tool_name === 'AskUserQuestion' ? readQuestions(input) : null;
  return {
    requestId,
    callId: request.tool_call_id ?? null,
    tool: request.tool_name,
    input,
    diffs: (request.diffs ?? []).map(readDiff),
    // No rules for questions: a rule would let Letta skip the question, and the agent would get no answer
    // (docs/letta-protocol.md, Approvals).
    suggestions: questions ? [] : (request.permission_suggestions ?? []).map(({ id, text }) => ({ id, text })),
    questions,
  };
}

type Processes = NonNullable<FrameOf<'update_device_status'>['device_status']['background_processes']>;
type Subagents = FrameOf<'update_subagent_state'>['subagents'];

/** What runs in the background, each task once even if both lists name it. */
export function backgroundTasks(processes: Processes, subagents: Subagents): BackgroundTask[] {
  const listed = processes.filter(({ status }) => status === 'running');
  const alive = subagents.filter(({ status }) => status === 'pending' || status === 'running');
  const agents = alive.map((agent): BackgroundTask => {
    const process = listed.find(({ subagent_id: id }) => id === agent.subagent_id)?.process_id ?? null;
    return {
      id: agent.subagent_id,
      process,
      // A subagent that a tool started has that tool's call id; Letta's own have none (seen in 0.32.18).
      kind: agent.tool_call_id ? 'subagent' : 'memory',
      what: agent.description || agent.subagent_type || '',
      runtime: runtimeOf(agent),
    };
  });
  // A subagent that the subagent list names is counted (or has ended) there.
  const others = listed.filter(({ subagent_id: id }) => !subagents.some((agent) => agent.subagent_id === id));
  return [
    ...agents,
    ...others.map(
      (entry): BackgroundTask => ({
        id: entry.subagent_id ?? entry.process_id ?? '',
        process: entry.process_id ?? null,
        kind: entry.kind === 'agent_task' ? 'subagent' : entry.kind === 'monitor' ? 'monitor' : 'command',
        what: entry.command || entry.description || '',
        runtime: null,
      }),
    ),
  ];
}

/** `agent_url` is the agent's id, or an address that contains it. */
function runtimeOf({ agent_url: url, conversation_id: conversationId }: Subagents[number]): BackgroundTask['runtime'] {
  const agentId = /agent-[\w-]+/.exec(url ?? '')?.[0];
  return agentId && conversationId ? { agentId, conversationId } : null;
}

const questions = z.array(
  z.looseObject({
    question: z.string(),
    header: z.string().nullish(),
    multiSelect: z.boolean().nullish(),
    options: z.array(z.looseObject({ label: z.string(), description: z.string().nullish() })).nullish(),
  }),
);

/**
 * Empty, not null, when the input does not fit AskUserQuestion: it is still a question, which a plain "allow" cannot
 * answer.
 */
function readQuestions(input: Record<string, unknown>): Question[] {
  const parsed = questions.safeParse(input.questions);
  if (!parsed.success) return [];
  return parsed.data.map((asked) => ({
    question: asked.question,
    header: asked.header ?? '',
    multiSelect: asked.multiSelect ?? false,
    options: (asked.options ?? []).map(({ label, description }) => ({ label, description: description ?? '' })),
  }));
}

const diff = z.looseObject({
  mode: z.string(),
  fileName: z.string(),
  hunks: z
    .array(
      z.looseObject({
        oldStart: z.number(),
        oldLines: z.number(),
        newStart: z.number(),
        newLines: z.number(),
        lines: z.array(z.looseObject({ type: z.string(), content: z.string() })),
      }),
    )
    .nullish(),
  reason: z.string().nullish(),
});

function readDiff(value: unknown): FileDiff {
  const parsed = diff.safeParse(value);
  if (!parsed.success) return { kind: 'unavailable', fileName: '', reason: 'unknown form of diff' };
  const { mode, fileName, hunks, reason } = parsed.data;
  if (mode !== 'advanced' || !hunks) return { kind: 'unavailable', fileName, reason: reason ?? mode };
  return {
    kind: 'hunks',
    fileName,
    hunks: hunks.map(({ oldStart, oldLines, newStart, newLines, lines }) => ({
      oldStart,
      oldLines,
      newStart,
      newLines,
      lines: lines.map((line) => ({ type: lineType(line.type), content: line.content })),
    })),
  };
}

function lineType(type: string): DiffLine['type'] {
  return type === 'add' || type === 'remove' ? type : 'context';
}

function contentText(content: string | readonly { text?: string | null | undefined }[]): string {
  return typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('');
}

/** Arguments are a JSON string. Text that is not JSON is kept as it is, so that people see what they approve. */
function toolInput(input: string | Record<string, unknown> | null | undefined): Record<string, unknown> {
  if (typeof input !== 'string') return input ?? {};
  if (input.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(input);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // falls through: half-written arguments
  }
  return { arguments: input };
}

function returnText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) {
    return value.map((part) => (isTextPart(part) ? part.text : jsonText(part))).join('\n');
  }
  return jsonText(value);
}

function isTextPart(part: unknown): part is { text: string } {
  return typeof part === 'object' && part !== null && 'text' in part && typeof part.text === 'string';
}
