import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** What devices must bring: one token for all, or one for each name. */
export type DeviceTokens =
  | { kind: 'shared'; token: string }
  /** By the name that the device must register with. */
  | { kind: 'named'; tokens: ReadonlyMap<string, string> };

/** Whose token a request brought. */
export interface Bearer {
  token: string;
  /** The only name under which this token may register; `null`: any. */
  name: string | null;
}

/** The token of an `Authorization` header, if it is one of ours; all are compared, in constant time. */
export function findBearer(tokens: DeviceTokens, authorization: string | undefined): Bearer | null {
  const given = digest(/^bearer (.+)$/i.exec(authorization ?? '')?.[1] ?? '');
  const all = tokens.kind === 'shared' ? [[null, tokens.token] as const] : [...tokens.tokens];
  let found: Bearer | null = null;
  for (const [name, token] of all) if (timingSafeEqual(digest(token), given)) found = { name, token };
  return found;
}

/**
 * The lease of a device. It follows from token and device alone, so a bridge that was restarted knows it again without
 * having stored it. It must not begin with `conn-`: then the device would ask for a second REST route
 * (docs/letta-protocol.md, A device that dials us).
 */
export function leaseOf({ token }: Bearer, deviceId: string): string {
  return `bridge-${createHmac('sha256', token).update(deviceId).digest('hex').slice(0, 32)}`;
}

/**
 * Under which id a device is known. With a token of its own a device is its name: what it says of itself could be the
 * id of another one.
 */
export function identityOf({ name }: Bearer, deviceId: string): string {
  return name ?? deviceId;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
