import { broadcastMessage, deleteMessage, editMessage, postMessage } from '../messages.ts';
import { type Channel, type JsonObject, objects, type StoredMessage } from '../model.ts';
import { Refusal } from '../refusal.ts';
import { streamOf } from '../streams.ts';
import { fallbackText } from '../text/fallback.ts';
import { appText } from '../text/tokens.ts';
import { validateAttachments, validateMessageBlocks, validateMetadata } from '../validate/message.ts';
import { messageWire } from '../wire.ts';
import {
  type Call,
  joinedChannel,
  knownChannel,
  type Methods,
  requireScope,
  threadRoot,
  writableChannel,
} from './method.ts';

const TEXT_MAX = 40_000;
const UPDATE_TEXT_MAX = 4_000;
const MARKDOWN_TEXT_MAX = 12_000;

interface Content {
  text: string | undefined;
  blocks: JsonObject[] | undefined;
  attachments: JsonObject[] | undefined;
  metadata: JsonObject | undefined;
  linkNames: boolean;
  warnings: string[];
}

/** What a message is made of, refused as Slack refuses it (docs/slack.md, Size limits–2.4). */
function readContent({ world, args }: Call, update: boolean): Content {
  const warnings: string[] = [];
  const blocks = args.array('blocks', 'invalid_blocks_format');
  const attachments = args.array('attachments', 'invalid_attachments');
  const metadata = args.json('metadata', 'invalid_metadata_format');
  const markdown = args.string('markdown_text');
  let text = args.string('text');
  if (markdown !== undefined) {
    if (text !== undefined || blocks !== undefined) throw new Refusal('markdown_text_conflict');
    if (markdown.length > MARKDOWN_TEXT_MAX) throw new Refusal('msg_too_long');
  }
  if (update && text !== undefined && text.length > UPDATE_TEXT_MAX) throw new Refusal('msg_too_long');
  if (text !== undefined && text.length > TEXT_MAX) {
    text = text.slice(0, TEXT_MAX);
    warnings.push('message_truncated');
  }
  if (['username', 'icon_url', 'icon_emoji'].some((name) => args.has(name))) {
    requireScope(world, ['chat:write.customize']);
  }
  const all = markdown === undefined ? blocks : [{ type: 'markdown', text: markdown }];
  if (all) validateMessageBlocks(all);
  if (attachments) validateAttachments(attachments);
  const empty = (text ?? '') === '' && !all?.length && !attachments?.length;
  if (empty) throw new Refusal('no_text');
  const parse = args.string('parse') ?? (update ? 'client' : 'none');
  return {
    text: text === undefined ? undefined : appText(text),
    blocks: all && objects(all),
    attachments: attachments && objects(attachments),
    metadata: metadata === undefined ? undefined : validateMetadata(metadata),
    linkNames: args.bool('link_names') === true || parse === 'full' || parse === 'client',
    warnings,
  };
}

function answerWarnings(warnings: string[]): JsonObject {
  return warnings.length === 0 ? {} : { warning: warnings.join(','), response_metadata: { warnings } };
}

function visibleText(given: Content): string {
  return given.text !== undefined && given.text !== '' ? given.text : fallbackText(given.blocks ?? []);
}

function messageAnswer(call: Call, message: StoredMessage): JsonObject {
  return { ...messageWire(call.world, message), ...(message.metadata && { metadata: message.metadata }) };
}

function ownMessage(call: Call, refusal: string): { channel: ReturnType<typeof knownChannel>; message: StoredMessage } {
  const channel = joinedChannel(call, call.args.required('channel'));
  const ts = call.args.ts('ts', 'message_not_found') ?? call.args.required('ts');
  const message = call.world.workspace.findMessage(channel.id, ts);
  if (!message || message.isTombstone) throw new Refusal('message_not_found');
  if (message.user !== call.world.workspace.bot.userId) throw new Refusal(refusal);
  return { channel, message };
}

/** Explicit rich text cannot be replaced by other blocks (A:chat.update, `block_mismatch`). */
function checkMismatch(message: StoredMessage, blocks: JsonObject[] | undefined): void {
  const rich = (list: JsonObject[]) => list.some((block) => block.type === 'rich_text');
  if (message.hasOwnBlocks && rich(message.blocks) && blocks && blocks.length > 0 && !rich(blocks)) {
    throw new Refusal('block_mismatch');
  }
}

