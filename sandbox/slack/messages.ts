import { appMention, memberEvent, messageChanged, messageDeleted, messageEvent, reactionEvent } from './events.ts';
import type { Channel, FileAccess, JsonObject, MessageStream, SlackFile, StoredMessage } from './model.ts';
import { storedBlocks } from './stored-blocks.ts';
import { pingsOf } from './text/pings.ts';
import { richText } from './text/rich-text.ts';
import { messageWire } from './wire.ts';
import type { World } from './world.ts';

export interface NewMessage {
  user?: string;
  botId?: string;
  username?: string;
  subtype?: string;
  text: string;
  /** The app's own; without them Slack derives `rich_text` from the text. */
  blocks?: JsonObject[];
  attachments?: JsonObject[];
  files?: SlackFile[];
  threadTs?: string;
  metadata?: JsonObject;
  clientMsgId?: string;
  ephemeralFor?: string;
  linkNames?: boolean;
  /** It goes on growing. */
  stream?: MessageStream;
}

function contentOf(
  world: World,
  text: string,
  own: JsonObject[] | undefined,
): { blocks: JsonObject[]; ownBlocks: boolean } {
  if (own && own.length > 0) return { blocks: storedBlocks(world, own), ownBlocks: true };
  return { blocks: text === '' ? [] : [richText(text, world.workspace.nextBlockId())], ownBlocks: false };
}

function mentionsBot(world: World, message: StoredMessage): boolean {
  return new RegExp(`<@${world.workspace.bot.userId}(?:\\|[^>]*)?>`).test(message.text);
}

/**
 * Stores a message and sends its events: `message` and, for a mention, `app_mention`, in random order (docs/slack.md,
 * Which messages to handle).
 */
export function postMessage(world: World, channel: Channel, input: NewMessage): StoredMessage {
  const { workspace } = world;
  const root = input.threadTs === undefined ? undefined : workspace.findMessage(channel.id, input.threadTs);
  const { blocks, ownBlocks } = contentOf(world, input.text, input.blocks);
  const attachments = input.attachments ?? [];
  const message: StoredMessage = {
    channel: channel.id,
    ts: workspace.nextTs(channel.id),
    text: input.text,
    blocks,
    attachments,
    files: input.files ?? [],
    hasOwnBlocks: ownBlocks,
    isTombstone: false,
    reactions: new Map(),
    pings: pingsOf({
      text: input.text,
      blocks: ownBlocks ? blocks : [],
      attachments,
      linkNames: input.linkNames ?? false,
    }),
    revisions: 1,
    ...(input.user !== undefined && { user: input.user }),
    ...(input.botId !== undefined && { botId: input.botId }),
    ...(input.username !== undefined && { username: input.username }),
    ...(input.subtype !== undefined && { subtype: input.subtype }),
    ...(input.threadTs !== undefined && { threadTs: input.threadTs }),
    ...(root && { parentUser: root.isTombstone ? 'USLACKBOT' : (root.user ?? root.botId ?? '') }),
    ...(input.metadata && { metadata: input.metadata }),
    ...(input.clientMsgId !== undefined && { clientMsgId: input.clientMsgId }),
    ...(input.ephemeralFor !== undefined && { ephemeralFor: input.ephemeralFor }),
    ...(input.stream && { stream: input.stream }),
  };
  workspace.addMessage(message);
  for (const file of message.files) file.shares.push({ channel: channel.id, ts: message.ts });
  if (message.ephemeralFor !== undefined) return message;
  if (message.user === world.workspace.bot.userId)
    workspace.statuses.delete(`${channel.id} ${message.threadTs ?? message.ts}`);

  const twins = [() => world.emitEvent(messageEvent(world, channel, message), channel.id)];
  const speech = message.user !== undefined && message.user !== world.workspace.bot.userId;
  if (speech && channel.kind !== 'im' && mentionsBot(world, message)) {
    twins.push(() => world.emitEvent(appMention(world, channel, message), channel.id));
  }
  if (world.random() < 0.5) twins.reverse();
  for (const send of twins) send();
  return message;
}

export interface Edit {
  text: string;
  /** `undefined`: the text is rendered and earlier blocks are gone. */
  blocks: JsonObject[] | undefined;
  attachments?: JsonObject[];
  metadata?: JsonObject;
  editor: string;
  linkNames?: boolean;
}

