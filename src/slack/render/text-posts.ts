import type { KnownBlock } from '@slack/types';
import { ANSWER_NOTES, inFileText, willBeFileText } from '../words/answer.ts';
import { findAppendable } from './appendable.ts';
import { type Definitions, NO_DEFINITIONS } from './ast.ts';
import { context, markdown, plain } from './blocks.ts';
import { nothingSettled, renderGrowing, type Settled } from './growing.ts';
import type { RenderLimits } from './limits.ts';
import { NOTHING, type RenderedMarkdown, renderMarkdown } from './markdown.ts';
import { type Measured, measure } from './measure.ts';
import { type SplitState, splitStart, type TextPart } from './part.ts';
import type { AppendableText, PostFile, SlackPost } from './post.ts';
import { saysSomething } from './readable.ts';
import type { NameOf } from './slack-markup.ts';
import { closePart, closePartAt, markdownOf, openPart } from './split.ts';
import { summary } from './summary.ts';

interface ClosedPart {
  /** The post of the text alone. */
  post: SlackPost;
  next: SplitState;
  /** Only the text up to here decides where the part ends. */
  decidedBy: number;
  /** The link definitions in it. */
  definitions: Definitions;
  /** How many link definitions the post was rendered with. */
  known: number;
  /** The seam at which it was closed; `null`: it was full. */
  seam: number | null;
}

interface OpenText {
  text: string;
  isGrowing: boolean;
  from: number;
  rendered: RenderedMarkdown;
  measured: Measured;
  settled: Settled;
}

export interface TextMemo {
  text: string;
  /** {@link TextItem.seams} with which it was rendered. */
  seams: string;
  closed: ClosedPart[];
  open: OpenText | null;
}

/**
 * What was rendered of a turn, by the number of the item. It only saves time: without it the posts are the same. It
 * lives as long as the turn.
 */
export type RenderMemo = Map<number, TextMemo>;

export interface TextItem {
  text: string;
  /** Its number in the view. */
  index: number;
  /** Whether the agent is still writing it. */
  isGrowing: boolean;
  /** Whether the turn is over, so that nothing follows. */
  isTurnOver: boolean;
  /** The most messages; the rest goes into a file. */
  most: number;
  /**
   * Up to where earlier messages showed it when the rest had to go into a new one, although there was room: lengths of
   * the text, ascending.
   */
  seams?: readonly number[] | undefined;
  nameOf?: NameOf | undefined;
}

/** How many letters may still be rendered in this turn of the event loop. */
export interface Letters {
  left: number;
}

/**
 * The messages of one text, in reading order; none if the text shows nothing.
 * @param letters reduced by what is rendered. If none are left before the end, the result is `null`, and the next call
 * goes on from `memo`.
 */
