import * as frames from './frames.ts';
import { isJson, type Json, type Runtime, text } from './types.ts';

/* The models of the scripted Letta, as recorded (docs/letta-protocol.md, Models). */

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high'] as const;

function withEfforts(name: string): Json[] {
  return EFFORTS.map((effort) => ({
    id: `${name}-${effort}`,
    handle: `lmstudio/${name}`,
    label: name,
    description: '',
    updateArgs: {
      provider_type: 'lmstudio_openai',
      context_window: 128_000,
      max_output_tokens: 32_000,
      reasoning_effort: effort,
      enable_reasoner: effort !== 'none',
      parallel_tool_calls: true,
    },
  }));
}

const TEXT_ONLY: Json = {
  id: 'scripted-text',
  handle: 'lmstudio/scripted-text',
  label: 'scripted-text',
  description: '',
  updateArgs: {
    provider_type: 'lmstudio_openai',
    context_window: 32_000,
    max_output_tokens: 32_000,
    parallel_tool_calls: true,
  },
};

const ENTRIES: readonly Json[] = [...withEfforts('scripted'), ...withEfforts('scripted-two'), TEXT_ONLY];
const HANDLES = [...new Set(ENTRIES.map(({ handle }) => String(handle)))];

export const MODELS: Json = { entries: ENTRIES, available_handles: HANDLES, byok_provider_aliases: {} };

const LABELS: Record<string, string> = {
  none: 'No Reasoning',
  minimal: 'Minimal',
  low: 'Low',
  medium: 'Medium',
  high: 'High',
};

interface Chosen {
  readonly id: string;
  readonly handle: string;
  readonly settings: Json;
  readonly label: string;
}

/** By id one of the list; by handle any, as Letta does: the next turn fails. `null`: no such id. */
function choose(payload: Json): Chosen | null {
  const id = text(payload.model_id);
  const handle = text(payload.model_handle);
  const entry = ENTRIES.find((each) => (id === undefined ? each.handle === handle : each.id === id));
  if (entry) return chosenOf(entry);
  if (id !== undefined || handle === undefined) return null;
  return { id: handle, handle, settings: { provider_type: 'openai', parallel_tool_calls: true }, label: handle };
}

function chosenOf(entry: Json): Chosen {
  const args = isJson(entry.updateArgs) ? entry.updateArgs : {};
  const effort = text(args.reasoning_effort);
  const settings = {
    provider_type: args.provider_type,
    context_window_limit: args.context_window,
    max_tokens: args.max_output_tokens,
    parallel_tool_calls: true,
    ...(effort !== undefined && { reasoning: { reasoning_effort: effort }, reasoning_effort: effort }),
  };
  const label = effort === undefined ? String(entry.label) : `${String(entry.label)} (${LABELS[effort]})`;
  return { id: String(entry.id), handle: String(entry.handle), settings, label };
}

/** What has a model: a conversation, which shows its clients that it changed. */
interface Bearer {
  readonly runtime: Runtime;
  setModel(model: Json): void;
  emitDelta(delta: Json): void;
  showLoop(): void;
  showDevice(): void;
}

/** The body of the answer; `null`: a payload that names no model has none. */
export function updateModel(conversation: Bearer, setAgentModel: (model: Json) => void, payload: Json): Json | null {
  const { runtime } = conversation;
  const id = text(payload.model_id);
  if (id === undefined && text(payload.model_handle) === undefined) return null;
  const chosen = choose(payload);
  if (!chosen) {
    const error = 'Model not found. Provide a valid model_id from list_models or a model_handle.';
    return { success: false, runtime, model_id: id, error };
  }
  const isAgent = runtime.conversation_id === 'default';
  const model = { model: chosen.handle, model_settings: chosen.settings };
  if (isAgent) setAgentModel(model);
  else conversation.setModel(model);
  conversation.emitDelta(frames.modelUpdated(chosen.label));
  conversation.showLoop();
  conversation.showDevice();
  return {
    success: true,
    runtime,
    applied_to: isAgent ? 'agent' : 'conversation',
    model_id: chosen.id,
    model_handle: chosen.handle,
    model_settings: chosen.settings,
  };
}

/** Why a turn with this model fails; `null`: it does not. */
export function unknownModel(model: unknown): string | null {
  if (typeof model !== 'string' || HANDLES.includes(model)) return null;
  return `Unknown model "${model}" for provider "openai". Choose an available model with /model.`;
}
