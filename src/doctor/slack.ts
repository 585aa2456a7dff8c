import { isDirect } from '../bridge/ids.ts';
import type { Clock, Log, Metrics, Random } from '../bridge/ports.ts';
import type { Config } from '../config/config.ts';
import { policyOfToken } from '../config/policies.ts';
import { BridgeError } from '../errors.ts';
import { AGENT, type Manifest } from '../manifest/manifest.ts';
import {
  appIdOfToken,
  type BotReport,
  type FetchHead,
  fetchSlackTime,
  inspectBot,
  inspectChannel,
} from '../slack/api/inspect.ts';
import { type SlackApi, SlackError } from '../slack/api/slack-api.ts';
import { createDirectory } from '../slack/people/directory.ts';
import { createHttpTransport } from '../slack/receiver/http.ts';
import { createSocketTransport } from '../slack/receiver/socket.ts';
import type { Accept, Transport } from '../slack/receiver/transport.ts';
import { type AddFinding, fine, trouble } from './report.ts';
import { describeMissing, missingOptional, TOOL_SCOPES } from './scopes.ts';

export interface SlackParts {
  config: Config;
  manifest: Manifest;
  api: SlackApi;
  fetch: FetchHead;
  clock: Clock;
  random: Random;
  log: Log;
}

const CLOCK_OFF_S = 30;

/** Compares our clock with Slack's. Adds nothing if Slack is unreachable, because `checkBot` reports that. */
export async function checkClock({ config, fetch, clock }: SlackParts, addFinding: AddFinding): Promise<void> {
  const before = clock.now();
  const theirs = await fetchSlackTime(config.slack.apiUrl, fetch).catch(() => null);
  if (theirs === null) return;
  // The header has whole seconds and was written between our two readings: take the middle of both.
  const ours = (before + clock.now()) / 2;
  const seconds = Math.round(Math.abs(ours - theirs - 500) / 1_000);
  addFinding(seconds > CLOCK_OFF_S ? trouble('clock_off', { seconds }) : fine('clock', 'in step with Slack'));
}

/** @returns who the bot is; `null` when the token does not work, so that nothing else can be checked */
export async function checkBot({ api, config }: SlackParts, addFinding: AddFinding): Promise<BotReport | null> {
  let bot: BotReport;
  try {
    bot = await inspectBot(api);
  } catch (error) {
    addFinding(tokenTrouble('bot_token_refused', error, config));
    return null;
  }
  if (bot.botId === null) {
    addFinding(trouble('not_a_bot'));
    return null;
  }
  addFinding(fine('bot token', `@${bot.botName} in ${bot.teamName} (${bot.teamId})`));
  return bot;
}

function tokenTrouble(refused: 'bot_token_refused' | 'app_token_refused', error: unknown, { slack }: Config) {
  const host = new URL(slack.apiUrl).host;
  if (error instanceof SlackError) {
    return error.failure === 'refused'
      ? trouble(refused, { error: error.error })
      : trouble('slack_unreachable', { error: error.error, host });
  }
  if (error instanceof BridgeError) return trouble('slack_unreachable', { error: error.message, host });
  throw error;
}

/** Compares the token's scopes with the manifest's, and with what the policy of its workspace wants. */
export function checkScopes(
  { manifest, config }: Pick<SlackParts, 'manifest' | 'config'>,
  { scopes, teamId }: BotReport,
  addFinding: AddFinding,
): void {
  const { bot, bot_optional = [] } = manifest.oauth_config.scopes;
  const missing = bot.filter((scope) => !scopes.includes(scope));
  const known = new Set<string>([...bot, ...bot_optional, ...AGENT.scopes]);
  const extra = scopes.filter((scope) => !known.has(scope));
  if (missing.length > 0) addFinding(trouble('scopes_missing', { scopes: missing.join(', ') }));
  const unread = missing.filter((scope) => scope.endsWith(':history'));
  if (unread.length > 0) addFinding(trouble('threads_unread', { scopes: unread.join(', ') }));
  const optional = missingOptional(scopes, policyOfToken(config.policies, teamId));
  if (optional.length > 0) {
    addFinding(trouble('scopes_wanted', { scopes: optional.join(', '), without: describeMissing(optional) }));
  }
  const limited = Object.keys(TOOL_SCOPES).filter((scope) => !scopes.includes(scope));
  if (limited.length > 0) {
    const tools = [...new Set(limited.flatMap((scope) => TOOL_SCOPES[scope] ?? []))].join(', ');
    addFinding(trouble('tools_limited', { scopes: limited.join(', '), tools }));
  }
  if (missing.length === 0) addFinding(fine('scopes', `all ${bot.length} that the bridge needs`));
  if (extra.length > 0) addFinding(trouble('scopes_extra', { scopes: extra.join(', ') }));
}

