import { z } from 'zod';
import { BridgeError } from '../../errors.ts';
import { type SlackApi, SlackError } from './slack-api.ts';

/** What Slack tells about a bot token. */
export interface BotReport {
  teamId: string;
  teamName: string;
  botUserId: string;
  /** The bot's name, without `@`. */
  botName: string;
  /** `null`: it is not a bot token. */
  botId: string | null;
  /** `null` where Slack does not tell (the scope `users:read` is missing). */
  appId: string | null;
  enterpriseId: string | null;
  scopes: string[];
}

export interface ChannelReport {
  id: string;
  /** Without `#`. */
  name: string;
  isPrivate: boolean;
  isMember: boolean;
  isArchived: boolean;
  /** Shared with another organisation. */
  isExternal: boolean;
}

const authTest = z.looseObject({
  team_id: z.string(),
  team: z.string().nullish(),
  user_id: z.string(),
  user: z.string().nullish(),
  bot_id: z.string().nullish(),
  enterprise_id: z.string().nullish(),
  response_metadata: z.looseObject({ scopes: z.array(z.string()).nullish() }).nullish(),
});
const botInfo = z.looseObject({ bot: z.looseObject({ app_id: z.string().nullish() }) });
const channelInfo = z.looseObject({
  channel: z.looseObject({
    id: z.string(),
    name: z.string().nullish(),
    is_private: z.boolean().nullish(),
    is_member: z.boolean().nullish(),
    is_archived: z.boolean().nullish(),
    is_ext_shared: z.boolean().nullish(),
  }),
});

/** Rejects with a SlackError, or with `slack_failed` if the answer lacks what Slack always sends. */
export async function inspectBot(api: SlackApi): Promise<BotReport> {
  const parsed = authTest.safeParse(await api.call('auth.test', {}, { client: 'control' }));
  if (!parsed.success) throw new BridgeError('slack_failed', 'auth.test answered something unexpected');
  const { team_id, team, user_id, user, bot_id, enterprise_id, response_metadata } = parsed.data;
  return {
    teamId: team_id,
    teamName: team ?? team_id,
    botUserId: user_id,
    botName: user ?? user_id,
    botId: bot_id ?? null,
    appId: bot_id ? await fetchAppId(api, bot_id) : null,
    enterpriseId: enterprise_id ?? null,
    // The SDK puts the header `x-oauth-scopes` there.
    scopes: response_metadata?.scopes ?? [],
  };
}

async function fetchAppId(api: SlackApi, bot: string): Promise<string | null> {
  try {
    const parsed = botInfo.safeParse(await api.call('bots.info', { bot }, { client: 'control' }));
    return parsed.data?.bot.app_id ?? null;
  } catch (error) {
    if (error instanceof SlackError && error.failure === 'refused') return null;
    throw error;
  }
}

/** The id of the app that an app-level token belongs to: the token contains it (`xapp-1-A…-…`). */
export function appIdOfToken(appToken: string): string | null {
  return /^xapp-\d+-(A[A-Z0-9]+)-/.exec(appToken)?.[1] ?? null;
}

/** `null` when the bot cannot see such a channel: the id is wrong, or it is private and the bot is not in it. */
export async function inspectChannel(api: SlackApi, channel: string): Promise<ChannelReport | null> {
  try {
    const parsed = channelInfo.safeParse(await api.call('conversations.info', { channel }, { client: 'control' }));
    if (!parsed.success) throw new BridgeError('slack_failed', 'conversations.info answered something unexpected');
    const { id, name, is_private, is_member, is_archived, is_ext_shared } = parsed.data.channel;
    return {
      id,
      name: name ?? id,
      isPrivate: is_private === true,
      isMember: is_member === true,
      isArchived: is_archived === true,
      isExternal: is_ext_shared === true,
    };
  } catch (error) {
    if (error instanceof SlackError && error.error === 'channel_not_found') return null;
    throw error;
  }
}

/** The part of `fetch` that is used. */
export type FetchHead = (url: string, init: { method: string; signal: AbortSignal }) => Promise<{ headers: Headers }>;

const TIME_WITHIN_MS = 10_000;

/** Slack's time in ms since 1970, from the `Date` header of an answer (whole seconds); `null`: no such header. */
export async function fetchSlackTime(apiUrl: string, fetch: FetchHead): Promise<number | null> {
  const answer = await fetch(`${apiUrl}api.test`, { method: 'POST', signal: AbortSignal.timeout(TIME_WITHIN_MS) });
  const at = Date.parse(answer.headers.get('date') ?? '');
  return Number.isNaN(at) ? null : at;
}
