import type { Channel, ChannelKind, JsonObject, StoredMessage } from './model.ts';
import { APP_ID } from './state.ts';
import { fileWire, messageWire } from './wire.ts';
import type { World } from './world.ts';

const CHANNEL_TYPES: Record<ChannelKind, string> = { public: 'channel', private: 'group', im: 'im', mpim: 'mpim' };
const HISTORY_SCOPES: Record<ChannelKind, string> = {
  public: 'channels:history',
  private: 'groups:history',
  im: 'im:history',
  mpim: 'mpim:history',
};
const READ_SCOPES: Record<ChannelKind, string> = {
  public: 'channels:read',
  private: 'groups:read',
  im: 'im:read',
  mpim: 'mpim:read',
};

/** Events with the context team's id (seen in the recorded payloads). */
const WITH_CONTEXT = ['message', 'member_joined_channel', 'member_left_channel'];

/** The scope that an app needs to get an event; null if it needs none. */
export function scopeFor(event: JsonObject, channel: Channel | undefined): string | null {
  switch (event.type) {
    case 'message':
      return channel ? HISTORY_SCOPES[channel.kind] : null;
    case 'app_mention':
      return 'app_mentions:read';
    case 'member_joined_channel':
    case 'member_left_channel':
    case 'channel_id_changed':
      return channel ? READ_SCOPES[channel.kind] : null;
    case 'reaction_added':
    case 'reaction_removed':
      return 'reactions:read';
    default:
      return null;
  }
}

const MESSAGE_EVENTS: Record<ChannelKind, string> = {
  public: 'message.channels',
  private: 'message.groups',
  im: 'message.im',
  mpim: 'message.mpim',
};

/** The name under which an app subscribes to an event. */
export function subscriptionFor(event: JsonObject, channel: Channel | undefined): string {
  return event.type === 'message' && channel ? MESSAGE_EVENTS[channel.kind] : String(event.type);
}

/**
 * The `event_callback` around an event, as recorded (docs/slack.md, HTTP delivery; What a strict small Slack must do).
 */
export function eventCallback(world: World, event: JsonObject, channel: Channel | undefined): JsonObject {
  const { team, bot } = world.workspace;
  const enterpriseId = team.enterprise?.id ?? null;
  const isForAll = world.installedAs?.startsWith('E') ?? false;
  const context = { et: event.type, tid: team.id, aid: APP_ID, cid: channel?.id };
  return {
    token: 'verification-token',
    team_id: team.id,
    ...(enterpriseId !== null && { enterprise_id: enterpriseId }),
    ...(WITH_CONTEXT.includes(String(event.type)) && { context_team_id: team.id, context_enterprise_id: enterpriseId }),
    api_app_id: APP_ID,
    event,
    type: 'event_callback',
    event_id: world.workspace.nextId('Ev'),
    event_time: Math.floor(world.now() / 1000),
    authorizations: [
      {
        enterprise_id: enterpriseId,
        team_id: isForAll ? null : team.id,
        user_id: bot.userId,
        is_bot: true,
        is_enterprise_install: isForAll,
      },
    ],
    is_ext_shared_channel: channel !== undefined && world.workspace.isShared(channel),
    event_context: `4-${Buffer.from(JSON.stringify(context)).toString('base64url')}`,
  };
}

function eventTime(world: World, channel: Channel): JsonObject {
  const ts = world.workspace.nextTs(channel.id);
  return { channel: channel.id, hidden: true, ts, event_ts: ts, channel_type: CHANNEL_TYPES[channel.kind] };
}

export function messageEvent(world: World, channel: Channel, message: StoredMessage): JsonObject {
  return {
    ...messageWire(world, message),
    channel: channel.id,
    event_ts: message.ts,
    channel_type: CHANNEL_TYPES[channel.kind],
    ...(world.isAgent &&
      channel.kind === 'im' &&
      message.user !== world.workspace.bot.userId && {
        app_context: { entities: [contextEntity(world, message.ts, channel.id)] },
      }),
  };
}

function contextEntity(world: World, ts: string, channel: string): JsonObject {
  const value = { message_ts: ts, channel_id: channel };
  return { type: 'slack#/types/message_context', value, team_id: world.workspace.team.id };
}

