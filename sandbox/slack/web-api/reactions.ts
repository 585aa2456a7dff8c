import { EMOJI } from '../emoji.ts';
import { changeReaction } from '../messages.ts';
import type { StoredMessage } from '../model.ts';
import { Refusal } from '../refusal.ts';
import { messageWire } from '../wire.ts';
import { type Call, joinedChannel, type Methods } from './method.ts';

/** The message that `channel` and `timestamp` name, in a channel that the app is in. */
function namedMessage(call: Call): StoredMessage {
  const { world, args } = call;
  const channel = joinedChannel(call, args.required('channel'));
  const ts = args.ts('timestamp', 'bad_timestamp');
  if (ts === undefined) throw new Refusal('no_item_specified');
  const message = world.workspace.findMessage(channel.id, ts);
  if (!message || message.isTombstone) throw new Refusal('message_not_found');
  return message;
}

function changeOwnReaction(call: Call, add: boolean): void {
  const { world, args } = call;
  const name = args.required('name');
  const [base = '', tone] = name.split('::');
  if (!EMOJI.has(base) || (tone !== undefined && !/^skin-tone-[2-6]$/.test(tone))) throw new Refusal('invalid_name');
  if (joinedChannel(call, args.required('channel')).archived) throw new Refusal('is_archived');
  const message = namedMessage(call);
  if (add && !message.reactions.has(name) && message.reactions.size >= 50) throw new Refusal('too_many_emoji');
  if (!changeReaction(world, message, world.workspace.bot.userId, name, add))
    throw new Refusal(add ? 'already_reacted' : 'no_reaction');
}

export const reactions: Methods = {
  'reactions.add': {
    scopes: ['reactions:write'],
    tier: 'T3',
    run(call) {
      changeOwnReaction(call, true);
      return {};
    },
  },
  'reactions.get': {
    scopes: ['reactions:read'],
    tier: 'T3',
    run(call) {
      const message = namedMessage(call);
      const reactions = [...message.reactions].map(([name, users]) => ({ name, users, count: users.length }));
      return {
        type: 'message',
        channel: message.channel,
        message: { ...messageWire(call.world, message), ...(reactions.length > 0 && { reactions }) },
      };
    },
  },
  'reactions.remove': {
    scopes: ['reactions:write'],
    tier: 'T2',
    run(call) {
      changeOwnReaction(call, false);
      return {};
    },
  },
};
