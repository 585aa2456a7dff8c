/** One line of a paragraph or cell, without its indentation. */
export interface Segment {
  start: number;
  end: number;
}

/** Lines joined with `\n`, which can tell the source offset of each place. */
export class Content {
  readonly text: string;
  readonly #segments: readonly Segment[];
  /** Where each segment begins in `text`. */
  readonly #begins: number[] = [];
  #last = 0;

  constructor(source: string, segments: readonly Segment[]) {
    this.#segments = segments;
    const lines: string[] = [];
    let at = 0;
    for (const { start, end } of segments) {
      this.#begins.push(at);
      lines.push(source.slice(start, end));
      at += end - start + 1;
    }
    this.text = lines.join('\n');
  }

  /** Offset in the source of an offset in `text`. */
  source(at: number): number {
    let index = this.#last;
    const begins = this.#begins;
    if ((begins[index] ?? 0) > at || (begins[index + 1] ?? Number.POSITIVE_INFINITY) <= at)
      index = this.#findSegment(at);
    this.#last = index;
    return (this.#segments[index]?.start ?? 0) + at - (begins[index] ?? 0);
  }

  #findSegment(at: number): number {
    let [low, high] = [0, this.#begins.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#begins[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return Math.max(0, low);
  }
}
