import type { Nodes } from './tree.ts';

/** Deeper nested emphasis is read as text: no reader would see it, and it would make walks through the tree slow. */
const DEPTH = 30;

/** A run of `*`, `_` or `~` that may become marks. */
interface Run {
  char: string;
  /** As typed, before any of it was used. */
  length: number;
  mayOpen: boolean;
  mayClose: boolean;
  /** The runs before and after it that may become marks. */
  before: Piece | null;
  after: Piece | null;
}

/** A part of a line: text, a run of marks, or a complete node. Offsets are those of the content. */
export interface Piece {
  start: number;
  end: number;
  before: Piece | null;
  after: Piece | null;
  /** Its words, if it stays text. */
  value: string;
  node: Nodes | null;
  /** The pieces inside `node`, which become nodes when all marks are read. */
  inside: Pieces | null;
  /** The nesting depth of `node`. */
  depth: number;
  run: Run | null;
}

export const textPiece = (start: number, end: number, value: string): Piece => ({
  start,
  end,
  before: null,
  after: null,
  value,
  node: null,
  inside: null,
  depth: 0,
  run: null,
});

/** A linked list of pieces in reading order. A piece is in one list only. */
export class Pieces {
  first: Piece | null = null;
  last: Piece | null = null;
  /** The last run that may become marks. */
  #lastRun: Piece | null = null;
  /** Whether the nesting limit was reached: then no more marks are read. */
  #isTooDeep = false;

  add(piece: Piece): void {
    this.#append(piece);
    if (!piece.run) return;
    piece.run.before = this.#lastRun;
    if (this.#lastRun?.run) this.#lastRun.run.after = piece;
    this.#lastRun = piece;
  }

  #append(piece: Piece): void {
    piece.before = this.last;
    piece.after = null;
    if (this.last) this.last.after = piece;
    else this.first = piece;
    this.last = piece;
  }

  /** Takes out all pieces after `piece`. Their marks must be closed before. */
  takeAfter(piece: Piece): { inside: Pieces; depth: number } {
    return this.#takeRange(piece.after, null);
  }

  #takeRange(from: Piece | null, until: Piece | null): { inside: Pieces; depth: number } {
    const inside = new Pieces();
    let depth = 0;
    if (!from || from === until) return { inside, depth };
    const before = from.before;
    for (let piece: Piece | null = from; piece && piece !== until; ) {
      const next: Piece | null = piece.after;
      depth = Math.max(depth, piece.depth);
      inside.#append(piece);
      piece = next;
    }
    if (before) before.after = until;
    else this.first = until;
    if (until) until.before = before;
    else this.last = before;
    return { inside, depth };
  }

  /** Makes emphasis of the runs after `bottom` (`null`: all) where possible; the rest stays text. */
  closeMarks(bottom: Piece | null): void {
    const from = bottom === null ? -1 : bottom.end;
    let closer: Piece | null = this.#lastRun;
    while (closer?.run?.before && closer.run.before.start >= from) closer = closer.run.before;
    if (closer && closer.start < from) closer = null;
    /** By kind of closing run: no opener for it is before this offset. */
    const bottoms = new Map<string, number>();
    while (closer?.run) {
      const { run } = closer;
      const next: Piece | null = run.after;
      if (!run.mayClose || this.#isTooDeep) {
        closer = next;
        continue;
      }
      const kind = run.char === '~' ? `~${run.length}` : `${run.char}${run.mayOpen}${run.length % 3}`;
      const opener = this.#findOpener(closer, Math.max(from, bottoms.get(kind) ?? -1));
      if (!opener) {
        bottoms.set(kind, closer.start);
        if (!run.mayOpen) this.#keepAsText(closer);
        closer = next;
      } else if (!this.#wrapInMarks(opener, closer)) {
        this.#isTooDeep = true;
      } else if (closer.start === closer.end) {
        this.#removeRun(closer);
        closer = next;
      }
    }
    while (this.#lastRun && this.#lastRun.start >= from) this.#keepAsText(this.#lastRun);
  }

  #findOpener(closer: Piece, from: number): Piece | null {
    const closing = closer.run;
    for (let piece = closing?.before ?? null; piece?.run && piece.start >= from; piece = piece.run.before) {
      const { run } = piece;
      if (!closing || run.char !== closing.char || !run.mayOpen) continue;
      if (run.char === '~') {
        if (run.length === closing.length) return piece;
        continue;
      }
      const odd =
        (run.mayClose || closing.mayOpen) && closing.length % 3 !== 0 && (run.length + closing.length) % 3 === 0;
      if (!odd) return piece;
    }
    return null;
  }

  /** Wraps what is between the two runs. False: the nesting limit is reached. */
  #wrapInMarks(opener: Piece, closer: Piece): boolean {
    const char = opener.run?.char ?? '';
    const most = Math.min(opener.end - opener.start, closer.end - closer.start);
    const used = char === '~' ? most : Math.min(2, most);
    for (let between = closer.run?.before; between && between !== opener; between = closer.run?.before)
      this.#keepAsText(between);
    const { inside, depth } = this.#takeRange(opener.after, closer);
    const type = char === '~' ? 'delete' : used === 2 ? 'strong' : 'emphasis';
    const start = opener.end - used;
    const end = closer.start + used;
    opener.end -= used;
    opener.value = opener.value.slice(used);
    closer.start += used;
    closer.value = closer.value.slice(used);
    const wrapped = textPiece(start, end, '');
    wrapped.node = { type, start, end, children: [] };
    wrapped.inside = inside;
    wrapped.depth = depth + 1;
    wrapped.before = opener;
    wrapped.after = closer;
    opener.after = wrapped;
    closer.before = wrapped;
    if (opener.start === opener.end) this.#removeRun(opener);
    return wrapped.depth < DEPTH;
  }

  /** The run becomes text. */
  #keepAsText(piece: Piece): void {
    const { run } = piece;
    if (!run) return;
    if (run.before?.run) run.before.run.after = run.after;
    if (run.after?.run) run.after.run.before = run.before;
    else this.#lastRun = run.before;
    piece.run = null;
  }

  /** Removes a run of which all characters were used. */
  #removeRun(piece: Piece): void {
    this.#keepAsText(piece);
    if (piece.before) piece.before.after = piece.after;
    else this.first = piece.after;
    if (piece.after) piece.after.before = piece.before;
    else this.last = piece.before;
  }
}
