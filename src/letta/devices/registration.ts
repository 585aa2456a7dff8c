import { z } from 'zod';
import { oldProtocolText, REFUSALS } from '../words/devices.ts';

/** What a device tells of itself when it registers. Its texts are foreign. */
export interface Registration {
  deviceId: string;
  name: string;
  /** The version of Letta Code; `null`: not told. */
  version: string | null;
}

const LONGEST = 200;
const id = z.string().min(1).max(LONGEST);
const schema = z.looseObject({
  deviceId: id,
  connectionName: z.string().max(LONGEST).nullish(),
  metadata: z
    .looseObject({
      environmentMessageProtocol: z.string().nullish(),
      lettaCodeVersion: z.string().max(50).nullish(),
    })
    .nullish(),
});

/** The only protocol this bridge speaks (docs/letta-protocol.md, A device that dials us). */
const PROTOCOL = 'v2-input';

/** @returns the registration, or what the person at the device should read: Letta Code prints it and ends. */
export function readRegistration(body: string): Registration | { refusal: string } {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return { refusal: REFUSALS.noRegistration };
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) return { refusal: REFUSALS.noRegistration };
  const { deviceId, connectionName, metadata } = parsed.data;
  const version = metadata?.lettaCodeVersion ?? null;
  if (metadata?.environmentMessageProtocol !== PROTOCOL) {
    return { refusal: oldProtocolText(version, PROTOCOL) };
  }
  return { deviceId, name: connectionName || deviceId, version };
}

/** Device id and name of the socket's address, which Letta Code adds to the one it was given. */
export function readDial(query: URLSearchParams): Pick<Registration, 'deviceId' | 'name'> | null {
  const deviceId = id.safeParse(query.get('deviceId'));
  if (!deviceId.success) return null;
  return { deviceId: deviceId.data, name: (query.get('connectionName') || deviceId.data).slice(0, LONGEST) };
}
