import type { Choices, Clock, Log, Random } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { createAgentChoice } from '../agent-choice.ts';
import { type AppServerAddress, appServerLanes } from '../link/endpoints.ts';
import type { LaneDialer, LaneLoss } from '../link/lane.ts';
import { agentList, listModels, runtimeStart } from '../protocol/outgoing.ts';
import { type Ask, linkLost } from '../requests.ts';
import { visit } from '../visit.ts';
import { NOTICES } from '../words/notices.ts';
import type { Route } from './route.ts';

export interface AppServerRouteOptions {
  address: AppServerAddress;
  agentId: string | null;
  choices: Choices;
  dial: LaneDialer;
  clock: Clock;
  random: Random;
  log: Log;
}

const ANSWERS_WITHIN_MS = 10_000;
const CREATES_WITHIN_MS = 30_000;
const MODELS_WITHIN_MS = 5_000;
const MODEL_ATTEMPTS = 5;
const MODEL_PAUSE_MS = 500;

/** A Letta App Server reached directly. Throws `config_invalid` for an address that cannot be used. */
export function createAppServerRoute(options: AppServerRouteOptions): Route {
  const { address, agentId, choices, dial, clock, random, log } = options;
  const endpoints = appServerLanes(address);

  const askServer = <Result>(run: (ask: Ask) => Promise<Result>) =>
    visit({ endpoints, dial, clock, random, log, unreachable }, run);

  const agent = createAgentChoice({
    configuredId: agentId,
    choices,
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
        log.info({ agentId: answer.agent.id, model }, 'created an agent, because the App Server had none');
        return answer.agent.id;
      }),
  });

  return {
    isOrdered: true,
    hasOwnLinkForFiles: true,
    sharesTools: false,
    syncAfterMs: null,
    async makePlan(runtime, binding) {
      return {
        endpoints,
        agentId: runtime?.agentId ?? binding?.agentId ?? (await agent.get()),
        conversationId: runtime?.conversationId ?? null,
        deviceId: null,
        deviceName: null,
      };
    },
    replaceAgent: (gone) => agent.replaceAgent(gone),
    unreachable,
    webPage: () => null,
    listMessages: async () => null,
    conversationExists: async () => true,
  };
}

const NEW_AGENT = 'Slack Bridge';

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
        notice: NOTICES.agentRefused,
        retry: true,
      });
}

/** The error to report when an App Server cannot be dialled. */
export function unreachable(loss: LaneLoss): BridgeError {
  if (loss.kind === 'refused' && (loss.status === 401 || loss.status === 403)) {
    return new BridgeError('letta_unauthorized', `the App Server answered ${loss.status}`, {
      notice: NOTICES.tokenRejected,
    });
  }
  if (loss.kind === 'refused' && loss.status === 426) {
    return new BridgeError('letta_refused', 'the App Server wants another kind of upgrade', {
      notice: NOTICES.noAppServer,
    });
  }
  return new BridgeError('letta_unreachable', `could not reach the App Server (${loss.kind})`, {
    notice: NOTICES.serverUnreachable,
    retry: true,
  });
}
