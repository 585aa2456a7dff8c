import { BoundedMap } from '../../bounded-map.ts';
import type { Choices, Clock, Log, Random } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import type { AgentChoice } from '../agent-choice.ts';
import { chooseOnce } from '../chosen-once.ts';
import { deviceLane } from '../devices/device.ts';
import type { Devices, KnownDevice } from '../devices/devices.ts';
import { chooseEnvironment, deviceOffline } from '../environments.ts';
import { lossReason } from '../link/lane.ts';
import { createLocalAgentChoice } from '../local-agents.ts';
import { visit } from '../visit.ts';
import { NOTICES } from '../words/notices.ts';
import type { Route } from './route.ts';

export interface ListenRouteOptions {
  devices: Devices;
  /** `LETTA_ENVIRONMENT`: a device id or a connection name. */
  environment: string | null;
  agentId: string | null;
  choices: Choices;
  clock: Clock;
  random: Random;
  log: Log;
}

/** The store keeps the id of the device for new threads under this name, and the agent chosen on each under the other. */
const CHOSEN_LISTEN_DEVICE = 'listen-device';
const chosenAgentOn = (deviceId: string) => `listen-agent:${deviceId}`;

/** A device whose socket broke is back within moments (docs/letta-protocol.md, A device that dials us). */
const BACK_WITHIN_MS = 3_000;
const MOST_CHOICES = 200;

/** Devices that dial this bridge. Each has its own agents. */
export function createListenRoute(options: ListenRouteOptions): Route {
  const { devices, environment, agentId: configuredId, choices, clock, random, log } = options;
  const { dial } = devices;
  const agents = new BoundedMap<string, AgentChoice>(MOST_CHOICES);
  /** On which device an agent was looked for last. */
  const placeOfAgent = new BoundedMap<string, string>(MOST_CHOICES);

  const agentOn = (deviceId: string): AgentChoice => {
    const before = agents.get(deviceId);
    if (before) return before;
    const parts = { endpoints: [deviceLane(deviceId, null)], dial, clock, random, log, unreachable };
    const made = createLocalAgentChoice({
      configuredId,
      choices,
      storedAs: chosenAgentOn(deviceId),
      clock,
      log,
      askServer: (run) => visit(parts, run),
    });
    agents.set(deviceId, made);
    return made;
  };

  /** Chosen once, because a device that appears later must not get the commands of this one. */
  const onlyDevice = chooseOnce(CHOSEN_LISTEN_DEVICE, choices, async () => {
    const { deviceId, connectionName } = choose(null);
    log.info({ deviceId, device: connectionName }, 'chose the only device that has dialled in');
    return deviceId;
  });

  /** @throws BridgeError `no_environment`, `several_environments` */
  const choose = (named: string | null) => chooseEnvironment(devices.list().map(toEnvironment), named, NOW);

  /** The device, if it is there. @throws BridgeError as above, or `environment_offline` */
  const findDevice = async (known: string | null, named: string | null): Promise<KnownDevice> => {
    const id = known ?? (named === null ? await onlyDevice.get() : choose(named).deviceId);
    const device = devices.list().find((each) => each.id === id);
    if (device?.isOnline) return device;
    throw deviceOffline(id, device?.name ?? id);
  };

  /** Waits a moment for a device that is not there: after a start or a cut it dials in again. */
  const awaitDevice = async (known: string | null, named: string | null): Promise<KnownDevice> => {
    const until = clock.monotonic() + BACK_WITHIN_MS;
    for (;;) {
      try {
        return await findDevice(known, named);
      } catch (error) {
        const left = until - clock.monotonic();
        if (!asBridgeError(error).retry || left <= 0) throw error;
        await nextDial(left);
      }
    }
  };

  const nextDial = (ms: number) =>
    new Promise<void>((resolve) => {
      const end = () => {
        timer.cancel();
        unwatch();
        resolve();
      };
      const timer = clock.after(ms, end);
      const unwatch = devices.watch(end);
    });

  return {
    isOrdered: true,
    // The device has one socket, whoever asks.
    hasOwnLinkForFiles: false,
    // It has no other client than this bridge.
    sharesTools: false,
    syncAfterMs: null,
    watchReturn: (runtime, onBack) =>
      devices.watch((deviceId) => {
        if ((runtime?.deviceId ?? deviceId) === deviceId) onBack();
      }),
    async makePlan(runtime, binding) {
      const device = await awaitDevice(runtime?.deviceId ?? null, binding?.device ?? environment);
      const agentId = runtime?.agentId ?? binding?.agentId ?? (await agentOn(device.id).get());
      // Only the agent of a new conversation may be replaced.
      if (runtime === null) placeOfAgent.set(agentId, device.id);
      return {
        endpoints: [deviceLane(device.id, runtime)],
        agentId,
        conversationId: runtime?.conversationId ?? null,
        deviceId: device.id,
        deviceName: device.name,
      };
    },
    replaceAgent(gone) {
      const deviceId = placeOfAgent.get(gone);
      return deviceId === undefined ? Promise.resolve(null) : agentOn(deviceId).replaceAgent(gone);
    },
    hasOnlyLocalAgents: true,
    unreachable,
    webPage: () => null,
    listMessages: async () => null,
    conversationExists: async () => true,
  };
}

function unreachable(loss: Parameters<Route['unreachable']>[0]): BridgeError {
  return new BridgeError('letta_unreachable', `lost the device: ${lossReason(loss)}`, {
    notice: NOTICES.deviceUnreachable,
    retry: true,
  });
}

/** Its socket tells that a device is there, and no clock has a say in it. */
const NOW = 0;

function toEnvironment({ id, name, version, isOnline }: KnownDevice) {
  return {
    deviceId: id,
    connectionId: isOnline ? id : null,
    connectionName: name,
    lastHeartbeat: isOnline ? NOW : null,
    version,
  };
}
