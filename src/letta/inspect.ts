import type { Clock, Log, Random } from '../bridge/ports.ts';
import { BridgeError } from '../errors.ts';
import { isOnline } from './environments.ts';
import { type AgentSummary, createHostedApi, type FetchLike, type HostedApi } from './hosted-api.ts';
import { type AppServerAddress, appServerLanes, type CloudAddress } from './link/endpoints.ts';
import type { LaneDialer } from './link/lane.ts';
import { agentList, agentRetrieve, appServerInfo } from './protocol/outgoing.ts';
import { linkLost } from './requests.ts';
import { unreachable } from './routes/app-server.ts';
import { visit } from './visit.ts';

/** The version of Letta Code with which this bridge was recorded and tested. */
export const TESTED_VERSION = '0.32.18';

export interface LettaReport {
  /** The first page of agents; `null` when no device is online to list them. */
  agents: AgentSummary[] | null;
  /** The wanted agents that exist, by id. */
  known: ReadonlyMap<string, AgentSummary>;
  /** `null` for an App Server, which has no devices. */
  devices: Device[] | null;
  /** Letta Code's version on an App Server; `null` in the cloud, where each device has its own. */
  version: string | null;
}

export interface Device {
  id: string;
  name: string;
  isOnline: boolean;
  version: string | null;
}

const ANSWERS_WITHIN_MS = 10_000;
const AGENTS = 50;

export interface InspectParts {
  dial: LaneDialer;
  fetch: FetchLike;
  clock: Clock;
  random: Random;
  log: Log;
}

export type InspectTarget = ({ mode: 'app-server' } & AppServerAddress) | ({ mode: 'cloud' } & CloudAddress);

/**
 * Lists agents, devices and versions. Rejects with a BridgeError: `letta_unreachable`, `letta_unauthorized`, …
 * @param wanted ids of agents to look for
 */
export async function inspectLetta(
  target: InspectTarget,
  parts: InspectParts,
  wanted: readonly string[],
): Promise<LettaReport> {
  if (target.mode === 'app-server') return inspectAppServer(target, parts, wanted);
  const api = createHostedApi({ ...target, fetch: parts.fetch, clock: parts.clock });
  // The first call tells a wrong key from an unreachable network.
  const devices = await listDevices(api, parts.clock.now());
  if (!devices.some((device) => device.isOnline)) return { devices, agents: null, known: new Map(), version: null };
  const agents = await api.listAgents();
  const known = new Map<string, AgentSummary>();
  for (const id of wanted) {
    const agent = await api.getAgent(id);
    if (agent !== null) known.set(id, agent);
  }
  return { devices, agents, known, version: null };
}

async function listDevices(api: HostedApi, now: number): Promise<Device[]> {
  const rows = await api.listEnvironments();
  const newestFirst = rows.toSorted((a, b) => (b.lastHeartbeat ?? 0) - (a.lastHeartbeat ?? 0));
  // A device has one row for each registration; only the newest counts.
  const devices = new Map<string, Device>();
  for (const row of newestFirst) {
    const { deviceId, connectionName, version } = row;
    if (devices.has(deviceId)) continue;
    devices.set(deviceId, { id: deviceId, name: connectionName, isOnline: isOnline(row, now), version });
  }
  return [...devices.values()];
}

function inspectAppServer(
  address: AppServerAddress,
  parts: InspectParts,
  wanted: readonly string[],
): Promise<LettaReport> {
  const endpoints = appServerLanes(address);
  return visit({ ...parts, endpoints, unreachable }, async (ask) => {
    const info = await ask('app_server_info_response', appServerInfo, ANSWERS_WITHIN_MS);
    const list = await ask('agent_list_response', (id) => agentList(id, { limit: AGENTS }), ANSWERS_WITHIN_MS);
    const known = new Map<string, AgentSummary>();
    for (const agentId of wanted) {
      const answer = await ask('agent_retrieve_response', (id) => agentRetrieve(id, agentId), ANSWERS_WITHIN_MS);
      if (answer === null) throw linkLost({ certain: false });
      if (answer.success === true && answer.agent) known.set(agentId, summaryOf(answer.agent));
    }
    if (info === null || list === null) throw linkLost({ certain: false });
    if (list.success !== true) {
      throw new BridgeError('letta_refused', `agent_list was refused: ${(list.error ?? '').slice(0, 300)}`);
    }
    const agents = (list.agents ?? []).map(summaryOf);
    return { agents, known, devices: null, version: info.letta_code_version ?? null };
  });
}

function summaryOf({ id, name }: { id: string; name?: string | null | undefined }): AgentSummary {
  return { id, name: name ?? id };
}
