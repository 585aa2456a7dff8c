import { isBlank } from './characters.ts';
import type { Segment } from './content.ts';
import { trimEndAt } from './leaf-starts.ts';

/**
 * The cells of a table's row, without the blanks around their words; `null`: the line is only one `|`. An escaped `|`
 * does not separate cells.
 */
export function findCells(text: string, { start, end }: Segment): Segment[] | null {
  let from = start;
  while (from < end && isBlank(text.charAt(from))) from += 1;
  const leads = text.charAt(from) === '|' && from < end;
  if (leads && trimEndAt(text, from + 1, end) === from + 1) return null;
  if (leads) from += 1;
  const cells: Segment[] = [];
  let cell = from;
  for (let at = from; at <= end; at += 1) {
    const char = text.charAt(at);
    if (at < end && char === '\\' && /^[\\|]$/.test(text.charAt(at + 1))) {
      at += 1;
      continue;
    }
    if (at < end && char !== '|') continue;
    const words = trimCell(text, cell, at);
    if (at < end || words.end > words.start) cells.push(words);
    cell = at + 1;
  }
  return cells;
}

function trimCell(text: string, from: number, end: number): Segment {
  let start = from;
  while (start < end && isBlank(text.charAt(start))) start += 1;
  return { start, end: trimEndAt(text, start, end) };
}

/** How many columns the line below a table's head gives; `null`: it is not such a line. */
export function countColumns(text: string, { start, end }: Segment): number | null {
  let columns = 0;
  let hasMarks = false;
  let at = start;
  const skipBlanks = () => {
    while (at < end && isBlank(text.charAt(at))) at += 1;
  };
  skipBlanks();
  if (text.charAt(at) === '|' && at < end) {
    hasMarks = true;
    at += 1;
    skipBlanks();
  }
  while (at < end) {
    if (text.charAt(at) === ':') {
      hasMarks = true;
      at += 1;
    }
    const dashes = at;
    while (at < end && text.charAt(at) === '-') at += 1;
    if (at === dashes) return null;
    columns += 1;
    if (at < end && text.charAt(at) === ':') {
      hasMarks = true;
      at += 1;
    }
    skipBlanks();
    if (at >= end) break;
    if (text.charAt(at) !== '|') return null;
    hasMarks = true;
    at += 1;
    skipBlanks();
  }
  return hasMarks && columns > 0 ? columns : null;
}
