import type { Clock } from '../../bridge/ports.ts';
import { type SlackApi, SlackError } from './slack-api.ts';

/** For a 429 that does not say how long. */
const RETRY_AFTER_MS = 5_000;

/**
 * The same API, which after a 429 refuses calls of that method itself until Slack's `Retry-After` is over. Several
 * parts pace their own calls and do not see each other's 429s. The refusal looks like Slack's, with the time that is
 * left.
 */
export function honourRetryAfter(api: SlackApi, clock: Clock): SlackApi {
  const until = new Map<string, number>();
  return {
    async call(method, args, options) {
      const left = (until.get(method) ?? 0) - clock.monotonic();
      if (left > 0) throw new SlackError(method, 'limited', 'ratelimited', { retryAfterMs: left });
      until.delete(method);
      try {
        return await api.call(method, args, options);
      } catch (error) {
        if (error instanceof SlackError && error.failure === 'limited') {
          until.set(method, clock.monotonic() + (error.retryAfterMs ?? RETRY_AFTER_MS));
        }
        throw error;
      }
    },
  };
}
