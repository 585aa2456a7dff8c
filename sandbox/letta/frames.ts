import { randomUUID } from 'node:crypto';
import type { Json, Runtime, ToolCall, ToolResult } from './types.ts';

/** Constructors of the frames as the recordings have them: same fields, same order. */

const now = () => new Date().toISOString();
const lifecycleId = () => `lifecycle-${randomUUID()}`;
const inRun = (runId: string | null): Json => (runId === null ? {} : { run_id: runId });

export const LETTA_CODE_VERSION = '0.32.18';

export const SUPPORTED_COMMANDS = [
  'clear',
  'clear-messages',
  'doctor',
  'dream',
  'reflect',
  'reflection',
  'init',
  'compact',
  'reload',
  'context-limit',
  'channels',
  'upgrade-letta-code',
  'toolset',
  'secret',
  'monitor_stop',
];

export const LOADED_TOOLS = [
  'AskUserQuestion',
  'Bash',
  'Monitor',
  'EnterWorktree',
  'ExitWorktree',
  'SetWorkingDirectory',
  'Edit',
  'TaskStop',
  'memory',
  'Read',
  'Skill',
  'Workflow',
  'Agent',
  'SendAgentMessage',
  'TaskCreate',
  'TaskGet',
  'TaskList',
  'TaskUpdate',
  'Write',
];

export const APP_SERVER_INFO: Json = {
  backend: 'local',
  letta_code_version: LETTA_CODE_VERSION,
  protocol_version: 1,
  capabilities: {
    agent_management: true,
    conversation_management: true,
    memory_management: true,
    runtime_start: true,
    launch_subagent: true,
    runtime_workspace_sandbox: true,
    runtime_external_tools_update: true,
    structured_outputs: false,
    split_channels: false,
  },
};

/** Adds what every event carries and no response does (docs/letta-protocol.md, Envelope, order, duplicates). */
export function envelope(type: string, body: Json, runtime: Runtime, eventSeq: number): Json {
  const meta = { event_seq: eventSeq, emitted_at: now(), idempotency_key: `${type}:${eventSeq}:${randomUUID()}` };
  return { type, ...body, runtime, ...meta };
}

interface DeviceStatus {
  readonly runtime: Runtime;
  readonly connectionId: string;
  readonly connectionName: string;
  readonly isProcessing: boolean;
  readonly mode: string;
  readonly cwd: string;
  readonly cwdRevision: number;
  readonly isRepository: boolean;
  /** `null`: not loaded. */
  readonly toolset: string | null;
  readonly chosenToolset: string;
  readonly toolsets: readonly Json[];
  readonly tools: readonly string[];
  readonly background: readonly Json[];
  readonly pending: readonly Json[];
}

export function deviceStatus(status: DeviceStatus): Json {
  return {
    current_connection_id: status.connectionId,
    connection_name: status.connectionName,
    is_online: true,
    is_processing: status.isProcessing,
    current_permission_mode: status.mode,
    current_working_directory: status.cwd,
    git_context: status.isRepository ? { branch: 'master', recent_branches: [] } : null,
    letta_code_version: null,
    current_toolset: status.toolset,
    current_toolset_preference: status.chosenToolset,
    available_toolsets: status.toolsets,
    current_loaded_tools: status.tools,
    current_available_skills: [],
    background_processes: status.background,
    pending_control_requests: status.pending,
    experiments: [],
    memory_directory: `/home/user/.letta-state/memfs/${status.runtime.agent_id}/memory`,
    cwd_revision: status.cwdRevision,
    should_doctor: false,
    supported_commands: SUPPORTED_COMMANDS,
    reflection_settings: {
      agent_id: status.runtime.agent_id,
      trigger: 'step-count',
      step_count: 25,
      merge: 'auto',
      merge_instructions: '',
    },
  };
}

export interface LoopStatus {
  readonly status: string;
  readonly runs: readonly string[];
  readonly executing: readonly string[];
}

export function loopStatus(loop: LoopStatus, clientIdsByRun: ReadonlyMap<string, readonly string[]>): Json {
  const map = clientIdsByRun.size > 0 ? { client_message_ids_by_run_id: Object.fromEntries(clientIdsByRun) } : {};
  return { status: loop.status, active_run_ids: loop.runs, ...map, executing_tool_call_ids: loop.executing };
}

/** A delta the model made, numbered within its run. */
export function modelDelta(id: string, runtime: Runtime, fields: Json, runId: string, seqId: number): Json {
  return { id, date: now(), ...runtime, ...fields, run_id: runId, seq_id: seqId, type: 'message' };
}

export const usage = (total = 110): Json => ({
  message_type: 'usage_statistics',
  prompt_tokens: total - 10,
  completion_tokens: 10,
  total_tokens: total,
  cached_input_tokens: 0,
  cache_write_tokens: 0,
  reasoning_tokens: 0,
  context_tokens: total,
});

