import type { KnownBlock } from '@slack/types';
import type { TurnView, ViewItem } from '../../bridge/turn-view.ts';
import type { SlackPost } from '../post.ts';
import { approvalCard } from './approval-blocks.ts';
import { clip, context, markdown, plain } from './blocks.ts';
import { LIMITS } from './limits.ts';
import { type RenderedMarkdown, renderMarkdown } from './markdown.ts';
import { neutralizeMrkdwn } from './neutralize.ts';
import { questionCard } from './question-blocks.ts';
import { closePart, openPart, type SplitState, splitStart } from './split.ts';
import { tailOf } from './tail.ts';

interface ClosedPart {
  rendered: RenderedMarkdown;
  /** Without anything around the text. */
  post: SlackPost;
  next: SplitState;
  /** The text up to here decided where the part ends. */
  decidedBy: number;
}

interface TextMemo {
  text: string;
  closed: ClosedPart[];
  open: { text: string; growing: boolean; from: number; rendered: RenderedMarkdown } | null;
}

/**
 * What was rendered of a turn before, by the number of its item. Only ever an economy: the posts are the same without
 * it. It grows with the turn and ends with it.
 */
export type RenderMemo = Map<number, TextMemo>;

/** Renders the views of one turn, remembering what can not change any more. */
export function createRenderer(): (view: TurnView) => SlackPost[] {
  const memo: RenderMemo = new Map();
  return (view) => renderPosts(view, memo);
}

/** The messages that should show a view, in reading order. Exactly one of them, the tail, says how the turn stands. */
export function renderPosts(view: TurnView, memo: RenderMemo = new Map()): SlackPost[] {
  const posts: SlackPost[] = [];
  const last = view.items.length - 1;
  for (const known of memo.keys()) if (known > last) memo.delete(known);
  view.items.forEach((item, index) => {
    if (item.kind === 'card') posts.push(cardPost(item, index));
    else posts.push(...textPosts(item.markdown, index, view.live !== null && index === last, memo));
  });
  const tail = posts.at(-1);
  if (tail?.kind === 'text' && tail.part.startsWith(`${last}.`)) posts.pop();
  const number = view.items[last]?.kind === 'text' ? last : last + 1;
  posts.push(tailPost(view, tail?.kind === 'text' && tail.part.startsWith(`${last}.`) ? tail : null, `${number}.0`));
  return withNotPassedOn(posts, view.notPassedOn);
}

function cardPost(item: Extract<ViewItem, { kind: 'card' }>, index: number): SlackPost {
  const { blocks, words } = item.card.kind === 'approval' ? approvalCard(item.card) : questionCard(item.card);
  return { part: `${index}.0`, kind: 'card', blocks, text: summary(words), live: false };
}

/** Text without anything to see makes no post. */
function textPosts(text: string, index: number, growing: boolean, memo: RenderMemo): SlackPost[] {
  const known = remembered(text, memo.get(index));
  let state = known.closed.at(-1)?.next ?? splitStart;
  for (let closed = closePart(text, state, LIMITS); closed; closed = closePart(text, state, LIMITS)) {
    const rendered = renderMarkdown(closed.part, false);
    const post = textPost(`${index}.${known.closed.length}`, rendered);
    known.closed.push({ rendered, post, next: closed.next, decidedBy: closed.decidedBy });
    state = closed.next;
  }
  const open = openPart(text, state);
  const same = known.open?.text === open.source && known.open.growing === growing && known.open.from === state.length;
  const rendered = same && known.open ? known.open.rendered : renderMarkdown(open, growing);
  memo.set(index, { text, closed: known.closed, open: { text: open.source, growing, from: state.length, rendered } });
  const all = [...known.closed.map(({ post }) => post), textPost(`${index}.${known.closed.length}`, rendered)];
  return all.filter((post) => post.blocks.length > 0);
}

/** What still holds of an earlier rendering: all of it when text was only added. */
function remembered(text: string, memo: TextMemo | undefined): TextMemo {
  if (!memo) return { text, closed: [], open: null };
  if (text.startsWith(memo.text)) return memo;
  const keep = memo.closed.findIndex(({ decidedBy }) => !text.startsWith(memo.text.slice(0, decidedBy)));
  return { text, closed: keep < 0 ? memo.closed : memo.closed.slice(0, keep), open: null };
}

function textPost(part: string, rendered: RenderedMarkdown): SlackPost {
  const blocks: KnownBlock[] = rendered.markdown.trim() === '' ? [] : [markdown(rendered.markdown)];
  return { part, kind: 'text', blocks, text: summary(rendered.summary) || 'The answer goes on.', live: false };
}

/** The message that says what the agent is doing, or how it ended, below the text where there is some. */
function tailPost(view: TurnView, text: SlackPost | null, bare: string): SlackPost {
  const tail = tailOf(view);
  const blocks: KnownBlock[] = [...(text?.blocks ?? []), ...tail.blocks];
  return { part: text?.part ?? bare, kind: 'text', blocks, text: text?.text ?? summary(tail.words), live: tail.live };
}

/** With each of them at its longest the line still fits into one text. */
const LISTED = 20;

/** Said once: above the first text, or above the status where there is none. */
function withNotPassedOn(posts: SlackPost[], what: readonly string[]): SlackPost[] {
  const at = posts.findIndex(({ kind }) => kind === 'text');
  const post = posts[at];
  if (what.length === 0 || !post) return posts;
  const rest = what.length > LISTED ? ` · and ${what.length - LISTED} more` : '';
  const listed = what.slice(0, LISTED).map((line) => clip(line, 120));
  const said = context(plain(`📎 Not passed on to the agent: ${listed.join(' · ')}${rest}`, LIMITS.text));
  return posts.with(at, { ...post, blocks: [said, ...post.blocks] });
}

/** For notifications: one line of foreign words, harmless. Slack reads a message's `text` as mrkdwn. */
function summary(words: string): string {
  return neutralizeMrkdwn(clip(words.slice(0, 2_000).replace(/\s+/g, ' ').trim(), LIMITS.summary));
}
