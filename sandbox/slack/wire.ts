import type { Channel, JsonObject, SlackFile, SlackUser, StoredMessage, StoredView } from './model.ts';
import { APP_ID, OTHER_BOT } from './state.ts';
import type { World } from './world.ts';

const ICONS = 'https://a.slack-edge.com/80588/img/plugins/app';

export function botProfile(world: World, updated = 1_766_422_444): JsonObject {
  return {
    id: world.workspace.bot.botId,
    deleted: false,
    name: world.workspace.users.get(world.workspace.bot.userId)?.realName ?? world.workspace.bot.name,
    updated,
    app_id: APP_ID,
    user_id: world.workspace.bot.userId,
    icons: { image_36: `${ICONS}/bot_36.png`, image_48: `${ICONS}/bot_48.png`, image_72: `${ICONS}/service_72.png` },
    team_id: world.workspace.team.id,
  };
}

/** How many bytes a file has. */
export function fileSize(file: SlackFile): number {
  return file.content.length + (file.padding ?? 0);
}

/** What Slack says of a file that one may not, or no longer, see (docs/slack.md, Files). */
function hiddenFile(file: SlackFile): JsonObject | null {
  const { id, access = 'visible' } = file;
  if (access === 'check_file_info') return { id, mode: 'file_access', file_access: access };
  if (access === 'tombstone') return { id, mode: access };
  return access === 'hidden_by_limit' ? { id, mode: access, created: Math.floor(file.created / 1000) } : null;
}

/** A file as messages carry it. */
export function fileWire(world: World, file: SlackFile): JsonObject {
  return hiddenFile(file) ?? wholeFile(world, file);
}

/** A file as `files.info` answers it. */
export function wholeFile(world: World, file: SlackFile): JsonObject {
  const { mode = 'hosted', clip, transcript, url } = file;
  const base = `${world.origin}/files-pri/${world.workspace.team.id}-${file.id}`;
  const seconds = Math.floor(file.created / 1000);
  return {
    id: file.id,
    created: seconds,
    timestamp: seconds,
    name: file.name,
    title: file.title,
    ...(file.altText !== undefined && { alt_txt: file.altText }),
    mimetype: file.mimetype,
    filetype: file.filetype,
    pretty_type: file.filetype.toUpperCase(),
    user: file.user,
    user_team: world.workspace.team.id,
    editable: false,
    size: mode === 'external' ? 0 : fileSize(file),
    mode,
    is_external: mode === 'external',
    external_type: mode === 'external' ? 'gdrive' : '',
    is_public: true,
    public_url_shared: false,
    display_as_bot: false,
    username: '',
    url_private: `${base}/${encodeURIComponent(file.name)}`,
    url_private_download: `${base}/download/${encodeURIComponent(file.name)}`,
    media_display_type: 'unknown',
    permalink: `https://${world.workspace.team.domain}.slack.com/files/${file.user}/${file.id}/${encodeURIComponent(file.name)}`,
    permalink_public: `https://slack-files.com/${world.workspace.team.id}-${file.id}-0000000000`,
    is_starred: false,
    skipped_shares: true,
    has_rich_preview: false,
    file_access: 'visible',
    ...(clip !== undefined && { subtype: `slack_${clip}` }),
    ...(transcript !== undefined && {
      transcription: { status: 'complete', locale: 'en-US', preview: { content: transcript, has_more: false } },
    }),
    ...(mode === 'external' && { url_private: url, url_private_download: undefined }),
    ...(mode === 'email' && { plain_text: file.content.toString(), preview_plain_text: file.content.toString() }),
  };
}

function isRoot(world: World, message: StoredMessage): boolean {
  return message.threadTs === undefined && world.workspace.repliesTo(message.channel, message.ts).length > 0;
}

/** A message as events and history show it, without the keys that belong to the event around it. */
export function messageWire(world: World, message: StoredMessage, options: { profile?: boolean } = {}): JsonObject {
  const author = message.user === undefined ? undefined : world.workspace.users.get(message.user);
  const own = message.user === world.workspace.bot.userId;
  const external = author?.kind === 'external';
  const thread = message.threadTs ?? (isRoot(world, message) ? message.ts : undefined);
  return {
    ...(message.subtype !== undefined && { subtype: message.subtype }),
    ...(message.isTombstone && { subtype: 'tombstone', hidden: true }),
    ...(message.user !== undefined && { user: message.isTombstone ? 'USLACKBOT' : message.user }),
    type: 'message',
    ts: message.ts,
    ...(message.edited && { edited: message.edited }),
    ...(message.clientMsgId !== undefined && { client_msg_id: message.clientMsgId }),
    ...(own && { bot_id: world.workspace.bot.botId, app_id: APP_ID }),
    ...(message.botId !== undefined && { bot_id: message.botId }),
    ...(message.botId !== undefined && message.user === undefined && { username: message.username ?? OTHER_BOT.name }),
    // With a person's token, too, Slack names the app that posted.
    ...(message.botId !== undefined && message.user !== undefined && { app_id: OTHER_BOT.appId }),
    text: message.text,
    ...(author && { team: author.team }),
    ...(external && { user_team: author.team, source_team: author.team }),
    ...(own && options.profile !== false && { bot_profile: botProfile(world) }),
    ...(thread !== undefined && { thread_ts: thread }),
    ...(message.parentUser !== undefined && { parent_user_id: message.parentUser }),
    ...(message.blocks.length > 0 && { blocks: message.blocks }),
    ...(message.attachments.length > 0 && { attachments: message.attachments }),
    ...(message.files.length > 0 && {
      files: message.files.map((file) => fileWire(world, file)),
      upload: false,
      display_as_bot: false,
    }),
  };
}

