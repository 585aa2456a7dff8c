import type { Choices, Clock, Log } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { type AgentChoice, CHOSEN_AGENT, createAgentChoice } from './agent-choice.ts';
import { agentList, listModels, runtimeStart } from './protocol/outgoing.ts';
import { type Ask, linkLost } from './requests.ts';
import { isNotLocal } from './words/devices.ts';
import { NOTICES } from './words/notices.ts';

export interface LocalAgentsOptions {
  configuredId: string | null;
  choices: Choices;
  /** Under which name the store keeps the chosen agent; left out: the usual one. */
  storedAs?: string;
  clock: Clock;
  log: Log;
  /** A few requests that concern no runtime. */
  askServer<Result>(run: (ask: Ask) => Promise<Result>): Promise<Result>;
}

const ANSWERS_WITHIN_MS = 10_000;
const CREATES_WITHIN_MS = 30_000;
const MODELS_WITHIN_MS = 5_000;
const MODEL_ATTEMPTS = 5;
const MODEL_PAUSE_MS = 500;

const NEW_AGENT = 'Slack Bridge';

/** The agent of new threads where agents live beside Letta Code itself, and can be made over its socket. */
export function createLocalAgentChoice(options: LocalAgentsOptions): AgentChoice {
  const { configuredId, choices, storedAs = CHOSEN_AGENT, clock, log, askServer } = options;
  return createAgentChoice({
    configuredId,
    choices,
    storedAs,
    log,
    listAgents: () =>
      askServer(async (ask) => {
        const answer = await ask('agent_list_response', (id) => agentList(id, { limit: 50 }), ANSWERS_WITHIN_MS);
        if (answer?.success !== true) throw refusedRequest('agent_list', answer?.error);
        return (answer.agents ?? []).map(({ id, name }) => ({ id, name: name ?? id }));
      }),
    createAgent: () =>
      askServer(async (ask) => {
        const model = await findModel(ask, clock);
        const body = { name: NEW_AGENT, ...(model === null ? {} : { model }) };
        const answer = await ask(
          'runtime_start_response',
          // Every agent has a default conversation; using it leaves no unused conversation behind.
          (requestId) =>
            runtimeStart({ requestId, agent: { create: body }, conversation: { id: 'default' }, mode: 'standard' }),
          CREATES_WITHIN_MS,
        );
        if (answer?.success !== true || !answer.agent) throw refusedRequest('create_agent', answer?.error);
        log.info({ agentId: answer.agent.id, model }, 'created an agent, because there was none');
        return answer.agent.id;
      }),
  });
}

/**
 * The first available model, in the server's order. Without one, a new agent gets a default that a restarted server
 * does not know ("Unknown model local/default"). A fresh server first lists no model as available, because it is still
 * asking its providers; so we ask again (both seen with 0.32.18).
 */
async function findModel(ask: Ask, clock: Clock): Promise<string | null> {
  for (let attempt = 0; attempt < MODEL_ATTEMPTS; attempt += 1) {
    if (attempt > 0) await new Promise<void>((resolve) => clock.after(MODEL_PAUSE_MS, resolve));
    const answer = await ask('list_models_response', listModels, MODELS_WITHIN_MS);
    if (answer === null) return null;
    const available = answer.available_handles ?? [];
    const listed = (answer.entries ?? []).flatMap(({ handle }) => (handle ? [handle] : []));
    const model = listed.find((handle) => available.includes(handle)) ?? available[0];
    if (model !== undefined) return model;
  }
  return null;
}

function refusedRequest(what: string, error: string | null | undefined): BridgeError {
  return error === undefined
    ? linkLost({ certain: false })
    : new BridgeError('letta_refused', `${what} was refused: ${(error ?? '').slice(0, 300)}`, {
        notice: isNotLocal(error ?? '') ? NOTICES.notLocal : NOTICES.agentRefused,
        retry: true,
      });
}
