import type { Clock } from '../bridge/ports.ts';
import type { Config } from '../config/config.ts';
import type { ListenConfig } from '../config/letta.ts';
import { deviceCommand } from '../letta/devices/command.ts';
import { KNOWN_DEVICES, type KnownDevice, readKnownDevices } from '../letta/devices/devices.ts';
import type { Device } from '../letta/inspect.ts';
import { readStoredChoices } from '../storage/inspect.ts';
import { type AddFinding, fine, short, trouble } from './report.ts';

/** Asks the running bridge for its devices; rejects when it does not answer. `null`: no bridge runs. */
export type AskDevices = (() => Promise<{ url: string; devices: readonly KnownDevice[] }>) | null;

const NAMED = 10;

/** Machines dial the bridge, so only a running bridge knows which are there. Prints what to run on a further one. */
export async function checkListening(
  config: Config,
  letta: ListenConfig,
  { askDevices, clock }: { askDevices: AskDevices; clock: Clock },
  addFinding: AddFinding,
): Promise<Device | null> {
  const running = await askDevices?.().catch(() => null);
  const url = running?.url || addressOf(letta);
  const stored = await readStoredChoices(config.store, [KNOWN_DEVICES], clock);
  const devices = running?.devices ?? readKnownDevices(stored.get(KNOWN_DEVICES) ?? null);
  const known = devices.length === 0 ? 'none is known yet' : describe(devices);
  for (const { name, token } of tokensOf(letta)) {
    addFinding(fine('letta', `to let a machine dial in, run there: ${deviceCommand({ url, token, name })}`));
  }
  if (!running) {
    addFinding(fine('letta', `machines can dial in at ${url} while the bridge runs; ${known}`));
    return null;
  }
  const { environment } = letta;
  const fits = devices.filter(({ id, name }) => environment === null || id === environment || name === environment);
  const able = fits.filter(({ isOnline }) => isOnline);
  const [only] = able;
  if (able.length > 1) addFinding(trouble('several_devices', { online: describe(able) }));
  else if (only) {
    addFinding(fine('letta', `works on ${short(only.name)} (${only.id}), which has dialled in; known: ${known}`));
    return only;
  } else addFinding(trouble('no_dialled_device', { wanted: environment ?? 'machine', known }));
  return null;
}

/** One command where all machines share a token, else one for each; the first few. */
function tokensOf({ tokens }: ListenConfig): { name: string; token: string }[] {
  if (tokens.kind === 'shared') return [{ name: 'NAME', token: tokens.token }];
  return [...tokens.tokens].slice(0, NAMED).map(([name, token]) => ({ name, token }));
}

function addressOf({ at, url }: ListenConfig): string {
  if (url !== null) return url;
  return 'path' in at ? at.path : `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${at.port}`;
}

function describe(devices: readonly KnownDevice[]): string {
  const names = devices.slice(0, NAMED).map(({ id, name, version, isOnline }) => {
    const letta = version === null ? '' : `, Letta Code ${short(version)}`;
    return `${short(name)} (${id}, ${isOnline ? 'online' : 'offline'}${letta})`;
  });
  return names.join(', ') + (devices.length > NAMED ? `, and ${devices.length - NAMED} more` : '');
}
