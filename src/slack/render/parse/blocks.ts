import { unescapeMarkdown } from './characters.ts';
import { Content, type Segment } from './content.ts';
import { findDefinitions } from './definitions.ts';
import { parseInlines } from './inlines.ts';
import {
  type Bullet,
  bulletAt,
  closesFence,
  type Fence,
  fenceAt,
  headingAt,
  isThematicBreak,
  isUnderline,
  trimEndAt,
} from './leaf-starts.ts';
import { Line } from './line.ts';
import { countColumns, findCells } from './tables.ts';
import type { Blockquote, Code, List, ListItem, Nodes, Range, Root, Table, TableRow } from './tree.ts';

/**
 * Quotes and lists that are nested deeper are read as text, because Slack shows fewer levels and each level costs a
 * step per line.
 */
const DEPTH = 20;
/** Lines indented this far are code, unless they continue a paragraph. */
const CODE_INDENT = 4;

export interface Structure {
  tree: Root;
  /** The offsets of each `>` that begins a quoted line. */
  quoteMarkers: Set<number>;
}

/** Parses a text. The cost grows only in proportion to its length, whatever it holds. */
export function parseBlocks(text: string, definitions: Iterable<string> = []): Structure {
  return new Blocks(text, definitions).parse();
}

type Container =
  | { kind: 'quote'; node: Blockquote }
  | { kind: 'item'; node: ListItem; list: List; bullet: string; indent: number };

type Leaf =
  | { kind: 'paragraph'; segments: Segment[]; column: number; isLastLineLazy: boolean }
  | { kind: 'fence'; node: Code; fence: Fence; indent: number; lines: string[] }
  | { kind: 'indented'; node: Code; lines: string[]; blanks: string[] }
  | { kind: 'table'; node: Table };

/** A node whose words are parsed in a second pass, when all definitions are known. */
interface Inline {
  node: Extract<Nodes, { children: Nodes[] }>;
  segments: Segment[];
}

class Blocks {
  readonly #text: string;
  readonly #root: Root;
  readonly #quoteMarkers = new Set<number>();
  readonly #knownDefinitions: Set<string>;
  readonly #inlines: Inline[] = [];
  #openContainers: Container[] = [];
  #leaf: Leaf | null = null;

  constructor(text: string, definitions: Iterable<string>) {
    this.#text = text;
    this.#knownDefinitions = new Set(definitions);
    this.#root = { type: 'root', start: 0, end: text.length, column: 0, children: [] };
  }

