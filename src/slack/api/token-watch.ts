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
  onHolds?: () => void;
}

/** Notices that a bot token was revoked while we run; an outage of Slack is no such thing. */
export function watchToken({ api, clock, log, onRefused, onHolds }: TokenWatchOptions): TokenWatch {
  let timer: Timer | null = null;
  let running = false;
  let asking = false;
  let refusals = 0;
  /** Whether a call was refused since the token was known to hold. */
  let refused = false;

  function later(ms: number): void {
    timer?.cancel();
    if (running) timer = clock.after(ms, () => void ask());
  }

  async function ask(): Promise<void> {
    if (asking || !running) return;
    asking = true;
    try {
      await api.call('auth.test', {}, { client: 'control' });
      if (refused) onHolds?.();
      refused = false;
      refusals = 0;
    } catch (error) {
      refusals = isRefusedForGood(error) ? refusals + 1 : 0;
      refused ||= refusals > 0;
      if (refusals >= LASTING_REFUSALS && running && error instanceof SlackError) {
        running = false;
        const message = `SLACK_BOT_TOKEN was refused by Slack: ${error.error}`;
        onRefused(new BridgeError('config_invalid', message, { notice: message }));
      } else if (refusals > 0) log.warn({ refusals }, 'slack refuses the bot token; asking again');
    } finally {
      asking = false;
    }
    later(refusals > 0 ? BACKGROUND_RETRY_MS : ASK_EVERY_MS);
  }

  return {
    api: {
      async call(method, args, options) {
        try {
          return await api.call(method, args, options);
        } catch (error) {
          if (isRefusedForGood(error)) refused = true;
          if (isRefusedForGood(error) && refusals === 0 && !asking) void ask();
          throw error;
        }
      },
    },
    start() {
      if (running) return;
      running = true;
      later(ASK_EVERY_MS);
    },
    stop() {
      running = false;
      timer?.cancel();
    },
  };
}

function isRefusedForGood(error: unknown): boolean {
  return error instanceof SlackError && error.failure === 'refused' && isLasting(error.error);
}
