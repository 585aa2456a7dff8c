import type { Choices, Clock, Log } from './bridge/ports.ts';
import type { Machines } from './bridge/view/home.ts';
import type { ListenConfig } from './config/letta.ts';
import { deviceCommand } from './letta/devices/command.ts';
import { createDevices, type Devices } from './letta/devices/devices.ts';
import { createDoor, type Door } from './letta/devices/door.ts';
import { serveDoor } from './letta/devices/serve.ts';

export interface Listening {
  devices: Devices;
  /** What answers on the bridge's own port; `null`: the door has a server of its own. */
  guest: Door | null;
  /** The address for the machines. */
  publicUrl(): string;
  /** For people in Slack. */
  machines(): Machines;
  /** Whether this process takes devices from now on. If not, the sockets of those that are here end, and they dial again. */
  setServing(isServing: boolean): void;
  /** Ends the sockets of all devices, which dial again. Stopping twice is fine. */
  stop(): Promise<void>;
}

export interface ListeningParts {
  choices: Choices;
  clock: Clock;
  log: Log;
  /** Called when a device came, went, or is new. */
  onChanged(): void;
  /** Whether it takes devices from the start. */
  isServing: boolean;
}

/** For the device; with this code it dials again at once, and a turn of it goes on. */
const ELSEWHERE = 'Another process of the bridge takes over';

/**
 * Lets devices dial in, from now on where the door has a server of its own.
 * @throws BridgeError config_invalid when it cannot listen there.
 */
export async function listenForDevices(config: ListenConfig, parts: ListeningParts): Promise<Listening> {
  const { clock, log } = parts;
  const { at, url, tokens } = config;
  const devices = await createDevices(parts);
  let publicUrl = url ?? '';
  const path = 'path' in at ? at.path : '';
  let { isServing } = parts;
  const door = createDoor({
    ...{ devices, tokens, path, publicUrl: () => publicUrl, clock, log },
    isServing: () => isServing,
  });
  const where = tokens.kind === 'shared' ? 'LETTA_LISTEN_TOKEN' : 'TOKEN_OF_LETTA_LISTEN_TOKENS';
  const listening = {
    devices,
    publicUrl: () => publicUrl,
    machines: () => ({
      list: devices.list(),
      command: deviceCommand({ url: publicUrl, token: where, name: 'NAME' }),
    }),
    setServing(next: boolean) {
      if (next === isServing) return;
      isServing = next;
      if (next) void devices.reload().then(parts.onChanged);
      else devices.closeAll(1001, ELSEWHERE);
    },
  };
  if ('path' in at) return { ...listening, guest: door, stop: async () => door.stop() };
  const server = await serveDoor(door, at);
  publicUrl = url ?? `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${server.port}`;
  log.info({ port: server.port }, 'devices can dial in');
  return { ...listening, guest: null, stop: server.stop };
}
