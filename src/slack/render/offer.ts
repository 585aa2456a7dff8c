import type { Button, ContextBlock, KnownBlock } from '@slack/types';
import type { OfferView } from '../../bridge/view/offer.ts';
import { OFFER_LABELS } from '../words/offers.ts';
import { ACTION_IDS } from './action-ids.ts';
import { actions, button, clip, context, mrkdwn } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { noticePosts } from './notice.ts';
import { ownMrkdwn } from './own-mrkdwn.ts';
import type { SlackPost } from './post.ts';

/** An offer must be one message; our texts are far shorter than this. */
const TEXT_MAX = 6_000;

/** An offer as one post; once decided, without buttons. */
export function offerPosts(view: OfferView): SlackPost[] {
  const [post] = noticePosts(clip(view.text, TEXT_MAX));
  if (!post) return [];
  const shown = offerButtons(view);
  return [{ ...post, kind: 'card', blocks: shown.length > 0 ? [...post.blocks, actions(...shown)] : post.blocks }];
}

export function offerButtons({ token, buttons }: OfferView): Button[] {
  return buttons.map((name) => button({ actionId: ACTION_IDS[name], token, ...OFFER_LABELS[name] }));
}

/** What became of an offer, below the end of its turn. */
export function decidedLine({ text }: OfferView): ContextBlock {
  return context(mrkdwn(clip(ownMrkdwn(text), LIMITS.text)));
}

/** What a message shows, kept with the offer that it shows, so that it can be shown again without the buttons. */
export function writeTail({ part, blocks, text }: SlackPost): string {
  return JSON.stringify({ part, blocks, text });
}

/** The message that {@link writeTail} kept, with the offer as it is now. Only the offer's own blocks differ. */
export function tailOfferPosts(message: string, view: OfferView): SlackPost[] {
  const { part, blocks, text } = JSON.parse(message) as Pick<SlackPost, 'part' | 'blocks' | 'text'>;
  const shown = { part, kind: 'text', text, live: false, ends: true, isEditOnly: true, isOfTurn: true } as const;
  if (view.buttons.length > 0) return [{ ...shown, blocks }];
  const rest = blocks.flatMap((block): KnownBlock[] => {
    if (block.type !== 'actions') return [block];
    const elements = block.elements.filter((element) => !('value' in element) || element.value !== view.token);
    return elements.length === 0 ? [] : [{ ...block, elements }];
  });
  const at = rest.at(-1)?.type === 'actions' ? -1 : rest.length;
  return [{ ...shown, blocks: rest.toSpliced(at, 0, decidedLine(view)) }];
}
