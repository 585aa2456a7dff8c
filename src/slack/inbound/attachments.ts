import { z } from 'zod';
import type { Span } from '../../bridge/inbound.ts';
import { mrkdwnSpans } from './mrkdwn.ts';
import { richTextSpans } from './rich-text.ts';
import { isBlank, prefixLines, SpanBuilder } from './span-builder.ts';

const attachment = z.looseObject({
  blocks: z.array(z.looseObject({ type: z.string() })).optional(),
  is_msg_unfurl: z.boolean().optional(),
  is_share: z.boolean().optional(),
  author_name: z.string().optional(),
  text: z.string().optional(),
});

const list = z.array(z.unknown());

const table = z.looseObject({
  type: z.literal('table'),
  rows: z.array(z.array(z.looseObject({ type: z.string() }))).min(1),
});

function cellText(cell: { type: string; text?: unknown; value?: unknown }): string {
  if (cell.type === 'raw_text' && typeof cell.text === 'string') return cell.text;
  if (cell.type === 'raw_number' && typeof cell.value === 'number') return String(cell.value);
  const spans = cell.type === 'rich_text' ? richTextSpans([cell]) : null;
  return (spans ?? []).map((span) => (span.kind === 'text' ? span.text : '')).join('');
}

function tableText(rows: z.infer<typeof table>['rows']): string {
  const lines = rows.map(
    (row) => `| ${row.map((cell) => cellText(cell).replaceAll('|', '\\|').replace(/\s+/g, ' ').trim()).join(' | ')} |`,
  );
  const columns = Math.max(...rows.map((row) => row.length), 1);
  lines.splice(1, 0, `|${' --- |'.repeat(columns)}`);
  return lines.join('\n');
}

/**
 * What a person added to a message's text: pasted tables (Slack delivers them as attachments) and forwarded messages.
 * Link previews are left out, because Slack made them.
 */
export function attachmentSpans(attachments: unknown): Span[] {
  const parsed = list.safeParse(attachments);
  const out = new SpanBuilder();
  for (const item of parsed.success ? parsed.data : []) {
    const known = attachment.safeParse(item);
    if (!known.success) continue;
    const { blocks = [], is_msg_unfurl, is_share, author_name, text } = known.data;
    for (const candidate of blocks) {
      const found = table.safeParse(candidate);
      if (found.success) out.startLine().text(`\n${tableText(found.data.rows)}\n`);
    }
    if (!(is_msg_unfurl || is_share) || text === undefined) continue;
    const quoted = mrkdwnSpans(text);
    if (isBlank(quoted)) continue;
    const author = author_name ? ` of ${author_name.replace(/\s+/g, ' ').slice(0, 80)}` : '';
    out.startLine().text(`\n[forwarded message${author}]\n`);
    out.add(prefixLines(quoted, '> ', '> ')).text('\n');
  }
  return out.spans;
}