/** A message as `conversations.history` and `.replies` answer it. */
export function historyWire(world: World, message: StoredMessage, withMetadata: boolean): JsonObject {
  const replies = message.threadTs === undefined ? world.workspace.repliesTo(message.channel, message.ts) : [];
  const users = [...new Set(replies.map((reply) => reply.user ?? reply.botId ?? ''))];
  return {
    ...messageWire(world, message),
    ...(replies.length > 0 && {
      thread_ts: message.ts,
      reply_count: replies.length,
      reply_users_count: users.length,
      latest_reply: replies.at(-1)?.ts ?? message.ts,
      reply_users: users.slice(0, 5),
      is_locked: false,
      subscribed: true,
    }),
    ...(message.reactions.size > 0 && {
      reactions: [...message.reactions].map(([name, by]) => ({ name, users: by, count: by.length })),
    }),
    ...(withMetadata && message.metadata && { metadata: message.metadata }),
  };
}

export function channelWire(world: World, channel: Channel): JsonObject {
  const im = channel.kind === 'im';
  return {
    id: channel.id,
    ...(im ? { user: channel.partner } : { name: channel.name, name_normalized: channel.name }),
    created: channel.created,
    creator: channel.creator,
    is_channel: channel.kind === 'public',
    is_group: channel.kind === 'private',
    is_im: im,
    is_mpim: channel.kind === 'mpim',
    is_private: channel.kind !== 'public',
    is_archived: channel.archived,
    is_general: channel.id === 'C01GEN',
    is_shared: world.workspace.isShared(channel),
    is_ext_shared: world.workspace.isShared(channel),
    is_org_shared: false,
    is_member: channel.members.has(world.workspace.bot.userId),
    context_team_id: world.workspace.team.id,
    topic: { value: channel.topic ?? '', creator: '', last_set: 0 },
    purpose: { value: '', creator: '', last_set: 0 },
  };
}

export function userWire(world: World, user: SlackUser, withEmail: boolean): JsonObject {
  const bot = user.kind === 'bot';
  const { team } = world.workspace;
  const grid = user.kind === 'external' ? null : team.enterprise;
  return {
    id: user.id,
    team_id: user.team,
    name: user.name,
    deleted: user.deleted,
    color: '9f69e7',
    real_name: user.realName,
    tz: 'Europe/Amsterdam',
    tz_label: 'Central European Time',
    tz_offset: 3600,
    profile: {
      real_name: user.realName,
      real_name_normalized: user.realName,
      display_name: user.name,
      display_name_normalized: user.name,
      ...(withEmail && !bot && { email: `${user.name}@example.com` }),
      ...(bot && { bot_id: user.botId, api_app_id: APP_ID }),
      team: user.team,
    },
    is_admin: false,
    is_owner: false,
    is_primary_owner: false,
    is_restricted: user.kind === 'guest',
    is_ultra_restricted: false,
    is_bot: bot,
    is_app_user: false,
    ...(user.kind === 'external' && { is_stranger: true }),
    ...(grid && {
      enterprise_user: { id: user.id, enterprise_id: grid.id, enterprise_name: grid.name, teams: [team.id] },
    }),
    updated: 1_766_422_444,
  };
}

export function viewWire(world: World, view: StoredView): JsonObject {
  const { source } = view;
  return {
    id: view.id,
    team_id: world.workspace.team.id,
    type: view.type,
    blocks: view.blocks,
    private_metadata: source.private_metadata ?? '',
    callback_id: source.callback_id ?? '',
    state: { values: view.values },
    hash: view.hash,
    ...(view.type === 'modal' && { title: source.title }),
    clear_on_close: source.clear_on_close ?? false,
    notify_on_close: source.notify_on_close ?? false,
    close: source.close ?? null,
    submit: source.submit ?? null,
    previous_view_id: view.previousId,
    root_view_id: view.rootId,
    app_id: APP_ID,
    external_id: view.externalId,
    app_installed_team_id: world.workspace.team.id,
    bot_id: world.workspace.bot.botId,
  };
}
