import { endOf, type Parsed, type Range, startOf, walk } from './ast.ts';

const LEAVES = new Set(['paragraph', 'heading', 'tableCell']);
/** A formula must not overlap one of these. */
const ATOMS = new Set(['inlineCode', 'link', 'linkReference', 'image', 'imageReference']);

/**
 * `$$…$$`, `$…$`, `\(…\)`, `\[…\]`. A single dollar counts only next to a visible character inside and not next to a
 * letter or digit outside, so that prices and shell variables are not formulas.
 */
const FORMULA =
  /(?<![\\$])\$\$[^$`]{1,2000}?\$\$|(?<![\p{L}\p{N}$\\])\$(?![\s$])(?<inline>[^$`\n]{1,400}?)(?<![\s\\])\$(?![\p{L}\p{N}$])|(?<!\\)\\\((?<round>[^`]{1,1000}?)\\\)|(?<!\\)\\\[(?<square>[^`]{1,2000}?)\\\]/gu;
/** Several words between dollars or escaped brackets are a formula only if they contain one of these. */
const MATHS = /[\\^_={}<>]/;

/** Finds the formulas in a text. Slack does not know formulas, and would read marks inside them as Markdown. */
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

/** Escapes a character of a formula, so that Slack shows it as typed. */
export function escapeFormulaChar(char: string): string {
  return /[\\*_~[\]]/.test(char) ? `\\${char}` : char;
}

/** The text with its formulas escaped, so that Slack shows them as typed. */
export function escapeFormulas(parsed: Parsed): string {
  let out = '';
  let at = 0;
  for (const { start, end } of findFormulas(parsed)) {
    out += parsed.text.slice(at, start) + [...parsed.text.slice(start, end)].map(escapeFormulaChar).join('');
    at = end;
  }
  return out + parsed.text.slice(at);
}
