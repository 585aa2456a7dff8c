import { z } from 'zod';
import { backoffMs } from '../../backoff.ts';
import type { Clock, Log, Random, Timer } from '../../bridge/ports.ts';
import { asBridgeError, BridgeError } from '../../errors.ts';
import { isPassing } from './refusals.ts';
import { BACKGROUND_RETRY, type SlackApi, SlackError } from './slack-api.ts';

/** Who we are, as `auth.test` says it. */
export interface Identity {
  teamId: string;
  botUserId: string;
  botId: string;
  /** The app that the bot belongs to; `null` or left out: Slack did not tell. */
  appId?: string | null;
  /** The organisation on Enterprise Grid. */
  enterpriseId: string | null;
  /** Whether the app is installed for the whole organisation: then `teamId` is the organisation's. */
  isEnterpriseInstall?: boolean;
  /** The workspace's address. */
  url: string | null;
  /** Whether the token has the scope `assistant:write`, which only agent apps ask for (docs/slack.md, Agent apps). */
  mayBeAgent?: boolean;
}

const authTest = z.looseObject({
  team_id: z.string(),
  user_id: z.string(),
  bot_id: z.string().nullish(),
  enterprise_id: z.string().nullish(),
  is_enterprise_install: z.boolean().nullish(),
  url: z.string().nullish(),
  /** The SDK puts the header `x-oauth-scopes` here. */
  response_metadata: z.looseObject({ scopes: z.array(z.string()).nullish() }).nullish(),
});

export interface IdentifyOptions {
  api: SlackApi;
  clock: Clock;
  random: Random;
  log: Log;
  /** When it aborts, the waiting ends and the promise rejects. */
  signal: AbortSignal;
  /** What the token is called for whoever must replace it; left out: `SLACK_BOT_TOKEN`. */
  tokenName?: string;
  /** Called after each try that failed. */
  onFailed?: () => void;
}

/** Slack may refuse a good token once by mistake; after so many refusals in a row we believe it. */
const LASTING_REFUSALS = 3;
const REFUSED_AGAIN_MS = 1_000;

function configInvalid(message: string, cause?: unknown): BridgeError {
  return new BridgeError('config_invalid', message, { notice: message, cause });
}

/**
 * Asks Slack whose token we have. While Slack cannot be reached or answers nonsense, it tries again and logs each try.
 * Rejects with `config_invalid` when Slack refuses the token three times in a row, because trying again would not help.
 */
export async function identify({
  api,
  clock,
  random,
  log,
  signal,
  tokenName = 'SLACK_BOT_TOKEN',
  onFailed,
}: IdentifyOptions): Promise<Identity> {
  let refusals = 0;
  for (let failures = 1; ; failures += 1) {
    try {
      // A `live` call makes one try, so the retries, and their log lines, are ours.
      const identity = parseIdentity(await api.call('auth.test', {}, { client: 'live' }), tokenName);
      return { ...identity, appId: await fetchAppId(api, identity.botId, log) };
    } catch (error) {
      if (error instanceof BridgeError && error.code === 'config_invalid') throw error;
      const isRefusal = error instanceof SlackError && error.failure === 'refused' && !isPassing(error.error);
      refusals = isRefusal ? refusals + 1 : 0;
      if (isRefusal && refusals >= LASTING_REFUSALS) {
        throw configInvalid(`${tokenName} was refused by Slack: ${error.error}`, error);
      }
      const slackWaitMs = error instanceof SlackError ? (error.retryAfterMs ?? 0) : 0;
      const waitMs = isRefusal
        ? REFUSED_AGAIN_MS
        : Math.max(slackWaitMs, backoffMs(BACKGROUND_RETRY, failures, random.next()));
      log.warn(
        { error: asBridgeError(error).message, failures, waitMs: Math.round(waitMs) },
        'could not ask Slack who the bot is; trying again',
      );
      onFailed?.();
      await sleep(clock, waitMs, signal);
    }
  }
}

const botsInfo = z.looseObject({ bot: z.looseObject({ app_id: z.string().min(1) }) });

/** `null` if Slack does not tell: then deliveries are checked by workspace only, not by app. */
async function fetchAppId(api: SlackApi, botId: string, log: Log): Promise<string | null> {
  try {
    return botsInfo.parse(await api.call('bots.info', { bot: botId }, { client: 'live' })).bot.app_id;
  } catch (error) {
    log.warn({ error: asBridgeError(error).message }, 'Slack does not tell which app the bot belongs to');
    return null;
  }
}

function parseIdentity(answer: unknown, tokenName: string): Identity {
  const parsed = authTest.safeParse(answer);
  if (!parsed.success) throw new BridgeError('slack_failed', 'auth.test answered something unexpected');
  const { team_id, user_id, bot_id, enterprise_id, is_enterprise_install, url, response_metadata } = parsed.data;
  if (!bot_id) throw configInvalid(`${tokenName} is not a bot token: Slack names no bot for it`);
  return {
    teamId: team_id,
    botUserId: user_id,
    botId: bot_id,
    enterpriseId: enterprise_id ?? (is_enterprise_install ? team_id : null),
    ...(is_enterprise_install && { isEnterpriseInstall: true }),
    url: url ?? null,
    ...(response_metadata?.scopes?.includes('assistant:write') && { mayBeAgent: true }),
  };
}

function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: Timer | null = null;
    const onAbort = () => {
      timer?.cancel();
      reject(signal.reason);
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    timer = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    return undefined;
  });
}
