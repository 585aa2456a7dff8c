import { BareLinks, enclosedLink } from './autolinks.ts';
import { characterReference, isEscapable, isPunctuation, isUnicodeSpace, unescaped } from './characters.ts';
import type { Content } from './content.ts';
import { destinationEnd, identifierOf, labelEnd, skipSpace, titleEnd } from './destinations.ts';
import { type Piece, Pieces, textPiece } from './pieces.ts';
import type { Nodes } from './tree.ts';

/** What a text's definitions are called. */
export type Known = ReadonlySet<string>;

/**
 * What stands in a paragraph, heading or cell.
 * @param inTable whether it is a cell: there an escaped `|` is one also in code
 */
export function parseInlines(content: Content, known: Known, inTable: boolean): Nodes[] {
  return new Inlines(content, known, inTable).parse();
}

interface Bracket {
  piece: Piece;
  image: boolean;
  /** Where its label begins. */
  label: number;
}

/** What a `]` closes: an address in parentheses, or a name of one. */
type Target =
  | { kind: 'resource'; url: string; opens: number; destination: { start: number; end: number } | null; end: number }
  | { kind: 'reference'; identifier: string; end: number };

const SPECIAL = /[\\`*_~[\]!<&\n]/;

/**
 * Each character is looked at a few times at most, whatever stands around it (CommonMark's own algorithm, with the
 * openers that can close nothing remembered).
 */
class Inlines {
  readonly #content: Content;
  readonly #text: string;
  readonly #known: Known;
  readonly #inTable: boolean;
  readonly #links: BareLinks;
  readonly #pieces = new Pieces();
  readonly #brackets: Bracket[] = [];
  /** Links hold no links: brackets below this one may still begin images only. */
  #linksFrom = 0;
  /** By length: where runs of backticks of that length begin. */
  #runs: Map<number, number[]> | null = null;
  #at = 0;
  /** Text that is not a piece yet. */
  #textFrom = 0;
  #value = '';

  constructor(content: Content, known: Known, inTable: boolean) {
    this.#content = content;
    this.#text = content.text;
    this.#known = known;
    this.#inTable = inTable;
    this.#links = new BareLinks(content.text);
  }

  parse(): Nodes[] {
    const text = this.#text;
    while (this.#at < text.length) {
      const char = text.charAt(this.#at);
      if (this.#brackets.length === 0 && this.#bareLink()) continue;
      if (SPECIAL.test(char) && this.#special(char)) continue;
      this.#value += char;
      this.#at += 1;
    }
    this.#flush();
    this.#pieces.closeMarks(null);
    return this.#nodesOf(this.#pieces);
  }

  /** False where it is just text. */
  #special(char: string): boolean {
    switch (char) {
      case '\n':
        return this.#lineEnd();
      case '\\':
        return this.#escape();
      case '`':
        return this.#code();
      case '*':
      case '_':
      case '~':
        return this.#run(char);
      case '!':
        return this.#text.charAt(this.#at + 1) === '[' && this.#bracket(2);
      case '[':
        return this.#bracket(1);
      case ']':
        return this.#closeBracket();
      case '<': {
        const link = enclosedLink(this.#text, this.#at);
        return link !== null && this.#linked(link.end, link.url, this.#at + 1, link.end - 1);
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

  /** What was read since becomes a piece. */
  #flush(end = this.#at): void {
    if (end > this.#textFrom) this.#pieces.add(textPiece(this.#textFrom, end, this.#value));
    this.#value = '';
    this.#textFrom = this.#at;
  }

  #add(node: Nodes, end: number): true {
    this.#flush();
    const piece = textPiece(this.#at, end, '');
    piece.node = node;
    this.#pieces.add(piece);
    this.#at = end;
    this.#textFrom = end;
    return true;
  }

  /** White space before the end of a line is nothing; two spaces break the line. */
  #lineEnd(): true {
    const text = this.#text;
    let from = this.#at;
    while (from > this.#textFrom && (text.charAt(from - 1) === ' ' || text.charAt(from - 1) === '\t')) from -= 1;
    const blanks = this.#at - from;
    if (blanks > 0) this.#value = this.#value.slice(0, -blanks);
    if (blanks >= 2 && !text.slice(from, this.#at).includes('\t')) {
      this.#at = from;
      return this.#add({ type: 'break', start: 0, end: 0 }, from + blanks + 1);
    }
    this.#value += '\n';
    this.#at += 1;
    this.#flush();
    return true;
  }

  #escape(): boolean {
    const next = this.#text.charAt(this.#at + 1);
    if (next === '\n') return this.#add({ type: 'break', start: 0, end: 0 }, this.#at + 2);
    if (!isEscapable(next)) return false;
    this.#value += next;
    this.#at += 2;
    return true;
  }

  #code(): true {
    const text = this.#text;
    const at = this.#at;
    let inside = at;
    while (text.charAt(inside) === '`') inside += 1;
    const closes = this.#closingRun(inside - at, inside);
    if (closes === null) {
      this.#value += text.slice(at, inside);
      this.#at = inside;
      return true;
    }
    const raw = text.slice(inside, closes).replaceAll('\n', ' ');
    const padded = raw.startsWith(' ') && raw.endsWith(' ') && /[^ ]/.test(raw);
    const shown = padded ? raw.slice(1, -1) : raw;
    const value = this.#inTable ? shown.replaceAll('\\|', '|') : shown;
    return this.#add({ type: 'inlineCode', start: 0, end: 0, value }, closes + inside - at);
  }

  #closingRun(length: number, from: number): number | null {
    if (!this.#runs) {
      this.#runs = new Map();
      for (const run of this.#text.matchAll(/`+/g)) {
        const same = this.#runs.get(run[0].length);
        if (same) same.push(run.index);
        else this.#runs.set(run[0].length, [run.index]);
      }
      for (const starts of this.#runs.values()) starts.reverse();
    }
    const starts = this.#runs.get(length) ?? [];
    while ((starts.at(-1) ?? Number.POSITIVE_INFINITY) < from) starts.pop();
    return starts.at(-1) ?? null;
  }

  #run(char: string): boolean {
    const text = this.#text;
    let end = this.#at;
    while (text.charAt(end) === char) end += 1;
    const length = end - this.#at;
    if (char === '~' && length > 2) {
      this.#value += text.slice(this.#at, end);
      this.#at = end;
      return true;
    }
    // An emoji beyond U+FFFF counts as a letter.
    const [before, after] = [text.charAt(this.#at - 1), text.charAt(end)];
    const [spaceBefore, spaceAfter] = [isUnicodeSpace(before), isUnicodeSpace(after)];
    const [markBefore, markAfter] = [!spaceBefore && isPunctuation(before), !spaceAfter && isPunctuation(after)];
    const left = !spaceAfter && (!markAfter || spaceBefore || markBefore || isMark(after));
    const right = !spaceBefore && (!markBefore || spaceAfter || markAfter || isMark(before));
    this.#flush();
    const piece = textPiece(this.#at, end, text.slice(this.#at, end));
    const opens = char === '_' ? left && (spaceBefore || markBefore || !right) : left;
    const closes = char === '_' ? right && (spaceAfter || markAfter || !left) : right;
    piece.run = { char, length, opens, closes, before: null, after: null };
    this.#pieces.add(piece);
    this.#at = end;
    this.#textFrom = end;
    return true;
  }

  #bracket(length: number): true {
    this.#flush();
    const piece = textPiece(this.#at, this.#at + length, this.#text.slice(this.#at, this.#at + length));
    this.#pieces.add(piece);
    this.#at += length;
    this.#textFrom = this.#at;
    this.#brackets.push({ piece, image: length === 2, label: this.#at });
    return true;
  }

  #closeBracket(): boolean {
    const bracket = this.#brackets.pop();
    if (!bracket) return false;
    const index = this.#brackets.length;
    const dead = !bracket.image && index < this.#linksFrom;
    this.#linksFrom = Math.min(this.#linksFrom, index);
    const target = dead ? null : this.#target(bracket);
    if (!target) return false;
    this.#flush();
    this.#pieces.closeMarks(bracket.piece);
    const { inside, depth } = this.#pieces.takeAfter(bracket.piece);
    const { piece } = bracket;
    piece.node = bracket.image ? this.#imageOf(inside, target) : this.#linkOf(target);
    piece.inside = bracket.image ? null : inside;
    piece.depth = bracket.image ? 1 : depth + 1;
    piece.end = target.end;
    this.#at = target.end;
    this.#textFrom = target.end;
    if (!bracket.image) this.#linksFrom = index;
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

  #target(bracket: Bracket): Target | null {
    const text = this.#text;
    const behind = this.#at + 1;
    if (text.charAt(behind) === '(') {
      const resource = this.#resource(behind);
      if (resource) return resource;
    }
    if (this.#known.size === 0) return null;
    if (text.charAt(behind) === '[') {
      const end = labelEnd(text, behind);
      const full = end === null ? null : this.#reference(text.slice(behind + 1, end - 1), end);
      if (full) return full;
      if (text.charAt(behind + 1) !== ']') return null;
      return this.#reference(text.slice(bracket.label, this.#at), behind + 2);
    }
    return this.#reference(text.slice(bracket.label, this.#at), behind);
  }

  #reference(label: string, end: number): Target | null {
    const identifier = identifierOf(label);
    return identifier !== null && this.#known.has(identifier) ? { kind: 'reference', identifier, end } : null;
  }

  #resource(opens: number): Target | null {
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
    return { kind: 'resource', url: unescaped(raw), opens, destination: { start, end }, end: closes + 1 };
  }

  #bareLink(): boolean {
    const link = this.#links.at(this.#at);
    return link !== null && this.#linked(link.end, link.url, this.#at, link.end);
  }

  #linked(end: number, url: string, from: number, to: number): true {
    const label: Nodes = { type: 'text', ...this.#place(from, to), value: this.#text.slice(from, to) };
    return this.#add({ type: 'link', start: 0, end: 0, url, children: [label], resource: null }, end);
  }

  #place(start: number, end: number) {
    return { start: this.#content.source(start), end: sourceEnd(this.#content, end) };
  }

  /** Neighbouring texts become one. Nesting is bounded, so that this may call itself. */
  #nodesOf(pieces: Pieces): Nodes[] {
    const nodes: Nodes[] = [];
    let text: { start: number; end: number; values: string[] } | null = null;
    const endText = () => {
      if (text) nodes.push({ type: 'text', ...this.#place(text.start, text.end), value: text.values.join('') });
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
      const placed = Object.assign(node, this.#place(start, end));
      if (inside && 'children' in placed) placed.children = this.#nodesOf(inside) as never;
      nodes.push(placed);
    }
    endText();
    return nodes;
  }
}

/** The words of an image: without marks. */
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

/** Of what ends at `end`: a place behind the last line is the end of that line, not the beginning of another. */
function sourceEnd(content: Content, end: number): number {
  return end === 0 ? content.source(0) : content.source(end - 1) + 1;
}

const isMark = (char: string) => char === '*' || char === '_' || char === '~';
