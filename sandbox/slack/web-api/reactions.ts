import { changeReaction } from '../messages.ts';
import { Refusal } from '../refusal.ts';
import { BOT } from '../state.ts';
import { type Call, joinedChannel, type Methods } from './method.ts';

function changeOwnReaction(call: Call, add: boolean): void {
  const { world, args } = call;
  const name = args.required('name');
  if (!/^[a-z0-9_+'-]+(::skin-tone-[2-6])?$/.test(name)) throw new Refusal('invalid_name');
  const channel = joinedChannel(call, args.required('channel'));
  if (channel.archived) throw new Refusal('is_archived');
  const ts = args.ts('timestamp', 'bad_timestamp');
  if (ts === undefined) throw new Refusal('no_item_specified');
  const message = world.workspace.findMessage(channel.id, ts);
  if (!message || message.isTombstone) throw new Refusal('message_not_found');
  if (add && !message.reactions.has(name) && message.reactions.size >= 50) throw new Refusal('too_many_emoji');
  if (!changeReaction(world, message, BOT.userId, name, add))
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
  'reactions.remove': {
    scopes: ['reactions:write'],
    tier: 'T2',
    run(call) {
      changeOwnReaction(call, false);
      return {};
    },
  },
};
