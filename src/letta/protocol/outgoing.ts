import type { Decision, PermissionMode, RuntimeRef } from '../../bridge/agent-event.ts';
import type { ToolOffer } from '../../bridge/tools/catalogue.ts';
import type { ToolResult } from '../../bridge/tools/result.ts';
import type { InputContent } from '../../bridge/turn/input-content.ts';

/**
 * A frame that the bridge sends: plain JSON, made only by the constructors of this file (docs/letta-protocol.md, Client
 * to server).
 */
export type OutgoingFrame = { readonly type: string } & { readonly [field: string]: unknown };

interface WireRuntime {
  agent_id: string;
  conversation_id: string;
}

/** A runtime as frames carry it. */
export function wireRuntime(runtime: RuntimeRef): WireRuntime {
  return { agent_id: runtime.agentId, conversation_id: runtime.conversationId };
}

export interface RuntimeStart {
  requestId: string;
  /** An existing agent, or the create body of a new one (docs/letta-protocol.md, runtime_start). */
  agent: { id: string } | { create: Record<string, unknown> };
  /** An existing conversation (`default` is the agent's own), or a new one. */
  conversation: { id: string } | { create: Record<string, unknown> };
  /** Always sent: left out, a new conversation would run `unrestricted` (docs/letta-protocol.md, runtime_start). */
  mode: PermissionMode;
  /** Left out: the conversation's own; `null`: the server's boot directory. */
  cwd?: string | null;
  /** True: the response comes after the replay of the state instead of before it. */
  waitForReplay?: boolean;
  clientInfo?: { name: string; title?: string; version?: string };
  /** The whole set of tools that the bridge runs for this runtime; without any, those registered before are removed. */
  tools?: readonly ToolOffer[];
}

export function runtimeStart(options: RuntimeStart): OutgoingFrame {
  return {
    type: 'runtime_start',
    request_id: options.requestId,
    ...('id' in options.agent ? { agent_id: options.agent.id } : { create_agent: { body: options.agent.create } }),
    ...('id' in options.conversation
      ? { conversation_id: options.conversation.id }
      : { create_conversation: { body: options.conversation.create } }),
    mode: options.mode,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    recover_approvals: true,
    force_device_status: true,
    ...(options.waitForReplay === undefined ? {} : { wait_for_replay: options.waitForReplay }),
    ...(options.clientInfo === undefined ? {} : { client_info: options.clientInfo }),
    ...(options.tools && options.tools.length > 0 && { external_tools: toolGroups(options.tools) }),
  };
}

const toolGroups = (tools: readonly ToolOffer[]) => [{ tools: [...tools] }];

/**
 * Replaces the set of tools that the bridge runs for a runtime; answered by `runtime_external_tools_update_response`
 * (docs/letta-protocol.md, External tools).
 */
export function runtimeExternalToolsUpdate(
  requestId: string,
  runtime: RuntimeRef,
  tools: readonly ToolOffer[],
): OutgoingFrame {
  const update = { runtimes: [wireRuntime(runtime)], external_tools: toolGroups(tools) };
  return { type: 'runtime_external_tools_update', request_id: requestId, updates: [update] };
}

/**
 * The result of a call; has no answer. An answer to a call that is not open is ignored (docs/letta-protocol.md, External
 * tools).
 * @param requestId of the `external_tool_call_request`
 */
export function externalToolCallResponse(requestId: string, { parts, isError }: ToolResult): OutgoingFrame {
  const content = parts.map((part) =>
    part.type === 'text' ? part : { type: 'image', data: part.data, mimeType: part.mediaType },
  );
  const result = { content, is_error: isError === true };
  return { type: 'external_tool_call_response', request_id: requestId, result };
}

/**
 * Asks for the state replay; `sync_response` closes it (docs/letta-protocol.md, Hosted: socket; Other frames of the
 * client).
 * @param recoverApprovals whether open `control_request`s are sent again
 */
export function sync(requestId: string, runtime: RuntimeRef, recoverApprovals = true): OutgoingFrame {
  return {
    type: 'sync',
    request_id: requestId,
    runtime: wireRuntime(runtime),
    recover_approvals: recoverApprovals,
    force_device_status: true,
  };
}

export type ContentPart =
  | { type: 'text'; text: string }
  | { type: 'image'; source: { type: 'base64'; media_type: string; data: string } };

export interface CreateMessage {
  requestId: string;
  runtime: RuntimeRef;
  /** At least one: an empty list would start an empty turn (docs/letta-protocol.md, create_message). */
  messages: readonly [UserMessage, ...UserMessage[]];
  /** The only tools that the model is offered in this turn; left out: all. */
  tools?: readonly string[] | undefined;
  /** `drop`: an image that Letta cannot read is left out, instead of ending the turn. */
  imageFailureMode?: 'drop' | undefined;
}

export interface UserMessage {
  content: string | ContentPart[];
  clientMessageId: string;
}

