import { messageChanged } from './events.ts';
import {
  type Channel,
  isObject,
  type JsonObject,
  type MessageStream,
  objects,
  type StoredMessage,
  type StreamContent,
} from './model.ts';
import { invalidBlocks, Refusal } from './refusal.ts';
import { storedBlocks } from './stored-blocks.ts';
import { fallbackText } from './text/fallback.ts';
import { pingsOf } from './text/pings.ts';
import { validateMessageBlocks } from './validate/message.ts';
import { messageWire } from './wire.ts';
import type { World } from './world.ts';

/** What one call adds. */
export interface Addition {
  mode: 'markdown_text' | 'chunks';
  chunks: JsonObject[];
}

/** Slack ends a stream about five minutes after its start, whatever is appended (docs/slack.md, Streaming: lifetime and size). */
const LIFE_MS = 5 * 60_000;
/** Of all texts together, cards weighted twice (docs/slack.md, Streaming: lifetime and size). */
const SIZE_MAX = 12_000;
const BLOCKS_MAX = 50;
const TITLE_MAX = 256;
const TASK_STATES = ['pending', 'in_progress', 'complete', 'error'];

export function openStream(now: number): MessageStream {
  return { mode: null, content: [], tasks: new Map(), startedAt: now, state: 'in_progress' };
}

/** The stream as it is now: one that is too old is dead, and its session is at rest. */
export function streamOf(world: World, message: StoredMessage): MessageStream | undefined {
  const { stream } = message;
  if (stream?.state === 'in_progress' && world.now() - stream.startedAt >= LIFE_MS) {
    stream.state = 'dead';
    setSession(world, message, 'active');
  }
  return stream;
}

/** A person pressed Slack's own Stop: the streams of that thread take nothing any more. Their timestamps. */
export function stopStreams(world: World, channel: string, thread: string): string[] {
  const replies = world.workspace.repliesTo(channel, thread);
  const live = replies.filter((message) => streamOf(world, message)?.state === 'in_progress');
  for (const { stream } of live) if (stream) stream.state = 'stopped';
  return live.map(({ ts }) => ts);
}

/** What a stream holds with this added; refuses what Slack refuses. */
export function extendStream(stream: StreamContent, more: Addition | null): StreamContent {
  if (more === null) return stream;
  if (stream.mode !== null && stream.mode !== more.mode) throw new Refusal('streaming_mode_mismatch');
  const content = [...stream.content];
  const tasks = new Map(stream.tasks);
  for (const chunk of more.chunks) addChunk(chunk, content, tasks);
  if (sizeOf(content, tasks) > SIZE_MAX) throw new Refusal('msg_too_long');
  return { mode: more.mode, content, tasks };
}

/** Shows what was added. Apps hear of it at the end only. */
export function growStream(world: World, message: StoredMessage, stream: MessageStream, content: StreamContent): void {
  Object.assign(stream, content);
  showStream(world, message, stream, []);
}

/** Ends a stream with these blocks below its text. */
export function endStream(
  world: World,
  channel: Channel,
  message: StoredMessage,
  stream: MessageStream,
  { content, blocks, metadata }: { content: StreamContent; blocks: JsonObject[]; metadata: JsonObject | undefined },
): void {
  const streamed = content.content.filter(({ type }) => type !== 'markdown').length;
  if (streamed + blocks.length > 2 * BLOCKS_MAX) throw new Refusal('msg_blocks_too_many');
  if (blocks.length > 0) validateMessageBlocks([...content.content, ...blocks]);
  const previous = messageWire(world, message);
  Object.assign(stream, content);
  stream.state = 'completed';
  if (metadata) message.metadata = metadata;
  showStream(world, message, stream, blocks);
  world.emitEvent(messageChanged(world, channel, message, previous), channel.id);
}

/** A stream belongs to a session of an agent app, which it sets to work (docs/slack.md, Streaming: rules that surprise). */
export function setSession(world: World, { channel, threadTs }: StoredMessage, status: string): void {
  if (!world.isAgent || threadTs === undefined) return;
  const key = `${channel} ${threadTs}`;
  const title = world.workspace.sessions.get(key)?.title ?? '';
  world.workspace.sessions.set(key, { channel, thread: threadTs, status, title, at: world.now() });
}

