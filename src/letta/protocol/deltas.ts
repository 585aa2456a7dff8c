import * as z from 'zod';

/**
 * `stream_delta.delta` by `message_type` (docs/letta-protocol.md, Deltas). Only what the bridge reads is checked; all
 * else is kept. Deltas of the model carry `run_id` and `seq_id`; lifecycle deltas may lack both.
 */
const common = {
  id: z.string().nullish(),
  run_id: z.string().nullish(),
  seq_id: z.number().nullish(),
};

/** A plain string, or parts; only the parts' texts are read. */
export const textContent = z.union([
  z.string(),
  z.array(z.looseObject({ type: z.string().nullish(), text: z.string().nullish() })),
]);

function delta<Type extends string, Shape extends z.ZodRawShape>(type: Type, shape: Shape) {
  return z.looseObject({ message_type: z.literal(type), ...common, ...shape });
}

const toolCall = z.looseObject({
  tool_call_id: z.string(),
  name: z.string(),
  arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
});
const toolArguments = z.union([z.string(), z.record(z.string(), z.unknown())]).nullish();

/** A count that is missing or no number does not spoil the frame. */
const tokens = z.number().int().nonnegative().nullish().catch(null);

export const deltaSchemas = {
  assistant_message: delta('assistant_message', { content: textContent }),
  reasoning_message: delta('reasoning_message', { reasoning: z.string() }),
  approval_request_message: delta('approval_request_message', { tool_call: toolCall }),
  tool_call_message: delta('tool_call_message', { tool_call: toolCall }),
  approval_classification_end: delta('approval_classification_end', {}),
  client_tool_start: delta('client_tool_start', {
    tool_call_id: z.string(),
    tool_name: z.string(),
    tool_args: toolArguments,
  }),
  client_tool_end: delta('client_tool_end', { tool_call_id: z.string(), status: z.string() }),
  tool_return_message: delta('tool_return_message', {
    tool_call_id: z.string(),
    status: z.string(),
    tool_return: z.unknown(),
  }),
  usage_statistics: delta('usage_statistics', {
    context_tokens: tokens,
    prompt_tokens: tokens,
    completion_tokens: tokens,
    cached_input_tokens: tokens,
  }),
  /** After an automatic compaction (docs/letta-protocol.md, Context and cost). */
  summary_message: delta('summary_message', {
    compaction_stats: z.looseObject({ context_tokens_after: z.number().nonnegative().nullish() }).nullish(),
  }),
  stop_reason: delta('stop_reason', { stop_reason: z.string() }),
  user_message: delta('user_message', { content: textContent, otid: z.string().nullish() }),
  status: delta('status', { message: z.string(), level: z.string().nullish() }),
  retry: delta('retry', {
    message: z.string().nullish(),
    reason: z.string().nullish(),
    attempt: z.number(),
    max_attempts: z.number(),
    delay_ms: z.number().nullish(),
  }),
  error_message: delta('error_message', { message: z.string() }),
  loop_error: delta('loop_error', {
    message: z.string(),
    is_terminal: z.boolean().nullish(),
    api_error: z.looseObject({ message: z.string().nullish() }).nullish(),
  }),
  slash_command_start: delta('slash_command_start', {}),
  slash_command_end: delta('slash_command_end', {
    command_id: z.string().nullish().catch(null),
    input: z.string().nullish().catch(null),
    output: z.string().nullish().catch(null),
    success: z.boolean().nullish().catch(null),
  }),
  command_start: delta('command_start', {}),
  command_end: delta('command_end', {}),
};

export type KnownDelta = {
  [Type in keyof typeof deltaSchemas]: z.infer<(typeof deltaSchemas)[Type]>;
}[keyof typeof deltaSchemas];

/** A delta of a kind that this version does not know: it has no meaning here, but it counts in its run's `seq_id`. */
export interface OtherDelta {
  message_type: null;
  id?: string | null | undefined;
  run_id?: string | null | undefined;
  seq_id?: number | null | undefined;
}

export type Delta = KnownDelta | OtherDelta;
