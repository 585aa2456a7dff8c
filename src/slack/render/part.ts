/**
 * The part of a text that one message shows. The sources of all parts, joined, are the text. Shown is `prefix + source
 * without dedent + suffix`, see `markdownOf`.
 */
export interface TextPart {
  source: string;
  /** Repeats what the cut interrupted: a fence's first line, a table's header, open marks. */
  prefix: string;
  /** Closes what goes on in the next part: a fence, marks. */
  suffix: string;
  /** Columns removed from the start of each line, while the list item that the part before began goes on. */
  dedent: number;
  /** The number of the list item that the part begins with; `null`: as typed. */
  first: number | null;
  /** The number of the list item after the one that goes on; `null`: as typed. */
  following: number | null;
}

/** Where the next part of a text begins, and with what. A value. */
export interface SplitState {
  /** The length of all closed parts. */
  length: number;
  prefix: string;
  dedent: number;
  first: number | null;
  following: number | null;
}

export const splitStart: SplitState = { length: 0, prefix: '', dedent: 0, first: null, following: null };
