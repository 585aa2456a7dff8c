import { joinChannel } from '../messages.ts';
import type { Channel, StoredMessage } from '../model.ts';
import { Refusal } from '../refusal.ts';
import { channelWire, historyWire } from '../wire.ts';
import {
  type Call,
  joinedChannel,
  knownChannel,
  type Methods,
  pageOf,
  requireConversationScope,
  requireScope,
} from './method.ts';

function withinTimes({ args }: Call, messages: readonly StoredMessage[]): StoredMessage[] {
  const oldest = args.string('oldest') || '0';
  const latest = args.string('latest') || '99999999999.000000';
  const inclusive = args.bool('inclusive') === true;
  return messages.filter(({ ts }) => {
    const at = Number(ts);
    if (at > Number(oldest) && at < Number(latest)) return true;
    return inclusive && (ts === oldest || ts === latest);
  });
}

const KINDS: Readonly<Record<string, Channel['kind']>> = {
  public_channel: 'public',
  private_channel: 'private',
  im: 'im',
  mpim: 'mpim',
};

export const conversations: Methods = {
  'conversations.info': {
    scopes: [],
    tier: 'T3',
    run(call) {
      const channel = knownChannel(call, call.args.required('channel'));
      requireConversationScope(call.world, channel, 'read');
      const members = call.args.bool('include_num_members') === true ? { num_members: channel.members.size } : {};
      return { channel: { ...channelWire(call.world, channel), ...members } };
    },
  },
  'conversations.replies': {
    scopes: [],
    tier: 'T3',
    run(call) {
      const { world, args } = call;
      const channel = joinedChannel(call, args.required('channel'));
      requireConversationScope(world, channel, 'history');
      const ts = args.ts('ts', 'thread_not_found') ?? args.required('ts');
      const first = world.workspace.findMessage(channel.id, ts);
      if (!first) throw new Refusal('thread_not_found');
      const replies = first.threadTs === undefined ? withinTimes(call, world.workspace.repliesTo(channel.id, ts)) : [];
      const { items, cursor } = pageOf([first, ...replies], call, args.int('limit', { default: 1000, max: 1000 }));
      const withMetadata = args.bool('include_all_metadata') === true;
      return {
        messages: items.map((message) => historyWire(world, message, withMetadata)),
        has_more: cursor !== '',
        ...(cursor !== '' && { response_metadata: { next_cursor: cursor } }),
      };
    },
  },
  'conversations.history': {
    scopes: [],
    tier: 'T3',
    run(call) {
      const { world, args } = call;
      const channel = joinedChannel(call, args.required('channel'));
      requireConversationScope(world, channel, 'history');
      const visible = channel.messages.filter(
        (m) => m.ephemeralFor === undefined && (m.threadTs === undefined || m.subtype === 'thread_broadcast'),
      );
      const list = withinTimes(call, visible).reverse();
      const { items, cursor } = pageOf(list, call, args.int('limit', { default: 100, max: 999 }));
      const withMetadata = args.bool('include_all_metadata') === true;
      return {
        messages: items.map((message) => historyWire(world, message, withMetadata)),
        has_more: cursor !== '',
        pin_count: 0,
        ...(cursor !== '' && { response_metadata: { next_cursor: cursor } }),
      };
    },
  },
  'conversations.list': {
    scopes: [],
    tier: 'T2',
    needsTeam: true,
    run(call) {
      const { world, args } = call;
      const wanted = (args.string('types') || 'public_channel').split(',').map((type) => type.trim());
      const kinds = wanted.map((type) => {
        const kind = KINDS[type];
        if (!kind) throw new Refusal('invalid_types');
        // Each kind that is asked for needs its own scope.
        requireScope(world, [`${kind === 'public' ? 'channels' : kind === 'private' ? 'groups' : kind}:read`]);
        return kind;
      });
      const list = [...world.workspace.channels.values()].filter(
        (channel) =>
          kinds.includes(channel.kind) &&
          (channel.kind === 'public' || channel.members.has(world.workspace.bot.userId)) &&
          !(args.bool('exclude_archived') === true && channel.archived),
      );
      const { items, cursor } = pageOf(list, call, args.int('limit', { default: 100, max: 1000 }));
      return {
        channels: items.map((channel) => channelWire(world, channel)),
        response_metadata: { next_cursor: cursor },
      };
    },
  },
  'conversations.members': {
    scopes: [],
    tier: 'T4',
    run(call) {
      const channel = knownChannel(call, call.args.required('channel'));
      requireConversationScope(call.world, channel, 'read');
      const { items, cursor } = pageOf([...channel.members], call, call.args.int('limit', { default: 100, max: 1000 }));
      return { members: items, response_metadata: { next_cursor: cursor } };
    },
  },
  'conversations.open': {
    scopes: [],
    tier: 'T3',
    run(call) {
      const { world, args } = call;
      const { workspace } = world;
      const given = args.string('channel');
      if (given) return { channel: { id: knownChannel(call, given).id } };
      const users = args.required('users').split(',');
      if (users.some((user) => !workspace.users.has(user))) throw new Refusal('user_not_found');
      if (users.some((user) => workspace.users.get(user)?.kind === 'bot')) throw new Refusal('cannot_dm_bot');
      const first = users[0];
      if (users.length === 1 && first !== undefined) {
        requireScope(world, ['im:write']);
        const channel = workspace.openDirectMessage(first);
        return { channel: args.bool('return_im') ? channelWire(world, channel) : { id: channel.id } };
      }
      requireScope(world, ['mpim:write']);
      const members = [...users, world.workspace.bot.userId].sort();
      const same = [...workspace.channels.values()].find(
        (c) => c.kind === 'mpim' && [...c.members].sort().join() === members.join(),
      );
      const channel = same ?? workspace.addChannel(workspace.nextId('C'), `mpdm-${users.length}`, 'mpim', members);
      return { channel: { id: channel.id } };
    },
  },
  'conversations.join': {
    scopes: ['channels:join'],
    tier: 'T3',
    run(call) {
      const channel = knownChannel(call, call.args.required('channel'));
      if (channel.kind !== 'public') throw new Refusal('method_not_supported_for_channel_type');
      if (channel.archived) throw new Refusal('is_archived');
      const joined = joinChannel(call.world, channel, call.world.workspace.bot.userId);
      return {
        channel: channelWire(call.world, channel),
        ...(!joined && { warning: 'already_in_channel', response_metadata: { warnings: ['already_in_channel'] } }),
      };
    },
  },
};
