import { childrenOf, endOf, lineStart, type Parsed, parseMarkdown, type Range, startOf } from './ast.ts';
import { indentation } from './dedent.ts';
import { containerPrefix, fenceOf, findOpenMarks } from './half-written.ts';
import { LIMITS, type MarkdownLimits } from './limits.ts';
import { findLongTable, splitsCharacter } from './measure.ts';
import type { List, Nodes, Table, TableRow } from './parse/tree.ts';

export interface Cut {
  /** Offset in the document. */
  at: number;
  suffix: string;
  /** The prefix of the next part. */
  prefix: string;
  /** Columns of indentation that the next part loses. */
  columns: number;
  /** The number of the list item that the next part begins with. */
  first?: number;
  /** The number of the list item after the one that is cut. */
  following?: number;
}

export interface Place {
  parsed: Parsed;
  /** The length of the prefix, which must not be cut. */
  from: number;
  limits: MarkdownLimits;
  /** The numbers of lists that the part before began, and where the second of them goes on. */
  numbers: { first: number | null; following: number | null; followsAt: number };
}

export const plainCut = (at: number, columns = 0): Cut => ({ at, suffix: '', prefix: '', columns });

/** Chooses the best place to end a part, from all the text that fits into it. */
export function chooseCut(place: Place): Cut {
  const { parsed, from } = place;
  return cutAmong(parsed.tree, [], place) ?? cutWords({ start: from, end: parsed.text.length }, [], [], place);
}

/** A part is filled at least this much, unless a shorter one keeps a list or a table whole. */
const HALF = 0.4;
const HARDLY = 0.05;

/** Cuts before the last child of a block if the part is full enough then, else inside it. */
function cutAmong(node: Nodes, ancestors: readonly Nodes[], place: Place): Cut | null {
  const { parsed, from } = place;
  const children = childrenOf(node);
  const inside = [...ancestors, node];
  const room = parsed.text.length - from;
  for (let index = children.length - 1; index > 0; index -= 1) {
    const child = children[index];
    if (!child) continue;
    // Not directly after a heading, which belongs to what follows.
    if (children[index - 1]?.type === 'heading') continue;
    const at = blockStart(parsed, child);
    if (at <= from) break;
    const whole = child.type === 'table' || child.type === 'list';
    if (at - from < room * (whole ? HARDLY : HALF)) break;
    return { ...plainCut(at, columnsAt(child, inside)), ...numbersAt(node, index, inside, place) };
  }
  const last = children.at(-1);
  return last ? cutInside(last, inside, place) : null;
}

/**
 * The numbers with which lists go on after a cut before a child.
 * @param inside the ancestors of the child
 */
export function numbersAt(
  node: Nodes,
  index: number,
  inside: readonly Nodes[],
  place: Place,
): Pick<Cut, 'first' | 'following'> {
  if (node.type === 'list') return node.isOrdered ? { first: numberOf(node, index, place) } : {};
  const child = childrenOf(node)[index];
  const continued = child?.type === 'list' && child.isOrdered ? continuedNumber(child, place) : null;
  if (continued !== null) return { first: continued };
  return followingNumber(inside, place);
}

/** The number of the item after the innermost one that is cut. */
export function followingNumber(inside: readonly Nodes[], place: Place): Pick<Cut, 'following'> {
  const at = inside.findLastIndex(({ type }) => type === 'listItem');
  const [list, item] = [inside[at - 1], inside[at]];
  if (list?.type !== 'list' || !list.isOrdered || item?.type !== 'listItem') return {};
  return { following: numberOf(list, list.children.indexOf(item) + 1, place) };
}

export function numberOf(list: List, index: number, place: Place): number {
  return (continuedNumber(list, place) ?? list.first ?? 1) + index;
}

/** The number of the first item of a list that an earlier part began; `null`: it begins here. */
function continuedNumber(list: List, { from, parsed, numbers }: Place): number | null {
  const at = blockStart(parsed, list);
  if (at === from) return numbers.first;
  return at === numbers.followsAt ? numbers.following : null;
}

function cutInside(node: Nodes, ancestors: readonly Nodes[], place: Place): Cut | null {
  switch (node.type) {
    case 'list':
    case 'listItem':
    case 'blockquote':
      return cutAmong(node, ancestors, place);
    case 'table':
      return cutTable(node, ancestors, place);
    case 'code':
      return cutCode(node, ancestors, place);
    case 'paragraph':
    case 'heading':
      return cutParagraph(node, ancestors, place);
    default:
      return null;
  }
}

/**
 * @param row the row before which it is cut; left out: the last one
 * @param end where it is cut instead, at the start of a row that is not there yet
 */
