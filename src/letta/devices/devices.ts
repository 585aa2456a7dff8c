import { z } from 'zod';
import type { Choices, Clock, Log } from '../../bridge/ports.ts';
import type { LaneDialer, LaneLoss } from '../link/lane.ts';
import { Device, type DeviceSocket, deviceOf } from './device.ts';

/** A device that has registered or dialled in, in this life of the bridge or an earlier one. Its name is foreign text. */
export interface KnownDevice {
  id: string;
  name: string;
  /** The version of Letta Code; `null`: not known. */
  version: string | null;
  isOnline: boolean;
}

/** The devices that dial this bridge. */
export interface Devices {
  /** Opens lanes to a device over the socket that it has dialled. */
  dial: LaneDialer;
  /** All that are known, those that are online first. */
  list(): KnownDevice[];
  /** Calls `onBack` with the id of each device that dials in. @returns a function that ends it */
  watch(onBack: (deviceId: string) => void): () => void;
}

/** What the door does with them. */
export interface DeviceDoor {
  noteRegistration(device: { id: string; name: string; version: string | null }): void;
  /** Whether there is room for this device: it is known, or there are not too many. */
  hasRoomFor(deviceId: string): boolean;
  /**
   * A device has dialled in. An older socket of it ends: the older process must not go on beside it.
   * @returns what to call with each frame, and when the socket is gone
   */
  accept(device: { id: string; name: string }, socket: DeviceSocket): AcceptedSocket;
  /** Ends all sockets. The devices dial again. */
  closeAll(code: number, reason: string): void;
  /** Reads again which devices are known: another process may have stored more. Never rejects. */
  reload(): Promise<void>;
}

export interface AcceptedSocket {
  onMessage(text: string): void;
  onClose(loss: LaneLoss): void;
}

export interface DevicesOptions {
  choices: Choices;
  clock: Clock;
  log: Log;
  /** Called when a device came, went, or is new. */
  onChanged?: () => void;
}

/** Each costs a socket and up to some MiB. */
const MOST_DEVICES = 100;
/** The store keeps the names of known devices under this name, so that one that is away can be named. */
export const KNOWN_DEVICES = 'listen-devices';

const storedSchema = z.array(z.looseObject({ id: z.string(), name: z.string(), version: z.string().nullish() }));

/** Never rejects: names that cannot be read are forgotten. */
export async function createDevices(options: DevicesOptions): Promise<Devices & DeviceDoor> {
  const { choices, clock, log, onChanged = () => {} } = options;
  const known = new Map<string, Omit<KnownDevice, 'isOnline'>>();
  /** Only those with a socket. */
  const online = new Map<string, Device>();
  /** Those of the known ones that never dialled in, in this life: whoever has a token can make up as many as they like. */
  const onlyRegistered = new Set<string>();
  const reload = async () => {
    try {
      const stored = readKnownDevices(await choices.get(KNOWN_DEVICES));
      for (const id of known.keys()) if (!online.has(id)) known.delete(id);
      onlyRegistered.clear();
      for (const { isOnline: _, ...each } of stored) if (!online.has(each.id)) known.set(each.id, each);
    } catch (err) {
      log.warn({ err }, 'could not read the names of the devices');
    }
  };
  await reload();
  const watchers = new Set<(deviceId: string) => void>();
  let isStoring = false;
  let isOutdated = false;

  const writeKnown = async () => {
    while (isOutdated) {
      isOutdated = false;
      try {
        await choices.set(KNOWN_DEVICES, JSON.stringify([...known.values()]));
      } catch (err) {
        log.warn({ err }, 'could not store the names of the devices');
      }
    }
    isStoring = false;
  };

  /** One write at a time; what changes meanwhile is in the next one, so that a flood does not pile up writes. */
  const store = () => {
    isOutdated = true;
    if (isStoring) return;
    isStoring = true;
    void Promise.resolve().then(writeKnown);
  };

  const note = (device: { id: string; name: string; version?: string | null }) => {
    const before = known.get(device.id);
    const { id, name, version = before?.version ?? null } = device;
    if (before?.name === name && before.version === version) return;
    known.delete(id);
    known.set(id, { id, name, version });
    if (known.size > MOST_DEVICES) {
      const away = [...known.keys()].filter((each) => !online.has(each) && each !== id);
      const dropped = away.find((each) => onlyRegistered.has(each)) ?? away[0];
      if (dropped !== undefined) {
        known.delete(dropped);
        onlyRegistered.delete(dropped);
      }
    }
    store();
    onChanged();
  };

  return {
    dial(endpoint, handlers) {
      const device = online.get(deviceOf(endpoint)) ?? new Device(clock, log);
      return device.openLane(endpoint, handlers);
    },
    list() {
      const all = [...known.values()].map((each) => ({ ...each, isOnline: online.has(each.id) }));
      return all.sort((a, b) => Number(b.isOnline) - Number(a.isOnline) || a.name.localeCompare(b.name));
    },
    watch(onBack) {
      watchers.add(onBack);
      return () => void watchers.delete(onBack);
    },
    noteRegistration(device) {
      if (!known.has(device.id)) onlyRegistered.add(device.id);
      note(device);
    },
    hasRoomFor: (deviceId) => online.has(deviceId) || online.size < MOST_DEVICES,
    accept({ id, name }, socket) {
      onlyRegistered.delete(id);
      const older = online.get(id);
      const device = new Device(clock, log.child({ device: id }));
      device.attach(socket);
      online.set(id, device);
      if (older) {
        log.warn({ deviceId: id, device: name }, 'the device dialled in twice; its older connection ends');
        older.closeSocket(1000, REPLACED);
        older.detach({ kind: 'closed', code: 1000, text: REPLACED });
      } else log.info({ deviceId: id, device: name }, 'a device dialled in');
      note({ id, name });
      onChanged();
      for (const onBack of [...watchers]) onBack(id);
      return {
        onMessage: (text) => {
          if (online.get(id) === device) device.receive(text);
        },
        onClose(loss) {
          if (online.get(id) !== device) return;
          online.delete(id);
          log.info({ deviceId: id, device: name, loss: loss.kind }, 'a device is gone');
          device.detach(loss);
          onChanged();
        },
      };
    },
    closeAll(code, reason) {
      for (const device of online.values()) device.closeSocket(code, reason);
    },
    reload,
  };
}

/** At this reason Letta Code ends the older process (docs/letta-protocol.md, A device that dials us). */
const REPLACED = 'Replaced by new connection';

/** What was stored of the devices; none of them is online for all that is known. */
export function readKnownDevices(text: string | null): KnownDevice[] {
  try {
    const parsed = storedSchema.safeParse(JSON.parse(text ?? '[]'));
    if (!parsed.success) return [];
    return parsed.data
      .slice(-MOST_DEVICES)
      .map(({ id, name, version = null }) => ({ id, name, version, isOnline: false }));
  } catch {
    return [];
  }
}
