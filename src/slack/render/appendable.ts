import { childrenOf, endOf, lineStart, type Parsed, parseMarkdown, type Range, startOf, walk } from './ast.ts';
import type { Settled } from './growing.ts';
import { LIMITS } from './limits.ts';
import { type Beyond, dropHalfCharacter } from './markdown.ts';
import { findFormulas } from './math.ts';
import { neutralizeMarkdown } from './neutralize.ts';
import type { Nodes, Table } from './parse/tree.ts';
import type { TextPart } from './part.ts';
import { translateSlackMarkup } from './slack-markup.ts';
import { markdownOf } from './split.ts';

/** The beginning of a growing part that later text will hardly change: what a native stream can show of it now. */
export interface Appendable {
  /** As its message shows it, but nothing half-written is closed: the next text goes on behind it. Harmless. */
  markdown: string;
  /** How much of the part's source it shows. */
  length: number;
}

/** So many characters before the end an open mark is waited for, so that people do not see the mark itself. */
const MARK_WITHIN = 60;
/** A formula may be longer. */
const FORMULA_WITHIN = 200;
/** A link's address may be long, and half of it is no link. */
const LINK_WITHIN = 400;
/** A longer line is shown although it may become a heading, a row of a table or part of a name. */
const LINE_WITHIN = 200;

/**
 * How much of a half-written part a native stream can show, which only appends (docs/slack.md, Streaming: arguments).
 * What may still become something else is left out: an open mark, a half-written link, a line that may begin a table.
 * These rules only save edits: whoever streams compares what is shown with what is to be shown.
 * @param settled of the same part: its rendering cannot change any more
 * @param isWriting whether the agent goes on writing right now; else all of it is shown
 * @returns `null`: nobody can tell, because a definition may change earlier links, or the part continues a list
 */
export function findAppendable(
  part: TextPart,
  settled: Settled,
  limit: number,
  isWriting: boolean,
  beyond: Beyond = {},
): Appendable | null {
  if (settled.isStuck || part.dedent !== 0 || part.first !== null || part.following !== null) return null;
  const doc = dropHalfCharacter(markdownOf(part));
  const from = settled.doc.length;
  const tail = settled.fence + doc.slice(from);
  const parsed = parseMarkdown(tail, beyond.definitions);
  const end = isWriting ? findStableEnd(parsed, settled.tables) : tail.length;
  const shown = tail.slice(0, end).trimEnd();
  if (shown.length <= settled.fence.trimEnd().length) return settledOnly(settled, part);
  const cut = shown.length === tail.length ? parsed : parseMarkdown(shown, beyond.definitions);
  const rendered = neutralizeMarkdown(translateSlackMarkup(cut, beyond.nameOf), 'full', settled.tables);
  const markdown = settled.markdown + rendered.slice(settled.fenceShown.length);
  if (!rendered.startsWith(settled.fenceShown) || markdown.length > limit) return null;
  return { markdown, length: from + shown.length - settled.fence.length - part.prefix.length };
}

function settledOnly({ doc, markdown }: Settled, { prefix }: TextPart): Appendable {
  return { markdown: markdown.trimEnd(), length: Math.max(0, doc.trimEnd().length - prefix.length) };
}

/** Up to where the end of a text will hardly change its meaning by what follows. */
function findStableEnd(parsed: Parsed, tablesBefore: number): number {
  const { text, tree } = parsed;
  const end = text.trimEnd().length;
  const path = pathToEnd(tree, end);
  const leaf = path.at(-1);
  if (!leaf) return end;
  const line = lineStart(text, end);
  const table = path.find((node) => node.type === 'table');
  if (table) return mayBeFenced(tree, table, tablesBefore) ? lineStart(text, startOf(table)) : line;
  if (leaf.type === 'code') return stableEndOfCode(text, leaf, line, end);
  if (leaf.type === 'definition') return line;
  if (end - line < LINE_WITHIN && mayBeOther(text.slice(line, end))) return startOfHead(text, line);
  if (leaf.type !== 'paragraph' && leaf.type !== 'heading') return end;
  const closed = findClosed(parsed, leaf, end);
  return Math.min(findOpenInline(text, leaf, closed, end), startOfUndecidedWord(text, closed, end));
}

/** Whether a table is put into a fence, padded to its widest cells, which may still come. */
function mayBeFenced(tree: Nodes, table: Table, tablesBefore: number): boolean {
  if (table.children.some((row) => row.children.length > LIMITS.tableColumns)) return true;
  if (tablesBefore > 0) return true;
  for (const { node } of walk(tree)) if (node.type === 'table' && startOf(node) < startOf(table)) return true;
  return false;
}

/** The nodes that end at the text's end, from the outermost to the innermost block. */
function pathToEnd(tree: Nodes, end: number): Nodes[] {
  const path: Nodes[] = [];
  let node: Nodes = tree;
  for (;;) {
    const last: Nodes | undefined = childrenOf(node).at(-1);
    if (!last || endOf(last) < end) return path;
    path.push(last);
    if (/^(?:paragraph|heading|code|definition|table)$/.test(last.type)) return path;
    node = last;
  }
}