  parse(): Structure {
    const text = this.#text;
    const ends = /\r\n|\n|\r/g;
    for (let start = text.charAt(0) === '\uFEFF' ? 1 : 0; start < text.length; ) {
      ends.lastIndex = start;
      const end = ends.exec(text);
      this.#readLine(new Line(text, start, end?.index ?? text.length));
      start = end ? ends.lastIndex : text.length;
    }
    // A fence that is never closed reaches to the end of the text.
    if (this.#leaf?.kind === 'fence') this.#leaf.node.end = text.length;
    this.#closeLeaf();
    for (const { node, segments } of this.#inlines) {
      node.children = parseInlines(
        new Content(text, segments),
        this.#knownDefinitions,
        node.type === 'tableCell',
      ) as never;
    }
    return { tree: this.#root, quoteMarkers: this.#quoteMarkers };
  }

  #readLine(line: Line): void {
    const matched = this.#continueContainers(line);
    const doAllGoOn = matched === this.#openContainers.length;
    if (doAllGoOn && this.#leaf && this.#continueLeaf(this.#leaf, line)) return;
    const paragraph = this.#leaf?.kind === 'paragraph' ? this.#leaf : null;
    let depth = matched;
    let hasBegun = false;
    /** Closes what does not continue, before the first block that begins on this line. */
    const begin = () => {
      if (hasBegun) return;
      hasBegun = true;
      this.#closeTo(depth);
    };
    for (;;) {
      const openParagraph = doAllGoOn && !hasBegun && paragraph;
      if (line.indent >= CODE_INDENT) {
        if (line.isBlank || (!hasBegun && paragraph)) break;
        begin();
        this.#openIndentedCode(line);
        return;
      }
      if (line.char === '>' && depth < DEPTH) {
        begin();
        this.#openQuote(line);
        depth += 1;
        continue;
      }
      const heading = headingAt(line);
      if (heading) {
        begin();
        this.#addHeading(line, heading);
        return;
      }
      const fence = fenceAt(line);
      if (fence) {
        begin();
        this.#openFence(line, fence);
        return;
      }
      if (openParagraph && (this.#openTable(openParagraph, line) || this.#makeUnderlinedHeading(openParagraph, line)))
        return;
      if (isThematicBreak(line)) {
        begin();
        this.#addNode({ type: 'thematicBreak', ...placeOf(line), end: line.end });
        return;
      }
      const bullet = depth < DEPTH ? bulletAt(line) : null;
      if (bullet && (!openParagraph || mayInterruptParagraph(bullet))) {
        begin();
        this.#openItem(line, bullet);
        depth += 1;
        continue;
      }
      break;
    }
    if (!hasBegun && !doAllGoOn && paragraph && !line.isBlank) {
      this.#addLazyLine(paragraph, line);
      return;
    }
    if (!hasBegun && !doAllGoOn) this.#closeTo(depth);
    if (line.isBlank) this.#closeLeaf();
    else if (this.#leaf?.kind === 'table') this.#addRow(this.#leaf.node, { start: line.next, end: line.end });
    else this.#addWords(line);
  }

  /** Skips the marks and indentation by which open quotes and lists continue; returns how many do. */
  #continueContainers(line: Line): number {
    let matched = 0;
    for (const container of this.#openContainers) {
      if (container.kind === 'quote') {
        if (line.indent >= CODE_INDENT || line.char !== '>') break;
        this.#skipQuoteMark(line);
      } else if (line.isBlank) {
        if (container.node.children.length === 0 && this.#openContainers.at(-1) === container && !this.#leaf) break;
        line.skipBlanks();
      } else if (line.indent >= container.indent) line.skipColumns(container.indent);
      else break;
      matched += 1;
    }
    return matched;
  }

  #skipQuoteMark(line: Line): void {
    line.skipBlanks();
    this.#quoteMarkers.add(line.at);
    line.skip(1);
    line.skipColumns(1);
  }

  /** Adds the line to open code. False: the line does not belong to it. */
  #continueLeaf(leaf: Leaf, line: Line): boolean {
    switch (leaf.kind) {
      case 'fence':
        this.#addFenceLine(leaf, line);
        return true;
      case 'indented':
        return this.#addIndentedLine(leaf, line);
      default:
        return false;
    }
  }

  #closeTo(depth: number): void {
    this.#closeLeaf();
    this.#openContainers.length = depth;
  }

  #addNode(node: Nodes): void {
    const parent = this.#openContainers.at(-1)?.node ?? this.#root;
    parent.children.push(node);
    this.#extendContainers(node.end);
  }

  /** Extends all open quotes and lists to `end`. */
  #extendContainers(end: number): void {
    for (const container of this.#openContainers) {
      container.node.end = end;
      if (container.kind === 'item') container.list.end = end;
    }
  }

