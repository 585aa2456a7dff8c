import type { KnownBlock } from '@slack/types';
import { shortId } from '../../bridge/approvals/short-id.ts';
import type { TurnView, ViewItem } from '../../bridge/view/turn.ts';
import { RESUMING } from '../../bridge/words/activity.ts';
import { activityWords } from '../words/activity.ts';
import { alongsideText, joinedText, notPassedOnText } from '../words/answer.ts';
import { CARD } from '../words/cards.ts';
import { approvalCard } from './approval-blocks.ts';
import { clip, context, mrkdwn, plain } from './blocks.ts';
import { LIMITS, type RenderLimits } from './limits.ts';
import { ownMrkdwn } from './own-mrkdwn.ts';
import type { AppendableText, Seams, SlackPost } from './post.ts';
import { questionCard } from './question-blocks.ts';
import { createSubstance, type Substance, substanceOfText } from './readable.ts';
import { dropTerminalCodes, type NameOf } from './slack-markup.ts';
import { summary } from './summary.ts';
import { footOf, notePosts, tailOf } from './tail.ts';
import { appendableOf, type Letters, type RenderMemo, textPosts } from './text-posts.ts';

/** How turns are rendered; left out: by Slack's limits and the settings' defaults. */
export interface RenderOptions {
  limits?: RenderLimits | undefined;
  /** The most messages for the text of one turn; the rest becomes a file. */
  maxMessages?: number | undefined;
  /** By item: where its text goes on in a new message ({@link TextItem.seams}). */
  seams?: Seams | undefined;
  /** Names of people, for ids in the agent's text. */
  nameOf?: NameOf | undefined;
}

/**
 * Makes a renderer for the views of one turn, which remembers what cannot change any more. `mayUseFiles`: whether the
 * rest of a long text may become a file; if not, it gets as many messages as it needs.
 */
export function createRenderer(options: RenderOptions = {}): Renderer {
  const memo: RenderMemo = new Map();
  const optionsFor = (mayUseFiles: boolean, seams: Seams) => ({
    ...options,
    ...(!mayUseFiles && { maxMessages: MANY }),
    seams,
  });
  const render = (view: TurnView, mayUseFiles = true, seams = NO_SEAMS) =>
    renderPosts(view, memo, optionsFor(mayUseFiles, seams));
  const prepare = (view: TurnView, mayUseFiles: boolean, letters: Letters, seams = NO_SEAMS) =>
    renderTexts(view, memo, optionsFor(mayUseFiles, seams), letters) !== null;
  const statusOf = ({ live }: TurnView) => activityWords(live?.activity ?? { kind: 'starting' }).status;
  const appendableOf = (view: TurnView) => appendableText(view, memo, options);
  return Object.assign(render, { prepare, appendableOf, substanceOf: createSubstance(), statusOf });
}

export interface Renderer {
  (view: TurnView, files?: boolean, seams?: Seams): SlackPost[];
  /**
   * Renders the view's texts ahead, message by message, until `letters` is used up. True: all are rendered, so `render`
   * will be quick.
   */
  prepare(view: TurnView, mayUseFiles: boolean, letters: Letters, seams?: Seams): boolean;
  /** What a native stream can show of the last text of a view that was just rendered; `null`: nothing. */
  appendableOf(view: TurnView): AppendableText | null;
  /** How much the newest message of a live view would show. */
  substanceOf(view: TurnView): Substance;
  /** What Slack's line below the thread says meanwhile. */
  statusOf(view: TurnView): string;
}

const MANY = Number.POSITIVE_INFINITY;
const NO_SEAMS: Seams = new Map();

/**
 * The messages that show a view, in reading order. The last one, the tail, says what the turn is doing; a note may
 * follow it. While people are asked, the card is the last one.
 */
