import { BINDINGS, readBindings } from '../bridge/access/bindings.ts';
import type { Policy } from '../bridge/access/policy.ts';
import type { Config } from '../config/config.ts';
import { BridgeError } from '../errors.ts';
import { CHOSEN_AGENT } from '../letta/agent-choice.ts';
import { type Device, type InspectParts, inspectLetta, type LettaReport, TESTED_VERSION } from '../letta/inspect.ts';
import { CHOSEN_DEVICE } from '../letta/routes/cloud.ts';
import { readStoredChoices } from '../storage/inspect.ts';
import { type AskDevices, checkListening } from './listen.ts';
import { type AddFinding, fine, short, trouble } from './report.ts';

/** Which agent answers and where it works; `null`: not known. */
export interface LettaFound {
  agent: string | null;
  device: Device | null;
}

const NAMED = 10;

/**
 * Checks that Letta is reachable and accepts us, then device, version and agents: configured, chosen and bound ones.
 */
export async function checkLetta(
  config: Config,
  parts: InspectParts,
  addFinding: AddFinding,
  askDevices: AskDevices = null,
): Promise<LettaFound> {
  const { letta, agentId } = config;
  if (letta.mode === 'listen') {
    const device = await checkListening(config, letta, { askDevices, clock: parts.clock }, addFinding);
    if (device !== null) checkVersion(device.version, device.name, addFinding);
    return { agent: null, device };
  }
  const stored = await readStoredChoices(config.store, [CHOSEN_AGENT, CHOSEN_DEVICE, BINDINGS], parts.clock);
  const chosen = stored.get(CHOSEN_AGENT) ?? null;
  const bound = boundAgents(config, stored.get(BINDINGS) ?? null);
  const wanted = new Set([agentId ?? chosen ?? [], ...bound.map((each) => each.agent)].flat().slice(0, AGENTS_ASKED));
  const address = new URL(letta.mode === 'cloud' ? letta.baseUrl : letta.url);
  let found: LettaReport;
  try {
    found = await inspectLetta(letta, parts, [...wanted]);
  } catch (error) {
    if (!(error instanceof BridgeError)) throw error;
    const isCloud = letta.mode === 'cloud';
    if (error.code === 'letta_unauthorized') {
      addFinding(trouble('letta_unauthorized', { setting: isCloud ? 'LETTA_API_KEY' : 'LETTA_APP_SERVER_TOKEN' }));
    } else {
      const setting = isCloud ? 'LETTA_BASE_URL' : 'LETTA_APP_SERVER_URL';
      addFinding(trouble('letta_unreachable', { host: address.host, error: error.message, setting }));
    }
    return { agent: null, device: null };
  }
  const device =
    letta.mode === 'cloud'
      ? checkDevice(found.devices ?? [], wantedDevice(found, letta.environment, stored), addFinding)
      : null;
  if (letta.mode === 'app-server') addFinding(fine('letta', `App Server at ${address.host}`));
  checkVersion(device === null ? found.version : device.version, device?.name ?? address.host, addFinding);
  const agent = checkAgent(found, config, chosen, addFinding);
  if (found.agents !== null) {
    for (const { place, agent: id } of bound.filter((each) => wanted.has(each.agent) && !found.known.has(each.agent))) {
      addFinding(trouble('bound_agent_unknown', { place, agent: id }));
    }
  }
  return { agent, device };
}

/** Ask about at most this many agents: each costs a request to Letta. */
const AGENTS_ASKED = 20;

/** Places with an agent of their own, by the policy or by a command. */
function boundAgents({ policies }: Config, stored: string | null): { place: string; agent: string }[] {
  const places = [...boundIn(policies.usual), ...[...policies.own].flatMap(([id, policy]) => boundIn(policy, id))];
  const commanded = [...readBindings(stored)].map(([channel, { agentId }]) => [channel, agentId] as const);
  // A command wins over the policy.
  const all = new Map([...places, ...commanded.filter(([, agent]) => agent !== undefined)]);
  return [...all].flatMap(([place, agent]) => (agent ? [{ place, agent }] : []));
}

