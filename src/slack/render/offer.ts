import type { OfferView } from '../../bridge/view/offer.ts';
import { ACTION_IDS } from './action-ids.ts';
import { actions, button, clip } from './blocks.ts';
import { noticePosts } from './notice.ts';
import type { SlackPost } from './post.ts';

const LABELS: Readonly<Record<OfferView['buttons'][number], { label: string; says: string }>> = {
  run_now: { label: 'Run now', says: 'Run the late messages' },
  drop: { label: 'Discard', says: 'Discard the late messages' },
  send_again: { label: 'Send again', says: 'Send the messages to the agent again' },
  start_new: {
    label: 'Start a new conversation with this message',
    says: 'Start a new conversation in this thread, with the messages that could not be run',
  },
  continue: { label: 'Continue', says: 'Let the agent continue' },
  ask_again: { label: 'Ask again', says: 'Let the agent ask again' },
  deny_with_this: { label: 'Deny and tell it', says: 'Deny the request, with this message as the reason' },
  keep_queued: { label: 'Keep for later', says: 'Keep the message until the agent is done' },
  stop: { label: 'Stop', says: 'Stop the agent' },
};
/** An offer must be one message; our texts are far shorter than this. */
const TEXT_MAX = 6_000;

/** An offer as one post; once decided, without buttons. */
export function offerPosts({ token, text, buttons }: OfferView): SlackPost[] {
  const [post] = noticePosts(clip(text, TEXT_MAX));
  if (!post) return [];
  const shown = buttons.map((name) => button({ actionId: ACTION_IDS[name], token, ...LABELS[name] }));
  return [{ ...post, kind: 'card', blocks: shown.length > 0 ? [...post.blocks, actions(...shown)] : post.blocks }];
}
