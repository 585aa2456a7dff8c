import type { TurnView } from '../../bridge/view/turn.ts';
import type { SlackPost } from '../render/post.ts';
import { joinedText } from '../words/answer.ts';

/** Under the 4,000 of an edit's `text` (docs/slack.md, Size limits), with room for entities. */
const PIECE_MAX = 3_800;

/**
 * The last resort when Slack refuses a post and its simpler forms: the texts of its blocks, without any block. Parts
 * are named after the post's own.
 */
export function plainPosts(post: SlackPost): SlackPost[] {
  const texts = post.blocks.flatMap((block) => textsOf(block));
  // The texts were made harmless for their blocks. As plain text even our own tokens are escaped.
  const typed = post.typed === undefined ? [] : [post.typed];
  const words = withoutTokens([...texts, ...typed].join('\n\n') || post.text);
  // Whose click is needed: `text` begins with our own mentions, which rich text holds in elements of their own.
  const asks = post.part.startsWith('card-') ? (/^(?:<(?:@|!subteam\^)[A-Z0-9]+> )+/.exec(post.text)?.[0] ?? '') : '';
  return plainPieces(post.part, post.kind, post.live, asks + words);
}

/** The last resort when rendering a view throws. The agent's text is made harmless here. */
export function plainView(view: TurnView): SlackPost[] {
  const texts = view.items.map((item) => {
    if (item.kind === 'joined') return joinedText(item.messages);
    return item.kind === 'text' ? item.markdown : item.card.title;
  });
  if (view.ending?.line) texts.push(view.ending.line);
  return plainPieces('0.0', 'text', view.live !== null, escapeAll(texts.join('\n\n')));
}

/** Names the posts of a simpler form: the first keeps the part, so that it keeps the message, too. */
export function renameParts(post: SlackPost, simpler: readonly SlackPost[]): SlackPost[] {
  return simpler.map((piece, index) => ({ ...piece, part: index === 0 ? post.part : `${post.part}~${index}` }));
}

function plainPieces(part: string, kind: SlackPost['kind'], isLive: boolean, text: string): SlackPost[] {
  const posts: SlackPost[] = [];
  for (let from = 0; from < text.length || posts.length === 0; ) {
    const piece = cutPiece(text.slice(from, from + PIECE_MAX), from + PIECE_MAX >= text.length);
    from += Math.max(1, piece.length);
    posts.push({
      part: posts.length === 0 ? part : `${part}~${posts.length}`,
      kind,
      blocks: [],
      text: piece || '…',
      live: isLive,
    });
  }
  return posts;
}

/** Ends a piece after a line or a word, and never inside a character or an entity. */
function cutPiece(piece: string, isLast: boolean): string {
  if (isLast) return piece;
  for (const mark of ['\n', ' ']) {
    const at = piece.lastIndexOf(mark);
    if (at > PIECE_MAX / 2) return piece.slice(0, at + 1);
  }
  return piece.replace(/&[a-z]{0,4}$|[\uD800-\uDBFF]$/, '');
}

/** The texts in a block: `text` is a string or a text object. */
function textsOf(block: unknown): string[] {
  if (typeof block !== 'object' || block === null) return [];
  const { type, text, fields, elements } = block as Record<'type' | 'text' | 'fields' | 'elements', unknown>;
  // Labels of buttons are left out, because there are no buttons here.
  if (type === 'actions') return [];
  const here = typeof text === 'string' ? [text] : textsOf(text);
  const inside = [fields, elements].flatMap((list) =>
    Array.isArray(list) ? list.flatMap((item) => textsOf(item)) : [],
  );
  return [...here, ...inside];
}

function withoutTokens(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function escapeAll(text: string): string {
  return withoutTokens(text.replaceAll('&', '&amp;'));
}
