import { endOf, startOf } from './ast.ts';
import type { Table } from './parse/tree.ts';

/** Characters. A wider cell is not padded, so that one long cell does not widen all rows. */
const WIDEST = 40;
/** Characters that padding may add to a table; a table that would need more is left as typed. */
const ADDED_MOST = 2_000;
/** Drawn two columns wide in a monospaced font. */
const WIDE =
  /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\p{Emoji_Presentation}\u{20000}-\u{3FFFD}]/u;
const MARK = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** The lines of a table with its columns aligned, as it is read in code; `null`: it is better left as typed. */
export function paddedTable(text: string, table: Table): string[] | null {
  const rows = table.children.map((row) =>
    row.children.map((cell) => text.slice(startOf(cell), endOf(cell)).replaceAll('\n', ' ').trim()),
  );
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(3, ...rows.map((row) => Math.min(WIDEST, widthOf(row[column] ?? '')))),
  );
  const ruleLine = text.slice(startOf(table), endOf(table)).split('\n')[1] ?? '';
  const sides = [...ruleLine.matchAll(/(:?)-+(:?)/g)].map(([, left = '', right = '']) => ({ left, right }));
  const lines = rows.map(
    (row) => `| ${widths.map((width, column) => pad(row[column] ?? '', width, sides[column])).join(' | ')} |`,
  );
  const rule = `| ${widths.map((width, column) => ruleOf(width, sides[column])).join(' | ')} |`;
  const [head = '', ...body] = lines;
  const padded = [head, rule, ...body];
  const length = padded.reduce((sum, line) => sum + line.length + 1, 0);
  return length - (endOf(table) - startOf(table)) > ADDED_MOST ? null : padded;
}

/** The colons of a column in the line below the table's head. */
interface Sides {
  left: string;
  right: string;
}

function pad(cell: string, width: number, { left, right }: Sides = { left: '', right: '' }): string {
  const spaces = ' '.repeat(Math.max(0, width - widthOf(cell)));
  return left === '' && right === ':' ? spaces + cell : cell + spaces;
}

function ruleOf(width: number, { left, right }: Sides = { left: '', right: '' }): string {
  return `${left}${'-'.repeat(width - left.length - right.length)}${right}`;
}

function widthOf(cell: string): number {
  let width = 0;
  for (const char of cell) {
    if (MARK.test(char)) continue;
    width += WIDE.test(char) ? 2 : 1;
    if (width > 2 * WIDEST) break;
  }
  return width;
}
