import type { Tier } from '../limits.ts';
import type { Channel, JsonObject, StoredMessage } from '../model.ts';
import { Refusal } from '../refusal.ts';
import type { World } from '../world.ts';
import type { Args } from './args.ts';

export interface Call {
  world: World;
  args: Args;
  /** That it was made with; empty where none is needed. */
  token: string;
}

export interface Method {
  /** One of these is needed; empty: none. */
  scopes: readonly string[];
  tier: Tier;
  /** Default `bot`. */
  token?: 'bot' | 'app' | 'none';
  /** With the token of an org-wide installation it needs `team_id`. */
  needsTeam?: boolean;
  run(call: Call): JsonObject;
}

export type Methods = Record<string, Method>;

export function requireScope(world: World, anyOf: readonly string[]): void {
  if (anyOf.length === 0 || anyOf.some((scope) => world.scopes.has(scope))) return;
  throw new Refusal('missing_scope', {
    extra: { needed: anyOf[0], provided: [...world.scopes].join(',') },
  });
}

const SCOPE_PREFIX = { public: 'channels', private: 'groups', im: 'im', mpim: 'mpim' } as const;

/** A conversation that the app may see: a private one without the bot does not exist for it. */
export function knownChannel({ world }: Call, id: string): Channel {
  if (world.workspace.formerIds.has(id)) throw new Refusal('channel_not_found');
  const channel = world.workspace.findChannel(id);
  if (!channel) throw new Refusal('channel_not_found');
  if (channel.kind !== 'public' && !channel.members.has(world.workspace.bot.userId))
    throw new Refusal('channel_not_found');
  return channel;
}

export function requireConversationScope(world: World, channel: Channel, right: 'history' | 'read'): void {
  requireScope(world, [`${SCOPE_PREFIX[channel.kind]}:${right}`]);
}

/** A conversation the app takes part in. */
export function joinedChannel(call: Call, id: string): Channel {
  const channel = knownChannel(call, id);
  if (!channel.members.has(call.world.workspace.bot.userId)) throw new Refusal('not_in_channel');
  return channel;
}

/** Where the app may write: also a user id, which means the DM with that person. */
export function writableChannel(call: Call, id: string): Channel {
  const { workspace, scopes } = call.world;
  const user = workspace.users.get(id);
  const channel = user && user.kind !== 'bot' ? workspace.openDirectMessage(user.id) : knownChannel(call, id);
  if (!channel.members.has(workspace.bot.userId) && !(channel.kind === 'public' && scopes.has('chat:write.public'))) {
    throw new Refusal('not_in_channel');
  }
  if (channel.archived) throw new Refusal('is_archived');
  return channel;
}

/**
 * The root that a reply wants to hang under. A root that is not there, or not any more, is no error: the message is
 * posted at the top of the channel (docs/slack.md, Learned since). A reply's own `ts` or a malformed one is
 * `invalid_thread_ts`.
 */
export function threadRoot(call: Call, channel: Channel, name = 'thread_ts'): StoredMessage | undefined {
  const ts = call.args.ts(name, 'invalid_thread_ts');
  if (ts === undefined) return undefined;
  const root = call.world.workspace.findMessage(channel.id, ts);
  if (!root) return undefined;
  if (root.threadTs !== undefined) throw new Refusal('invalid_thread_ts');
  if (root.subtype === 'channel_join') throw new Refusal('cannot_reply_to_message');
  return root;
}

/** One page of a list, with Slack's `next_cursor`. */
export function pageOf<T>(list: T[], call: Call, limit: number): { items: T[]; cursor: string } {
  const cursor = call.args.string('cursor') ?? '';
  const start = cursor === '' ? 0 : Number(Buffer.from(cursor, 'base64').toString().replace('at:', ''));
  if (!Number.isInteger(start) || start < 0) throw new Refusal('invalid_cursor');
  const items = list.slice(start, start + limit);
  const next = start + limit;
  return { items, cursor: next < list.length ? Buffer.from(`at:${next}`).toString('base64') : '' };
}