/**
 * Changes a message; a change of rendered text shows "(edited)", a change of blocks does not (docs/slack.md, Editing).
 */
export function editMessage(world: World, channel: Channel, message: StoredMessage, edit: Edit): void {
  const previous = messageWire(world, message);
  const { blocks, ownBlocks } = contentOf(world, edit.text, edit.blocks);
  const marks = !ownBlocks && (message.text !== edit.text || message.hasOwnBlocks);
  message.text = edit.text;
  message.blocks = blocks;
  message.hasOwnBlocks = ownBlocks;
  if (edit.attachments) message.attachments = edit.attachments;
  if (edit.metadata) message.metadata = edit.metadata;
  if (ownBlocks) delete message.edited;
  if (marks) message.edited = { user: edit.editor, ts: `${Math.floor(world.now() / 1000)}.000000` };
  message.revisions += 1;
  const { attachments } = message;
  const pings = pingsOf({
    text: edit.text,
    blocks: ownBlocks ? blocks : [],
    attachments,
    linkNames: edit.linkNames ?? false,
  });
  message.pings = [...new Set([...message.pings, ...pings])].sort();
  if (message.ephemeralFor === undefined)
    world.emitEvent(messageChanged(world, channel, message, previous), channel.id);
}

/** Shows a reply in the channel, too; again changes nothing. */
export function broadcastMessage(world: World, channel: Channel, message: StoredMessage): void {
  if (message.subtype === 'thread_broadcast') return;
  const previous = messageWire(world, message);
  message.subtype = 'thread_broadcast';
  world.emitEvent(messageChanged(world, channel, message, previous), channel.id);
}

/** Slack finished uploads after it had delivered their message: a change without the mark of an edit. */
export function addFiles(world: World, channel: Channel, message: StoredMessage, files: readonly SlackFile[]): void {
  const previous = messageWire(world, message);
  message.files = [...message.files, ...files];
  for (const file of files) file.shares.push({ channel: channel.id, ts: message.ts });
  world.emitEvent(messageChanged(world, channel, message, previous), channel.id);
}

/** Changes what may be seen of a file; the messages that carry it change. */
export function restrictFile(world: World, file: SlackFile, access: FileAccess): void {
  const places = file.shares.flatMap(({ channel: id, ts }) => {
    const channel = world.workspace.findChannel(id);
    const message = world.workspace.findMessage(id, ts);
    return channel && message ? [{ channel, message, previous: messageWire(world, message) }] : [];
  });
  file.access = access;
  for (const { channel, message, previous } of places) {
    world.emitEvent(messageChanged(world, channel, message, previous), channel.id);
  }
}

export function deleteMessage(world: World, channel: Channel, message: StoredMessage): void {
  const previous = messageWire(world, message);
  world.workspace.removeMessage(message);
  if (message.ephemeralFor === undefined) world.emitEvent(messageDeleted(world, channel, previous), channel.id);
}

export function changeReaction(
  world: World,
  message: StoredMessage,
  user: string,
  name: string,
  add: boolean,
): boolean {
  const by = message.reactions.get(name) ?? [];
  if (by.includes(user) === add) return false;
  const next = add ? [...by, user] : by.filter((other) => other !== user);
  if (next.length > 0) message.reactions.set(name, next);
  else message.reactions.delete(name);
  world.emitEvent(
    reactionEvent(world, add ? 'reaction_added' : 'reaction_removed', message, user, name),
    message.channel,
  );
  return true;
}

export function joinChannel(world: World, channel: Channel, user: string, inviter?: string): boolean {
  if (channel.members.has(user)) return false;
  channel.members.add(user);
  world.emitEvent(memberEvent(world, 'member_joined_channel', channel, user, inviter), channel.id);
  return true;
}

/** Emits the event before the member is removed, so that the app is told of its own leaving. */
export function leaveChannel(world: World, channel: Channel, user: string): boolean {
  if (!channel.members.has(user)) return false;
  world.emitEvent(memberEvent(world, 'member_left_channel', channel, user, undefined), channel.id);
  channel.members.delete(user);
  return true;
}
