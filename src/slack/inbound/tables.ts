import { z } from 'zod';
import { richTextSpans } from './rich-text.ts';

const table = z.looseObject({
  type: z.enum(['table', 'data_table']),
  caption: z.string().nullish(),
  rows: z.array(z.array(z.looseObject({ type: z.string() }))).min(1),
});

function cellText(cell: { type: string; text?: unknown; value?: unknown }): string {
  if (cell.type === 'raw_text' && typeof cell.text === 'string') return cell.text;
  if (cell.type === 'raw_number' && typeof cell.value === 'number') return String(cell.value);
  const spans = cell.type === 'rich_text' ? richTextSpans([cell]) : null;
  return (spans ?? []).map((span) => (span.kind === 'text' ? span.text : '')).join('');
}

function rowsText(rows: z.infer<typeof table>['rows']): string {
  const lines = rows.map(
    (row) => `| ${row.map((cell) => cellText(cell).replaceAll('|', '\\|').replace(/\s+/g, ' ').trim()).join(' | ')} |`,
  );
  const columns = Math.max(...rows.map((row) => row.length), 1);
  lines.splice(1, 0, `|${' --- |'.repeat(columns)}`);
  return lines.join('\n');
}

/** A `table` or `data_table` block as a Markdown table below its caption; `null` for every other value. */
export function tableText(block: unknown): string | null {
  const parsed = table.safeParse(block);
  if (!parsed.success) return null;
  const { caption, rows } = parsed.data;
  return caption ? `${caption}\n${rowsText(rows)}` : rowsText(rows);
}
