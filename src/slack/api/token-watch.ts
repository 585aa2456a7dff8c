import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { isLasting } from './refusals.ts';
import { type SlackApi, SlackError } from './slack-api.ts';

/**
 * By public reports such calls also woke sockets that were connected but silent (docs/slack.md, The library for Socket
 * Mode).
 */
const ASK_EVERY_MS = 60_000;
const BACKGROUND_RETRY_MS = 5_000;
/** Slack may refuse a good token once by mistake; after so many refusals in a row we believe it. */
const LASTING_REFUSALS = 3;

export interface TokenWatch {
  /** The same API; refusals of the token are noticed. */
  api: SlackApi;
  /** From now on asks Slack whether it accepts the token: every minute, and at once when a call is refused for it. */
  start(): void;
  /** Stopping twice is fine. */
  stop(): void;
}

export interface TokenWatchOptions {
  api: SlackApi;
  clock: Clock;
  log: Log;
  /**
   * Called once, when Slack has refused the bot token several times in a row: retries would not help. Left out: there may
   * be another token later, so Slack is asked again.
   */
  onRefused?: ((error: BridgeError) => void) | undefined;
  /** Called when Slack accepts the token after it had refused it. */
  onAccepted?: () => void;
}

/** Notices that the bot token was revoked while we run. An outage of Slack does not count as a refusal. */
export function watchToken({ api, clock, log, onRefused, onAccepted }: TokenWatchOptions): TokenWatch {
  let timer: Timer | null = null;
  let isRunning = false;
  let isAsking = false;
  let refusals = 0;
  /** Whether Slack refused the token since it last accepted it. */
  let wasRefused = false;

  function scheduleCheck(ms: number): void {
    timer?.cancel();
    if (isRunning) timer = clock.after(ms, () => void checkToken());
  }

  async function checkToken(): Promise<void> {
    if (isAsking || !isRunning) return;
    isAsking = true;
    try {
      await api.call('auth.test', {}, { client: 'control' });
      if (wasRefused) onAccepted?.();
      wasRefused = false;
      refusals = 0;
    } catch (error) {
      refusals = isRefusedForGood(error) ? refusals + 1 : 0;
      wasRefused ||= refusals > 0;
      if (onRefused && refusals >= LASTING_REFUSALS && isRunning && error instanceof SlackError) {
        isRunning = false;
        const message = `SLACK_BOT_TOKEN was refused by Slack: ${error.error}`;
        onRefused(new BridgeError('config_invalid', message, { notice: message }));
      } else if (refusals > 0) log.warn({ refusals }, 'Slack refuses the bot token; asking again');
    } finally {
      isAsking = false;
    }
    scheduleCheck(refusals > 0 && refusals < LASTING_REFUSALS ? BACKGROUND_RETRY_MS : ASK_EVERY_MS);
  }

  return {
    api: {
      async call(method, args, options) {
        try {
          return await api.call(method, args, options);
        } catch (error) {
          if (isRefusedForGood(error)) wasRefused = true;
          if (isRefusedForGood(error) && refusals === 0 && !isAsking) void checkToken();
          throw error;
        }
      },
    },
    start() {
      if (isRunning) return;
      isRunning = true;
      scheduleCheck(ASK_EVERY_MS);
    },
    stop() {
      isRunning = false;
      timer?.cancel();
    },
  };
}

function isRefusedForGood(error: unknown): boolean {
  return error instanceof SlackError && error.failure === 'refused' && isLasting(error.error);
}