/** What an automatic compaction tells (trace 76). */
export const compacted = (): Json[] => [
  { message_type: 'event_message', event_type: 'compaction', event_data: { trigger: 'context_window_limit' } },
  {
    message_type: 'summary_message',
    summary: 'word1 word2',
    compaction_stats: {
      trigger: 'context_window_limit',
      context_tokens_before: 415,
      context_tokens_after: 153,
      context_window: 128_000,
      messages_count_before: 6,
      messages_count_after: 6,
    },
  },
];

export function stopReason(reason: string, runId: string, seqId: number): Json {
  return { message_type: 'stop_reason', stop_reason: reason, run_id: runId, seq_id: seqId, type: 'message' };
}

export function lifecycle(messageType: string, runId: string | null, fields: Json, id = lifecycleId()): Json {
  return { id, date: now(), message_type: messageType, ...inRun(runId), ...fields };
}

export function classification(runId: string, allowed: readonly string[], asked: readonly string[]): Json {
  return lifecycle('approval_classification_end', runId, {
    auto_allowed_tool_call_ids: allowed,
    auto_denied_tool_call_ids: [],
    user_input_tool_call_ids: asked,
  });
}

export function toolStart(id: string | undefined, runId: string | null, call: ToolCall): Json {
  const fields = { tool_call_id: call.id, tool_name: call.name, tool_args: JSON.stringify(call.input) };
  return lifecycle('client_tool_start', runId, fields, id);
}

export function toolEnd(id: string | undefined, runId: string | null, callId: string, status: string): Json {
  return lifecycle('client_tool_end', runId, { tool_call_id: callId, status }, id);
}

export function toolReturn(runId: string | null, callId: string, result: ToolResult): Json {
  const body = { tool_call_id: callId, status: result.status, tool_return: result.text };
  return {
    type: 'message',
    message_type: 'tool_return_message',
    id: `synthetic-tool-return-${randomUUID()}`,
    date: now(),
    ...inRun(runId),
    status: result.status,
    tool_call_id: callId,
    tool_return: result.text,
    tool_returns: [body],
  };
}

/** Output of a running tool so far; replaces the one before (docs/letta-protocol.md, Deltas). */
export function toolSnapshot(
  runId: string | null,
  callId: string,
  output: { text: string; stdout: readonly string[]; stderr: readonly string[] },
): Json {
  const lines = {
    ...(output.stdout.length > 0 ? { stdout: output.stdout } : {}),
    ...(output.stderr.length > 0 ? { stderr: output.stderr } : {}),
  };
  const whole = toolReturn(runId, callId, { status: 'success', text: output.text });
  return {
    ...whole,
    id: `synthetic-tool-return-stream-${callId}`,
    tool_returns: [{ tool_call_id: callId, status: 'success', tool_return: output.text, ...lines }],
  };
}

export function userMessage(content: unknown, otid: string, actingUserId: string | undefined): Json {
  return {
    type: 'message',
    id: `user-msg-${randomUUID()}`,
    date: now(),
    message_type: 'user_message',
    content,
    otid,
    ...(actingUserId === undefined ? {} : { created_by_id: actingUserId }),
  };
}

export const interrupted = (runId: string | null): Json =>
  lifecycle('status', runId, { message: 'Interrupted', level: 'warning' });

export const modelUpdated = (label: string): Json =>
  lifecycle('status', null, { message: `Model updated to ${label}.`, level: 'info' });

export function retry(runId: string, attempt: number, delayMs: number): Json {
  return lifecycle('retry', runId, {
    message: 'Unexpected downstream LLM API error, retrying...',
    reason: 'llm_api_error',
    attempt,
    max_attempts: 3,
    delay_ms: delayMs,
  });
}

export function errorMessage(message: string, errorType: string, retryable: boolean): Json {
  return { message_type: 'error_message', message, detail: message, error_type: errorType, retryable };
}

export function loopError(message: string, isTerminal: boolean, runId: string | null = null, apiError?: Json): Json {
  const fields = { message, stop_reason: 'error', is_terminal: isTerminal };
  return lifecycle('loop_error', runId, apiError === undefined ? fields : { ...fields, api_error: apiError });
}

export function apiError(message: string, runId: string, type: string): Json {
  return { message_type: 'error_message', message, error_type: type, run_id: runId, detail: message };
}

/** The pretty-printed JSON that comes as `loop_error.message` and `turn_finished.error`. */
export function modelErrorText(message: string, runId: string, type: string): string {
  const error = { type, message, detail: message };
  return JSON.stringify({ error: { error, run_id: runId } }, null, 2);
}

export function slashCommand(edge: 'start' | 'end', commandId: string, outcome: Json = {}): Json {
  return lifecycle(`slash_command_${edge}`, null, { command_id: commandId, input: `/${commandId}`, ...outcome });
}

export function canUseTool(call: ToolCall, suggestions: readonly Json[], diffs: readonly Json[] | undefined): Json {
  return {
    subtype: 'can_use_tool',
    tool_name: call.name,
    input: call.input,
    tool_call_id: call.id,
    permission_suggestions: suggestions,
    blocked_path: null,
    ...(diffs === undefined ? {} : { diffs }),
  };
}
