import { isBlank, unescapeMarkdown } from './characters.ts';
import type { Content } from './content.ts';
import { destinationEnd, identifierOf, labelEnd, skipSpace, titleEnd } from './destinations.ts';

export interface FoundDefinition {
  /** Offsets in the content; the line's end is not included. */
  start: number;
  end: number;
  colon: number;
  identifier: string;
  url: string;
}

/** The definitions at a paragraph's start, and where the rest begins. */
export function findDefinitions({ text }: Content): { found: FoundDefinition[]; rest: number } {
  const found: FoundDefinition[] = [];
  let at = 0;
  while (text.charAt(at) === '[') {
    const one = definitionAt(text, at);
    if (!one) break;
    found.push(one);
    at = one.end + 1;
  }
  return { found, rest: Math.min(at, text.length) };
}

function definitionAt(text: string, start: number): FoundDefinition | null {
  const label = labelEnd(text, start);
  if (label === null || text.charAt(label) !== ':') return null;
  const identifier = identifierOf(text.slice(start + 1, label - 1));
  if (identifier === null) return null;
  const from = skipSpace(text, label + 1);
  const to = destinationEnd(text, from);
  if (to === null) return null;
  const raw = text.charAt(from) === '<' ? text.slice(from + 1, to - 1) : text.slice(from, to);
  const found = { start, colon: label, identifier, url: unescapeMarkdown(raw) };
  const space = skipSpace(text, to);
  const title = space > to ? titleEnd(text, space) : null;
  const titled = title === null ? null : endOfLine(text, title);
  if (titled !== null) return { ...found, end: titled };
  const untitled = endOfLine(text, to);
  return untitled === null ? null : { ...found, end: untitled };
}

/** The end of the line, if only blanks are left; else `null`. */
function endOfLine(text: string, at: number): number | null {
  let end = at;
  while (end < text.length && isBlank(text.charAt(end))) end += 1;
  return end === text.length || text.charAt(end) === '\n' ? end : null;
}
