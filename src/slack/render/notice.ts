import { clip, markdown } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { renderMarkdown } from './markdown.ts';
import { neutralizeMrkdwn } from './neutralize.ts';
import { holdTokens } from './own-tokens.ts';
import type { SlackPost } from './post.ts';
import { splitText } from './split.ts';

/**
 * Renders a text of the bridge itself. Outside code it may mention people (`<@U…>`) and channels (`<#C…>`) and hold
 * dates. The rest is treated like model text, because it may contain foreign names and words.
 */
export function noticePosts(text: string): SlackPost[] {
  const posts: SlackPost[] = [];
  const held = holdTokens(text);
  for (const part of splitText(held.text, LIMITS)) {
    const { markdown: shown, summary } = renderMarkdown(part, false);
    if (shown.trim() === '') continue;
    const words = held.restoreTokens(neutralizeMrkdwn(clip(summary, LIMITS.summary))) || 'A notice.';
    const blocks = [markdown(held.restoreTokens(shown))];
    posts.push({ part: `0.${posts.length}`, kind: 'text', blocks, text: words, live: false });
  }
  return posts;
}
