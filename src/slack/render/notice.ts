import type { Button } from '@slack/types';
import { type ModelsPlace, makeModelsPlace, makeToken } from '../../bridge/ids.ts';
import { BUTTONS } from '../words/cards.ts';
import { MODELS_ID } from './action-ids.ts';
import { actions, button, clip, markdown } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { renderMarkdown } from './markdown.ts';
import { neutralizeMrkdwn } from './neutralize.ts';
import { holdTokens } from './own-tokens.ts';
import type { SlackPost } from './post.ts';
import { splitText } from './split.ts';

/**
 * Renders a text of the bridge itself. Outside code it may mention people (`<@U…>`) and channels (`<#C…>`) and hold
 * dates. The rest is treated like model text, because it may contain foreign names and words.
 * @param models adds a button that opens the dialog of models
 */
export function noticePosts(text: string, models?: ModelsPlace): SlackPost[] {
  const posts: SlackPost[] = [];
  const held = holdTokens(text);
  for (const part of splitText(held.text, LIMITS)) {
    const { markdown: shown, summary } = renderMarkdown(part, false);
    if (shown.trim() === '') continue;
    const words = held.restoreTokens(neutralizeMrkdwn(clip(summary, LIMITS.summary))) || 'A notice.';
    const blocks = [markdown(held.restoreTokens(shown))];
    posts.push({ part: `0.${posts.length}`, kind: 'text', blocks, text: words, live: false });
  }
  const last = posts.at(-1);
  if (!last || !models) return posts;
  return [...posts.slice(0, -1), { ...last, blocks: [...last.blocks, actions(modelsButton(models))] }];
}

/** Opens the dialog of models. */
export function modelsButton(place: ModelsPlace): Button {
  return button({ actionId: MODELS_ID, token: makeToken(makeModelsPlace(place)), ...BUTTONS.models });
}
