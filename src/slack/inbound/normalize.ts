import { z } from 'zod';
import { isDirect, type MessageKey, makeMessageKey, SLACKBOT } from '../../bridge/ids.ts';
import type { ChannelKind, InboundMessage, Span } from '../../bridge/inbound.ts';
import { cleanName } from '../people/clean-name.ts';
import { contentSpans, hasMoreThanText } from './content.ts';
import { filesOf } from './files.ts';
import { mentionsUser } from './mentions.ts';
import { type Foreign, type OurIds, whyForeign } from './ours.ts';
import { isBlank } from './span-builder.ts';

/** Who we are in Slack, as `auth.test` says it. */
export interface SlackIdentity extends OurIds {
  botUserId: string;
  botId: string | null;
}

export type IgnoredReason =
  | 'malformed'
  | 'not_a_message'
  | 'own_message'
  | 'slack_itself'
  | 'edited'
  | 'deleted'
  | 'hidden'
  | 'not_speech'
  | 'mention_twin_in_dm'
  | Foreign
  | 'empty';

export type Normalized =
  | { kind: 'message'; message: InboundMessage }
  /** `detail` names the subtype or the wrong field. It never holds text of the message, because it is logged. */
  | { kind: 'ignored'; reason: IgnoredReason; detail: string | null };

const id = z.string().regex(/^[A-Z0-9]+$/);
const ts = z.string().regex(/^\d+\.\d+$/);
const optionalText = z.string().nullish();

const envelope = z.looseObject({
  context_team_id: optionalText,
  context_enterprise_id: optionalText,
  api_app_id: optionalText,
  is_ext_shared_channel: z.boolean().nullish(),
  authorizations: z.array(z.looseObject({ team_id: optionalText, enterprise_id: optionalText })).nullish(),
  event: z.looseObject({ type: z.string(), subtype: optionalText }),
});

const author = z.looseObject({ user: optionalText, bot_id: optionalText, app_id: optionalText });

const bot = z.looseObject({
  subtype: optionalText,
  user: optionalText,
  bot_id: optionalText,
  app_id: optionalText,
  bot_profile: z.looseObject({ id: optionalText, name: optionalText }).nullish(),
  username: optionalText,
});

const speech = z.looseObject({
  channel: id,
  channel_type: optionalText,
  ts,
  thread_ts: ts.nullish(),
  user: id.nullish(),
  user_team: optionalText,
  source_team: optionalText,
  team: optionalText,
  text: optionalText,
});

/**
 * Only in these a person or a bot says something (docs/slack.md, Which messages to handle); unknown subtypes are
 * ignored.
 */
const SPEECH_SUBTYPES: ReadonlySet<string> = new Set(['file_share', 'thread_broadcast', 'me_message', 'bot_message']);
const CHANNEL_KINDS: ReadonlySet<string> = new Set(['channel', 'group', 'im', 'mpim']);
/** Messages of this user are written by Slack itself. */
const SLACK_ITSELF = 'USLACK';

function ignored(reason: IgnoredReason, detail: string | null = null): Normalized {
  return { kind: 'ignored', reason, detail };
}

/**
 * A channel's kind. Only the id makes it a direct message, because a name or type that others control must not grant
 * that access.
 * @param type `channel_type` of the event; `app_mention` has none, then the id's first letter tells what it can
 * (docs/slack.md, Slack Connect and Enterprise).
 */
export function channelKindOf(channel: string, type: string | null | undefined): ChannelKind {
  if (isDirect(channel)) return 'im';
  if (type && type !== 'im' && CHANNEL_KINDS.has(type)) return type as ChannelKind;
  return channel.startsWith('G') ? 'group' : 'channel';
}

function isOwn(event: unknown, appId: string | null | undefined, identity: SlackIdentity): boolean {
  const by = author.safeParse(event);
  if (!by.success) return false;
  const { user, bot_id, app_id } = by.data;
  if (user === identity.botUserId) return true;
  if (bot_id && bot_id === identity.botId) return true;
  // Our own app may also post with a person's token; then the bot id differs, but the app id is ours.
  return Boolean(app_id && app_id === (identity.appId ?? appId));
}

/**
 * The app, bot or workflow that wrote the message; `null`: a person; `unnamed`: a bot without any id. An app that posts
 * with a person's token counts as the app, because Slack puts the app's ids on it.
 */
function botOf(event: unknown): { id: string; name: string | null } | 'unnamed' | null {
  const by = bot.safeParse(event);
  if (!by.success) return 'unnamed';
  const { subtype, user, bot_id, app_id, bot_profile, username } = by.data;
  // Slack sends what people made it say later (`/remind`) as Slackbot, with or without a bot id.
  if (user === SLACKBOT) return { id: id.safeParse(bot_id).data ?? SLACKBOT, name: 'Slackbot' };
  if (!bot_id && !app_id && !bot_profile && subtype !== 'bot_message') return null;
  const named = id.safeParse(bot_id || bot_profile?.id || app_id);
  return named.success ? { id: named.data, name: cleanName(bot_profile?.name || username || '') || null } : 'unnamed';
}