export function textPosts(item: TextItem, memo: RenderMemo, limits: RenderLimits): SlackPost[];
export function textPosts(
  item: TextItem,
  memo: RenderMemo,
  limits: RenderLimits,
  letters: Letters | null,
): SlackPost[] | null;
export function textPosts(
  item: TextItem,
  memo: RenderMemo,
  limits: RenderLimits,
  letters: Letters | null = null,
): SlackPost[] | null {
  const { text, index, isGrowing, most, nameOf } = item;
  const seams = item.seams ?? [];
  const seamKey = seams.join(' ');
  const known = reuseMemo(text, seamKey, memo.get(index));
  let state = known.closed.at(-1)?.next ?? splitStart;
  let measured = measure(text, state, limits, known.open?.measured);
  let settled = known.open?.settled ?? nothingSettled;
  while (known.closed.length < most) {
    if (letters !== null && letters.left <= 0 && measured.at < text.length) {
      memo.set(index, { text, seams: seamKey, closed: known.closed, open: null });
      return null;
    }
    const seam = nextSeam(seams, known.closed, text, measured);
    const shown = seam === null ? null : closePartAt(text, state, limits, seam);
    const closed = shown ?? closePart(text, state, limits, measured);
    if (!closed) break;
    if (letters !== null) letters.left -= closed.part.source.length;
    const definitions = definitionsOf(known.closed);
    const rendered = renderMarkdown(closed.part, false, limits.markdown, { definitions, nameOf });
    const { next, decidedBy } = closed;
    const post = { ...textPost(`${index}.${known.closed.length}`, rendered, closed.part), upTo: next.length };
    const rest = { definitions: rendered.definitions, known: definitions.size, seam: shown ? seam : null };
    known.closed.push({ post, next, decidedBy, ...rest });
    state = closed.next;
    measured = measure(text, state, limits);
    settled = nothingSettled;
  }
  const open = openPart(text, state);
  const isFull = known.closed.length >= most;
  if (!isGrowing && !linkAcrossParts(known.closed, isFull ? null : open, item, limits, letters)) {
    memo.set(index, { text, seams: seamKey, closed: known.closed, open: null });
    return null;
  }
  const posts = known.closed.slice(0, most).map(({ post }) => post);
  if (isFull) {
    memo.set(index, { text, seams: seamKey, closed: known.closed, open: null });
    return addFileNote(withoutEmpty(posts), item, known.closed);
  }
  const beyond = { definitions: definitionsOf(known.closed), nameOf };
  const isSame =
    known.open?.text === open.source && known.open.isGrowing === isGrowing && known.open.from === state.length;
  let rendered = known.open?.rendered ?? NOTHING;
  if (letters !== null && !isSame && open.source !== '') {
    if (letters.left <= 0) {
      memo.set(index, {
        text,
        seams: seamKey,
        closed: known.closed,
        open: known.open?.from === state.length ? known.open : null,
      });
      return null;
    }
    letters.left -= Math.max(100, open.source.length - (isGrowing ? settled.doc.length : 0));
  }
  if (!isSame && isGrowing) ({ rendered, settled } = renderGrowing(open, settled, limits.markdown, beyond));
  else if (!isSame) rendered = renderMarkdown(open, false, limits.markdown, beyond);
  const openText = { text: open.source, isGrowing, from: state.length, rendered, measured, settled };
  memo.set(index, { text, seams: seamKey, closed: known.closed, open: openText });
  // Half-written markup (`##`, an open fence) is not shown before it has words.
  const isMarkup = isGrowing && !saysSomething(rendered.summary);
  const post = textPost(`${index}.${known.closed.length}`, isMarkup ? NOTHING : rendered, open);
  return withoutEmpty([...posts, { ...post, upTo: text.length }]);
}

/**
 * What a native stream can show of a growing text that was just rendered; `null`: nothing.
 * @param isWriting whether the agent writes right now
 */
export function appendableOf(
  { text, index, nameOf }: Pick<TextItem, 'text' | 'index' | 'nameOf'>,
  isWriting: boolean,
  memo: RenderMemo,
  limits: RenderLimits,
): AppendableText | null {
  const known = memo.get(index);
  if (known?.text !== text || !known.open?.isGrowing) return null;
  const { closed, open } = known;
  const part = openPart(text, closed.at(-1)?.next ?? splitStart);
  const beyond = { definitions: definitionsOf(closed), nameOf };
  const found = findAppendable(part, open.settled, limits.markdown, isWriting, beyond);
  return found && { part: `${index}.${closed.length}`, markdown: found.markdown, upTo: open.from + found.length };
}

/** The next seam in the part that is to be closed; `null`: there is none, or the part is full before. */
function nextSeam(
  seams: readonly number[],
  closed: readonly ClosedPart[],
  text: string,
  { at }: Measured,
): number | null {
  if (seams.length === 0) return null;
  const from = closed.reduce((end, { next, seam }) => Math.max(end, next.length, seam ?? 0), 0);
  return seams.find((seam) => seam > from && seam < text.length && seam <= at) ?? null;
}

