import { lineStart, NO_DEFINITIONS, type Parsed, parseMarkdown, startOf, walk } from './ast.ts';
import {
  type Beyond,
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
import type { TextPart } from './part.ts';
import { translateSlackMarkup } from './slack-markup.ts';
import { markdownOf } from './split.ts';

/**
 * The beginning of a growing text whose rendering cannot change any more. CommonMark decides blocks line by line, so a
 * block is settled once a later block has begun with a whole line; so are the items of a list before the last, and the
 * whole lines of an open fence. Link definitions can change earlier blocks, so a text with one is not settled further.
 */
export interface Settled {
  /** The settled source, and its rendering. */
  doc: string;
  markdown: string;
  words: string;
  tables: number;
  /** The first line of the fence that is open at its end, and that line's rendering. */
  fence: string;
  fenceShown: string;
  /** How much of the text, in whole lines, was checked. */
  seenLength: number;
  /** Whether nothing more can be settled, because there is a definition. */
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

/** A fence with a longer first line is not settled. */
const FENCE_LINE_MAX = 200;

/**
 * Renders a half-written part as `renderMarkdown(part, true, limit)` does, but parses only what is not settled.
 * @param known what was settled when the part was shorter; if it is of another text, it is ignored.
 */
export function renderGrowing(
  part: TextPart,
  known: Settled,
  limit: number,
  beyond: Beyond = {},
): { rendered: RenderedMarkdown; settled: Settled } {
  if (part.source.trim() === '') return { rendered: NOTHING, settled: nothingSettled };
  const doc = dropHalfCharacter(markdownOf(part));
  const settled = settleMore(
    doc,
    doc.startsWith(known.doc) && doc.length >= known.seenLength ? known : nothingSettled,
    beyond,
  );
  const rendered = settled.isStuck ? null : appendTail(doc, settled, limit, beyond);
  return { rendered: rendered ?? renderMarkdown(part, true, limit, beyond), settled };
}

/** Renders what is not settled; `null` if it changes how the settled part is shown. */
function appendTail(doc: string, settled: Settled, limit: number, beyond: Beyond): RenderedMarkdown | null {
  const { parsed, words } = completeMarkdown(settled.fence + doc.slice(settled.doc.length), true, beyond);
  if (hasDefinitions(parsed)) return null;
  const tail = neutralizeMarkdown(translateSlackMarkup(parsed, beyond.nameOf), 'full', settled.tables);
  const markdown = settled.markdown + tail.slice(settled.fenceShown.length);
  if (!tail.startsWith(settled.fenceShown) || markdown.length > limit) return null;
  return { markdown, summary: oneLineOf(settled.words + words), definitions: NO_DEFINITIONS };
}

function settleMore(doc: string, known: Settled, { definitions = NO_DEFINITIONS, nameOf }: Beyond): Settled {
  const lines = doc.lastIndexOf('\n') + 1;
  if (known.isStuck || lines <= known.seenLength) return known;
  const text = known.fence + doc.slice(known.doc.length, lines);
  const parsed = parseMarkdown(text, definitions);
  const seen = { ...known, seenLength: lines };
  if (hasDefinitions(parsed)) return { ...seen, isStuck: true };
  const { at, fence } = findDecidedEnd(parsed);
  if (at <= known.fence.length) return seen;
  const decided = parseMarkdown(text.slice(0, at), definitions);
  const shown = neutralizeMarkdown(translateSlackMarkup(decided, nameOf), 'full', known.tables);
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

/** Where the decided lines end, and the first line of the fence that is open there. */
function findDecidedEnd(parsed: Parsed): { at: number; fence: string } {
  const { text, tree } = parsed;
  const undecided = { at: 0, fence: '' };
  const last = tree.children.at(-1);
  if (!last) return undecided;
  if (last.type === 'code') {
    const [opening, closing] = last.fences;
    if (opening && !closing) {
      const fence = text.slice(lineStart(text, opening.start), opening.end + 1);
      // The last line is kept back, or the fence would seem empty.
      const at = lineStart(text, text.trimEnd().length);
      if (at > opening.end + 1 && fence.length <= FENCE_LINE_MAX && fence.endsWith('\n')) return { at, fence };
    }
  }
  const begins = startOf((last.type === 'list' ? last.children.at(-1) : last) ?? last);
  const at = lineStart(text, begins);
  // Not after a bare carriage return, which ends a line, too, nor before a byte order mark, which is ignored only at
  // the start of a text.
  return /^[ \t]*$/.test(text.slice(at, begins)) && text.charAt(at) !== '\uFEFF' ? { at, fence: '' } : undecided;
}

/** Whether there is a link definition anywhere. */
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
