import type { KnownBlock } from '@slack/types';
import type { UserId } from '../../bridge/ids.ts';
import type { ToolCall } from '../../bridge/tools/tool.ts';
import { parseMarkdown } from '../render/ast.ts';
import { clip, markdown } from '../render/blocks.ts';
import { LIMITS } from '../render/limits.ts';
import { renderMarkdown } from '../render/markdown.ts';
import { mrkdwnPieces } from '../render/mrkdwn.ts';
import { neutralizeMrkdwn } from '../render/neutralize.ts';
import { holdMentions } from '../render/own-tokens.ts';
import { dropTerminalCodes, type NameOf, translateSlackMarkup } from '../render/slack-markup.ts';
import { splitText } from '../render/split.ts';

/** Whether the policy lets a text of this call notify a person. */
export function mayMention({
  rights,
  requester,
  participants,
}: Pick<ToolCall, 'rights' | 'requester' | 'participants'>): (user: UserId) => boolean {
  const { mayMention: whom } = rights;
  if (whom === 'requester') return (user) => user === requester;
  if (whom === 'thread') return (user) => user === requester || participants.includes(user);
  return (user) => whom.includes(user);
}

export interface ToolMessage {
  blocks: KnownBlock[];
  /** What a notification shows. */
  text: string;
  /** All of it without blocks, for when Slack refuses those; `null`: it is too long for that. */
  plain: string | null;
}

const PLAIN_MAX = 3_900;

/**
 * An agent's Markdown as one Slack message, made harmless like an answer, in which `<@U…>` notifies whom it may.
 * @returns `null`: it is longer than one message; a message without blocks shows nothing
 */
export function renderMessage(
  text: string,
  may: (user: UserId) => boolean,
  nameOf: NameOf | undefined,
): ToolMessage | null {
  const { text: held, restoreTokens } = holdMentions(dropTerminalCodes(text), may);
  const [part, ...more] = splitText(held, LIMITS);
  if (!part || more.length > 0) return null;
  const { markdown: shown, summary } = renderMarkdown(part, false, LIMITS.markdown, { nameOf });
  const words = neutralizeMrkdwn(clip(summary, LIMITS.summary));
  return {
    blocks: shown.trim() === '' ? [] : [markdown(restoreTokens(shown))],
    // The words of a notification notify no one by themselves, but Slack reads mentions in them, too.
    text: restoreTokens(words) || '…',
    plain: held.length > PLAIN_MAX ? null : restoreTokens(neutralizeMrkdwn(held)),
  };
}

const COMMENT_MAX = 3_000;
const BROADCAST = /@(?=here|channel|everyone|group)/giu;

/** An agent's Markdown as the mrkdwn above an upload; `null`: it is too long. */
export function renderComment(text: string, may: (user: UserId) => boolean, nameOf: NameOf | undefined): string | null {
  const { text: held, restoreTokens } = holdMentions(dropTerminalCodes(text), may);
  const [piece = '', ...more] = mrkdwnPieces(translateSlackMarkup(parseMarkdown(held), nameOf), COMMENT_MAX);
  // What an upload's comment may set off is not documented, so a broadcast is broken up in code, too.
  return more.length > 0 ? null : restoreTokens(piece.replace(BROADCAST, '@\u2060'));
}
