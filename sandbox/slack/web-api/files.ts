import { fileType } from '../files.ts';
import { postMessage } from '../messages.ts';
import { isObject, type JsonObject, objects, type SlackFile } from '../model.ts';
import { Refusal } from '../refusal.ts';
import { appText } from '../text/tokens.ts';
import { validateMessageBlocks } from '../validate/message.ts';
import { wholeFile } from '../wire.ts';
import type { World } from '../world.ts';
import { type Methods, threadRoot, writableChannel } from './method.ts';

/** docs/slack.md, Files: 1 GB. */
const MOST_BYTES = 1_000_000_000;

/** A file can be seen where it was shared: in a channel that the app is in. The app's own ones are always its to see. */
function maySee(world: World, file: SlackFile): boolean {
  if (file.user === world.workspace.bot.userId) return true;
  return file.shares.some(({ channel }) =>
    world.workspace.channels.get(channel)?.members.has(world.workspace.bot.userId),
  );
}

/**
 * Where a file is shared, as far as the app may see. Empty until Slack has posted the message, which happens after it
 * answered `files.completeUploadExternal` (docs/slack.md, Files).
 */
function placesOf({ workspace }: World, file: SlackFile): JsonObject {
  const shares: Record<string, Record<string, JsonObject[]>> = {};
  const ids = { public: new Set<string>(), private: new Set<string>(), im: new Set<string>() };
  for (const { channel: id, ts } of file.shares) {
    const channel = workspace.findChannel(id);
    if (!channel?.members.has(workspace.bot.userId)) continue;
    ids[channel.kind === 'public' ? 'public' : channel.kind === 'im' ? 'im' : 'private'].add(id);
    const side = channel.kind === 'public' ? 'public' : 'private';
    const { threadTs } = workspace.findMessage(id, ts) ?? {};
    const share = { ts, channel_name: channel.name, ...(threadTs !== undefined && { thread_ts: threadTs }) };
    shares[side] = { ...shares[side], [id]: [...(shares[side]?.[id] ?? []), share] };
  }
  return { shares, channels: [...ids.public], groups: [...ids.private], ims: [...ids.im] };
}

export const files: Methods = {
  'files.getUploadURLExternal': {
    scopes: ['files:write'],
    tier: 'T4',
    run({ world, args }) {
      const name = args.required('filename');
      const length = Number(args.raw.length);
      if (!Number.isInteger(length) || length <= 0) throw new Refusal('invalid_arguments');
      if (args.has('snippet_type') && length > 1_000_000) throw new Refusal('snippet_too_large');
      if (length > MOST_BYTES) throw new Refusal('file_upload_size_restricted');
      const altText = args.string('alt_txt') ?? '';
      if (altText.length > 1000) throw new Refusal('alt_txt_too_large');
      const id = world.workspace.nextId('F');
      world.workspace.uploads.set(id, { id, name, length, altText, content: null });
      return { upload_url: `${world.origin}/upload/v1/${id}`, file_id: id };
    },
  },
  'files.completeUploadExternal': {
    scopes: ['files:write'],
    tier: 'T4',
    run(call) {
      const { world, args } = call;
      const wanted = args.array('files', 'invalid_arguments');
      if (!wanted || wanted.length === 0 || !wanted.every(isObject)) throw new Refusal('invalid_arguments');
      const channelIds = (args.string('channel_id') ?? args.string('channels') ?? '').split(',').filter(Boolean);
      const channels = channelIds.map((id) => writableChannel(call, id));
      const first = channels[0];
      const root = first ? threadRoot(call, first) : undefined;
      const blocks = args.array('blocks', 'invalid_blocks_format');
      if (blocks) validateMessageBlocks(blocks);
      const complete = objects(wanted).map(({ id, title }): SlackFile => {
        const upload = world.workspace.uploads.get(String(id));
        if (!upload) throw new Refusal('file_not_found');
        if (!upload.content) throw new Refusal('file_upload_missing');
        const type = fileType(upload.name);
        return {
          id: upload.id,
          name: upload.name,
          title: typeof title === 'string' && title !== '' ? title : upload.name,
          ...type,
          ...(upload.altText !== '' && { altText: upload.altText }),
          content: upload.content,
          user: world.workspace.bot.userId,
          created: world.now(),
          shares: [],
        };
      });
      for (const file of complete) {
        world.workspace.uploads.delete(file.id);
        world.workspace.files.set(file.id, file);
      }
      // Slack shares the files after it has answered (docs/slack.md, Files).
      world.runAfter(5, () => {
        for (const channel of channels) {
          postMessage(world, channel, {
            user: world.workspace.bot.userId,
            subtype: 'file_share',
            text: appText(args.string('initial_comment') ?? ''),
            files: complete,
            ...(blocks && { blocks: objects(blocks) }),
            ...(root && channel === first && { threadTs: root.ts }),
          });
        }
      });
      return { files: complete.map(({ id, title }) => ({ id, title })) };
    },
  },
  'files.info': {
    scopes: ['files:read'],
    tier: 'T4',
    run({ world, args }) {
      const file = world.workspace.files.get(args.required('file'));
      if (!file) throw new Refusal('file_not_found');
      if (file.access === 'tombstone') throw new Refusal('file_deleted');
      if (!maySee(world, file)) throw new Refusal('file_not_found');
      return { file: { ...wholeFile(world, file), ...placesOf(world, file) }, comments: [] };
    },
  },
};
