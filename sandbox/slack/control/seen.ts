import type { StoredMessage } from '../model.ts';
import { OTHER_BOT } from '../state.ts';
import { streamOf } from '../streams.ts';
import { fileWire } from '../wire.ts';
import type { World } from '../world.ts';
import type { SeenMessage } from './api.ts';

export function seenMessage(world: World, message: StoredMessage): SeenMessage {
  const own = message.user === world.workspace.bot.userId;
  return {
    channel: message.channel,
    ts: message.ts,
    thread_ts: message.threadTs ?? null,
    user: message.user ?? null,
    bot_id: own ? world.workspace.bot.botId : (message.botId ?? null),
    name: world.workspace.users.get(message.user ?? '')?.realName ?? message.username ?? OTHER_BOT.name,
    subtype: message.subtype ?? null,
    text: message.text,
    blocks: message.blocks,
    attachments: message.attachments,
    files: message.files.map((file) => fileWire(world, file)),
    metadata: message.metadata ?? null,
    edited: message.edited !== undefined,
    revisions: message.revisions,
    deleted: message.isTombstone,
    ephemeral: message.ephemeralFor ?? null,
    stream: streamOf(world, message)?.state ?? null,
    pings: message.pings,
    reactions: Object.fromEntries(message.reactions),
    reply_count: world.workspace.repliesTo(message.channel, message.ts).length,
  };
}