export function cutTable(
  node: Table,
  ancestors: readonly Nodes[],
  place: Place,
  row: TableRow | undefined = node.children.at(-1),
  end: number | null = null,
): Cut | null {
  const { parsed, from, limits } = place;
  const [, first] = node.children;
  if (!first || !row) return null;
  const columns = columnsAt(node, ancestors);
  const start = blockStart(parsed, node);
  const body = lineStart(parsed.text, startOf(first));
  const at = end ?? lineStart(parsed.text, startOf(row));
  // The first row cannot be left to the next part, or no progress would be made: it is cut like words.
  if (at <= body || at <= from) return null;
  const quote = containerPrefix(parsed.text, startOf(node)).trimStart();
  const header = parsed.text.slice(startOf(node), body);
  const repeated = `${quote}${stripColumns(header, columns)}`;
  const prefix = start >= 0 && fits(repeated, limits) ? repeated : '';
  return { at, suffix: '', prefix, columns, ...followingNumber(ancestors, place) };
}

export function cutCode(node: Extract<Nodes, { type: 'code' }>, ancestors: readonly Nodes[], place: Place): Cut | null {
  const { parsed, from, limits } = place;
  const { text } = parsed;
  const columns = columnsAt(node, ancestors);
  const [opening] = node.fences;
  const body = opening ? opening.end + 1 : startOf(node);
  let newline = text.lastIndexOf('\n', text.length - 1);
  // The last line may be half of the closing fence. It stays in this part, or the next one may be an empty box.
  if (opening && /^[\s>`~]*$/.test(text.slice(newline + 1))) newline = text.lastIndexOf('\n', newline - 1);
  const cutsAtLine = newline + 1 > Math.max(from, body);
  const at = cutsAtLine ? newline + 1 : dropHalfCharacterAt(text, text.length);
  if (at <= Math.max(from, body)) return null;
  const numbers = followingNumber(ancestors, place);
  if (!opening) return { ...plainCut(at, columns), ...numbers };
  const fence = fenceOf(text, opening.start);
  const inFull = containerPrefix(text, opening.start);
  const quote = inFull.includes('>') ? inFull.slice(columns) : '';
  const info = (node.lang ?? '').slice(0, 60);
  const prefix = `${quote}${fence}${info}\n${cutsAtLine ? '' : quote}`;
  if (fence.length > 100 || !fits(prefix, limits)) return { ...plainCut(at, columns), ...numbers };
  return { at, suffix: `${cutsAtLine ? '' : '\n'}${inFull}${fence}`, prefix, columns, ...numbers };
}

/** Nodes that must not be cut. */
const ATOMS = new Set(['link', 'linkReference', 'image', 'imageReference', 'inlineCode']);
const MARKS = new Set(['emphasis', 'strong', 'delete']);

export function cutParagraph(node: Nodes, ancestors: readonly Nodes[], place: Place, choose = chooseWord): Cut | null {
  const { from, parsed } = place;
  const atoms: Range[] = [];
  const marks: Nodes[] = [];
  const collect = (inner: Nodes) => {
    if (ATOMS.has(inner.type)) atoms.push({ start: startOf(inner), end: endOf(inner) });
    else if (MARKS.has(inner.type)) marks.push(inner);
    if (!ATOMS.has(inner.type)) for (const child of childrenOf(inner)) collect(child);
  };
  collect(node);
  // Half a link or half inline code at the end must not be cut either.
  const half = /(?:!?\[[^[\]]{0,300}(?:\]\([^()\s]{0,500})?|(?<!`)`[^`\n]{1,300})$/.exec(parsed.text.slice(-800));
  if (half) atoms.push({ start: parsed.text.length - half[0].length, end: parsed.text.length + 1 });
  const range = { start: Math.max(from, startOf(node)), end: parsed.text.length };
  return range.end > range.start ? cutWords(range, atoms, marks, place, ancestors, node, choose) : null;
}

/** Words may be parted after these. */
export const SPACES = /[\s。！？；，、：」』）।၊။។]/u;