/**
 * Checks that the app-level token belongs to the same app and that Slack accepts it.
 * @param bot `null`: there is no bot token to compare it with
 * @returns whether both hold
 */
export async function checkAppToken(
  { appApi, bot, config }: { appApi: SlackApi; bot: BotReport | null; config: Config },
  addFinding: AddFinding,
): Promise<boolean> {
  if (config.slack.mode.kind !== 'socket') return false;
  const app = appIdOfToken(config.slack.mode.appToken);
  if (app !== null && bot && bot.appId !== null && app !== bot.appId) {
    addFinding(trouble('other_app', { app, bot: bot.appId }));
    return false;
  }
  try {
    // The socket address in the answer is not used.
    await appApi.call('apps.connections.open', {}, { client: 'control' });
  } catch (error) {
    addFinding(tokenTrouble('app_token_refused', error, config));
    return false;
  }
  addFinding(fine('app token', app === null ? 'accepted' : `accepted, of the app ${app}`));
  return true;
}

/** Checks that the bot is in the named channels. @returns the channels' names */
export async function checkChannels(
  { api }: Pick<SlackParts, 'api'>,
  bot: BotReport,
  ids: readonly string[],
  addFinding: AddFinding,
): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  const good: string[] = [];
  for (const id of ids.filter((each) => !isDirect(each))) {
    const channel = await inspectChannel(api, id).catch((error: unknown) => {
      if (error instanceof SlackError && error.error === 'missing_scope') return 'unseen' as const;
      throw error;
    });
    // `checkScopes` has named what is missing.
    if (channel === 'unseen') continue;
    if (channel === null) {
      addFinding(trouble('channel_unknown', { channel: id, bot: bot.botName }));
      continue;
    }
    const { name, isArchived, isMember } = channel;
    names.set(id, name);
    if (isArchived) addFinding(trouble('channel_archived', { name, channel: id }));
    else if (!isMember) addFinding(trouble('not_in_channel', { name, channel: id, bot: bot.botName }));
    else good.push(`#${name}`);
  }
  if (good.length > 0) addFinding(fine('channels', `the bot is in ${good.join(', ')}`));
  return names;
}

/**
 * The id of the channel for the self-test. An id is taken as it is, since the self-test itself says what is wrong with it.
 * @param wanted an id or a name, with or without `#`; `null`: no self-test
 */
export async function findTestChannel(
  api: SlackApi,
  wanted: string | null,
  bot: BotReport,
  addFinding: AddFinding,
): Promise<string | null> {
  if (wanted === null || /^[CG][A-Z0-9]+$/.test(wanted)) return wanted;
  try {
    const found = await createDirectory(api).findChannel(wanted);
    if ('found' in found) return found.found.id;
    addFinding(trouble('test_channel_unknown', { channel: wanted, bot: bot.botName }));
  } catch (error) {
    if (!(error instanceof SlackError || error instanceof BridgeError)) throw error;
    const why = error instanceof SlackError ? error.error : error.message;
    addFinding(trouble('channels_unlisted', { error: why, channel: wanted }));
  }
  return null;
}

/** Opens the same transport for Slack's deliveries as the bridge would. */
export function openTransport(
  { config, clock, random, log }: Pick<SlackParts, 'config' | 'clock' | 'random' | 'log'>,
  metrics: Metrics,
): Transport {
  const { mode, apiUrl } = config.slack;
  if (mode.kind === 'http') return createHttpTransport({ ...mode, clock, log });
  return createSocketTransport({ appToken: mode.appToken, slackApiUrl: apiUrl, clock, random, log, metrics });
}

/**
 * Rejects every delivery, so that nothing is acknowledged: Slack delivers a message again that arrives while only
 * doctor listens (docs/slack.md, HTTP delivery; Socket Mode).
 */
export const rejectDelivery: Accept = () =>
  Promise.reject(new BridgeError('internal', 'doctor accepts no deliveries', { retry: true }));
