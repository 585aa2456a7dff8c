import type { Backoff } from '../../backoff.ts';

/**
 * `live` may be dropped (an intermediate edit): no retries, no queue behind a rate limit, short timeout.
 * `control` must arrive (final text, cards, refusals): bounded retries, but never of a post whose outcome is unknown.
 */
export type SlackClient = 'live' | 'control';

export interface SlackCall {
  client: SlackClient;
}

export type SlackAnswer = Record<string, unknown> & { ok: true };

/** All calls to Slack go through this port. Rejects with a SlackError. */
export interface SlackApi {
  call(method: string, args: Record<string, unknown>, options: SlackCall): Promise<SlackAnswer>;
}

/** For background calls that are repeated until Slack answers: identity, socket, catch-up. */
export const BACKGROUND_RETRY: Backoff = { firstMs: 500, longestMs: 30_000, spread: [0.5, 1] };

/**
 * - `refused`: Slack answered `ok: false`, so the call had no effect; `error` is Slack's word (`channel_not_found`).
 * - `limited`: 429 or `ratelimited`, so the call had no effect; try again after `retryAfterMs`.
 * - `unknown`: no usable answer (timeout, reset, 5xx, HTML): the call may have had its effect.
 */
export type SlackFailure = 'refused' | 'limited' | 'unknown';

export class SlackError extends Error {
  readonly method: string;
  readonly failure: SlackFailure;
  readonly error: string;
  readonly retryAfterMs: number | null;
  /** `response_metadata.messages`: Slack's reasons for `invalid_blocks` and the like. */
  readonly details: readonly string[];

  constructor(
    method: string,
    failure: SlackFailure,
    error: string,
    options: { retryAfterMs?: number | null; details?: readonly string[]; cause?: unknown } = {},
  ) {
    super(`${method}: ${error}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SlackError';
    this.method = method;
    this.failure = failure;
    this.error = error;
    this.retryAfterMs = options.retryAfterMs ?? null;
    this.details = options.details ?? [];
  }
}
