import { isControl, isEscapable, isSpace } from './characters.ts';

/** CommonMark allows no more nested parentheses in a destination. */
const PARENTHESES = 32;
/** CommonMark's longest label. */
const LABEL_MAX = 999;

/** The offset after the white space at `at`. */
export function skipSpace(text: string, at: number): number {
  let next = at;
  while (next < text.length && isSpace(text.charAt(next))) next += 1;
  return next;
}

/** The end of the destination at `at`, or `null`. It may be empty only as `<>`. */
export function destinationEnd(text: string, at: number): number | null {
  return text.charAt(at) === '<' ? enclosedEnd(text, at) : rawEnd(text, at);
}

function enclosedEnd(text: string, at: number): number | null {
  for (let next = at + 1; next < text.length; next += 1) {
    const char = text.charAt(next);
    if (char === '>') return next + 1;
    if (char === '<' || char === '\n') return null;
    if (char === '\\' && isEscapable(text.charAt(next + 1))) next += 1;
  }
  return null;
}

function rawEnd(text: string, at: number): number | null {
  let open = 0;
  let next = at;
  for (; next < text.length; next += 1) {
    const char = text.charAt(next);
    if (char === '(') {
      open += 1;
      if (open > PARENTHESES) return null;
    } else if (char === ')') {
      if (open === 0) break;
      open -= 1;
    } else if (isSpace(char)) break;
    else if (isControl(char)) return null;
    else if (char === '\\' && isEscapable(text.charAt(next + 1))) next += 1;
  }
  return open === 0 && next > at ? next : null;
}

/** The end of the title that begins with the quote or parenthesis at `at`, or `null`. */
export function titleEnd(text: string, at: number): number | null {
  const open = text.charAt(at);
  if (open !== '"' && open !== "'" && open !== '(') return null;
  const close = open === '(' ? ')' : open;
  for (let next = at + 1; next < text.length; next += 1) {
    const char = text.charAt(next);
    if (char === close) return next + 1;
    if (char === '(' && open === '(') return null;
    if (char === '\\' && isEscapable(text.charAt(next + 1))) next += 1;
  }
  return null;
}

/** The offset after the `]` of the label that begins with the `[` at `at`; `null`: there is none. */
export function labelEnd(text: string, at: number): number | null {
  const most = Math.min(text.length, at + 2 + LABEL_MAX);
  for (let next = at + 1; next < most; next += 1) {
    const char = text.charAt(next);
    if (char === ']') return next + 1;
    if (char === '[') return null;
    if (char === '\\' && isEscapable(text.charAt(next + 1))) next += 1;
  }
  return null;
}

/**
 * Normalises a label: labels that differ only in case and white space are the same; `null`: it is blank or too long.
 */
export function identifierOf(label: string): string | null {
  if (label.length > LABEL_MAX) return null;
  const words = label.replace(/[\t\n\r ]+/g, ' ').replace(/^ | $/g, '');
  return words === '' ? null : words.toLowerCase().toUpperCase();
}
