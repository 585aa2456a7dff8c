import { createHmac, randomUUID } from 'node:crypto';
import type { Attempt, EnvelopeKind, Transport } from './delivery.ts';
import { isObject, type JsonObject } from './model.ts';

export interface HttpDeliveryOptions {
  requestUrl: string;
  signingSecret: string;
  ackTimeoutMs: number;
  now: () => number;
}

/** `v0=` HMAC-SHA256 of `v0:<timestamp>:<body>` (docs/slack.md, HTTP delivery). */
function sign(signingSecret: string, timestamp: number, body: string): string {
  return `v0=${createHmac('sha256', signingSecret).update(`v0:${timestamp}:${body}`).digest('hex')}`;
}

function encode(kind: EnvelopeKind, payload: JsonObject): { type: string; body: string } {
  if (kind === 'events_api') return { type: 'application/json', body: JSON.stringify(payload) };
  // Bolt compares the type exactly: no charset suffix (docs/slack.md, Hazards: Content type).
  const type = 'application/x-www-form-urlencoded';
  if (kind === 'interactive') return { type, body: `payload=${encodeURIComponent(JSON.stringify(payload))}` };
  const form = new URLSearchParams();
  for (const [key, value] of Object.entries(payload)) form.set(key, String(value));
  return { type, body: form.toString() };
}

/** Signed delivery to the app's request URL (docs/slack.md, HTTP delivery; HTTP mode). */
export class HttpDelivery implements Transport {
  readonly name = 'http';
  readonly #options: HttpDeliveryOptions;

  constructor(options: HttpDeliveryOptions) {
    this.#options = options;
  }

  async attemptDelivery({ outgoing, number, reason, entry }: Attempt): Promise<{ retry: boolean; reason: string }> {
    entry.envelope_id = randomUUID();
    const { type, body } = encode(outgoing.kind, outgoing.payload);
    const retry: Record<string, string> =
      number > 0 ? { 'x-slack-retry-num': String(number), 'x-slack-retry-reason': reason } : {};
    const sent = performance.now();
    try {
      const response = await this.#post(type, body, retry);
      const text = await response.text();
      entry.ackMs = Math.round((performance.now() - sent) * 100) / 100;
      const again = response.headers.get('x-slack-no-retry') !== '1';
      if (!response.ok) {
        entry.outcome = 'http_error';
        return { retry: again, reason: 'http_error' };
      }
      entry.ackPayload = parse(text);
      entry.outcome = 'acked';
      return { retry: false, reason: '' };
    } catch (error) {
      const timedOut = error instanceof Error && error.name === 'TimeoutError';
      entry.outcome = timedOut ? 'timeout' : 'connection_failed';
      return { retry: true, reason: timedOut ? 'http_timeout' : 'connection_failed' };
    }
  }

  /** The handshake of a new request URL: whether the app echoed the challenge. */
  async verifyUrl(): Promise<boolean> {
    const challenge = randomUUID();
    const body = JSON.stringify({ token: 'verification-token', challenge, type: 'url_verification' });
    try {
      const response = await this.#post('application/json', body, {});
      const answer = parse(await response.text());
      return response.ok && (answer === challenge || (isObject(answer) && answer.challenge === challenge));
    } catch {
      return false;
    }
  }

  #post(type: string, body: string, headers: Record<string, string>): Promise<Response> {
    const timestamp = Math.floor(this.#options.now() / 1000);
    return fetch(this.#options.requestUrl, {
      method: 'POST',
      headers: {
        'content-type': type,
        'user-agent': 'Slackbot 1.0 (+https://api.slack.com/robots)',
        'x-slack-request-timestamp': String(timestamp),
        'x-slack-signature': sign(this.#options.signingSecret, timestamp, body),
        ...headers,
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(this.#options.ackTimeoutMs),
    });
  }
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