export function renderPosts(view: TurnView, memo: RenderMemo = new Map(), options: RenderOptions = {}): SlackPost[] {
  if (view.isVoid) return [];
  const posts: SlackPost[] = [];
  const last = view.items.length - 1;
  const texts = renderTexts(view, memo, options, null);
  const waiting = openCardAtEnd(view);
  view.items.forEach((item, index) => {
    if (item.kind === 'card') {
      // People do not wait for a decided card, and it would have to move when the text above it is known.
      const mayMove = view.textUnknown && view.live !== null && item.card.state.state !== 'open';
      posts.push(...statusBefore(view, index));
      const foot = index === waiting ? footOf(view) : [];
      posts.push({ ...cardPost(item, foot), ...(mayMove && { waitsForTextAbove: true }) });
      return;
    }
    if (item.kind === 'joined') posts.push(...joinedPost(view, index));
    else posts.push(...withJoinedAbove(texts?.get(index) ?? [], view, index));
  });
  if (waiting !== null) return addNotes(view.textUnknown ? posts.map(markAsAfterRestart) : posts, view);
  const lowest = posts.at(-1);
  const text = lowest?.kind === 'text' && lowest.part.startsWith(`${last}.`) ? lowest : null;
  // Its text is shown whole where it cannot be edited for now, so the rest is posted below it.
  const isApart = text?.upTo !== undefined && options.seams?.get(last)?.includes(text.upTo) === true;
  if (text && !isApart) posts.pop();
  const number = view.items[last]?.kind === 'text' ? last : last + 1;
  const bare = isApart ? `${last}.${Number(text.part.split('.')[1]) + 1}` : `${number}.0`;
  const tail = tailPost(view, isApart ? null : text, bare, options.nameOf);
  posts.push(...(text ? [tail] : withJoinedAbove([tail], view, number)));
  const named = view.textUnknown ? posts.map(markAsAfterRestart) : posts;
  return [...addNotes(named, view), ...notePosts(view)];
}

/**
 * The last open card, while nothing was said below it: then it is the last message of the turn. It says itself what is
 * waited for, and has its own Stop. Only a card that cannot be rendered does not say that Letta is away.
 */
function openCardAtEnd({ items, live }: TurnView): number | null {
  const below = items.findLastIndex(({ kind }) => kind !== 'card') + 1;
  const at = items.findLastIndex((item) => item.kind === 'card' && item.card.state.state === 'open');
  const item = items[at];
  if (live === null || at < below || item?.kind !== 'card') return null;
  const isFrozen = (item.card.kind === 'approval' ? item.card.shown : item.card.questions) === null;
  const { activity } = live;
  return isFrozen && activity.kind === 'waiting_for_letta' && activity.notice !== RESUMING ? null : at;
}

/**
 * What a message without text says from the card below it on: it must not look alive any more, and is never deleted,
 * because people may be reading there. There is one only if the agent was seen at work before it asked.
 */
function statusBefore(view: TurnView, index: number): SlackPost[] {
  const { items, textUnknown } = view;
  if (textUnknown || items[index - 1]?.kind === 'text') return [];
  const line = joinedAbove(view, index);
  if (line !== null) return [linePost(index, line)];
  const blocks = [context(plain(CARD.workedThenAsked))];
  return [{ part: `${index}.0`, kind: 'text', blocks, text: CARD.workedThenAsked, live: false, isEditOnly: true }];
}

/**
 * Where messages joined the turn, what the agent says goes on in a new message, below theirs. The line that says so stands
 * above that; where only a status was shown so far, it takes its place.
 */
function joinedPost(view: TurnView, index: number): SlackPost[] {
  const { items, textUnknown } = view;
  const item = items[index];
  // What people see of it stays as it is.
  if (textUnknown || item?.kind !== 'joined' || items[index - 1]?.kind === 'text') return [];
  return [linePost(index, joinedText(item.messages))];
}

/** The line about messages that joined right before the item of this number, if it stands there; `null`: none does. */
function joinedAbove({ items, textUnknown }: TurnView, index: number): string | null {
  const item = items[index - 1];
  if (textUnknown || item?.kind !== 'joined' || items[index - 2]?.kind !== 'text') return null;
  return joinedText(item.messages);
}

function withJoinedAbove(posts: readonly SlackPost[], view: TurnView, index: number): SlackPost[] {
  const line = joinedAbove(view, index);
  const [first, ...others] = posts;
  if (line === null || !first) return [...posts];
  return [{ ...first, blocks: [context(plain(line, LIMITS.text)), ...first.blocks] }, ...others];
}

function linePost(index: number, line: string): SlackPost {
  return { part: `${index}.0`, kind: 'text', blocks: [context(plain(line, LIMITS.text))], text: line, live: false };
}

/** The messages of the view's texts, by item; `null`: `letters` was used up before the end. */
function renderTexts(
  view: TurnView,
  memo: RenderMemo,
  { limits = LIMITS, maxMessages = MANY, seams, nameOf }: RenderOptions,
  letters: Letters | null,
): Map<number, SlackPost[]> | null {
  const last = view.items.length - 1;
  for (const known of memo.keys()) if (known > last) memo.delete(known);
  const texts = new Map<number, SlackPost[]>();
  let messages = 0;
  for (const [index, item] of view.items.entries()) {
    if (item.kind !== 'text') continue;
    const isGrowing = view.live !== null && index === last;
    // Each text gets at least one message: people wait for text below a card.
    const most = Math.max(1, maxMessages - messages);
    const markdown = dropTerminalCodes(item.markdown);
    const isTurnOver = view.live === null;
    const text = { text: markdown, index, isGrowing, isTurnOver, most, seams: seams?.get(index), nameOf };
    const shown = textPosts(text, memo, limits, letters);
    if (shown === null) return null;
    messages += shown.length;
    texts.set(index, shown);
  }
  return texts;
}