function definitionsOf(closed: readonly ClosedPart[]): Definitions {
  const all = closed.filter(({ definitions }) => definitions.size > 0);
  return all.length === 0 ? NO_DEFINITIONS : new Map(all.flatMap(({ definitions }) => [...definitions]));
}

/**
 * Renders the closed parts of a finished text again whose links may be defined in a later part.
 * @param open the part after the closed ones; `null`: the rest goes into a file
 * @returns false: `letters` was used up
 */
function linkAcrossParts(
  closed: ClosedPart[],
  open: TextPart | null,
  { nameOf }: TextItem,
  limits: RenderLimits,
  letters: Letters | null,
): boolean {
  if (closed.length === 0) return true;
  const last =
    open && mayDefine(open.source) ? renderMarkdown(open, false, limits.markdown).definitions : NO_DEFINITIONS;
  const definitions = new Map([...definitionsOf(closed), ...last]);
  for (const [index, part] of closed.entries()) {
    const { source } = part.post;
    if (part.known === definitions.size || !source || !source.source.includes(']')) continue;
    if (letters !== null && letters.left <= 0) return false;
    if (letters !== null) letters.left -= source.source.length;
    const rendered = renderMarkdown(source, false, limits.markdown, { definitions, nameOf });
    const post = { ...textPost(part.post.part, rendered, source), upTo: part.next.length };
    closed[index] = { ...part, post, known: definitions.size };
  }
  return true;
}

const mayDefine = (text: string) => text.includes(']:');

const withoutEmpty = (posts: SlackPost[]) => posts.filter((post) => post.blocks.length > 0);

/** The part of an earlier rendering that still holds: all of it if text was only added. */
function reuseMemo(text: string, seams: string, memo: TextMemo | undefined): TextMemo {
  if (memo?.seams !== seams) return { text, seams, closed: [], open: null };
  if (text.startsWith(memo.text)) return memo;
  const keep = memo.closed.findIndex(({ decidedBy }) => !text.startsWith(memo.text.slice(0, decidedBy)));
  return { text, seams, closed: keep < 0 ? memo.closed : memo.closed.slice(0, keep), open: null };
}

function textPost(part: string, rendered: RenderedMarkdown, source: TextPart): SlackPost {
  const blocks: KnownBlock[] = rendered.markdown.trim() === '' ? [] : [markdown(rendered.markdown)];
  return {
    part,
    kind: 'text',
    blocks,
    text: summary(rendered.summary) || ANSWER_NOTES.continues,
    live: false,
    source,
  };
}

/** Adds a line to the last message that says where the rest is. The file begins with the text of that message. */
function addFileNote(posts: SlackPost[], item: TextItem, closed: readonly ClosedPart[]): SlackPost[] {
  const { text, index, isTurnOver, most } = item;
  const last = posts.at(-1);
  const more = text.length - (closed[most - 1]?.next.length ?? 0);
  if (!last || text.slice(text.length - more).trim() === '') return posts;
  const from = closed[most - 2]?.next ?? splitStart;
  const file: PostFile = {
    part: `${index}.file`,
    name: index === 0 ? 'answer.md' : `answer-${index + 1}.md`,
    title: posts.length > 1 ? ANSWER_NOTES.theRest : ANSWER_NOTES.theAnswer,
    content: isTurnOver ? markdownOf(openPart(text, from)) : '',
  };
  const line = isTurnOver ? inFileText(file.name, thousands(more)) : willBeFileText(thousands(more));
  const post = { ...last, blocks: [...last.blocks, context(plain(line))], ...(isTurnOver ? { file } : {}) };
  return [...posts.slice(0, -1), post];
}

/** A rounded count, so that a growing text does not change the line with each word. */
function thousands(count: number): string {
  return count < 1_000 ? 'up to 1,000' : `${Math.floor(count / 1_000).toLocaleString('en')},000`;
}