  #openQuote(line: Line): void {
    const node: Blockquote = { type: 'blockquote', ...placeOf(line), end: line.next + 1, children: [] };
    this.#skipQuoteMark(line);
    this.#addNode(node);
    this.#openContainers.push({ kind: 'quote', node });
  }

  #openItem(line: Line, bullet: Bullet): void {
    const { kind, number, length, isEmpty } = bullet;
    const place = placeOf(line);
    const item: ListItem = { type: 'listItem', ...place, end: place.start + length, isChecked: null, children: [] };
    const before = (this.#openContainers.at(-1)?.node ?? this.#root).children.at(-1);
    const indent = line.indent;
    line.skipBlanks();
    line.skip(length);
    const blanks = line.indent;
    const padding = isEmpty || blanks > CODE_INDENT ? 1 : blanks;
    if (!isEmpty) line.skipColumns(padding);
    let list: List;
    if (before?.type === 'list' && this.#bullets.get(before) === kind + String(number === null)) list = before;
    else {
      list = { type: 'list', ...place, end: item.end, isOrdered: number !== null, first: number, children: [] };
      this.#bullets.set(list, kind + String(number === null));
      this.#addNode(list);
    }
    list.children.push(item);
    this.#extendContainers(item.end);
    list.end = item.end;
    this.#openContainers.push({ kind: 'item', node: item, list, bullet: kind, indent: indent + length + padding });
  }

  /** The bullet of each list, because another bullet begins another list. */
  readonly #bullets = new Map<List, string>();

  #addHeading(line: Line, segment: Segment): void {
    const node: Nodes = { type: 'heading', ...placeOf(line), end: line.end, children: [] };
    this.#addNode(node);
    this.#inlines.push({ node, segments: [segment] });
  }

  #openFence(line: Line, fence: Fence): void {
    const word = /^\S+/.exec(fence.info)?.[0];
    const lang = word === undefined ? null : unescapeMarkdown(word);
    const fences = [{ start: line.next, end: trimEndAt(this.#text, line.next, line.end) }];
    const node: Code = { type: 'code', ...placeOf(line), end: line.end, lang, value: '', fences };
    this.#addNode(node);
    this.#leaf = { kind: 'fence', node, fence, indent: line.indent, lines: [] };
  }

  #addFenceLine(leaf: Extract<Leaf, { kind: 'fence' }>, line: Line): void {
    const { node, fence, indent, lines } = leaf;
    node.end = line.end;
    if (closesFence(line, fence)) {
      node.end = trimEndAt(this.#text, line.next, line.end);
      node.fences.push({ start: line.next, end: node.end });
      this.#closeLeaf();
    } else {
      line.skipColumns(indent);
      lines.push(line.rest);
    }
    this.#extendContainers(node.end);
  }

  #openIndentedCode(line: Line): void {
    const place = { start: line.at, column: line.column, end: line.end };
    const node: Code = { type: 'code', ...place, lang: null, value: '', fences: [] };
    line.skipColumns(CODE_INDENT);
    this.#addNode(node);
    this.#leaf = { kind: 'indented', node, lines: [line.rest], blanks: [] };
  }

  #addIndentedLine(leaf: Extract<Leaf, { kind: 'indented' }>, line: Line): boolean {
    if (!line.isBlank && line.indent < CODE_INDENT) return false;
    line.skipColumns(CODE_INDENT);
    leaf.blanks.push(line.rest);
    if (line.isBlank) return true;
    leaf.lines.push(...leaf.blanks.splice(0));
    leaf.node.end = line.end;
    this.#extendContainers(line.end);
    return true;
  }

  #addLazyLine(paragraph: Extract<Leaf, { kind: 'paragraph' }>, line: Line): void {
    paragraph.segments.push({ start: line.next, end: line.end });
    paragraph.isLastLineLazy = true;
    this.#extendContainers(line.end);
  }

  /** Adds a line to the open paragraph, or begins one. */
  #addWords(line: Line): void {
    const segment = { start: line.next, end: line.end };
    this.#extendContainers(line.end);
    if (this.#leaf?.kind === 'paragraph') {
      this.#leaf.segments.push(segment);
      this.#leaf.isLastLineLazy = false;
      return;
    }
    this.#closeLeaf();
    this.#leaf = { kind: 'paragraph', segments: [segment], column: line.nextColumn, isLastLineLazy: false };
  }

  #makeUnderlinedHeading({ segments, column }: Extract<Leaf, { kind: 'paragraph' }>, line: Line): boolean {
    if (!isUnderline(line)) return false;
    const left = this.#takeDefinitions(segments, column);
    this.#leaf = null;
    const [first] = left;
    // If the paragraph held only definitions, the line does not underline anything.
    if (!first) return false;
    const end = trimEndAt(this.#text, line.next, line.end);
    const node: Nodes = { type: 'heading', start: first.start, column, end, children: [] };
    this.#addNode(node);
    this.#inlines.push({ node, segments: trimmedSegments(this.#text, left) });
    return true;
  }

  /** Begins a table if this line gives its columns and the line before is its head. */
  #openTable(paragraph: Extract<Leaf, { kind: 'paragraph' }>, line: Line): boolean {
    const segment = { start: line.next, end: line.end };
    const head = paragraph.segments.at(-1);
    if (!head || paragraph.isLastLineLazy || !/^[|:-]$/.test(line.char)) return false;
    const columns = countColumns(this.#text, segment);
    if (columns === null || findCells(this.#text, head)?.length !== columns) return false;
    paragraph.segments.pop();
    const { column } = paragraph;
    this.#closeLeaf();
    const node: Table = { type: 'table', start: head.start, column, end: line.end, children: [] };
    this.#addNode(node);
    this.#leaf = { kind: 'table', node };
    this.#addRow(node, head);
    node.end = line.end;
    this.#extendContainers(line.end);
    return true;
  }

  #addRow(table: Table, line: Segment): void {
    const end = trimEndAt(this.#text, line.start, line.end);
    const row: TableRow = { type: 'tableRow', start: line.start, end, children: [] };
    for (const cell of findCells(this.#text, line) ?? []) {
      const node: Nodes = { type: 'tableCell', ...cell, children: [] };
      row.children.push(node);
      this.#inlines.push({ node, segments: [cell] });
    }
    table.children.push(row);
    table.end = line.end;
    this.#extendContainers(line.end);
  }

  #closeLeaf(): void {
    const leaf = this.#leaf;
    this.#leaf = null;
    switch (leaf?.kind) {
      case 'fence':
      case 'indented':
        leaf.node.value = leaf.lines.join('\n');
        break;
      case 'paragraph':
        this.#addParagraph(leaf.segments, leaf.column);
        break;
      default:
    }
  }

  #addParagraph(segments: Segment[], column: number): void {
    const left = this.#takeDefinitions(segments, column);
    const [first, last] = [left[0], left.at(-1)];
    if (!first || !last) return;
    const node: Nodes = { type: 'paragraph', start: first.start, column, end: last.end, children: [] };
    const item = this.#openContainers.at(-1);
    this.#addNode(node);
    const inside = trimmedSegments(this.#text, left);
    if (item?.kind === 'item' && item.node.children.length === 1) this.#readCheckBox(item.node, inside);
    node.start = inside[0]?.start ?? node.start;
    this.#inlines.push({ node, segments: inside });
  }

  /** Reads `[ ]` or `[x]` at the start of a list item. */
  #readCheckBox(item: ListItem, segments: Segment[]): void {
    const [first, ...others] = segments;
    const box = first && /^\[([ \txX])\](?:[ \t](?=[ \t]*[^ \t])|$)/.exec(this.#text.slice(first.start, first.end));
    if (!first || !box) return;
    const start = first.start + box[0].length;
    if (start === first.end && others.length === 0) return;
    item.isChecked = box[1]?.toLowerCase() === 'x';
    if (start < first.end) segments[0] = { start, end: first.end };
    else segments.shift();
  }

  /** Moves the definitions at a paragraph's start into the tree, and returns the rest of the paragraph. */
  #takeDefinitions(segments: Segment[], column: number): Segment[] {
    const [first] = segments;
    if (!first || this.#text.charAt(first.start) !== '[') return segments;
    const content = new Content(this.#text, segments);
    const { found, rest } = findDefinitions(content);
    for (const { start, end, colon, identifier, url } of found) {
      this.#knownDefinitions.add(identifier);
      const place: Range = { start: content.source(start), end: content.source(Math.max(start, end - 1)) + 1 };
      this.#addNode({ type: 'definition', ...place, column, identifier, url, colon: content.source(colon) });
    }
    if (found.length === 0) return segments;
    if (rest >= content.text.length) return [];
    const from = content.source(rest);
    return segments.filter(({ start }) => start >= from);
  }
}

/** Whether a bullet may end a paragraph. Most numbers may not, because they may be part of the sentence. */
function mayInterruptParagraph({ number, length, isEmpty }: Bullet): boolean {
  return !isEmpty && (number === null || (number === 1 && length === 2));
}

function placeOf(line: Line): { start: number; column: number } {
  return { start: line.next, column: line.nextColumn };
}

/** The segments without the blanks at the paragraph's end. */
function trimmedSegments(text: string, segments: readonly Segment[]): Segment[] {
  const last = segments.at(-1);
  return last ? [...segments.slice(0, -1), { start: last.start, end: trimEndAt(text, last.start, last.end) }] : [];
}
