import { endOf, lineStart, type Parsed, parseMarkdown, type Range, startOf, walk } from './ast.ts';
import { hostBehind, hostOf, safeUrl } from './links.ts';
import { findFormulas } from './math.ts';
import type { Nodes, TableCell } from './parse/tree.ts';

/** The name of a person by their id, if it is known; foreign text. */
export type NameOf = (id: string) => string | undefined;

/** `<url|label>` and `<@U…>`, as Slack writes links and people. */
const TOKEN =
  /(?<!\\)<(?:(?<url>(?:https?:\/\/|mailto:)[^\s<>|]{1,2000})\|(?<label>[^<>|\n]{1,300})|@(?<person>[UW][A-Z0-9]{2,20})(?:\|[^<>|\n]{0,80})?)>/g;
/** What a terminal reads as colours, cursor moves and links; one may be cut off at the text's end. */
const TERMINAL_CODE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /\u001b(?:\[[0-?]{0,40}[ -/]{0,4}(?:[@-~]|$)|\][^\u0007\u001b\n]{0,2000}(?:\u0007|\u001b\\|$)|[@-Z\\^_]|$)/g;
const LINE_BREAK = /<br[ \t]*\/?>/giu;
/** A longer line is a sentence in italics, not a heading. */
const HEADING_MAX = 80;

interface Edit extends Range {
  text: string;
}

/** A model's text without terminal codes, which Markdown would take for brackets. */
export function dropTerminalCodes(text: string): string {
  return text.includes('\u001b') ? text.replace(TERMINAL_CODE, '') : text;
}

/**
 * Translates what models write for Slack, though they were asked for Markdown: `<url|label>` becomes a link that shows
 * its host, `<@U…>` the person's name, and `*x*` bold where it is a heading or a label. `<br>` in a table's cell becomes
 * a space. Whatever stands in code, formulas and links is left as it is.
 */
export function translateSlackMarkup(parsed: Parsed, nameOf: NameOf | undefined): Parsed {
  const edits = findEdits(parsed, nameOf).sort((a, b) => a.start - b.start || a.end - b.end);
  if (edits.length === 0) return parsed;
  let out = '';
  let at = 0;
  for (const { start, end, text } of edits) {
    if (start < at) continue;
    out += parsed.text.slice(at, start) + text;
    at = end;
  }
  return parseMarkdown(out + parsed.text.slice(at), parsed.definitions);
}

function findEdits(parsed: Parsed, nameOf: NameOf | undefined): Edit[] {
  const { text, tree } = parsed;
  const hasTokens = text.includes('<');
  const atoms: Range[] = [];
  const edits: Edit[] = [];
  for (const { node, ancestors } of walk(tree)) {
    if (isAtom(node)) atoms.push({ start: startOf(node), end: endOf(node) });
    if (node.type === 'tableCell' && hasTokens) edits.push(...lineBreaksIn(text, node));
    if (node.type === 'emphasis' && isBoldInSlack(text, node, ancestors)) {
      edits.push({ start: startOf(node), end: startOf(node), text: '*' });
      edits.push({ start: endOf(node), end: endOf(node), text: '*' });
    }
  }
  if (!hasTokens) return edits;
  const closed = [...atoms, ...findFormulas(parsed)].sort((a, b) => a.start - b.start);
  let next = 0;
  for (const match of text.matchAll(TOKEN)) {
    const range = { start: match.index, end: match.index + match[0].length };
    while ((closed[next]?.end ?? Number.POSITIVE_INFINITY) <= range.start) next += 1;
    const around = closed[next];
    // Markdown itself takes `<https://…|word>` for a link, which is this token.
    const isOther = around && around.start < range.end && !(around.start >= range.start && around.end <= range.end);
    const shown = isOther ? null : textOf(match.groups ?? {}, nameOf);
    if (shown !== null) edits.push({ ...range, text: shown });
  }
  return edits;
}

function isAtom({ type }: Nodes): boolean {
  return /^(?:code|inlineCode|link|linkReference|image|imageReference|definition|table)$/.test(type);
}

function textOf({ url, label, person }: Record<string, string | undefined>, nameOf: NameOf | undefined): string | null {
  if (person !== undefined) {
    const name = nameOf?.(person);
    return name === undefined ? null : `@${escapeMarkdown(name)}`;
  }
  const target = safeUrl(url ?? '');
  if (target === null || label === undefined) return null;
  const host = hostOf(target);
  // Where the label may mislead, the host is shown as behind every such link.
  const isShown = hostBehind(label, target) !== null || label.toLowerCase().includes(host.toLowerCase());
  return `[${escapeMarkdown(label)}](${target})${isShown ? '' : ` (${host})`}`;
}

function escapeMarkdown(words: string): string {
  return words
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\\`*_~[\]<>!|$]/g, '\\$&');
}

/** Slack shows `<br>` in a cell as typed, and a cell has one line. */
function lineBreaksIn(text: string, cell: TableCell): Edit[] {
  const typed = cell.children.filter(({ type }) => type === 'inlineCode');
  return [...text.slice(startOf(cell), endOf(cell)).matchAll(LINE_BREAK)].flatMap((match) => {
    const start = startOf(cell) + match.index;
    const isTyped = typed.some((node) => startOf(node) <= start && start < endOf(node));
    return isTyped ? [] : [{ start, end: start + match[0].length, text: ' ' }];
  });
}

/**
 * Whether `*x*` is bold, as in Slack's markup, and not italic, as in Markdown: it is alone on its line like a heading,
 * or it is the label at a line's start, with a colon.
 */
function isBoldInSlack(text: string, node: Nodes, ancestors: readonly Nodes[]): boolean {
  const [start, end] = [startOf(node), endOf(node)];
  if (text.charAt(start) !== '*' || text.charAt(start - 1) === '*' || text.charAt(end) === '*') return false;
  if (end - start > HEADING_MAX || ancestors.some(({ type }) => type === 'emphasis' || type === 'strong')) return false;
  const words = text.slice(start + 1, end - 1);
  const before = text.slice(lineStart(text, start), start);
  if (/^\*|\n/.test(words) || !/^[\s>]{0,20}(?:(?:[-+*•]|\d{1,9}[.)])[ \t]{1,4})?$/.test(before)) return false;
  if (words.endsWith(':') || text.charAt(end) === ':') return true;
  const newline = text.indexOf('\n', end);
  const after = text.slice(end, newline < 0 ? text.length : newline);
  return after.trim() === '' && !/[.!?…]$/.test(words);
}
