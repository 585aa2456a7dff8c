import { postMessage } from '../messages.ts';
import type { JsonObject, MessageStream, StoredMessage } from '../model.ts';
import { invalidArguments, Refusal } from '../refusal.ts';
import {
  type Addition,
  endStream,
  extendStream,
  growStream,
  openStream,
  readBlocks,
  readChunks,
  setSession,
  streamBlocks,
  streamOf,
} from '../streams.ts';
import { fallbackText } from '../text/fallback.ts';
import { validateMetadata } from '../validate/message.ts';
import { messageWire } from '../wire.ts';
import { type Call, joinedChannel, type Methods, requireScope, threadRoot } from './method.ts';

const MARKDOWN_TEXT_MAX = 12_000;
const SESSION_STATUSES = ['active', 'processing', 'suspended', 'closed'];
const DISPLAY_MODES = ['timeline', 'plan'];

/**
 * What the call adds to the text; `null`: nothing.
 * @param isLast whether it may bring an empty list of chunks, as the SDK does when it stops
 */
function readAddition({ args }: Call, isLast = false): Addition | null {
  const markdown = args.string('markdown_text');
  const list = args.array('chunks', 'invalid_chunks');
  const chunks = readChunks(isLast && list?.length === 0 ? undefined : list);
  if (markdown !== undefined && chunks !== null) {
    throw new Refusal('cannot_provide_both_markdown_text_and_chunks');
  }
  if (markdown !== undefined && markdown.length > MARKDOWN_TEXT_MAX) throw new Refusal('msg_too_long');
  if (chunks !== null) return { mode: 'chunks', chunks };
  if (markdown === undefined || markdown === '') return null;
  return { mode: 'markdown_text', chunks: [{ type: 'markdown_text', text: markdown }] };
}

/** Who sees it grow: in a channel both ids are needed, in a direct message neither. */
function checkRecipient({ world, args }: Call, isDirect: boolean): void {
  const user = args.string('recipient_user_id') ?? '';
  const team = args.string('recipient_team_id') ?? '';
  if (!isDirect && user === '') throw new Refusal('missing_recipient_user_id');
  if (!isDirect && team === '') throw new Refusal('missing_recipient_team_id');
  if (user !== '' && !world.workspace.users.has(user)) throw new Refusal('user_not_found');
}

function ownStream(call: Call): {
  channel: ReturnType<typeof joinedChannel>;
  message: StoredMessage;
  stream: MessageStream;
} {
  const channel = joinedChannel(call, call.args.required('channel'));
  if (channel.archived) throw new Refusal('is_archived');
  const ts = call.args.ts('ts', 'message_not_found') ?? call.args.required('ts');
  const message = call.world.workspace.findMessage(channel.id, ts);
  if (!message || message.isTombstone) throw new Refusal('message_not_found');
  if (message.user !== call.world.workspace.bot.userId) throw new Refusal('message_not_owned_by_app');
  const stream = streamOf(call.world, message);
  if (stream?.state === 'stopped') throw new Refusal('stopped_by_user');
  if (stream?.state !== 'in_progress') throw new Refusal('message_not_in_streaming_state');
  return { channel, message, stream };
}

/** `chat.startStream` and what follows it (docs/slack.md, Native streaming). */
export const streams: Methods = {
  'chat.startStream': {
    scopes: ['chat:write'],
    tier: 'T2',
    run(call) {
      const { world, args } = call;
      const channel = joinedChannel(call, args.required('channel'));
      if (channel.archived) throw new Refusal('is_archived');
      if (args.string('thread_ts') === '') throw invalidArguments('must be a timestamp [json-pointer:/thread_ts]');
      // Slack streams into threads only.
      const root = threadRoot(call, channel);
      if (!root) throw new Refusal('invalid_thread_ts');
      checkRecipient(call, channel.kind === 'im');
      if (!DISPLAY_MODES.includes(args.string('task_display_mode') ?? 'timeline')) {
        throw invalidArguments('must be one of: timeline, plan [json-pointer:/task_display_mode]');
      }
      if (['username', 'icon_url', 'icon_emoji'].some((name) => args.has(name))) {
        requireScope(world, ['chat:write.customize']);
      }
      const opened = openStream(world.now());
      const stream = { ...opened, ...extendStream(opened, readAddition(call)) };
      const blocks = streamBlocks(stream);
      const text = blocks.length === 0 ? '' : fallbackText(blocks);
      const message = postMessage(world, channel, {
        user: world.workspace.bot.userId,
        text,
        blocks,
        threadTs: root.ts,
        stream,
      });
      setSession(world, message, 'processing');
      return { channel: channel.id, ts: message.ts };
    },
  },
  'chat.appendStream': {
    scopes: ['chat:write'],
    tier: 'T4',
    run(call) {
      const { channel, message, stream } = ownStream(call);
      const addition = readAddition(call);
      if (addition === null) throw new Refusal('no_text');
      growStream(call.world, message, stream, extendStream(stream, addition));
      return { channel: channel.id, ts: message.ts };
    },
  },
  'chat.stopStream': {
    scopes: ['chat:write'],
    tier: 'T2',
    run(call) {
      const { world, args } = call;
      const { channel, message, stream } = ownStream(call);
      const addition = readAddition(call, true);
      const blocks = readBlocks(args.array('blocks', 'invalid_blocks_format'));
      const given = args.json('metadata', 'invalid_metadata_format');
      const metadata = given === undefined ? undefined : validateMetadata(given);
      const status = args.string('session_status') ?? 'active';
      if (!SESSION_STATUSES.includes(status)) {
        throw invalidArguments(`must be one of: ${SESSION_STATUSES.join(', ')} [json-pointer:/session_status]`);
      }
      endStream(world, channel, message, stream, { content: extendStream(stream, addition), blocks, metadata });
      setSession(world, message, status);
      const shown: JsonObject = { ...messageWire(world, message), streaming_state: 'completed' };
      return { channel: channel.id, ts: message.ts, message: shown };
    },
  },
};