/** @param workspace whose policy it is; left out: that of all */
function boundIn({ places, defaults }: Policy, workspace?: string): (readonly [string, string | null | undefined])[] {
  const of = workspace === undefined ? '' : `${workspace} `;
  const own = [...places].map(([place, { binding }]) => [`${of}${place}`, binding?.agentId] as const);
  return workspace === undefined ? own : [[workspace, defaults.binding?.agentId], ...own];
}

/** The configured device, else the one chosen before if Letta still knows it. */
function wantedDevice(
  { devices }: LettaReport,
  configured: string | null,
  stored: ReadonlyMap<string, string>,
): string | null {
  const chosen = stored.get(CHOSEN_DEVICE);
  return configured ?? devices?.find(({ id }) => id === chosen)?.id ?? null;
}

function checkDevice(devices: readonly Device[], wanted: string | null, addFinding: AddFinding): Device | null {
  const online = devices.filter((device) => device.isOnline);
  const known = devices.length === 0 ? 'no device is known' : describeDevices(devices);
  const fits = wanted === null ? online : devices.filter(({ id, name }) => id === wanted || name === wanted);
  const able = fits.filter((device) => device.isOnline);
  const [only] = able;
  if (able.length > 1) addFinding(trouble('several_devices', { online: describeDevices(able) }));
  else if (only) {
    addFinding(fine('letta', `works on ${short(only.name)} (${only.id}); known: ${describeDevices(devices)}`));
    return only;
  } else if (wanted === null || devices.length === 0) addFinding(trouble('no_device', { known }));
  else if (fits.length === 0) addFinding(trouble('device_unknown', { device: wanted, known }));
  else
    addFinding(
      trouble('device_offline', {
        device: wanted,
        online: online.length === 0 ? 'no device is online' : describeDevices(online),
      }),
    );
  return null;
}

function describeDevices(devices: readonly Device[]): string {
  const names = devices
    .slice(0, NAMED)
    .map(({ id, name, isOnline }) => `${short(name)} (${id}, ${isOnline ? 'online' : 'offline'})`);
  return names.join(', ') + (devices.length > NAMED ? `, and ${devices.length - NAMED} more` : '');
}

/** Compares major and minor version only: patch releases keep the protocol, minor releases may change it. */
function checkVersion(version: string | null, device: string, addFinding: AddFinding): void {
  if (version === null) return;
  const [major, minor] = numbersOf(version);
  const [testedMajor, testedMinor] = numbersOf(TESTED_VERSION);
  const step = major - testedMajor || minor - testedMinor;
  if (step === 0) addFinding(fine('letta', `Letta Code ${short(version)}, known to work`));
  else addFinding(trouble(step < 0 ? 'version_old' : 'version_new', { version, tested: TESTED_VERSION, device }));
}

function numbersOf(version: string): [number, number] {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
}

function checkAgent(
  { agents, known }: LettaReport,
  { agentId, letta }: Config,
  chosen: string | null,
  addFinding: AddFinding,
): string | null {
  if (agents === null) return null;
  const all = agents
    .slice(0, NAMED)
    .map(({ id, name }) => `${id} (${short(name)})`)
    .join(', ');
  const agent = known.get(agentId ?? chosen ?? '');
  if (agentId !== null && !agent) {
    addFinding(trouble('agent_unknown', { agent: agentId, agents: all || 'none yet' }));
    return null;
  }
  if (agent) {
    const before = agentId === null ? ', chosen earlier' : '';
    addFinding(fine('agent', `${short(agent.name)} (${agent.id})${before}`));
    return short(agent.name);
  }
  const [only] = agents;
  // No trouble for new threads: the next one chooses an agent again.
  if (chosen !== null) addFinding(trouble('agent_gone', { agent: chosen }));
  if (agents.length > 1) addFinding(trouble('several_agents', { agents: all }));
  else if (only) {
    addFinding(fine('agent', `${short(only.name)} (${only.id})`));
    return short(only.name);
  } else if (letta.mode === 'cloud') addFinding(trouble('no_agent'));
  else {
    addFinding(fine('agent', 'none yet: the first message creates one'));
    return 'a new agent';
  }
  return null;
}
