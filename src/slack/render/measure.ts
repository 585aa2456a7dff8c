import { childrenOf, endOf, type Parsed, parseMarkdown } from './ast.ts';
import { dedent } from './dedent.ts';
import { LIMITS, type MarkdownLimits } from './limits.ts';
import type { Nodes, Table } from './parse/tree.ts';
import type { SplitState } from './part.ts';

/** The room that is left in a part after the text up to `at`; below 0: the part is full there. */
export interface Measured {
  at: number;
  left: number;
  /** How many lines with a `|` come directly before `at`, and whether one of them may be the line below a table's head. */
  barLines: number;
  hasRule: boolean;
  /** Of the line at `at`: whether it has a `|`, and whether it has only what such a line has. */
  hasBar: boolean;
  isRule: boolean;
  /** Where the part ends, because a table has as many rows as Slack shows; `null`: there is none. */
  longTableAt: number | null;
}

/**
 * Measures how much of the text fits into the part. Each character counts as the longest text that it may become in the
 * lean form.
 * @param known the result for the same part when the text was shorter, so that only the new text is measured
 */
export function measure(text: string, state: SplitState, limits: MarkdownLimits, known?: Measured): Measured {
  const measured = known ? { ...known } : measureStart(state, limits);
  while (measured.at < text.length && measured.left >= 0 && measured.longTableAt === null) {
    const unit = text.charCodeAt(measured.at);
    measured.left -= weightOf(unit);
    if (measured.left < 0) break;
    measured.at += 1;
    countBars(measured, unit);
    if (unit === NEWLINE && mayBeLongTable(measured) && endsWithLongTable(text, state, measured.at))
      measured.longTableAt = measured.at;
  }
  return measured;
}

function measureStart({ length, prefix }: SplitState, limits: MarkdownLimits): Measured {
  const left = limits.markdown - limits.markdownReserve;
  const measured: Measured = {
    at: length,
    left,
    barLines: 0,
    hasRule: false,
    hasBar: false,
    isRule: true,
    longTableAt: null,
  };
  for (let index = 0; index < prefix.length; index += 1) {
    measured.left -= weightOf(prefix.charCodeAt(index));
    countBars(measured, prefix.charCodeAt(index));
  }
  return measured;
}

const NEWLINE = 0x0a;
const BAR = 0x7c;
/** The characters of the line below a table's head, with the marks of quotes and lists around it. */
const RULE: ReadonlySet<number> = new Set(Array.from(' \t\r|:->*+', (char) => char.charCodeAt(0)));

/** Looks more and more rarely, because lines above a table may have a `|`, too, and each look costs a parse. */
function mayBeLongTable({ barLines, hasRule }: Measured): boolean {
  const beyond = barLines - LIMITS.tableRows - 2;
  return hasRule && beyond >= 0 && (beyond & (beyond - 1)) === 0;
}

function countBars(measured: Measured, unit: number): void {
  if (unit === BAR) measured.hasBar = true;
  if (unit !== NEWLINE) {
    if (!RULE.has(unit)) measured.isRule = false;
    return;
  }
  measured.barLines = measured.hasBar ? measured.barLines + 1 : 0;
  measured.hasRule = measured.hasBar && (measured.hasRule || measured.isRule);
  measured.hasBar = false;
  measured.isRule = true;
}

/** Whether the part up to `at` ends with a table of more rows than Slack shows. */
function endsWithLongTable(text: string, state: SplitState, at: number): boolean {
  const doc = state.prefix + dedent(text.slice(state.length, at), state.dedent).text;
  return findLongTable(parseMarkdown(doc)) !== null;
}

/** The table at the very end of a text, with its ancestors, if it has more rows than Slack shows. */
export function findLongTable({ tree, text }: Parsed): { table: Table; ancestors: Nodes[] } | null {
  const ancestors: Nodes[] = [];
  let node: Nodes | undefined = tree;
  while (node && node.type !== 'table') {
    ancestors.push(node);
    node = childrenOf(node).at(-1);
  }
  if (!node || node.children.length <= LIMITS.tableRows || text.slice(endOf(node)).trim() !== '') return null;
  return { table: node, ancestors };
}

/** The offset at which the part is full. */
export function windowEnd(text: string, state: SplitState, measured: Measured): number {
  const at = splitsCharacter(text, measured.at) ? measured.at - 1 : measured.at;
  return Math.max(at, Math.min(text.length, state.length + 2));
}

function weightOf(unit: number): number {
  // `<` and `>` become entities; @ ] | ` ~ may get a joiner, or must be closed again.
  if (unit === 0x3c || unit === 0x3e) return 4;
  return unit === 0x40 || unit === 0x5d || unit === 0x7c || unit === 0x60 || unit === 0x7e ? 2 : 1;
}

/** Whether a cut would part a surrogate pair or a CRLF. */
export function splitsCharacter(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return false;
  const [before, after] = [text.charCodeAt(at - 1), text.charCodeAt(at)];
  return (
    (before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff) || (before === 0x0d && after === 0x0a)
  );
}