function appendableText(
  { items, live }: TurnView,
  memo: RenderMemo,
  { limits = LIMITS, nameOf }: RenderOptions,
): AppendableText | null {
  const index = items.length - 1;
  const item = items[index];
  if (live === null || item?.kind !== 'text') return null;
  const text = dropTerminalCodes(item.markdown);
  return appendableOf({ text, index, nameOf }, live.activity.kind === 'writing', memo, limits);
}

/** Marks a text whose number counts from the restart, so that it is not taken for an earlier text with that number. */
function markAsAfterRestart(post: SlackPost): SlackPost {
  return post.kind === 'text' ? { ...post, part: `+${post.part}` } : post;
}

/** @param foot what its turn is doing, below its buttons, where no message below the card says so */
function cardPost({ card }: Extract<ViewItem, { kind: 'card' }>, foot: KnownBlock[]): SlackPost {
  const { blocks, words, mentions, typed } = card.kind === 'approval' ? approvalCard(card) : questionCard(card);
  // A notification reads `text`: who is needed, for what (docs/slack.md, Editing).
  return {
    part: `card-${shortId(card.token)}`,
    kind: 'card',
    blocks: blocks.length === 0 ? blocks : [...blocks, ...foot],
    ...(typed !== undefined && { typed }),
    // It cannot be rendered, but its message in Slack may be clicked: the click is checked when it comes.
    ...(blocks.length === 0 && { isFrozen: true }),
    text: `${mentions} ${summary(words)}`.trim(),
    live: false,
  };
}

/** The message that says what the agent does, or how it ended, below the last text if there is one. */
function tailPost(view: TurnView, text: SlackPost | null, bare: string, nameOf?: NameOf): SlackPost {
  const tail = tailOf(view, nameOf);
  const blocks: KnownBlock[] = [...(text?.blocks ?? []), ...tail.blocks];
  const part = text?.part ?? bare;
  // A phone shows these words: the first ones of an answer only if they can be read.
  const words = text && (!tail.isLive || isReadable(view)) ? text.text : summary(tail.words);
  const shown = { ...text, part, kind: 'text' as const, blocks, text: words };
  const { ending, over } = view;
  return {
    ...shown,
    live: tail.isLive,
    ...(ending && { ends: true as const }),
    ...(over && { waitsForTextAbove: true as const }),
  };
}

function isReadable({ items }: TurnView): boolean {
  const last = items.at(-1);
  return last?.kind === 'text' && substanceOfText(last.markdown) === 'readable';
}

/** So many fit into one text, even if each has its greatest length. */
const LISTED = 20;

/** Puts the notes above the first text, or above the status if there is no text; below a card's question if there is neither. */
function addNotes(posts: SlackPost[], { notPassedOn, begunBy = [], alongside = 0 }: TurnView): SlackPost[] {
  const isFirst = ({ kind, isEditOnly }: SlackPost) => kind === 'text' && !isEditOnly;
  const text = posts.findIndex(isFirst);
  const at = text >= 0 ? text : posts.findIndex(({ kind, isFrozen }) => kind === 'card' && !isFrozen);
  const post = posts[at];
  const notes = [...notPassedOnNote(notPassedOn), ...alongsideNote(alongside)];
  if ((notes.length === 0 && begunBy.length === 0) || !post) return posts;
  // A card begins with its question.
  const above = post.kind === 'card' ? post.blocks.slice(0, 1) : [];
  const lines = [
    ...begunBy.map((line) => mrkdwn(clip(ownMrkdwn(line), LIMITS.text))),
    ...notes.map((note) => plain(note, LIMITS.text)),
  ];
  return posts.with(at, { ...post, blocks: [...above, context(...lines), ...post.blocks.slice(above.length)] });
}

function alongsideNote(threads: number): string[] {
  return threads === 0 ? [] : [alongsideText(threads)];
}

function notPassedOnNote(what: readonly string[]): string[] {
  if (what.length === 0) return [];
  const listed = what.slice(0, LISTED).map((line) => clip(line, 120));
  return [notPassedOnText(listed, what.length - listed.length)];
}
