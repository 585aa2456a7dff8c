import { isBlank } from './characters.ts';

/** CommonMark's tab stops. */
const TAB = 4;

/** One line and how far it was read: `at` is the offset, `column` counts tabs as columns. A tab can be read in part. */
export class Line {
  readonly text: string;
  /** The end of the line, without its line break. */
  readonly end: number;
  at: number;
  column = 0;
  /** How many columns of the tab at `at` were read. */
  #ofTab = 0;
  #indentAt = -1;
  #indentFrom = 0;
  #nextAt = 0;
  #nextColumn = 0;

  constructor(text: string, start: number, end: number) {
    this.text = text;
    this.at = start;
    this.end = end;
  }

  /** The offset of the next character that is not blank. */
  get next(): number {
    this.#measureIndent();
    return this.#nextAt;
  }

  /** How many columns that character is away. */
  get indent(): number {
    this.#measureIndent();
    return this.#nextColumn - this.column;
  }

  get nextColumn(): number {
    this.#measureIndent();
    return this.#nextColumn;
  }

  get isBlank(): boolean {
    return this.next >= this.end;
  }

  /** The next character that is not blank. */
  get char(): string {
    return this.next < this.end ? this.text.charAt(this.next) : '';
  }

  #measureIndent(): void {
    if (this.#indentAt === this.at && this.#indentFrom === this.column) return;
    this.#indentAt = this.at;
    this.#indentFrom = this.column;
    let at = this.at;
    let column = this.column;
    for (; at < this.end && isBlank(this.text.charAt(at)); at += 1) {
      column = this.text.charAt(at) === '\t' ? column + TAB - (column % TAB) : column + 1;
    }
    this.#nextAt = at;
    this.#nextColumn = column;
  }

  skipBlanks(): void {
    const { next, nextColumn } = this;
    this.at = next;
    this.column = nextColumn;
    this.#ofTab = 0;
  }

  /** Skips so many characters, none of which may be a tab. */
  skip(count: number): void {
    this.at += count;
    this.column += count;
    this.#ofTab = 0;
  }

  /** Skips so many columns of blanks, or as many as there are. */
  skipColumns(count: number): void {
    for (let left = count; left > 0 && this.at < this.end; ) {
      const char = this.text.charAt(this.at);
      if (!isBlank(char)) return;
      const width = char === '\t' ? TAB - (this.column % TAB) : 1;
      const read = Math.min(width, left);
      this.column += read;
      left -= read;
      if (read === width) {
        this.at += 1;
        this.#ofTab = 0;
      } else this.#ofTab += read;
    }
  }

  /** The rest of the line. If a tab was read in part, its other columns become spaces. */
  get rest(): string {
    if (this.#ofTab === 0) return this.text.slice(this.at, this.end);
    return ' '.repeat(TAB - (this.column % TAB)) + this.text.slice(this.at + 1, this.end);
  }
}
