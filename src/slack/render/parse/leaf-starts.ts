import { isBlank, isDigit } from './characters.ts';
import type { Line } from './line.ts';

/** The first line of a fence: its character, its length, and the words after it. */
export interface Fence {
  char: string;
  length: number;
  info: string;
}

function runLength(text: string, at: number, end: number): number {
  const char = text.charAt(at);
  let next = at;
  while (next < end && text.charAt(next) === char) next += 1;
  return next - at;
}

export function fenceAt(line: Line): Fence | null {
  const { char, text, next, end } = line;
  if (char !== '`' && char !== '~') return null;
  const length = runLength(text, next, end);
  if (length < 3) return null;
  const info = text.slice(next + length, end);
  return char === '`' && info.includes('`') ? null : { char, length, info: info.trim() };
}

export function closesFence(line: Line, { char, length }: Fence): boolean {
  if (line.char !== char || line.indent > 3) return false;
  const own = runLength(line.text, line.next, line.end);
  return own >= length && isBlankUntil(line.text, line.next + own, line.end);
}

function isBlankUntil(text: string, from: number, end: number): boolean {
  for (let at = from; at < end; at += 1) if (!isBlank(text.charAt(at))) return false;
  return true;
}

/** The words of a heading's line; `null`: it is not a heading. */
export function headingAt(line: Line): { start: number; end: number } | null {
  const { text, next, end } = line;
  if (line.char !== '#') return null;
  const length = runLength(text, next, end);
  let from = next + length;
  if (length > 6 || (from < end && !isBlank(text.charAt(from)))) return null;
  while (from < end && isBlank(text.charAt(from))) from += 1;
  let to = trimEndAt(text, from, end);
  let marks = to;
  while (marks > from && text.charAt(marks - 1) === '#') marks -= 1;
  if (marks < to && (marks === from || isBlank(text.charAt(marks - 1)))) to = trimEndAt(text, from, marks);
  return { start: from, end: to };
}

export function trimEndAt(text: string, from: number, end: number): number {
  let to = end;
  while (to > from && isBlank(text.charAt(to - 1))) to -= 1;
  return to;
}

/** The line under a heading. */
export function isUnderline(line: Line): boolean {
  const { char, text, next, end } = line;
  return (char === '=' || char === '-') && isBlankUntil(text, next + runLength(text, next, end), end);
}

export function isThematicBreak(line: Line): boolean {
  const { char, text, next, end } = line;
  if (char !== '*' && char !== '-' && char !== '_') return false;
  let marks = 0;
  for (let at = next; at < end; at += 1) {
    const here = text.charAt(at);
    if (here === char) marks += 1;
    else if (!isBlank(here)) return false;
  }
  return marks >= 3;
}

/** A list item's mark. */
export interface Bullet {
  /** Items with the same are of one list. */
  kind: string;
  /** `null`: the bullet has no number. */
  number: number | null;
  length: number;
  /** Whether only blanks follow it. */
  isEmpty: boolean;
}

export function bulletAt(line: Line): Bullet | null {
  const { char, text, next, end } = line;
  let length = 1;
  let kind = char;
  let number: number | null = null;
  if (isDigit(char)) {
    while (length < 10 && isDigit(text.charAt(next + length))) length += 1;
    kind = next + length < end ? text.charAt(next + length) : '';
    if (length > 9 || (kind !== '.' && kind !== ')')) return null;
    number = Number(text.slice(next, next + length));
    length += 1;
  } else if (char !== '-' && char !== '+' && char !== '*') return null;
  const behind = next + length;
  if (behind < end && !isBlank(text.charAt(behind))) return null;
  return { kind, number, length, isEmpty: isBlankUntil(text, behind, end) };
}