/** Shows an existing reply in the channel, too: never together with a change of what it says (A:chat.update). */
function broadcastReply(call: Call, channel: Channel, message: StoredMessage): JsonObject {
  const isContent = ['text', 'blocks', 'attachments', 'markdown_text'].some((name) => call.args.has(name));
  if (isContent) throw new Refusal('no_dual_broadcast_content_update');
  if (message.threadTs === undefined) throw new Refusal('cant_broadcast_message');
  broadcastMessage(call.world, channel, message);
  return { channel: channel.id, ts: message.ts, text: message.text, message: messageAnswer(call, message) };
}

export const chat: Methods = {
  'chat.postMessage': {
    scopes: ['chat:write'],
    tier: 'post',
    run(call) {
      const { world, args } = call;
      const channel = writableChannel(call, args.required('channel'));
      const root = threadRoot(call, channel);
      const given = readContent(call, false);
      const broadcast = root !== undefined && args.bool('reply_broadcast') === true;
      const message = postMessage(world, channel, {
        user: world.workspace.bot.userId,
        text: visibleText(given),
        linkNames: given.linkNames,
        ...(given.blocks && { blocks: given.blocks }),
        ...(given.attachments && { attachments: given.attachments }),
        ...(given.metadata && { metadata: given.metadata }),
        ...(root && { threadTs: root.ts }),
        ...(broadcast && { subtype: 'thread_broadcast' }),
      });
      return {
        channel: channel.id,
        ts: message.ts,
        message: messageAnswer(call, message),
        ...answerWarnings(given.warnings),
      };
    },
  },
  'chat.update': {
    scopes: ['chat:write'],
    tier: 'T3',
    run(call) {
      const { channel, message } = ownMessage(call, 'cant_update_message');
      if (channel.archived) throw new Refusal('is_inactive');
      if (call.args.bool('reply_broadcast') === true) return broadcastReply(call, channel, message);
      if (message.subtype === 'thread_broadcast') throw new Refusal('no_dual_broadcast_content_update');
      if (streamOf(call.world, message)?.state === 'in_progress') throw new Refusal('streaming_state_conflict');
      const given = readContent(call, true);
      checkMismatch(message, given.blocks);
      const attachmentsOnly = given.text === undefined && given.blocks === undefined;
      const own = message.hasOwnBlocks ? message.blocks : undefined;
      editMessage(call.world, channel, message, {
        text: attachmentsOnly ? message.text : visibleText(given),
        blocks: attachmentsOnly ? own : given.blocks,
        editor: call.world.workspace.bot.botId,
        linkNames: given.linkNames,
        ...(given.attachments && { attachments: given.attachments }),
        ...(given.metadata && { metadata: given.metadata }),
      });
      return { channel: channel.id, ts: message.ts, text: message.text, message: messageAnswer(call, message) };
    },
  },
  'chat.delete': {
    scopes: ['chat:write'],
    tier: 'T3',
    run(call) {
      const { channel, message } = ownMessage(call, 'cant_delete_message');
      deleteMessage(call.world, channel, message);
      return { channel: channel.id, ts: message.ts };
    },
  },
  'chat.postEphemeral': {
    scopes: ['chat:write'],
    tier: 'T4',
    run(call) {
      const { world, args } = call;
      const channel = writableChannel(call, args.required('channel'));
      const user = args.required('user');
      if (!world.workspace.users.has(user)) throw new Refusal('user_not_found');
      if (!channel.members.has(user)) throw new Refusal('user_not_in_channel');
      const root = threadRoot(call, channel);
      const given = readContent(call, false);
      const message = postMessage(world, channel, {
        user: world.workspace.bot.userId,
        text: visibleText(given),
        ephemeralFor: user,
        linkNames: given.linkNames,
        ...(given.blocks && { blocks: given.blocks }),
        ...(given.attachments && { attachments: given.attachments }),
        ...(root && { threadTs: root.ts }),
      });
      return { message_ts: message.ts, ...answerWarnings(given.warnings) };
    },
  },
  'chat.getPermalink': {
    scopes: [],
    tier: 'hundreds',
    run(call) {
      const channel = knownChannel(call, call.args.required('channel'));
      const ts = call.args.ts('message_ts', 'message_not_found') ?? call.args.required('message_ts');
      const message = call.world.workspace.findMessage(channel.id, ts);
      if (!message) throw new Refusal('message_not_found');
      const path = `https://${call.world.workspace.team.domain}.slack.com/archives/${channel.id}/p${ts.replace('.', '')}`;
      const thread = message.threadTs === undefined ? '' : `?thread_ts=${message.threadTs}&cid=${channel.id}`;
      return { channel: channel.id, permalink: `${path}${thread}` };
    },
  },
};