function cutWords(
  range: Range,
  atoms: readonly Range[],
  marks: readonly Nodes[],
  place: Place,
  ancestors: readonly Nodes[] = [],
  node: Nodes | null = null,
  choose = chooseWord,
): Cut {
  const { text } = place.parsed;
  const at = choose(text, range, atoms);
  const isAtLine = text.charAt(at - 1) === '\n';
  const columns = node ? columnsAt(node, ancestors) : 0;
  const around = marks.filter((mark) => startOf(mark) < at && at < endOf(mark));
  const known = around.map((mark) => text.slice(startOf(mark), startOf(childrenOf(mark)[0] ?? mark)));
  const open = [...known, ...findOpenMarks(parseMarkdown(withMarksClosed(text.slice(0, at), known)))];
  const quote = node ? containerPrefix(text, startOf(node)) : '';
  const lead = quote.includes('>') && !isAtLine ? quote.slice(Math.min(columns, quote.indexOf('>'))) : '';
  const rest = text.slice(at, at + 4);
  // If the rest begins like a block (a number, a dash), a joiner before it keeps it text.
  const needsGuard =
    open.length === 0 && (isAtLine ? /^(?: {4}|\t)/.test(rest) : /^[^\p{L}\p{N}(]/u.test(rest) || /^\d/.test(rest));
  const start = open.join('') || (needsGuard ? '\u2060' : '');
  // At the start of a quoted line the marks would come before the `>`, so they are not reopened there.
  const reopened = isAtLine && quote.includes('>') ? '' : `${lead}${start}`;
  const prefix = reopened.length <= 200 ? reopened : '';
  return { at, suffix: open.toReversed().join(''), prefix, columns, ...followingNumber(ancestors, place) };
}

/** The best place between two words, near the end of the range. */
function chooseWord(text: string, range: Range, atoms: readonly Range[]): number {
  const isFree = (at: number) => !atoms.some(({ start, end }) => start < at && at < end);
  const middle = range.start + (range.end - range.start) * HALF;
  const isLate = (at: number) => at > middle && isFree(at);
  const isAny = (at: number) => at > middle;
  return (
    findLastPlace(text, range, /\n/, isLate) ??
    findLastPlace(text, range, SPACES, isLate) ??
    wordEnd(text, range, isLate) ??
    (isFree(range.end)
      ? null
      : (findLastPlace(text, range, /\s/, isFree) ?? findLastPlace(text, range, /\s/, isAny))) ??
    Math.max(range.start + 1, dropHalfCharacterAt(text, range.end))
  );
}

/** Closes the known marks, so that only further open marks are found. */
function withMarksClosed(text: string, marks: readonly string[]): string {
  return marks.length === 0 ? text : `${text.trimEnd()}${marks.toReversed().join('')}`;
}

/** The offset after the last match in the range for which `isAllowed` holds. */
export function findLastPlace(
  text: string,
  { start, end }: Range,
  what: RegExp,
  isAllowed: (at: number) => boolean,
): number | null {
  let word = start;
  while (word < end && /\s/.test(text.charAt(word))) word += 1;
  for (let at = end; at > word; at -= 1) {
    if (what.test(text.charAt(at - 1)) && isAllowed(at) && !splitsCharacter(text, at)) return at;
  }
  return null;
}

const WORDS = new Intl.Segmenter(undefined, { granularity: 'word' });
/** Characters at the end of a range in which a word's end is looked for. */
const WORD_SEARCH = 200;
/** Characters of a long word. */
const WORD_MAX = 20;

/** The last end of a word, for scripts that write no spaces between words, as Chinese, Japanese and Thai. */
function wordEnd(text: string, { start, end }: Range, isAllowed: (at: number) => boolean): number | null {
  const from = dropHalfCharacterAt(text, Math.max(start, end - WORD_SEARCH));
  const tail = text.slice(from, end);
  if (!/\P{ASCII}/u.test(tail)) return null;
  // Near the end half a word may look like several, so the last letters begin the next part.
  const most = end - WORD_MAX;
  const ends = [...WORDS.segment(tail)].map(({ index }) => from + index).toReversed();
  return ends.find((at) => at > start && at <= most && isAllowed(at) && !splitsCharacter(text, at)) ?? null;
}

function dropHalfCharacterAt(text: string, at: number): number {
  const unit = text.charCodeAt(at - 1);
  return unit >= 0xd800 && unit <= 0xdbff ? at - 1 : at;
}

export function blockStart({ text }: Parsed, node: Nodes): number {
  return lineStart(text, startOf(node));
}

/** How many columns lists indent the block. Lists inside a quote do not count, because the quote keeps its marks. */
export function columnsAt(node: Nodes, ancestors: readonly Nodes[]): number {
  const chain = [...ancestors, node];
  const quote = chain.findIndex(({ type }) => type === 'blockquote');
  const lists = (quote < 0 ? chain.slice(0, -1) : chain.slice(0, quote)).filter(({ type }) => type === 'listItem');
  if (lists.length === 0) return 0;
  const block = quote < 0 ? node : chain[quote];
  return block && 'column' in block ? block.column : 0;
}

/** Cuts a table at the end of the text after as many rows as Slack shows; `null`: there is no such table. */
export function cutLongTable(place: Place): Cut | null {
  const found = findLongTable(place.parsed);
  return found && cutTable(found.table, found.ancestors, place, found.table.children[LIMITS.tableRows]);
}

function stripColumns(lines: string, columns: number): string {
  return lines
    .split('\n')
    .map((line, index) => (index === 0 ? line : line.slice(indentation(line, columns).length)))
    .join('\n');
}

function fits(prefix: string, { reopening }: MarkdownLimits): boolean {
  return prefix.length <= reopening;
}
