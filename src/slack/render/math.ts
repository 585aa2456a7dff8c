import { endOf, type Parsed, type Range, startOf, walk } from './ast.ts';

const LEAVES = new Set(['paragraph', 'heading', 'tableCell']);
/** What is one thing by itself: a formula neither begins nor ends in it. */
const ATOMS = new Set(['inlineCode', 'link', 'linkReference', 'image', 'imageReference']);

/**
 * `$$…$$`, `$…$`, `\(…\)`, `\[…\]`. A single dollar opens only before and closes only behind something visible, and is
 * none next to letters or digits outside: prices and shell variables are no formulas.
 */
const FORMULA =
  /(?<![\\$])\$\$[^$`]{1,2000}?\$\$|(?<![\p{L}\p{N}$\\])\$(?![\s$])(?<inline>[^$`\n]{1,400}?)(?<![\s\\])\$(?![\p{L}\p{N}$])|(?<!\\)\\\((?<round>[^`]{1,1000}?)\\\)|(?<!\\)\\\[(?<square>[^`]{1,2000}?)\\\]/gu;
/** Words between dollars or escaped brackets are a formula only with one of these in them. */
const MATHS = /[\\^_={}<>]/;

/** Where formulas stand in the prose of a text. Slack knows none; what Markdown would make of their insides is wrong. */
export function findFormulas(parsed: Parsed): Range[] {
  const { text, tree } = parsed;
  if (!/\$|\\[([]/.test(text)) return [];
  const found: Range[] = [];
  for (const { node: leaf } of walk(tree)) {
    if (!LEAVES.has(leaf.type)) continue;
    const atoms: Range[] = [];
    for (const { node } of walk(leaf)) if (ATOMS.has(node.type)) atoms.push({ start: startOf(node), end: endOf(node) });
    for (const match of text.slice(startOf(leaf), endOf(leaf)).matchAll(FORMULA)) {
      const { inline, round, square } = match.groups ?? {};
      const inside = inline ?? round ?? square;
      if (inside !== undefined && !(MATHS.test(inside) || (inline !== undefined && !/\s/.test(inside)))) continue;
      const start = startOf(leaf) + match.index;
      const end = start + match[0].length;
      if (!atoms.some((atom) => atom.start < end && start < atom.end)) found.push({ start, end });
    }
  }
  return found;
}

/** What a character of a formula must be in Markdown to be seen as it was typed. */
export function escapeFormulaChar(char: string): string {
  return /[\\*_~[\]]/.test(char) ? `\\${char}` : char;
}

/** The text in such Markdown that its formulas are seen as typed. */
export function escapeFormulas(parsed: Parsed): string {
  let out = '';
  let at = 0;
  for (const { start, end } of findFormulas(parsed)) {
    out += parsed.text.slice(at, start) + [...parsed.text.slice(start, end)].map(escapeFormulaChar).join('');
    at = end;
  }
  return out + parsed.text.slice(at);
}
