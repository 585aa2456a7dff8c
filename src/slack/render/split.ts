import { childrenOf, endOf, lineStart, type Parsed, parseMarkdown, type Range, startOf } from './ast.ts';
import { containerPrefix, fenceOf, findOpenMarks } from './half-written.ts';
import type { MarkdownLimits } from './limits.ts';
import type { Nodes } from './parse/tree.ts';

/**
 * The part of a text that one message shows. The sources of all parts, joined, are the text. Shown is `prefix + source
 * without dedent + suffix`, see {@link markdownOf}.
 */
export interface TextPart {
  source: string;
  /** Repeats what the cut interrupted: a fence's first line, a table's header, open marks. */
  prefix: string;
  /** Closes what goes on in the next part: a fence, marks. */
  suffix: string;
  /** Columns removed from the start of each line, while the list item that the part before began goes on. */
  dedent: number;
}

/** Where the next part of a text begins, and with what. A value. */
export interface SplitState {
  /** The length of all closed parts. */
  length: number;
  prefix: string;
  dedent: number;
}

export const splitStart: SplitState = { length: 0, prefix: '', dedent: 0 };

/**
 * Closes the part that begins at `state`; `null`: the text is too short to tell where. The result depends only on the
 * text up to `decidedBy`, so it is the same in whatever pieces the text arrives.
 */
