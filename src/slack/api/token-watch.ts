import type { Clock, Log, Timer } from '../../bridge/ports.ts';
import { BridgeError } from '../../errors.ts';
import { isLasting } from './refusals.ts';
import { type SlackApi, SlackError } from './slack-api.ts';

/**
 * Also what woke sockets that were connected but silent, by public reports (docs/slack.md, The library for Socket
 * Mode).
 */
const ASK_EVERY_MS = 60_000;
const BACKGROUND_RETRY_MS = 5_000;
/** One refusal may be a mistake of Slack's; so many in a row are not. */
const LASTING_REFUSALS = 3;

export interface TokenWatch {
  /** The same calls, listened to. */
  api: SlackApi;
  /** Asks Slack from now on whether the token still holds: every minute, and soon after a call was refused for it. */
  start(): void;
  /** Stopping twice is fine. */
  stop(): void;
}

export interface TokenWatchOptions {
  api: SlackApi;
  clock: Clock;
  log: Log;
  /** The bot token is no good any more, and no retry heals that. Told once. */
  onRefused(error: BridgeError): void;
  /** Slack takes the token, after it had refused it. */
  onAccepted?: () => void;
}

/** Notices that a bot token was revoked while we run; an outage of Slack is no such thing. */
export function watchToken({ api, clock, log, onRefused, onAccepted }: TokenWatchOptions): TokenWatch {
  let timer: Timer | null = null;
  let isRunning = false;
  let isAsking = false;
  let refusals = 0;
  /** Whether a call was refused since the token was known to hold. */
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
      if (refusals >= LASTING_REFUSALS && isRunning && error instanceof SlackError) {
        isRunning = false;
        const message = `SLACK_BOT_TOKEN was refused by Slack: ${error.error}`;
        onRefused(new BridgeError('config_invalid', message, { notice: message }));
      } else if (refusals > 0) log.warn({ refusals }, 'Slack refuses the bot token; asking again');
    } finally {
      isAsking = false;
    }
    scheduleCheck(refusals > 0 ? BACKGROUND_RETRY_MS : ASK_EVERY_MS);
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