/** The input of a turn; answered by `input_accepted`. */
export function createMessage(options: CreateMessage): OutgoingFrame {
  return {
    type: 'input',
    request_id: options.requestId,
    runtime: wireRuntime(options.runtime),
    payload: {
      kind: 'create_message',
      messages: options.messages.map((message) => ({
        role: 'user',
        content: message.content,
        client_message_id: message.clientMessageId,
      })),
      ...(options.tools && { client_tool_allowlist: [...options.tools] }),
      ...(options.imageFailureMode && { image_failure_mode: options.imageFailureMode }),
    },
  };
}

/** A turn's content as `create_message` takes it. */
export function wireContent(content: InputContent): string | ContentPart[] {
  if (typeof content === 'string') return content;
  return content.map((part) =>
    part.type === 'text'
      ? part
      : { type: 'image', source: { type: 'base64', media_type: part.mediaType, data: part.data } },
  );
}

/**
 * Writes a text file on the device and the folders above it; `~` is expanded. Over an existing file it is an edit
 * (docs/letta-protocol.md, The device's files).
 */
export function writeFile(requestId: string, path: string, content: string): OutgoingFrame {
  return { type: 'write_file', request_id: requestId, path, content };
}

/** Reads a text file of the device; `~` is not expanded. */
export function readFile(requestId: string, path: string): OutgoingFrame {
  return { type: 'read_file', request_id: requestId, path };
}

/** Reads any file of the device, at most 25 MiB. */
export function readFileBytes(requestId: string, path: string): OutgoingFrame {
  return { type: 'read_file', request_id: requestId, path, encoding: 'base64' };
}

export interface ApprovalResponse {
  requestId: string;
  runtime: RuntimeRef;
  /** The `request_id` of the `control_request`. */
  approvalId: string;
  /** `error` is treated by Letta like a denial with that text (docs/letta-protocol.md, approval_response). */
  decision: Decision | { error: string };
}

/** A person's decision; answered by `input_accepted`, `accepted:false` when the request is no longer pending. */
export function approvalResponse(options: ApprovalResponse): OutgoingFrame {
  return {
    type: 'input',
    request_id: options.requestId,
    runtime: wireRuntime(options.runtime),
    payload: {
      kind: 'approval_response',
      request_id: options.approvalId,
      ...('error' in options.decision
        ? { error: options.decision.error }
        : { decision: wireDecision(options.decision) }),
    },
  };
}

function wireDecision(decision: Decision): Record<string, unknown> {
  if (decision.behavior === 'deny') return { behavior: 'deny', message: decision.message };
  return {
    behavior: 'allow',
    ...(decision.message === undefined ? {} : { message: decision.message }),
    ...(decision.updatedInput === undefined ? {} : { updated_input: decision.updatedInput }),
    ...(decision.suggestionIds === undefined || decision.suggestionIds.length === 0
      ? {}
      : { selected_permission_suggestion_ids: decision.suggestionIds }),
  };
}

/** Stops the turn or withdraws the pending approval; answered by `abort_message_response`. */
export function abortMessage(requestId: string, runtime: RuntimeRef): OutgoingFrame {
  return { type: 'abort_message', request_id: requestId, runtime: wireRuntime(runtime) };
}

/**
 * Ends a monitor of that runtime; it cannot end other background processes (docs/letta-protocol.md, Activity nobody
 * asked for).
 */
export function monitorStop(requestId: string, runtime: RuntimeRef, processId: string): OutgoingFrame {
  return { type: 'monitor_stop', request_id: requestId, runtime: wireRuntime(runtime), process_id: processId };
}

/** Has no answer: watch `update_device_status` (docs/letta-protocol.md, Other frames of the client). */
export function changeDeviceState(runtime: RuntimeRef, change: { mode?: PermissionMode; cwd?: string }): OutgoingFrame {
  return { type: 'change_device_state', runtime: wireRuntime(runtime), payload: { ...change } };
}

/** Hosted relay only; goes back on the socket that brought the frame (docs/letta-protocol.md, Hosted: socket). */
export function ack(seq: number): OutgoingFrame {
  return { type: 'ack', seq };
}

/** Hosted relay only: the App Server does not answer it (docs/letta-protocol.md, Ways to reach an agent). */
export function ping(): OutgoingFrame {
  return { type: 'ping' };
}

/**
 * Takes an input out of Letta's queue; answered by `remove_queue_item_response`, without success where it is not there.
 * @param itemId the queue's own id of it, not the client's
 */
export function removeQueueItem(requestId: string, runtime: RuntimeRef, itemId: string): OutgoingFrame {
  return { type: 'remove_queue_item', request_id: requestId, runtime: wireRuntime(runtime), item_id: itemId };
}

/**
 * Runs a command of Letta's, such as `compact`, answered by `execute_command_response` when it is over; or one of the
 * device's own, whose end only a `slash_command_end` tells.
 */
