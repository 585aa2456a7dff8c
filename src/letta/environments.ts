import { BridgeError } from '../errors.ts';
import type { Environment, HostedApi } from './hosted-api.ts';
import { deviceOfflineText, deviceUnknownText, NO_DEVICE, notOnlineText, severalDevicesText } from './words/notices.ts';

/** Older than this a heartbeat means that the device is gone (docs/letta-protocol.md, Hosted: REST). */
const FRESH_MS = 120_000;
const NAMES_LISTED = 10;

/** An environment with a current lease and a fresh heartbeat. */
export interface OnlineEnvironment extends Environment {
  connectionId: string;
}

/** @param now ms since 1970; used only if Letta does not say when it answered, because our own clock may be wrong */
export function isOnline(environment: Environment, now: number): environment is OnlineEnvironment {
  return (
    environment.connectionId !== null &&
    environment.connectionId !== '' &&
    environment.lastHeartbeat !== null &&
    (environment.answeredAt ?? now) - environment.lastHeartbeat < FRESH_MS
  );
}

/**
 * The environment to work in.
 * @param wanted a device id or a connection name; `null` takes the only one that is online
 * @throws BridgeError `no_environment` (a retry may help) or `several_environments` (someone must choose)
 */
export function chooseEnvironment(rows: readonly Environment[], wanted: string | null, now: number): OnlineEnvironment {
  const online = rows.filter((row) => isOnline(row, now));
  if (wanted === null) {
    const devices = new Set(online.map((row) => row.deviceId));
    if (devices.size > 1) throw severalEnvironments(online, null);
    return newest(online) ?? throwNoEnvironment(NO_DEVICE);
  }
  const byId = newest(online.filter((row) => row.deviceId === wanted));
  if (byId) return byId;
  const named = online.filter((row) => row.connectionName === wanted);
  if (new Set(named.map((row) => row.deviceId)).size > 1) {
    throw severalEnvironments(named, oneLine(wanted));
  }
  return newest(named) ?? throwNoEnvironment(notOnlineText(oneLine(wanted), listDevices(online)), oneLine(wanted));
}

/**
 * The current lease of a known device. Leases change, so it is asked for before each dialling and never stored.
 * @throws BridgeError `environment_offline` (a retry may help) or `no_environment`
 */
export async function resolveDevice(
  api: Pick<HostedApi, 'getEnvironment'>,
  deviceId: string,
  now: () => number,
): Promise<OnlineEnvironment> {
  const environment = await api.getEnvironment(deviceId);
  if (environment === null) {
    throw new BridgeError('no_environment', `Letta does not know the device ${deviceId}`, {
      notice: deviceUnknownText(oneLine(deviceId)),
    });
  }
  if (isOnline(environment, now())) return environment;
  throw deviceOffline(deviceId, environment.connectionName);
}

/** @param name foreign text */
export function deviceOffline(deviceId: string, name: string): BridgeError {
  return new BridgeError('environment_offline', `device ${deviceId} is offline`, {
    notice: deviceOfflineText(oneLine(name)),
    retry: true,
    device: oneLine(name),
  });
}

function newest<Row extends Environment>(rows: readonly Row[]): Row | undefined {
  return rows.toSorted((a, b) => (b.lastHeartbeat ?? 0) - (a.lastHeartbeat ?? 0))[0];
}

function throwNoEnvironment(notice: string, device?: string): never {
  const waitsFor = device === undefined ? {} : { device };
  throw new BridgeError('no_environment', 'no environment to work in', { notice, retry: true, ...waitsFor });
}

function severalEnvironments(rows: readonly Environment[], called: string | null): BridgeError {
  return new BridgeError('several_environments', 'more than one environment fits', {
    notice: severalDevicesText(called, listDevices(rows)),
  });
}

function listDevices(rows: readonly Environment[]): string {
  const names = rows.slice(0, NAMES_LISTED).map((row) => `${oneLine(row.connectionName)} (${oneLine(row.deviceId)})`);
  const more = rows.length > NAMES_LISTED ? `, and ${rows.length - NAMES_LISTED} more` : '';
  return `${names.join(', ')}${more}`;
}

/** A machine's name as one short line: people may have put anything into it. */
function oneLine(name: string): string {
  const line = name.replace(/\s+/g, ' ').trim();
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