export function closePart(
  text: string,
  state: SplitState,
  limits: MarkdownLimits,
  measured: Measured = measure(text, state, limits),
): { part: TextPart; next: SplitState; decidedBy: number } | null {
  const end = windowEnd(text, state, measured);
  if (end >= text.length) return null;
  const source = text.slice(state.length, end);
  const shown = dedent(source, state.dedent);
  const doc = state.prefix + shown.text;
  // Marks at the end may be half of a longer run, so they go into the next part.
  const whole = doc.replace(/[*_~`]{1,10}$/, '');
  const cut = chooseCut(parseMarkdown(whole.length > state.prefix.length ? whole : doc), state.prefix.length, limits);
  let at = shown.toSource(cut.at - state.prefix.length);
  if (at <= 0) at = source.length;
  if (splitsCharacter(source, at)) at -= 1;
  const part = { source: source.slice(0, at), prefix: state.prefix, suffix: cut.suffix, dedent: state.dedent };
  const still = at < shown.endsAt ? state.dedent : 0;
  return {
    part,
    next: {
      length: state.length + at,
      prefix: cut.prefix,
      dedent: cut.columns === 0 && still === 0 ? 0 : still + cut.columns,
    },
    decidedBy: end + 1,
  };
}

/** The part after all closed ones, which may still grow. */
export function openPart(text: string, state: SplitState): TextPart {
  return { source: text.slice(state.length), prefix: state.prefix, suffix: '', dedent: state.dedent };
}

/** All parts of a text that will not grow. */
export function splitText(text: string, limits: MarkdownLimits): TextPart[] {
  const parts: TextPart[] = [];
  let state = splitStart;
  for (let closed = closePart(text, state, limits); closed; closed = closePart(text, state, limits)) {
    parts.push(closed.part);
    state = closed.next;
  }
  return [...parts, openPart(text, state)];
}

/** A part as Markdown, not yet neutralised. */
export function markdownOf(part: TextPart): string {
  const body = part.prefix + dedent(part.source, part.dedent).text;
  if (part.suffix === '') return body;
  return /^[*_~`]/.test(part.suffix) && !/^(?:`{3,}|~{3,})/.test(part.suffix)
    ? body.trimEnd() + part.suffix
    : body + part.suffix;
}

/** The room that is left in a part after the text up to `at`; below 0: the part is full there. */
export interface Measured {
  at: number;
  left: number;
}

/**
 * Measures how much of the text fits into the part. Each character counts as the longest text that it may become in the
 * lean form.
 * @param known the result for the same part when the text was shorter, so that only the new text is measured
 */
export function measure(text: string, state: SplitState, limits: MarkdownLimits, known?: Measured): Measured {
  let { at, left } = known ?? { at: state.length, left: limits.markdown - limits.markdownReserve };
  if (!known)
    for (let index = 0; index < state.prefix.length; index += 1) left -= weightOf(state.prefix.charCodeAt(index));
  while (at < text.length && left >= 0) {
    left -= weightOf(text.charCodeAt(at));
    if (left >= 0) at += 1;
  }
  return { at, left };
}

/** The offset at which the part is full. */
function windowEnd(text: string, state: SplitState, measured: Measured): number {
  const at = splitsCharacter(text, measured.at) ? measured.at - 1 : measured.at;
  return Math.max(at, Math.min(text.length, state.length + 2));
}

function weightOf(unit: number): number {
  // `<` and `>` become entities; @ ] | ` ~ may get a joiner, or must be closed again.
  if (unit === 0x3c || unit === 0x3e) return 4;
  return unit === 0x40 || unit === 0x5d || unit === 0x7c || unit === 0x60 || unit === 0x7e ? 2 : 1;
}

function splitsCharacter(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return false;
  const [before, after] = [text.charCodeAt(at - 1), text.charCodeAt(at)];
  return (
    (before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff) || (before === 0x0d && after === 0x0a)
  );
}

interface Dedented {
  text: string;
  /** Offset in the source of an offset in the text. */
  toSource(at: number): number;
  /** Offset in the source where the list item ended. */
  endsAt: number;
}

function dedent(source: string, columns: number): Dedented {
  if (columns === 0) return { text: source, toSource: (at) => at, endsAt: 0 };
  const starts: { text: number; source: number }[] = [];
  let text = '';
  let at = 0;
  while (at < source.length) {
    const newline = source.indexOf('\n', at);
    const end = newline < 0 ? source.length : newline + 1;
    const line = source.slice(at, end);
    const spaces = indentation(line, columns);
    const first = at === 0 && !/^\s/.test(line);
    if (spaces.columns < columns && line.trim() !== '' && !first) break;
    starts.push({ text: text.length, source: at + spaces.length });
    text += line.slice(spaces.length);
    at = end;
  }
  const endsAt = at;
  starts.push({ text: text.length, source: at });
  text += source.slice(at);
  return {
    text,
    endsAt,
    toSource(offset) {
      const line = starts.findLast((start) => start.text <= offset) ?? { text: 0, source: 0 };
      // A cut at a line's start leaves the line's indentation to the next part.
      if (line.text === offset && line.source < source.length) return lineStart(source, line.source);
      return line.source + offset - line.text;
    },
  };
}

function indentation(line: string, max: number): { columns: number; length: number } {
  let columns = 0;
  let length = 0;
  while (columns < max) {
    const char = line.charAt(length);
    if (char !== ' ' && char !== '\t') break;
    const width = char === '\t' ? 4 - (columns % 4) : 1;
    if (columns + width > max) break;
    columns += width;
    length += 1;
  }
  return { columns, length };
}

interface Cut {
  /** Offset in the document. */
  at: number;
  suffix: string;
  /** The prefix of the next part. */
  prefix: string;
  /** Columns of indentation that the next part loses. */
  columns: number;
}

interface Place {
  parsed: Parsed;
  /** The length of the prefix, which must not be cut. */
  from: number;
  limits: MarkdownLimits;
}

const plainCut = (at: number, columns = 0): Cut => ({ at, suffix: '', prefix: '', columns });

/** Chooses the best place to end a part, from all the text that fits into it. */
function chooseCut(parsed: Parsed, from: number, limits: MarkdownLimits): Cut {
  const place: Place = { parsed, from, limits };
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
    return plainCut(at, columnsAt(child, inside));
  }
  const last = children.at(-1);
  return last ? cutInside(last, inside, place) : null;
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

function cutTable(node: Extract<Nodes, { type: 'table' }>, ancestors: readonly Nodes[], place: Place): Cut | null {
  const { parsed, from, limits } = place;
  const [, first] = node.children;
  const row = node.children.at(-1);
  if (!first || !row) return null;
  const columns = columnsAt(node, ancestors);
  const start = blockStart(parsed, node);
  const body = lineStart(parsed.text, startOf(first));
  const at = lineStart(parsed.text, startOf(row));
  // The first row cannot be left to the next part, or no progress would be made: it is cut like words.
  if (row === first || at <= from) return null;
  const quote = containerPrefix(parsed.text, startOf(node)).trimStart();
  const header = parsed.text.slice(startOf(node), body);
  const repeated = `${quote}${stripColumns(header, columns)}`;
  return { at, suffix: '', prefix: start >= 0 && fits(repeated, limits) ? repeated : '', columns };
}

function cutCode(node: Extract<Nodes, { type: 'code' }>, ancestors: readonly Nodes[], place: Place): Cut | null {
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
  if (!opening) return plainCut(at, columns);
  const fence = fenceOf(text, opening.start);
  const inFull = containerPrefix(text, opening.start);
  const quote = inFull.includes('>') ? inFull.slice(columns) : '';
  const info = (node.lang ?? '').slice(0, 60);
  const prefix = `${quote}${fence}${info}\n${cutsAtLine ? '' : quote}`;
  if (fence.length > 100 || !fits(prefix, limits)) return plainCut(at, columns);
  return { at, suffix: `${cutsAtLine ? '' : '\n'}${inFull}${fence}`, prefix, columns };
}

/** Nodes that must not be cut. */
const ATOMS = new Set(['link', 'linkReference', 'image', 'imageReference', 'inlineCode']);
const MARKS = new Set(['emphasis', 'strong', 'delete']);

function cutParagraph(node: Nodes, ancestors: readonly Nodes[], place: Place): Cut | null {
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
  return range.end > range.start ? cutWords(range, atoms, marks, place, ancestors, node) : null;
}

function cutWords(
  range: Range,
  atoms: readonly Range[],
  marks: readonly Nodes[],
  place: Place,
  ancestors: readonly Nodes[] = [],
  node: Nodes | null = null,
): Cut {
  const { text } = place.parsed;
  const isFree = (at: number) => !atoms.some(({ start, end }) => start < at && at < end);
  const middle = range.start + (range.end - range.start) * HALF;
  const byLine = findLastPlace(text, range, /\n/, (at) => at > middle && isFree(at));
  const at =
    byLine ??
    findLastPlace(text, range, /\s/, (place) => place > middle && isFree(place)) ??
    findLastPlace(text, range, /\s/, isFree) ??
    findLastPlace(text, range, /\s/, () => true) ??
    Math.max(range.start + 1, dropHalfCharacterAt(text, range.end));
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
  return { at, suffix: open.toReversed().join(''), prefix: reopened.length <= 200 ? reopened : '', columns };
}

/** Closes the known marks, so that only further open marks are found. */
function withMarksClosed(text: string, marks: readonly string[]): string {
  return marks.length === 0 ? text : `${text.trimEnd()}${marks.toReversed().join('')}`;
}

/** The offset after the last match in the range for which `isAllowed` holds. */
function findLastPlace(
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

function dropHalfCharacterAt(text: string, at: number): number {
  const unit = text.charCodeAt(at - 1);
  return unit >= 0xd800 && unit <= 0xdbff ? at - 1 : at;
}

function blockStart({ text }: Parsed, node: Nodes): number {
  return lineStart(text, startOf(node));
}

/** How many columns lists indent the block. Lists inside a quote do not count, because the quote keeps its marks. */
function columnsAt(node: Nodes, ancestors: readonly Nodes[]): number {
  const chain = [...ancestors, node];
  const quote = chain.findIndex(({ type }) => type === 'blockquote');
  const lists = (quote < 0 ? chain.slice(0, -1) : chain.slice(0, quote)).filter(({ type }) => type === 'listItem');
  if (lists.length === 0) return 0;
  const block = quote < 0 ? node : chain[quote];
  return block && 'column' in block ? block.column : 0;
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
