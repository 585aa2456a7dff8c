import type { Config } from '../config.ts';
import { BridgeError } from '../errors.ts';
import { type Device, type InspectParts, inspectLetta, type LettaReport, TESTED_VERSION } from '../letta/inspect.ts';
import { fine, short, type Tell, trouble } from './report.ts';

/** Where the agent works and which one it is, as far as it could be found out. */
export interface LettaFound {
  agent: string | null;
  device: Device | null;
}

const NAMED = 10;

/** Reachable, authorised, who is online, which version, which agent. */
export async function checkLetta(config: Config, parts: InspectParts, tell: Tell): Promise<LettaFound> {
  const { letta, agentId } = config;
  const address = new URL(letta.mode === 'cloud' ? letta.baseUrl : letta.url);
  let found: LettaReport;
  try {
    found = await inspectLetta(letta, parts, agentId);
  } catch (error) {
    if (!(error instanceof BridgeError)) throw error;
    const cloud = letta.mode === 'cloud';
    if (error.code === 'letta_unauthorized') {
      tell(trouble('letta_unauthorized', { setting: cloud ? 'LETTA_API_KEY' : 'LETTA_APP_SERVER_TOKEN' }));
    } else {
      const setting = cloud ? 'LETTA_BASE_URL' : 'LETTA_APP_SERVER_URL';
      tell(trouble('letta_unreachable', { host: address.host, error: error.message, setting }));
    }
    return { agent: null, device: null };
  }
  const device = letta.mode === 'cloud' ? checkDevice(found.devices ?? [], letta.environment, tell) : null;
  if (letta.mode === 'app-server') tell(fine('letta', `App Server at ${address.host}`));
  checkVersion(device === null ? found.version : device.version, device?.name ?? address.host, tell);
  return { agent: checkAgent(found, config, tell), device };
}

function checkDevice(devices: readonly Device[], wanted: string | null, tell: Tell): Device | null {
  const online = devices.filter((device) => device.online);
  const known = devices.length === 0 ? 'none is known' : listed(devices);
  const fits = wanted === null ? online : devices.filter(({ id, name }) => id === wanted || name === wanted);
  const able = fits.filter((device) => device.online);
  const [only] = able;
  if (able.length > 1) tell(trouble('several_devices', { online: listed(able) }));
  else if (only) {
    tell(fine('letta', `works on ${short(only.name)} (${only.id}); known: ${listed(devices)}`));
    return only;
  } else if (wanted === null || devices.length === 0) tell(trouble('no_device', { known }));
  else if (fits.length === 0) tell(trouble('device_unknown', { device: wanted, known }));
  else
    tell(
      trouble('device_offline', { device: wanted, online: online.length === 0 ? 'none is online' : listed(online) }),
    );
  return null;
}

function listed(devices: readonly Device[]): string {
  const names = devices
    .slice(0, NAMED)
    .map(({ id, name, online }) => `${short(name)} (${id}, ${online ? 'online' : 'offline'})`);
  return names.join(', ') + (devices.length > NAMED ? `, and ${devices.length - NAMED} more` : '');
}

/** A patch more or less is the same protocol; nobody promises that of a minor. */
function checkVersion(version: string | null, device: string, tell: Tell): void {
  if (version === null) return;
  const [major, minor] = numbersOf(version);
  const [testedMajor, testedMinor] = numbersOf(TESTED_VERSION);
  const step = major - testedMajor || minor - testedMinor;
  if (step === 0) tell(fine('letta', `Letta Code ${short(version)}, known to work`));
  else tell(trouble(step < 0 ? 'version_old' : 'version_new', { version, tested: TESTED_VERSION, device }));
}

function numbersOf(version: string): [number, number] {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
}

function checkAgent({ agents, agent }: LettaReport, { agentId, letta }: Config, tell: Tell): string | null {
  if (agents === null) return null;
  const all = agents
    .slice(0, NAMED)
    .map(({ id, name }) => `${id} (${short(name)})`)
    .join(', ');
  const [only] = agents;
  if (agentId !== null && agent === null) tell(trouble('agent_unknown', { agent: agentId, agents: all || 'none yet' }));
  else if (agentId === null && agents.length > 1) tell(trouble('several_agents', { agents: all }));
  else if (agent ?? only) {
    const { id, name } = (agent ?? only) as { id: string; name: string };
    tell(fine('agent', `${short(name)} (${id})`));
    return short(name);
  } else if (letta.mode === 'cloud') tell(trouble('no_agent'));
  else {
    tell(fine('agent', 'none yet: the first message makes one'));
    return 'a new agent';
  }
  return null;
}