/** What people see of it, in blocks. */
export function streamBlocks({ content, tasks }: StreamContent): JsonObject[] {
  return [...[...tasks.values()].map(taskBlock), ...content];
}

function showStream(world: World, message: StoredMessage, stream: MessageStream, below: JsonObject[]): void {
  message.blocks = storedBlocks(world, [...streamBlocks(stream), ...below]);
  message.text = message.blocks.length === 0 ? '' : fallbackText(message.blocks);
  message.hasOwnBlocks = true;
  message.revisions += 1;
  const pings = pingsOf({ text: '', blocks: message.blocks, attachments: [], linkNames: false });
  message.pings = [...new Set([...message.pings, ...pings])].sort();
}

function addChunk(chunk: JsonObject, content: JsonObject[], tasks: Map<string, JsonObject>): void {
  switch (chunk.type) {
    case 'markdown_text': {
      if (typeof chunk.text !== 'string') throw new Refusal('invalid_chunks');
      const last = content.at(-1);
      if (last?.type === 'markdown') content[content.length - 1] = { ...last, text: `${last.text}${chunk.text}` };
      else if (chunk.text !== '') content.push({ type: 'markdown', text: chunk.text });
      return;
    }
    case 'blocks': {
      const blocks = objects(chunk.blocks);
      if (!Array.isArray(chunk.blocks) || blocks.length !== chunk.blocks.length) throw new Refusal('invalid_chunks');
      if (blocks.some(({ type }) => type === 'file')) throw new Refusal('internal_error');
      validateMessageBlocks(blocks);
      content.push(...blocks);
      if (content.filter(({ type }) => type !== 'markdown').length > BLOCKS_MAX) {
        throw new Refusal('msg_blocks_too_many');
      }
      return;
    }
    case 'task_update': {
      const { id, title, status } = chunk;
      if (typeof id !== 'string' || id === '' || typeof title !== 'string' || !TASK_STATES.includes(String(status))) {
        throw new Refusal('invalid_chunks');
      }
      tasks.set(id, { ...tasks.get(id), ...chunk });
      return;
    }
    case 'plan_update':
      if (typeof chunk.title !== 'string' || chunk.title.length > TITLE_MAX) throw new Refusal('invalid_chunks');
      tasks.set('', chunk);
      return;
    default:
      throw new Refusal('invalid_chunks');
  }
}

function taskBlock({ type, title, status, details, output }: JsonObject): JsonObject {
  const words = [type === 'plan_update' ? title : `${title} (${status})`, details, output];
  const text = words.filter((word) => typeof word === 'string' && word !== '').join(' · ');
  return { type: 'context', elements: [{ type: 'plain_text', text: text.slice(0, 3_000) || ' ' }] };
}

function sizeOf(content: readonly JsonObject[], tasks: ReadonlyMap<string, JsonObject>): number {
  const texts = content.reduce((sum, { type, text }) => sum + (type === 'markdown' ? String(text).length : 0), 0);
  const cards = [...tasks.values()].reduce((sum, { title, details, output }) => {
    return sum + String(title).length + 2 * (String(details ?? '').length + String(output ?? '').length);
  }, 0);
  return texts + cards;
}

/** The chunks of a call; `null`: none are given. Refused as Slack refuses them. */
export function readChunks(chunks: unknown[] | undefined): JsonObject[] | null {
  if (chunks === undefined) return null;
  const list = chunks.filter(isObject);
  if (list.length === 0 || list.length !== chunks.length) throw new Refusal('invalid_chunks');
  return list;
}

/** Blocks that a stopping call brings. */
export function readBlocks(blocks: unknown[] | undefined): JsonObject[] {
  const list = objects(blocks ?? []);
  if (blocks !== undefined && list.length !== blocks.length) throw invalidBlocks(['must be objects']);
  if (list.length > BLOCKS_MAX) throw new Refusal('msg_blocks_too_many');
  return list;
}
