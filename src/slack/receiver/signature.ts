import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * How far a request's time may differ from ours, in either direction (docs/slack.md, HTTP delivery). Bolt accepts any
 * time in the future (docs/slack.md, Hazards: Timestamps of the future).
 */
const WINDOW_MS = 5 * 60_000;

export interface SignedRequest {
  signingSecret: string;
  /** `x-slack-request-timestamp`: seconds */
  timestamp: string | undefined;
  /** `x-slack-signature`: `v0=<hex>` */
  signature: string | undefined;
  /** The body as received: the signature covers its bytes. */
  body: Buffer;
  /** ms since 1970 */
  now: number;
}

/** Why a request cannot be from Slack, by its headers alone, so that the body need not be read; `null`: it may be. */
export function headerFault({
  timestamp,
  signature,
  now,
}: Pick<SignedRequest, 'timestamp' | 'signature' | 'now'>): 'missing' | 'stale' | 'wrong' | null {
  if (!timestamp || !signature) return 'missing';
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now - Number(timestamp) * 1_000) > WINDOW_MS) return 'stale';
  return /^v0=[0-9a-f]{64}$/.test(signature) ? null : 'wrong';
}

/** Why a request is not from Slack; `null`: it is. */
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
