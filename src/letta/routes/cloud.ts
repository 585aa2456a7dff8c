import type { Choices, Clock, Log } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import { createAgentChoice } from '../agent-choice.ts';
import { chooseOnce } from '../chosen-once.ts';
import { chooseEnvironment, type OnlineEnvironment, resolveDevice } from '../environments.ts';
import type { HostedApi } from '../hosted-api.ts';
import { type CloudAddress, cloudLanes } from '../link/endpoints.ts';
import { lossReason } from '../link/lane.ts';
import { webPage } from '../web-page.ts';
import { NOTICES } from '../words/notices.ts';
import type { Route } from './route.ts';

export interface CloudRouteOptions {
  address: CloudAddress;
  api: HostedApi;
  /** `LETTA_ENVIRONMENT`: a device id or a connection name. */
  environment: string | null;
  /** `LETTA_WEB_URL`, without a slash at its end. */
  webUrl?: string | null | undefined;
  agentId: string | null;
  choices: Choices;
  clock: Clock;
  log: Log;
}

const SYNC_AFTER_MS = 5_000;
/** The store keeps the chosen device's id under this name. */
export const CHOSEN_DEVICE = 'device';

/** A device behind the hosted relay. Throws `config_invalid` for an address that cannot be used. */
export function createCloudRoute(options: CloudRouteOptions): Route {
  const { address, api, environment, webUrl, choices, clock, log } = options;

  const agent = createAgentChoice({
    configuredId: options.agentId,
    choices,
    log,
    listAgents: api.listAgents,
    createAgent: null,
  });

  /** Chosen once, because a device that appears later must not get the commands of this one. */
  const onlyDevice = chooseOnce(CHOSEN_DEVICE, choices, async () => {
    const { deviceId, connectionName } = chooseEnvironment(await api.listOnlineEnvironments(), null, clock.now());
    log.info({ deviceId, device: connectionName }, 'chose the only device online');
    return deviceId;
  });

  /** If Letta no longer knows the chosen device, another one is chosen; if it is offline, we wait for it. */
  const resolveChosenDevice = async (): Promise<OnlineEnvironment> => {
    const chosen = await onlyDevice.get();
    try {
      return await resolveDevice(api, chosen, clock.now);
    } catch (error) {
      if (asBridgeError(error).code !== 'no_environment') throw error;
      log.warn({ deviceId: chosen }, 'the device chosen for new threads is gone; choosing another');
      return resolveDevice(api, await onlyDevice.replace(chosen), clock.now);
    }
  };

  const findDevice = async (known: string | null, named: string | null): Promise<OnlineEnvironment> => {
    if (known !== null) return resolveDevice(api, known, clock.now);
    if (named === null) return resolveChosenDevice();
    return chooseEnvironment(await api.listOnlineEnvironments(), named, clock.now());
  };

  return {
    isOrdered: false,
    // The device has one connection, whoever asks.
    hasOwnLinkForFiles: false,
    sharesTools: true,
    syncAfterMs: SYNC_AFTER_MS,
    watchReturn: null,
    hasOnlyLocalAgents: false,
    async makePlan(runtime, binding) {
      const { deviceId, connectionId, connectionName } = await findDevice(
        runtime?.deviceId ?? null,
        binding?.device ?? environment,
      );
      const agentId = runtime?.agentId ?? binding?.agentId ?? (await agent.get());
      const conversationId = runtime?.conversationId ?? (await api.createConversation(agentId));
      return {
        endpoints: cloudLanes(address, { connectionId, agentId, conversationId }),
        agentId,
        conversationId,
        deviceId,
        deviceName: connectionName,
      };
    },
    replaceAgent: (gone) => agent.replaceAgent(gone),
    // Always retry: the lease may have rotated, and the next attempt asks for a new one (docs/letta-protocol.md,
    // Hosted: not known). A wrong key shows in the REST call before it.
    unreachable: (loss) =>
      new BridgeError('letta_unreachable', `could not reach the relay: ${lossReason(loss)}`, {
        notice: NOTICES.deviceUnreachable,
        retry: true,
      }),
    webPage: (runtime) => webPage({ ...address, webUrl }, runtime),
    listMessages: api.listMessages,
    retrieveConversation: api.getConversation,
    conversationExists: api.conversationExists,
  };
}
