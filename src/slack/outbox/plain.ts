import type { TurnView } from '../../bridge/view/turn.ts';
import type { SlackPost } from '../render/post.ts';

/** Under the 4,000 of an edit's `text` (docs/slack.md, Size limits), with room for entities. */
const PIECE_MAX = 3_800;

/**
 * The last resort when Slack takes neither a post nor its simpler forms: all texts of its blocks, without any block.
 * Parts are named after the post's own.
 */
export function plainPosts(post: SlackPost): SlackPost[] {
  const texts = post.blocks.flatMap((block) => textsOf(block));
  // Rendered text is harmless where it was meant to stand; as plain text not even a token of ours may come alive.
  const typed = post.typed === undefined ? [] : [post.typed];
  return plainPieces(post.part, post.kind, post.live, withoutTokens([...texts, ...typed].join('\n\n') || post.text));
}

/** The last resort when a view cannot be rendered at all. The agent's text is made harmless here. */
export function plainView(view: TurnView): SlackPost[] {
  const texts = view.items.map((item) => (item.kind === 'text' ? item.markdown : item.card.title));
  if (view.ending?.line) texts.push(view.ending.line);
  return plainPieces('0.0', 'text', view.live !== null, escapeAll(texts.join('\n\n')));
}

/** The parts of one post's simpler forms: the first keeps the name, so that its message is kept too. */
export function renameParts(post: SlackPost, simpler: readonly SlackPost[]): SlackPost[] {
  return simpler.map((piece, index) => ({ ...piece, part: index === 0 ? post.part : `${post.part}~${index}` }));
}

function plainPieces(part: string, kind: SlackPost['kind'], live: boolean, text: string): SlackPost[] {
  const posts: SlackPost[] = [];
  for (let from = 0; from < text.length || posts.length === 0; ) {
    const piece = cutPiece(text.slice(from, from + PIECE_MAX), from + PIECE_MAX >= text.length);
    from += Math.max(1, piece.length);
    posts.push({
      part: posts.length === 0 ? part : `${part}~${posts.length}`,
      kind,
      blocks: [],
      text: piece || '…',
      live,
    });
  }
  return posts;
}

/** A piece that ends behind a line or a word, and never inside a character or an entity. */
function cutPiece(piece: string, isLast: boolean): string {
  if (isLast) return piece;
  for (const mark of ['\n', ' ']) {
    const at = piece.lastIndexOf(mark);
    if (at > PIECE_MAX / 2) return piece.slice(0, at + 1);
  }
  return piece.replace(/&[a-z]{0,4}$|[\uD800-\uDBFF]$/, '');
}

/** Slack writes a block's words in `text`, either at once or as a text object. */
function textsOf(block: unknown): string[] {
  if (typeof block !== 'object' || block === null) return [];
  const { type, text, fields, elements } = block as Record<'type' | 'text' | 'fields' | 'elements', unknown>;
  // Words on buttons are nothing without the buttons.
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