export function appMention(world: World, channel: Channel, message: StoredMessage): JsonObject {
  const wire = messageWire(world, message);
  if (message.files.length === 0) return { ...wire, type: 'app_mention', channel: channel.id, event_ts: message.ts };
  const { subtype: _subtype, team: _team, ...rest } = wire;
  return {
    ...rest,
    type: 'app_mention',
    files: message.files.map((file) => fileWire(world, file)),
    channel: channel.id,
    event_ts: message.ts,
  };
}

export function messageChanged(world: World, channel: Channel, now: StoredMessage, previous: JsonObject): JsonObject {
  return {
    type: 'message',
    subtype: 'message_changed',
    message: { ...messageWire(world, now), source_team: world.workspace.team.id, user_team: world.workspace.team.id },
    previous_message: previous,
    ...eventTime(world, channel),
  };
}

export function messageDeleted(world: World, channel: Channel, previous: JsonObject): JsonObject {
  return {
    type: 'message',
    subtype: 'message_deleted',
    previous_message: previous,
    deleted_ts: previous.ts,
    ...eventTime(world, channel),
  };
}

export function reactionEvent(
  world: World,
  kind: 'reaction_added' | 'reaction_removed',
  message: StoredMessage,
  user: string,
  reaction: string,
): JsonObject {
  return {
    type: kind,
    user,
    reaction,
    item: { type: 'message', channel: message.channel, ts: message.ts },
    item_user: message.user ?? message.botId,
    event_ts: world.workspace.nextTs(message.channel),
  };
}

export function memberEvent(
  world: World,
  kind: 'member_joined_channel' | 'member_left_channel',
  channel: Channel,
  user: string,
  inviter: string | undefined,
): JsonObject {
  return {
    type: kind,
    user,
    channel: channel.id,
    channel_type: channel.kind === 'public' ? 'C' : 'G',
    team: world.workspace.team.id,
    ...(inviter !== undefined && { inviter }),
    event_ts: world.workspace.nextTs(channel.id),
  };
}

export function appHomeOpened(
  world: World,
  user: string,
  tab: 'home' | 'messages',
  view: JsonObject | undefined,
): JsonObject {
  const channel = world.workspace.openDirectMessage(user);
  return {
    type: 'app_home_opened',
    user,
    channel: channel.id,
    tab,
    ...(view && { view }),
    event_ts: world.workspace.nextTs(channel.id),
    ...(world.isAgent && { context: { entities: [{ type: 'slack#/types/channel_id', value: 'C01GEN' }] } }),
  };
}

export function channelIdChanged(world: World, oldId: string, newId: string): JsonObject {
  return {
    type: 'channel_id_changed',
    old_channel_id: oldId,
    new_channel_id: newId,
    event_ts: world.workspace.nextTs(newId),
  };
}

export function sessionStopped(
  world: World,
  channel: string,
  user: string,
  threadTs: string,
  streams: readonly string[],
): JsonObject {
  return {
    type: 'agent_session_stopped',
    channel,
    user,
    thread_ts: threadTs,
    streaming_message_ts: streams,
    event_ts: world.workspace.nextTs(channel),
  };
}

/** `app_context_changed` of agent apps (docs/slack.md, Agent apps). */
export function contextChanged(world: World, user: string, viewed: string): JsonObject {
  const channel = world.workspace.openDirectMessage(user);
  return {
    type: 'app_context_changed',
    channel: channel.id,
    user,
    context: { entities: [{ type: 'slack#/types/channel_id', value: viewed, team_id: world.workspace.team.id }] },
    event_ts: world.workspace.nextTs(channel.id),
  };
}

/** The app was uninstalled; the envelope alone says where (docs/slack.md, OAuth and rotation). */
export function appUninstalled(world: World): JsonObject {
  return { type: 'app_uninstalled', event_ts: world.workspace.nextTs('app') };
}

/** Tokens of the app's bot were revoked. */
export function tokensRevoked(world: World): JsonObject {
  const tokens = { oauth: [], bot: [world.workspace.bot.userId] };
  return { type: 'tokens_revoked', tokens, event_ts: world.workspace.nextTs('app') };
}
