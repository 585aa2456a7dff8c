import { BridgeError } from '../../errors.ts';
import { SlackError } from './slack-api.ts';

/** Gives the token of one installation, which may be rotated while the bridge runs. */
export interface TokenSource {
  /**
   * The token to use now; refreshes it first when it is about to expire. Asked before each call, so it is cheap as a
   * rule. Rejects with a BridgeError: `retry` when the store or Slack is away, else there is no token any more.
   */
  get(): Promise<string>;
  /** Slack refused this token. Resolves with another one, or with `null`: there is no other. Left out: never is. */
  replace?(refused: string): Promise<string | null>;
}

/** A token that never changes. */
export function fixedToken(token: string): TokenSource {
  return { get: async () => token };
}

/** For how long a call waits while the token is being refreshed, or the store that holds it is away. */
const NO_TOKEN_YET_MS = 2_000;

/**
 * Why a call was not made: there is no token for it now (`limited`, because nothing was sent and it may be tried again),
 * or there is none any more (`not_authed`).
 */
export function tokenError(method: string, error: unknown): SlackError {
  const mayPass = !(error instanceof BridgeError) || error.retry;
  if (!mayPass) return new SlackError(method, 'refused', 'not_authed');
  return new SlackError(method, 'limited', 'no_token_yet', { retryAfterMs: NO_TOKEN_YET_MS });
}
