import { OWN_TOKENS } from '../own-mrkdwn.ts';
import type { SlackPost } from '../post.ts';
import { clip, markdown } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { renderMarkdown } from './markdown.ts';
import { neutralizeMrkdwn } from './neutralize.ts';
import { splitText } from './split.ts';

/**
 * A text of the bridge itself as posts. It may mention people (`<@U…>`) and channels (`<#C…>`) and hold dates outside of code; as names
 * and notices of others may stand in it, everything else is treated like model text.
 */
export function noticePosts(text: string): SlackPost[] {
  const posts: SlackPost[] = [];
  for (const part of splitText(text, LIMITS)) {
    const { markdown: shown, summary } = renderMarkdown(part, false);
    if (shown.trim() === '') continue;
    const words = neutralizeMrkdwn(clip(summary, LIMITS.summary)).replace(OWN_TOKENS, '<$1>') || 'A notice.';
    const blocks = [markdown(shown.replace(OWN_TOKENS, '<$1>'))];
    posts.push({ part: `0.${posts.length}`, kind: 'text', blocks, text: words, live: false });
  }
  return posts;
}
