import type { ModelChange, ModelEntry, ModelInUse, ModelsSeen, RuntimeRef } from '../bridge/agent-event.ts';
import type { Models } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import type { FrameOf } from './protocol/incoming.ts';
import { agentRetrieve, conversationRetrieve, listModels, updateModel } from './protocol/outgoing.ts';
import { type Ask, linkLost } from './requests.ts';
import type { Route } from './routes/route.ts';
import { type VisitParts, visit } from './visit.ts';
import { modelRefusedText, NOTICES } from './words/notices.ts';

const ANSWERS_WITHIN_MS = 10_000;

/** Each question opens a link of its own and closes it again; it carries no frames of the conversation. */
export function createModels(parts: Omit<VisitParts, 'endpoints' | 'unreachable'> & { route: Route }): Models {
  const { route, ...rest } = parts;
  return {
    async choose(runtime, pick) {
      const plan = await route.makePlan(runtime, null);
      // On a socket that conversations share, a link that names its own would take the frames from the thread's.
      const endpoints = plan.endpoints.map(({ runtime: _, ...endpoint }) => endpoint);
      return visit({ ...rest, endpoints, unreachable: route.unreachable }, async (ask) => {
        const entry = pick(await readModels(ask, runtime));
        return entry && takeModel(ask, runtime, entry);
      });
    },
  };
}

/** @throws BridgeError when Letta does not list its models */
async function readModels(ask: Ask, runtime: RuntimeRef): Promise<ModelsSeen> {
  const list = await ask('list_models_response', listModels, ANSWERS_WITHIN_MS);
  if (list?.success !== true) throw silent();
  const available = new Set(list.available_handles ?? []);
  const entries = (list.entries ?? []).flatMap(({ id, handle, updateArgs }): ModelEntry[] => {
    if (!id || !handle || !available.has(handle)) return [];
    return [{ id, handle, effort: updateArgs?.reasoning_effort ?? null }];
  });
  return { entries, current: await readCurrent(ask, runtime) };
}

/** `null`: Letta does not tell. */
async function readCurrent(ask: Ask, { agentId, conversationId }: RuntimeRef): Promise<ModelInUse | null> {
  const retrieve = (requestId: string) => conversationRetrieve(requestId, conversationId);
  const found = await ask('conversation_retrieve_response', retrieve, ANSWERS_WITHIN_MS);
  const own = modelOf(found?.conversation ?? null, null);
  if (own) return own;
  const answer = await ask('agent_retrieve_response', (id) => agentRetrieve(id, agentId), ANSWERS_WITHIN_MS);
  return modelOf(null, answer?.agent ?? null);
}

type Started = FrameOf<'runtime_start_response'>;

/** The model of a conversation: its own, or else the agent's; `null`: neither is told. */
export function modelOf(
  conversation: Started['conversation'] | null,
  agent: Started['agent'] | null,
): ModelInUse | null {
  const from = conversation?.model ? conversation : agent;
  if (!from?.model) return null;
  const settings = from.model_settings;
  const contextWindow = conversation?.context_window_limit ?? settings?.context_window_limit ?? null;
  return { handle: from.model, effort: settings?.reasoning_effort ?? null, contextWindow };
}

async function takeModel(ask: Ask, runtime: RuntimeRef, entry: ModelEntry): Promise<ModelChange> {
  const make = (requestId: string) => updateModel(requestId, runtime, entry.id);
  // A link that is lost meanwhile rejects, just as uncertain.
  const answer = await ask('update_model_response', make, ANSWERS_WITHIN_MS);
  if (answer === null) throw linkLost({ certain: false });
  if (answer.success !== true) {
    throw new BridgeError('letta_refused', `update_model was refused: ${(answer.error ?? '').slice(0, 300)}`, {
      notice: modelRefusedText(answer.error ?? ''),
    });
  }
  const { model_handle: handle, model_settings: settings, applied_to: appliedTo } = answer;
  return {
    model: {
      handle: handle ?? entry.handle,
      effort: settings?.reasoning_effort ?? null,
      contextWindow: settings?.context_window_limit ?? null,
    },
    appliedTo: appliedTo === 'agent' ? 'agent' : 'conversation',
  };
}

function silent(): BridgeError {
  return new BridgeError('letta_unreachable', 'Letta did not list its models', { notice: NOTICES.silent, retry: true });
}
