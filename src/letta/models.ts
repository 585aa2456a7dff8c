import type {
  ModelChange,
  ModelEntry,
  ModelInUse,
  ModelName,
  ModelsSeen,
  RuntimeRef,
  StoredRuntime,
  ToolsetChange,
} from '../bridge/agent-event.ts';
import type { Models } from '../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../errors.ts';
import type { FrameOf } from './protocol/incoming.ts';
import { agentRetrieve, conversationRetrieve, listModels, updateModel, updateToolset } from './protocol/outgoing.ts';
import { type Ask, linkLost } from './requests.ts';
import type { Route } from './routes/route.ts';
import { type VisitParts, visit } from './visit.ts';
import { modelGoneText, modelRefusedText, NOTICES, toolsetRefusedText, toolsetUntakenText } from './words/notices.ts';

const ANSWERS_WITHIN_MS = 10_000;

/** Each question opens a link of its own and closes it again; it carries no frames of the conversation. */
export function createModels(parts: Omit<VisitParts, 'endpoints' | 'unreachable'> & { route: Route }): Models {
  const { route, ...rest } = parts;
  type Where = Parameters<Route['makePlan']>;
  const over = async <Result>(where: Where, run: (ask: Ask) => Promise<Result>): Promise<Result> => {
    const plan = await route.makePlan(...where);
    // On a socket that conversations share, a link that names its own would take the frames from the thread's.
    const endpoints = plan.endpoints.map(({ runtime: _, ...endpoint }) => endpoint);
    return visit({ ...rest, endpoints, unreachable: route.unreachable }, run);
  };
  return {
    choose: (runtime: StoredRuntime, pick) =>
      over([runtime, null], async (ask) => {
        const entry = pick({ entries: await readEntries(ask), current: await readCurrent(ask, runtime) });
        return entry && answered(await takeModel(ask, runtime, entry));
      }),
    chooseToolset: (runtime, toolset) =>
      over([runtime, null], async (ask) => answered(await takeToolset(ask, runtime, toolset))),
    listFor: (binding) =>
      over([null, binding], async (ask): Promise<ModelsSeen> => ({ entries: await readEntries(ask), current: null })),
  };
}

/**
 * Only what can be used now. Letta tells `null` when it could not find that out; an older one tells nothing of it.
 * @throws BridgeError when Letta does not list its models
 */
async function readEntries(ask: Ask): Promise<ModelEntry[]> {
  const list = await ask('list_models_response', listModels, ANSWERS_WITHIN_MS);
  if (list?.success !== true) throw silent();
  if (list.available_handles === null) throw unknown();
  const available = list.available_handles && new Set(list.available_handles);
  return (list.entries ?? []).flatMap(({ id, handle, updateArgs }): ModelEntry[] => {
    if (!id || !handle || (available && !available.has(handle))) return [];
    return [{ id, handle, effort: updateArgs?.reasoning_effort ?? null }];
  });
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

/** @throws BridgeError that is not `certain`: Letta may have taken it */
function answered<Change>(change: Change | null): Change {
  if (change === null) throw linkLost({ certain: false });
  return change;
}

/** `null`: Letta did not answer. */
async function takeModel(ask: Ask, runtime: RuntimeRef, entry: ModelEntry): Promise<ModelChange | null> {
  const make = (requestId: string) => updateModel(requestId, runtime, entry.id);
  // A link that is lost meanwhile rejects, just as uncertain.
  const answer = await ask('update_model_response', make, ANSWERS_WITHIN_MS);
  if (answer === null) return null;
  if (answer.success !== true) throw refused('update_model', answer.error, modelRefusedText);
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

/** `null`: Letta did not answer, as it does when it does not know the toolset. */
async function takeToolset(ask: Ask, runtime: RuntimeRef, toolset: string): Promise<ToolsetChange | null> {
  const make = (requestId: string) => updateToolset(requestId, runtime, toolset);
  const answer = await ask('update_toolset_response', make, ANSWERS_WITHIN_MS);
  if (answer === null) return null;
  if (answer.success !== true) throw refused('update_toolset', answer.error, toolsetRefusedText);
  const chosen = answer.current_toolset_preference ?? toolset;
  return { chosen, current: answer.current_toolset ?? chosen };
}

/** What a place has chosen for its new conversations. */
interface Chosen {
  model?: ModelName | undefined;
  toolset?: string | undefined;
}

/**
 * Gives a new conversation the model and the tools that its place has chosen. What cannot be had now does not keep people
 * from the agent: they are told.
 * @param own the agent's own model
 * @returns `notice`: what could not be had, a sentence for people
 */
export async function applyChoices(
  ask: Ask,
  runtime: RuntimeRef,
  { model: wanted, toolset }: Chosen,
  own: ModelInUse | null,
): Promise<{ model: ModelInUse | null; notice: string | null }> {
  const notices: string[] = [];
  const tell = (says: string, why = '') => notices.push(`${says} ${why}`.trim());
  let model = own;
  if (wanted) {
    try {
      const isWanted = ({ handle, effort }: ModelEntry) => handle === wanted.handle && effort === wanted.effort;
      const entry = (await readEntries(ask)).find(isWanted);
      const change = entry && (await takeModel(ask, runtime, entry));
      if (change) ({ model } = change);
      else tell(modelGoneText(wanted), entry && NOTICES.silent);
    } catch (error) {
      tell(modelGoneText(wanted), noticeOf(error));
    }
  }
  if (toolset !== undefined) {
    try {
      if (!(await takeToolset(ask, runtime, toolset))) tell(toolsetUntakenText(toolset));
    } catch (error) {
      tell(toolsetUntakenText(toolset), noticeOf(error));
    }
  }
  return { model, notice: notices.length === 0 ? null : notices.join('\n') };
}

/** @throws the error when the link is lost: over the next one all is tried again */
function noticeOf(error: unknown): string {
  const { code, notice } = asBridgeError(error);
  if (code === 'link_lost') throw error;
  return notice;
}

function refused(what: string, error: string | null | undefined, says: (error: string) => string): BridgeError {
  const said = error ?? '';
  return new BridgeError('letta_refused', `${what} was refused: ${said.slice(0, 300)}`, { notice: says(said) });
}

function silent(): BridgeError {
  return new BridgeError('letta_unreachable', 'Letta did not list its models', { notice: NOTICES.silent, retry: true });
}

function unknown(): BridgeError {
  const notice = NOTICES.modelsUnknown;
  return new BridgeError('letta_unreachable', 'Letta does not know which models can be used', { notice, retry: true });
}
