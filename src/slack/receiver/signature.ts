import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * How far a request's clock may be off, in either direction (docs/slack.md, HTTP delivery). Bolt lets the future pass
 * (docs/slack.md, Hazards: Timestamps of the future).
 */
const WINDOW_MS = 5 * 60_000;

export interface SignedRequest {
  signingSecret: string;
  /** `x-slack-request-timestamp`: seconds */
  timestamp: string | undefined;
  /** `x-slack-signature`: `v0=<hex>` */
  signature: string | undefined;
  /** The body as it came, byte for byte. */
  body: Buffer;
  /** ms since 1970 */
  now: number;
}

/** Why a request is not from Slack, as far as its headers tell: nobody reads the body of one that is not. */
export function headerFault({
  timestamp,
  signature,
  now,
}: Pick<SignedRequest, 'timestamp' | 'signature' | 'now'>): 'missing' | 'stale' | 'wrong' | null {
  if (!timestamp || !signature) return 'missing';
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp) * 1_000) > WINDOW_MS) return 'stale';
  return /^v0=[0-9a-f]{64}$/.test(signature) ? null : 'wrong';
}

/** Why a request is not from Slack; `null` when it is. */
export function signatureFault(request: SignedRequest): 'missing' | 'stale' | 'wrong' | null {
  const { signingSecret, timestamp, signature, body } = request;
  const fault = headerFault(request);
  if (fault || !timestamp || !signature) return fault ?? 'missing';
  const expected = Buffer.from(
    `v0=${createHmac('sha256', signingSecret).update(`v0:${timestamp}:`).update(body).digest('hex')}`,
  );
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected) ? null : 'wrong';
}