export function executeCommand(requestId: string, runtime: RuntimeRef, command: string, args = ''): OutgoingFrame {
  return {
    type: 'execute_command',
    request_id: requestId,
    runtime: wireRuntime(runtime),
    command_id: command,
    args,
  };
}

/** Releases queued input that an abort has paused; answered by `resume_queue_response`. */
export function resumeQueue(requestId: string, runtime: RuntimeRef): OutgoingFrame {
  return { type: 'resume_queue', request_id: requestId, runtime: wireRuntime(runtime) };
}

/** The newest `limit` items, newest first; `before` is an item's id. */
export function conversationMessagesList(
  requestId: string,
  conversationId: string,
  query: { limit: number; before?: string },
): OutgoingFrame {
  return {
    type: 'conversation_messages_list',
    request_id: requestId,
    conversation_id: conversationId,
    query: { ...query, order: 'desc' },
  };
}

/** A schedule as Letta is asked for it (docs/letta-protocol.md, Schedules). */
export interface CronFields {
  name: string;
  cron: string;
  timezone: string;
  prompt: string;
  /** For a schedule that runs once: an ISO time. */
  scheduledFor: string | null;
}

/** `description` stays empty, so that the queue and the turn show the same text. */
export function cronAdd(requestId: string, runtime: RuntimeRef, fields: CronFields): OutgoingFrame {
  const { scheduledFor, ...rest } = fields;
  const once = scheduledFor === null ? {} : { scheduled_for: scheduledFor };
  const place = wireRuntime(runtime);
  return {
    type: 'cron_add',
    request_id: requestId,
    ...place,
    ...rest,
    ...once,
    recurring: scheduledFor === null,
    description: '',
  };
}

export function cronUpdate(
  requestId: string,
  task: string,
  conversationId: string,
  { scheduledFor, ...fields }: CronFields,
): OutgoingFrame {
  return {
    type: 'cron_update',
    request_id: requestId,
    task_id: task,
    conversation_id: conversationId,
    ...fields,
    scheduled_for: scheduledFor,
    recurring: scheduledFor === null,
  };
}

/** All schedules of all agents. */
export function cronList(requestId: string): OutgoingFrame {
  return { type: 'cron_list', request_id: requestId };
}

export function cronCommand(
  type: 'cron_pause' | 'cron_resume' | 'cron_trigger' | 'cron_delete',
  requestId: string,
  task: string,
): OutgoingFrame {
  return { type, request_id: requestId, task_id: task };
}

/** The newest `limit` conversations of an agent. */
export function conversationList(requestId: string, query: { agentId: string; limit: number }): OutgoingFrame {
  const { agentId, limit } = query;
  return { type: 'conversation_list', request_id: requestId, query: { agent_id: agentId, limit } };
}

export function agentList(requestId: string, query: { limit?: number } = {}): OutgoingFrame {
  return { type: 'agent_list', request_id: requestId, query };
}

export function agentRetrieve(requestId: string, agentId: string): OutgoingFrame {
  return { type: 'agent_retrieve', request_id: requestId, agent_id: agentId };
}

/** Which models the server's providers offer. */
export function listModels(requestId: string): OutgoingFrame {
  return { type: 'list_models', request_id: requestId };
}

/** @param modelId the id of an entry of the list: Letta takes any handle, and the next turn fails (docs/letta-protocol.md, Models) */
export function updateModel(requestId: string, runtime: RuntimeRef, modelId: string): OutgoingFrame {
  return { type: 'update_model', request_id: requestId, runtime: wireRuntime(runtime), payload: { model_id: modelId } };
}

/** @param preference of the list that the device tells: another one has no answer (docs/letta-protocol.md, Toolsets) */
export function updateToolset(requestId: string, runtime: RuntimeRef, preference: string): OutgoingFrame {
  const frame = { type: 'update_toolset', request_id: requestId, runtime: wireRuntime(runtime) };
  return { ...frame, toolset_preference: preference };
}

export function conversationRetrieve(requestId: string, conversationId: string): OutgoingFrame {
  return { type: 'conversation_retrieve', request_id: requestId, conversation_id: conversationId };
}

/** @param upTo the last message that the copy has; `null`: it has all */
export function conversationFork(requestId: string, runtime: RuntimeRef, upTo: string | null): OutgoingFrame {
  const body = { agent_id: runtime.agentId, ...(upTo !== null && { message_id: upTo }) };
  return { type: 'conversation_fork', request_id: requestId, conversation_id: runtime.conversationId, body };
}

/** @param summary the conversation's title in Letta's clients */
export function conversationUpdate(requestId: string, conversationId: string, summary: string): OutgoingFrame {
  return { type: 'conversation_update', request_id: requestId, conversation_id: conversationId, body: { summary } };
}

export function appServerInfo(requestId: string): OutgoingFrame {
  return { type: 'app_server_info', request_id: requestId };
}
