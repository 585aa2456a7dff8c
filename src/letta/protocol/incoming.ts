import * as z from 'zod';
import { type Delta, textContent } from './deltas.ts';

/**
 * Frames that Letta sends, by `type` (docs/letta-protocol.md, Client to server; Server to client; Approvals). Loose:
 * only what the bridge reads is checked.
 */

const runtime = z.looseObject({ agent_id: z.string(), conversation_id: z.string() });

const envelope = {
  runtime: runtime.nullish(),
  /** Per socket; only the hosted relay sends it, and wants it acked there. */
  seq: z.number().nullish(),
  event_seq: z.number().nullish(),
  emitted_at: z.string().nullish(),
  idempotency_key: z.string().nullish(),
  subagent_id: z.string().nullish(),
};

/** A schema of one frame type: the envelope and `shape`. */
export function frame<Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) {
  return z.looseObject({ type: z.literal(type), ...envelope, ...shape });
}

/**
 * What a model wrote as a tool's input. Any value is accepted unchanged: people must see all of it before they decide,
 * even a key that a schema would drop (`__proto__`), and a rejected frame would leave its turn waiting for ever.
 */
const toolInput = z
  .unknown()
  .transform((value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : value === undefined || value === null
        ? {}
        : { arguments: value },
  );

const controlRequest = z.looseObject({
  tool_name: z.string(),
  input: toolInput,
  tool_call_id: z.string().nullish().catch(null),
  permission_suggestions: z
    .array(z.looseObject({ id: z.string(), text: z.string() }))
    .nullish()
    .catch(null),
  diffs: z.array(z.unknown()).nullish().catch(null),
});

export type WireControlRequest = z.infer<typeof controlRequest>;

function response<Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) {
  return frame(type, {
    request_id: z.string(),
    success: z.boolean().nullish(),
    error: z.string().nullish(),
    ...shape,
  });
}

/** A schedule, as Letta keeps it (docs/letta-protocol.md, Schedules). */
const cronTask = z.looseObject({
  id: z.string(),
  agent_id: z.string(),
  conversation_id: z.string(),
  name: z.string(),
  status: z.string(),
  cron: z.string().nullish(),
  timezone: z.string().nullish(),
  prompt: z.string().nullish(),
  last_fired_at: z.string().nullish(),
  scheduled_for: z.string().nullish(),
});

export type WireCronTask = z.infer<typeof cronTask>;

const modelSettings = z.looseObject({
  context_window_limit: z.number().nullish(),
  reasoning_effort: z.string().nullish(),
});
const agent = z.looseObject({
  id: z.string(),
  name: z.string().nullish(),
  model: z.string().nullish(),
  model_settings: modelSettings.nullish(),
});
/** `model` and what goes with it are absent while the agent's model applies (docs/letta-protocol.md, Models). */
const conversation = z.looseObject({
  model: z.string().nullish(),
  model_settings: modelSettings.nullish(),
  context_window_limit: z.number().nullish(),
  id: z.string(),
  agent_id: z.string().nullish(),
  summary: z.string().nullish(),
  in_context_message_ids: z.array(z.string()).nullish(),
});

export const eventSchemas = {
  update_loop_status: frame('update_loop_status', {
    loop_status: z.looseObject({
      status: z.string(),
      active_run_ids: z.array(z.string()).nullish(),
      client_message_ids_by_run_id: z.record(z.string(), z.array(z.string())).nullish(),
    }),
  }),
  update_device_status: frame('update_device_status', {
    device_status: z.looseObject({
      current_permission_mode: z.string().nullish(),
      current_working_directory: z.string().nullish(),
      /** Filled only in some frames (docs/letta-protocol.md, Slash commands and skills). */
      current_available_skills: z
        .array(z.looseObject({ name: z.string(), description: z.string().nullish() }))
        .nullish()
        .catch(null),
      /** Left out: there are none. */
      mod_commands: z
        .array(z.looseObject({ id: z.string(), description: z.string().nullish(), args: z.string().nullish() }))
        .nullish()
        .catch(null),
      current_toolset_preference: z.string().nullish().catch(null),
      available_toolsets: z
        .array(z.looseObject({ id: z.string(), display_name: z.string().nullish() }))
        .nullish()
        .catch(null),
      pending_control_requests: z.array(z.looseObject({ request_id: z.string(), request: controlRequest })).nullish(),
      background_processes: z
        .array(
          z.looseObject({
            process_id: z.string().nullish(),
            kind: z.string().nullish(),
            status: z.string().nullish(),
            command: z.string().nullish(),
            description: z.string().nullish(),
            subagent_id: z.string().nullish(),
          }),
        )
        .nullish(),
    }),
  }),
  update_queue: frame('update_queue', {
    queue: z.array(
      z.looseObject({
        id: z.string(),
        client_message_id: z.string().nullish(),
        kind: z.string().nullish(),
        content: textContent.nullish(),
        paused: z.boolean().nullish(),
      }),
    ),
    removed: z.array(z.looseObject({ client_message_id: z.string().nullish(), disposition: z.string() })).nullish(),
  }),
  update_subagent_state: frame('update_subagent_state', {
    subagents: z.array(
      z.looseObject({
        subagent_id: z.string(),
        status: z.string(),
        subagent_type: z.string().nullish(),
        description: z.string().nullish(),
        agent_url: z.string().nullish(),
        conversation_id: z.string().nullish(),
        tool_call_id: z.string().nullish(),
        is_background: z.boolean().nullish(),
      }),
    ),
  }),
  turn_finished: frame('turn_finished', {
    turn_id: z.string().nullish(),
    stop_reason: z.string(),
    run_id: z.string().nullish(),
    error: z.string().nullish(),
  }),
  control_request: frame('control_request', { request_id: z.string(), request: controlRequest }),
  external_tool_call_request: frame('external_tool_call_request', {
    request_id: z.string(),
    tool_call_id: z.string(),
    tool_name: z.string(),
    input: z.record(z.string(), z.unknown()).nullish(),
  }),
  /** Without `runtime`: a client changed a schedule. With it: one of this runtime fired. */
  crons_updated: frame('crons_updated', {
    agent_id: z.string().nullish(),
    conversation_id: z.string().nullish(),
  }),
  /** Holds a whole file: never read, never logged. */
  file_ops: frame('file_ops', {}),
  pong: frame('pong', {}),
};

