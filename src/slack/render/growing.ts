import { lineStart, type Parsed, parseMarkdown, startOf, walk } from './ast.ts';
import {
  completeMarkdown,
  dropHalfCharacter,
  ENOUGH_WORDS,
  firstWords,
  NOTHING,
  oneLineOf,
  type RenderedMarkdown,
  renderMarkdown,
} from './markdown.ts';
import { neutralizeMarkdown } from './neutralize.ts';
import { markdownOf, type TextPart } from './split.ts';

/**
 * What is known of the beginning of a text that grows. A block is settled once a later one has begun with a whole line:
 * CommonMark decides blocks line by line, so nothing that comes can change it. Of a list the items before the last are
 * settled, of a fence that is still open its lines. Only definitions reach back, so a text that has any is not settled.
 */
export interface Settled {
  /** The beginning itself, and how it is shown. */
  doc: string;
  markdown: string;
  words: string;
  tables: number;
  /** The first line of the fence that is open at its end, and how that line is shown. */
  fence: string;
  fenceShown: string;
  /** Whole lines were looked at up to here. */
  seenLength: number;
  /** Nothing more can be settled. */
  isStuck: boolean;
}

export const nothingSettled: Settled = {
  doc: '',
  markdown: '',
  words: '',
  tables: 0,
  fence: '',
  fenceShown: '',
  seenLength: 0,
  isStuck: false,
};

/** Longer first lines of a fence are not repeated. */
const FENCE_LINE_MAX = 200;

/**
 * A half-written part, the same as `renderMarkdown(part, true, limit)`; but only what is not settled is parsed.
 * @param known what was settled when the part was shorter, or of any other text.
 */
export function renderGrowing(
  part: TextPart,
  known: Settled,
  limit: number,
): { rendered: RenderedMarkdown; settled: Settled } {
  if (part.source.trim() === '') return { rendered: NOTHING, settled: nothingSettled };
  const doc = dropHalfCharacter(markdownOf(part));
  const settled = settleMore(doc, doc.startsWith(known.doc) && doc.length >= known.seenLength ? known : nothingSettled);
  const rendered = settled.isStuck ? null : appendTail(doc, settled, limit);
  return { rendered: rendered ?? renderMarkdown(part, true, limit), settled };
}

/** `null` where the end of the text changes how its beginning is shown. */
function appendTail(doc: string, settled: Settled, limit: number): RenderedMarkdown | null {
  const { parsed, words } = completeMarkdown(settled.fence + doc.slice(settled.doc.length), true);
  if (hasDefinitions(parsed)) return null;
  const tail = neutralizeMarkdown(parsed, 'full', settled.tables);
  const markdown = settled.markdown + tail.slice(settled.fenceShown.length);
  if (!tail.startsWith(settled.fenceShown) || markdown.length > limit) return null;
  return { markdown, summary: oneLineOf(settled.words + words) };
}

function settleMore(doc: string, known: Settled): Settled {
  const lines = doc.lastIndexOf('\n') + 1;
  if (known.isStuck || lines <= known.seenLength) return known;
  const text = known.fence + doc.slice(known.doc.length, lines);
  const parsed = parseMarkdown(text);
  const seen = { ...known, seenLength: lines };
  if (hasDefinitions(parsed)) return { ...seen, isStuck: true };
  const { at, fence } = findDecidedEnd(parsed);
  if (at <= known.fence.length) return seen;
  const decided = parseMarkdown(text.slice(0, at));
  const shown = neutralizeMarkdown(decided, 'full', known.tables);
  if (!shown.startsWith(known.fenceShown)) return seen;
  return {
    ...seen,
    doc: doc.slice(0, known.doc.length + at - known.fence.length),
    markdown: known.markdown + shown.slice(known.fenceShown.length),
    words: known.words.length > ENOUGH_WORDS ? known.words : known.words + firstWords(decided.tree),
    tables: known.tables + countTables(decided),
    fence,
    fenceShown: fence === '' ? '' : neutralizeMarkdown(fence),
  };
}

/** Up to where whole lines are decided, and the first line of the fence that is open there. */
function findDecidedEnd(parsed: Parsed): { at: number; fence: string } {
  const { text, tree } = parsed;
  const undecided = { at: 0, fence: '' };
  const last = tree.children.at(-1);
  if (!last) return undecided;
  if (last.type === 'code') {
    const [opening, closing] = last.fences;
    if (opening && !closing) {
      const fence = text.slice(lineStart(text, opening.start), opening.end + 1);
      // One line stays, so that the fence does not seem empty.
      const at = lineStart(text, text.trimEnd().length);
      if (at > opening.end + 1 && fence.length <= FENCE_LINE_MAX && fence.endsWith('\n')) return { at, fence };
    }
  }
  const begins = startOf((last.type === 'list' ? last.children.at(-1) : last) ?? last);
  const at = lineStart(text, begins);
  // A line may also end with a bare carriage return, and a byte order mark is nothing at the start of a text only.
  return /^[ \t]*$/.test(text.slice(at, begins)) && text.charAt(at) !== '\uFEFF' ? { at, fence: '' } : undecided;
}

/** They may stand anywhere but within words. */
function hasDefinitions({ text, tree }: Parsed): boolean {
  if (!/\]:/.test(text)) return false;
  for (const { node } of walk(tree)) if (node.type === 'definition') return true;
  return false;
}

function countTables({ tree }: Parsed): number {
  let tables = 0;
  for (const { node } of walk(tree)) if (node.type === 'table') tables += 1;
  return tables;
}
