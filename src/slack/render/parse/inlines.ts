import { BareLinks, enclosedLink } from './autolinks.ts';
import { characterReference, isEscapable, isPunctuation, isUnicodeSpace, unescapeMarkdown } from './characters.ts';
import type { Content } from './content.ts';
import { destinationEnd, identifierOf, labelEnd, skipSpace, titleEnd } from './destinations.ts';
import { type Piece, Pieces, textPiece } from './pieces.ts';
import type { Nodes } from './tree.ts';

/** The identifiers of a text's definitions. */
export type Known = ReadonlySet<string>;

/**
 * Parses the words of a paragraph, heading or cell.
 * @param isInTable whether it is a cell, where `\|` means `|` even in code
 */
export function parseInlines(content: Content, known: Known, isInTable: boolean): Nodes[] {
  return new Inlines(content, known, isInTable).parse();
}

interface Bracket {
  piece: Piece;
  isImage: boolean;
  /** The offset at which its label begins. */
  label: number;
}

/** The target of a link: an address in parentheses, or the name of a definition. */
type Target =
  | { kind: 'resource'; url: string; opens: number; destination: { start: number; end: number } | null; end: number }
  | { kind: 'reference'; identifier: string; end: number };

const SPECIAL = /[\\`*_~[\]!<&\n]/;

/**
 * Reads each character a few times at most, whatever is around it: CommonMark's algorithm, which remembers openers that
 * cannot be closed.
 */
class Inlines {
  readonly #content: Content;
  readonly #text: string;
  readonly #knownDefinitions: Known;
  readonly #isInTable: boolean;
  readonly #links: BareLinks;
  readonly #pieces = new Pieces();
  readonly #brackets: Bracket[] = [];
  /** Links cannot contain links, so open brackets below this index may only begin images. */
  #noLinksBelow = 0;
  /** By length: the offsets of runs of backticks. */
  #backtickRuns: Map<number, number[]> | null = null;
  #at = 0;
  /** The start of the text that is not a piece yet. */
  #textFrom = 0;
  #value = '';

  constructor(content: Content, known: Known, inTable: boolean) {
    this.#content = content;
    this.#text = content.text;
    this.#knownDefinitions = known;
    this.#isInTable = inTable;
    this.#links = new BareLinks(content.text);
  }

  parse(): Nodes[] {
    const text = this.#text;
    while (this.#at < text.length) {
      const char = text.charAt(this.#at);
      if (this.#brackets.length === 0 && this.#readBareLink()) continue;
      if (SPECIAL.test(char) && this.#readSpecial(char)) continue;
      this.#value += char;
      this.#at += 1;
    }
    this.#addText();
    this.#pieces.closeMarks(null);
    return this.#nodesOf(this.#pieces);
  }

  /** False: the character is text. */
  #readSpecial(char: string): boolean {
    switch (char) {
      case '\n':
        return this.#readLineEnd();
      case '\\':
        return this.#readEscape();
      case '`':
        return this.#readCode();
      case '*':
      case '_':
      case '~':
        return this.#readRun(char);
      case '!':
        return this.#text.charAt(this.#at + 1) === '[' && this.#openBracket(2);
      case '[':
        return this.#openBracket(1);
      case ']':
        return this.#closeBracket();
      case '<': {
        const link = enclosedLink(this.#text, this.#at);
        return link !== null && this.#addLink(link.end, link.url, this.#at + 1, link.end - 1);
      }
      case '&': {
        const named = characterReference(this.#text, this.#at);
        if (!named) return false;
        this.#value += named.value;
        this.#at += named.length;
        return true;
      }
      default:
        return false;
    }
  }

  /** Makes a piece of the text read since the last one. */
  #addText(end = this.#at): void {
    if (end > this.#textFrom) this.#pieces.add(textPiece(this.#textFrom, end, this.#value));
    this.#value = '';
    this.#textFrom = this.#at;
  }

  #addNode(node: Nodes, end: number): true {
    this.#addText();
    const piece = textPiece(this.#at, end, '');
    piece.node = node;
    this.#pieces.add(piece);
    this.#at = end;
    this.#textFrom = end;
    return true;
  }

  /** Drops white space before the line's end; two spaces there make a line break. */
  #readLineEnd(): true {
    const text = this.#text;
    let from = this.#at;
    while (from > this.#textFrom && (text.charAt(from - 1) === ' ' || text.charAt(from - 1) === '\t')) from -= 1;
    const blanks = this.#at - from;
    if (blanks > 0) this.#value = this.#value.slice(0, -blanks);
    if (blanks >= 2 && !text.slice(from, this.#at).includes('\t')) {
      this.#at = from;
      return this.#addNode({ type: 'break', start: 0, end: 0 }, from + blanks + 1);
    }
    this.#value += '\n';
    this.#at += 1;
    this.#addText();
    return true;
  }

  #readEscape(): boolean {
    const next = this.#text.charAt(this.#at + 1);
    if (next === '\n') return this.#addNode({ type: 'break', start: 0, end: 0 }, this.#at + 2);
    if (!isEscapable(next)) return false;
    this.#value += next;
    this.#at += 2;
    return true;
  }

  #readCode(): true {
    const text = this.#text;
    const at = this.#at;
    let inside = at;
    while (text.charAt(inside) === '`') inside += 1;
    const closes = this.#findClosingRun(inside - at, inside);
    if (closes === null) {
      this.#value += text.slice(at, inside);
      this.#at = inside;
      return true;
    }
    const raw = text.slice(inside, closes).replaceAll('\n', ' ');
    const isPadded = raw.startsWith(' ') && raw.endsWith(' ') && /[^ ]/.test(raw);
    const shown = isPadded ? raw.slice(1, -1) : raw;
    const value = this.#isInTable ? shown.replaceAll('\\|', '|') : shown;
    return this.#addNode({ type: 'inlineCode', start: 0, end: 0, value }, closes + inside - at);
  }

  #findClosingRun(length: number, from: number): number | null {
    if (!this.#backtickRuns) {
      this.#backtickRuns = new Map();
      for (const run of this.#text.matchAll(/`+/g)) {
        const same = this.#backtickRuns.get(run[0].length);
        if (same) same.push(run.index);
        else this.#backtickRuns.set(run[0].length, [run.index]);
      }
      for (const starts of this.#backtickRuns.values()) starts.reverse();
    }
    const starts = this.#backtickRuns.get(length) ?? [];
    while ((starts.at(-1) ?? Number.POSITIVE_INFINITY) < from) starts.pop();
    return starts.at(-1) ?? null;
  }

  #readRun(char: string): boolean {
    const text = this.#text;
    let end = this.#at;
    while (text.charAt(end) === char) end += 1;
    const length = end - this.#at;
    if (char === '~' && length > 2) {
      this.#value += text.slice(this.#at, end);
      this.#at = end;
      return true;
    }
    // Half of an emoji beyond U+FFFF counts as a letter here.
    const [before, after] = [text.charAt(this.#at - 1), text.charAt(end)];
    const [spaceBefore, spaceAfter] = [isUnicodeSpace(before), isUnicodeSpace(after)];
    const [markBefore, markAfter] = [!spaceBefore && isPunctuation(before), !spaceAfter && isPunctuation(after)];
    const left = !spaceAfter && (!markAfter || spaceBefore || markBefore || isMark(after));
    const right = !spaceBefore && (!markBefore || spaceAfter || markAfter || isMark(before));
    this.#addText();
    const piece = textPiece(this.#at, end, text.slice(this.#at, end));
    const opens = char === '_' ? left && (spaceBefore || markBefore || !right) : left;
    const closes = char === '_' ? right && (spaceAfter || markAfter || !left) : right;
    piece.run = { char, length, mayOpen: opens, mayClose: closes, before: null, after: null };
    this.#pieces.add(piece);
    this.#at = end;
    this.#textFrom = end;
    return true;
  }

  #openBracket(length: number): true {
    this.#addText();
    const piece = textPiece(this.#at, this.#at + length, this.#text.slice(this.#at, this.#at + length));
    this.#pieces.add(piece);
    this.#at += length;
    this.#textFrom = this.#at;
    this.#brackets.push({ piece, isImage: length === 2, label: this.#at });
    return true;
  }

  #closeBracket(): boolean {
    const bracket = this.#brackets.pop();
    if (!bracket) return false;
    const index = this.#brackets.length;
    const isInLink = !bracket.isImage && index < this.#noLinksBelow;
    this.#noLinksBelow = Math.min(this.#noLinksBelow, index);
    const target = isInLink ? null : this.#readTarget(bracket);
    if (!target) return false;
    this.#addText();
    this.#pieces.closeMarks(bracket.piece);
    const { inside, depth } = this.#pieces.takeAfter(bracket.piece);
    const { piece } = bracket;
    piece.node = bracket.isImage ? this.#imageOf(inside, target) : this.#linkOf(target);
    piece.inside = bracket.isImage ? null : inside;
    piece.depth = bracket.isImage ? 1 : depth + 1;
    piece.end = target.end;
    this.#at = target.end;
    this.#textFrom = target.end;
    if (!bracket.isImage) this.#noLinksBelow = index;
    return true;
  }

  #linkOf(target: Target): Nodes {
    const place = { start: 0, end: 0, children: [] };
    if (target.kind === 'reference') return { type: 'linkReference', ...place, identifier: target.identifier };
    return { type: 'link', ...place, url: target.url, resource: this.#resourceOf(target) };
  }

  #imageOf(inside: Pieces, target: Target): Nodes {
    const place = { start: 0, end: 0, alt: wordsOf(inside) };
    if (target.kind === 'reference') return { type: 'imageReference', ...place, identifier: target.identifier };
    return { type: 'image', ...place, url: target.url, resource: this.#resourceOf(target) };
  }

  #resourceOf({ opens, destination }: Extract<Target, { kind: 'resource' }>) {
    const content = this.#content;
    return {
      opens: content.source(opens),
      destination: destination && {
        start: content.source(destination.start),
        end: sourceEnd(content, destination.end),
      },
    };
  }

  #readTarget(bracket: Bracket): Target | null {
    const text = this.#text;
    const behind = this.#at + 1;
    if (text.charAt(behind) === '(') {
      const resource = this.#readResource(behind);
      if (resource) return resource;
    }
    if (this.#knownDefinitions.size === 0) return null;
    if (text.charAt(behind) === '[') {
      const end = labelEnd(text, behind);
      const full = end === null ? null : this.#findReference(text.slice(behind + 1, end - 1), end);
      if (full) return full;
      if (text.charAt(behind + 1) !== ']') return null;
      return this.#findReference(text.slice(bracket.label, this.#at), behind + 2);
    }
    return this.#findReference(text.slice(bracket.label, this.#at), behind);
  }

  #findReference(label: string, end: number): Target | null {
    const identifier = identifierOf(label);
    return identifier !== null && this.#knownDefinitions.has(identifier)
      ? { kind: 'reference', identifier, end }
      : null;
  }

  #readResource(opens: number): Target | null {
    const text = this.#text;
    const start = skipSpace(text, opens + 1);
    if (text.charAt(start) === ')') return { kind: 'resource', url: '', opens, destination: null, end: start + 1 };
    const end = destinationEnd(text, start);
    if (end === null) return null;
    const raw = text.charAt(start) === '<' ? text.slice(start + 1, end - 1) : text.slice(start, end);
    let closes = skipSpace(text, end);
    const title = closes > end ? titleEnd(text, closes) : null;
    if (title !== null) closes = skipSpace(text, title);
    if (text.charAt(closes) !== ')') return null;
    return { kind: 'resource', url: unescapeMarkdown(raw), opens, destination: { start, end }, end: closes + 1 };
  }

  #readBareLink(): boolean {
    const link = this.#links.linkAt(this.#at);
    return link !== null && this.#addLink(link.end, link.url, this.#at, link.end);
  }

  #addLink(end: number, url: string, from: number, to: number): true {
    const label: Nodes = { type: 'text', ...this.#placeOf(from, to), value: this.#text.slice(from, to) };
    return this.#addNode({ type: 'link', start: 0, end: 0, url, children: [label], resource: null }, end);
  }

  #placeOf(start: number, end: number) {
    return { start: this.#content.source(start), end: sourceEnd(this.#content, end) };
  }

  /** Makes nodes of pieces and joins neighbouring text. It may recurse, because the depth is bounded. */
  #nodesOf(pieces: Pieces): Nodes[] {
    const nodes: Nodes[] = [];
    let text: { start: number; end: number; values: string[] } | null = null;
    const endText = () => {
      if (text) nodes.push({ type: 'text', ...this.#placeOf(text.start, text.end), value: text.values.join('') });
      text = null;
    };
    for (let piece = pieces.first; piece; piece = piece.after) {
      const { node, inside, start, end, value } = piece;
      if (!node) {
        if (text) text.end = end;
        else text = { start, end, values: [] };
        text.values.push(value);
        continue;
      }
      endText();
      const placed = Object.assign(node, this.#placeOf(start, end));
      if (inside && 'children' in placed) placed.children = this.#nodesOf(inside) as never;
      nodes.push(placed);
    }
    endText();
    return nodes;
  }
}

/** The words without marks, for an image. */
function wordsOf(pieces: Pieces): string {
  const words: string[] = [];
  for (let piece = pieces.first; piece; piece = piece.after) {
    const { node, inside, value } = piece;
    if (!node) words.push(value);
    else if (inside) words.push(wordsOf(inside));
    else if ('alt' in node) words.push(node.alt);
    else if ('value' in node) words.push(node.value);
    else if ('children' in node) words.push(...node.children.map((child) => ('value' in child ? child.value : '')));
  }
  return words.join('');
}

/** The source offset of an end. After a line's last character it is that line's end, not the start of the next. */
function sourceEnd(content: Content, end: number): number {
  return end === 0 ? content.source(0) : content.source(end - 1) + 1;
}

const isMark = (char: string) => char === '*' || char === '_' || char === '~';
