import type { Choices, Clock, Log, Random } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { type AppServerAddress, appServerLanes } from '../link/endpoints.ts';
import type { LaneDialer, LaneLoss } from '../link/lane.ts';
import { createLocalAgentChoice } from '../local-agents.ts';
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

/** A Letta App Server reached directly. Throws `config_invalid` for an address that cannot be used. */
export function createAppServerRoute(options: AppServerRouteOptions): Route {
  const { address, agentId, choices, dial, clock, random, log } = options;
  const endpoints = appServerLanes(address);
  const agent = createLocalAgentChoice({
    configuredId: agentId,
    choices,
    clock,
    log,
    askServer: (run) => visit({ endpoints, dial, clock, random, log, unreachable }, run),
  });

  return {
    isOrdered: true,
    hasOwnLinkForFiles: true,
    sharesTools: false,
    syncAfterMs: null,
    watchReturn: null,
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
    hasOnlyLocalAgents: false,
    unreachable,
    webPage: () => null,
    listMessages: async () => null,
    conversationExists: async () => true,
  };
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