export const responseSchemas = {
  input_accepted: response('input_accepted', { accepted: z.boolean(), disposition: z.string().nullish() }),
  runtime_start_response: response('runtime_start_response', {
    agent: agent.nullish(),
    conversation: conversation.nullish(),
    created: z.looseObject({ agent: z.boolean(), conversation: z.boolean() }).nullish(),
  }),
  sync_response: response('sync_response', {}),
  runtime_external_tools_update_response: response('runtime_external_tools_update_response', {}),
  abort_message_response: response('abort_message_response', { aborted: z.boolean().nullish() }),
  monitor_stop_response: response('monitor_stop_response', { stopped: z.boolean().nullish() }),
  resume_queue_response: response('resume_queue_response', { resumed: z.number().nullish() }),
  remove_queue_item_response: response('remove_queue_item_response', {}),
  execute_command_response: response('execute_command_response', { output: z.string().nullish() }),
  /** `messages` go through `runtime/history.ts`. */
  conversation_messages_list_response: response('conversation_messages_list_response', {
    messages: z.array(z.unknown()).nullish(),
    has_more: z.boolean().nullish(),
    next_before: z.string().nullish(),
  }),
  conversation_create_response: response('conversation_create_response', { conversation: conversation.nullish() }),
  conversation_retrieve_response: response('conversation_retrieve_response', { conversation: conversation.nullish() }),
  conversation_update_response: response('conversation_update_response', { conversation: conversation.nullish() }),
  /** The copy's id alone. */
  conversation_fork_response: response('conversation_fork_response', { conversation: conversation.nullish() }),
  conversation_list_response: response('conversation_list_response', {
    conversations: z.array(conversation).nullish(),
  }),
  agent_list_response: response('agent_list_response', { agents: z.array(agent).nullish() }),
  agent_retrieve_response: response('agent_retrieve_response', { agent: agent.nullish() }),
  agent_create_response: response('agent_create_response', { agent: agent.nullish() }),
  app_server_info_response: response('app_server_info_response', {
    letta_code_version: z.string().nullish(),
    protocol_version: z.number().nullish(),
  }),
  write_file_response: response('write_file_response', {}),
  read_file_response: response('read_file_response', { content: z.string().nullish() }),
  cron_add_response: response('cron_add_response', { task: cronTask.nullish() }),
  cron_list_response: response('cron_list_response', { tasks: z.array(cronTask).nullish() }),
  cron_get_response: response('cron_get_response', { task: cronTask.nullish() }),
  cron_update_response: response('cron_update_response', { task: cronTask.nullish() }),
  cron_pause_response: response('cron_pause_response', { found: z.boolean().nullish(), task: cronTask.nullish() }),
  cron_resume_response: response('cron_resume_response', { found: z.boolean().nullish(), task: cronTask.nullish() }),
  cron_trigger_response: response('cron_trigger_response', { found: z.boolean().nullish() }),
  cron_runs_response: response('cron_runs_response', {}),
  cron_delete_response: response('cron_delete_response', { found: z.boolean().nullish() }),
  cron_delete_all_response: response('cron_delete_all_response', { deleted: z.number().nullish() }),
  list_models_response: response('list_models_response', {
    /** One for each model and effort. */
    entries: z
      .array(
        z.looseObject({
          id: z.string().nullish(),
          handle: z.string().nullish(),
          updateArgs: z.looseObject({ reasoning_effort: z.string().nullish() }).nullish(),
        }),
      )
      .nullish(),
    available_handles: z.array(z.string()).nullish(),
  }),
  update_toolset_response: response('update_toolset_response', {
    current_toolset: z.string().nullish(),
    current_toolset_preference: z.string().nullish(),
  }),
  update_model_response: response('update_model_response', {
    applied_to: z.string().nullish(),
    model_handle: z.string().nullish(),
    model_settings: modelSettings.nullish(),
  }),
};

type Infer<Schemas extends Record<string, z.ZodType>> = {
  [Type in keyof Schemas]: z.infer<Schemas[Type]>;
}[keyof Schemas];

const streamDeltaEnvelope = frame('stream_delta', {});
/** Which schema its `delta` has is chosen by `message_type` in `decode.ts`. */
export type StreamDelta = z.infer<typeof streamDeltaEnvelope> & { delta: Delta };
/** Correlated by `request_id`; carries no `event_seq`. */
export type ResponseFrame = Infer<typeof responseSchemas>;
export type EventFrame = Infer<typeof eventSchemas> | StreamDelta;
export type Frame = EventFrame | ResponseFrame;
/** One frame by its type, e.g. `FrameOf<'runtime_start_response'>`. */
export type FrameOf<Type extends Frame['type']> = Extract<Frame, { type: Type }>;