/**
 * The author's team; `null` if the event names none, or names an organisation that may be ours: then only Slack's
 * directory can tell. Of the two events of one mention, one may name the workspace and the other its organisation
 * (docs/slack.md, Learned since).
 */
function userTeamOf(
  { user_team, source_team, team }: z.infer<typeof speech>,
  body: z.infer<typeof envelope>,
  { teamId, enterpriseId }: SlackIdentity,
): string | null {
  const named = user_team || source_team || team || null;
  if (named === null || !named.startsWith('E')) return named;
  const installed = (body.authorizations ?? []).filter((each) => each.team_id === teamId);
  const organisations = [
    enterpriseId,
    ...installed.map((each) => each.enterprise_id),
    body.context_team_id === teamId ? body.context_enterprise_id : null,
  ].filter(Boolean);
  return organisations.length === 0 || organisations.includes(named) ? null : named;
}

/**
 * The message in an `event_callback` payload, or why it is ignored. Never throws. The two events that Slack sends for
 * one mention give the same message (docs/slack.md, Which messages to handle).
 */
export function normalizeEvent(payload: unknown, identity: SlackIdentity): Normalized {
  const parsed = envelope.safeParse(payload);
  if (!parsed.success) return ignored('malformed', fieldOf(parsed.error));
  const { event } = parsed.data;
  const foreign = whyForeign(payload, identity);
  // The receiver has rejected deliveries that name no workspace, so this one was read from the history.
  if (foreign !== null && foreign !== 'no_workspace') return ignored(foreign);
  if (event.type !== 'message' && event.type !== 'app_mention') return ignored('not_a_message', event.type);
  const appId = parsed.data.api_app_id;
  if (isOwn(event, appId, identity) || isOwn(event.message, appId, identity)) return ignored('own_message');
  if (event.subtype === 'message_changed') return ignored('edited');
  if (event.subtype === 'message_deleted') return ignored('deleted');
  if (event.subtype && !SPEECH_SUBTYPES.has(event.subtype)) return ignored('not_speech', event.subtype);
  if (event.hidden === true) return ignored('hidden');

  const said = speech.safeParse(event);
  if (!said.success) return ignored('malformed', fieldOf(said.error));
  const { channel, text } = said.data;
  const bot = botOf(event);
  if (bot === 'unnamed') return ignored('malformed', 'bot_id');
  // Not all bots have a user id (docs/slack.md, Which messages to handle), but all have a bot id: that names the
  // author.
  const user = bot?.id ?? said.data.user;
  if (!user) return ignored('malformed', 'user');
  if (user === SLACK_ITSELF) return ignored('slack_itself');
  const channelKind = channelKindOf(channel, said.data.channel_type);
  if (event.type === 'app_mention' && channelKind === 'im') return ignored('mention_twin_in_dm');

  const content = { text, blocks: event.blocks, attachments: event.attachments };
  const spans = contentSpans(content);
  const files = filesOf(event);
  const unread = saysNothing(spans) && hasMoreThanText(content);
  if (isBlank(spans) && files.length === 0 && !unread) return ignored('empty');

  const { teamId, botUserId } = identity;
  const threadTs = said.data.thread_ts ?? null;
  return {
    kind: 'message',
    message: {
      key: makeMessageKey({ team: teamId, channel, ts: said.data.ts }),
      team: teamId,
      channel,
      channelKind,
      ...(!said.data.channel_type && channelKind !== 'im' && { isKindGuessed: true as const }),
      ts: said.data.ts,
      threadTs: threadTs === said.data.ts ? null : threadTs,
      user,
      ...(bot && { bot: { user: said.data.user ?? null, name: bot.name } }),
      userTeam: userTeamOf(said.data, parsed.data, identity),
      external: parsed.data.is_ext_shared_channel ?? null,
      spans,
      ...(unread && { unread }),
      files,
      mentionsBot: mentionsUser(content, botUserId),
    },
  };
}

/** Whether no words are there besides references. */
function saysNothing(spans: readonly Span[]): boolean {
  return isBlank(spans.filter(({ kind }) => kind === 'text'));
}

/** The message that an event is about, even if the event is ignored. */
export function keyOfEvent(payload: unknown, { teamId }: SlackIdentity): MessageKey | null {
  const parsed = z.looseObject({ event: z.looseObject({ channel: id, ts }) }).safeParse(payload);
  return parsed.success
    ? makeMessageKey({ team: teamId, channel: parsed.data.event.channel, ts: parsed.data.event.ts })
    : null;
}

function fieldOf(error: z.ZodError): string | null {
  return error.issues[0]?.path.join('.') || null;
}
