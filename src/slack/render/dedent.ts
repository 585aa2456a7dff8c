import { lineStart } from './ast.ts';

export interface Dedented {
  text: string;
  /** Offset in the source of an offset in the text. */
  toSource(at: number): number;
  /** Offset in the source where the list item ended. */
  endsAt: number;
  /** The same offset in the text. */
  endsAtText: number;
}

/** Removes up to `columns` columns from the start of each line, until a line that has fewer. */
export function dedent(source: string, columns: number): Dedented {
  if (columns === 0) return { text: source, toSource: (at) => at, endsAt: 0, endsAtText: 0 };
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
  const endsAtText = text.length;
  starts.push({ text: text.length, source: at });
  text += source.slice(at);
  return {
    text,
    endsAt,
    endsAtText,
    toSource(offset) {
      const line = starts.findLast((start) => start.text <= offset) ?? { text: 0, source: 0 };
      // A cut at a line's start leaves the line's indentation to the next part.
      if (line.text === offset && line.source < source.length) return lineStart(source, line.source);
      return line.source + offset - line.text;
    },
  };
}

/** How much white space at a line's start makes up to `max` columns, with tab stops every four. */
export function indentation(line: string, max: number): { columns: number; length: number } {
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