function stableEndOfCode(text: string, code: Extract<Nodes, { type: 'code' }>, line: number, end: number): number {
  const [opening, closing] = code.fences;
  if (!opening) return line;
  if (closing) return end;
  // Without its first whole line nobody knows whether it is a fence.
  if (text.indexOf('\n', opening.end) < 0) return lineStart(text, opening.start);
  // It may become the closing line.
  if (/^[\s>]*(?:`+|~+)$/.test(text.slice(line, end))) return line;
  const word = lastWordStart(text, end);
  return text.slice(word, end).includes('<') ? word : end;
}

/** Whether a line may still become a heading, a rule, a list's item, a table's row or a label. */
function mayBeOther(line: string): boolean {
  return /^[\s>]*(?:[#>*+\-=_~`.)\d]*|\*(?!\*)[^\s*][^\n]*|\[[^\]\n]*\]?)$/.test(line) || /^[\s>]*\||\s\|\s/.test(line);
}

/** Where a table would begin of which this line may be the second one. */
function startOfHead(text: string, line: number): number {
  const head = lineStart(text, line - 1);
  return line > 0 && line - head < LINE_WITHIN && text.slice(head, line).includes('|') ? head : line;
}

/** What is complete in the last paragraph: code, links, marks, formulas. In the order of the text. */
function findClosed(parsed: Parsed, leaf: Nodes, end: number): Range[] {
  const closed = findFormulas(parsed).filter(({ start }) => start >= startOf(leaf));
  for (const { node } of walk(leaf)) {
    // A bare link goes on with each character that is typed.
    const isGrowing = node.type === 'link' && endOf(node) >= end && !'[<'.includes(parsed.text.charAt(startOf(node)));
    if (ATOMS.test(node.type) && !isGrowing) closed.push({ start: startOf(node), end: endOf(node) });
  }
  return closed.sort((one, other) => one.start - other.start || other.end - one.end);
}

const ATOMS = /^(?:inlineCode|link|linkReference|image|imageReference|emphasis|strong|delete)$/;

/** Where the first thing begins in the last paragraph that is not closed yet. */
function findOpenInline(text: string, leaf: Nodes, closed: readonly Range[], end: number): number {
  for (let at = Math.max(startOf(leaf), end - LINK_WITHIN); at < end; at += 1) {
    const around = closed.find((range) => range.start <= at && at < range.end);
    if (around) {
      // At the very end a mark may be half of a longer one, and a label's bracket may be followed by an address.
      const isDecided = around.end < end || !/[*_~\])`]$/.test(text.slice(0, end)) || isAddressed(text, around, end);
      if (!isDecided && around.end - around.start <= LINK_WITHIN) return around.start;
      at = around.end - 1;
    } else if (isOpenAt(text, at, end)) return at;
    else if (text.charAt(at) === '\\') at += 1;
  }
  return end;
}

/** Whether it is a link with its address, or a formula between dollars. */
function isAddressed(text: string, { start }: Range, end: number): boolean {
  return '[!'.includes(text.charAt(start)) && text.charAt(end - 1) === ')';
}

const isWithin = (start: number, end: number, most: number) => end - start <= most;

function isOpenAt(text: string, at: number, end: number): boolean {
  const char = text.charAt(at);
  const rest = text.slice(at, end);
  switch (char) {
    case '`':
      return isWithin(at, end, MARK_WITHIN);
    case '*':
    case '_':
    case '~':
      return isWithin(at, end, MARK_WITHIN) && mayOpen(text, at, end);
    case '[':
      return /^\[[^\]\n]*(?:\](?:\([^)\s]*)?)?$/.test(rest);
    case '<':
      return isWithin(at, end, LINK_WITHIN) && /^<(?:[a-z@#!/][^>\n]*)?$/i.test(rest);
    case '$':
      return isWithin(at, end, FORMULA_WITHIN) && /^(?:\$\$[^$]*|\$(?:[^\s$\d][^$\n]*)?)$/.test(rest);
    case '\\':
      return isWithin(at, end, FORMULA_WITHIN) && /^\\(?:\((?:(?!\\\))[\s\S])*|\[(?:(?!\\\])[\s\S])*)?$/.test(rest);
    case '!':
      return rest === '!' || /^!\[[^\]\n]*(?:\](?:\([^)\s]*)?)?$/.test(rest);
    default:
      return false;
  }
}

/** Whether a run of marks stands where words begin. */
function mayOpen(text: string, at: number, end: number): boolean {
  const run = /^[*_~]+/.exec(text.slice(at, end))?.[0] ?? '';
  const before = text.charAt(at - 1);
  const after = text.charAt(at + run.length);
  return !/\s/.test(after) && (before === '' || /[\s\p{P}\p{S}]/u.test(before));
}

/** The last word's start, if it may still become a link, a mention or a mark; else its end. */
function startOfUndecidedWord(text: string, closed: readonly Range[], end: number): number {
  const behind = Math.max(0, ...closed.filter((range) => range.end <= end).map((range) => range.end));
  const start = Math.max(lastWordStart(text, end), behind);
  const word = text.slice(start, end);
  return /[*_~`<>[\]$&\\@|^]|\/\/|www\./i.test(word) ? start : end;
}

function lastWordStart(text: string, end: number): number {
  let at = end;
  while (at > 0 && end - at < LINK_WITHIN && !/\s/.test(text.charAt(at - 1))) at -= 1;
  return at;
}
