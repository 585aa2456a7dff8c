import { type Parsed, parseMarkdown, walk } from './ast.ts';
import { openLink, openMarks, withFenceClosed } from './half-written.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMarkdown } from './neutralize.ts';
import { markdownOf, type TextPart } from './split.ts';

export interface RenderedMarkdown {
  /** For one `markdown` block; empty when nothing would be seen. */
  markdown: string;
  /** The first words, as they are: not neutralised. */
  summary: string;
}

/**
 * A part as valid Slack Markdown.
 * @param growing whether it is shown half-written: then open marks are closed and a half-written link shows its label.
 */
export function renderMarkdown(part: TextPart, growing: boolean, limit: number = LIMITS.markdown): RenderedMarkdown {
  const doc = markdownOf(part);
  if (part.source.trim() === '') return { markdown: '', summary: '' };
  let parsed = parseMarkdown(growing ? withoutHalfCharacter(doc) : doc);
  const summary = summaryOf(parsed.tree);
  const fenced = withFenceClosed(parsed);
  if (fenced !== null) parsed = parseMarkdown(fenced);
  else if (growing) parsed = withMarksClosed(parsed);
  const full = neutralizeMarkdown(parsed);
  return { markdown: full.length <= limit ? full : neutralizeMarkdown(parsed, 'lean'), summary };
}

function withMarksClosed(parsed: Parsed): Parsed {
  const link = openLink(parsed);
  const labelled = link ? parseMarkdown(parsed.text.slice(0, link.start) + link.label) : parsed;
  const marks = openMarks(labelled).toReversed().join('');
  return marks === '' ? labelled : parseMarkdown(labelled.text.trimEnd() + marks);
}

function withoutHalfCharacter(text: string): string {
  return /[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text;
}

/** The first plain words, enough for a notification. */
function summaryOf(tree: Parsed['tree']): string {
  let words = '';
  for (const { node } of walk(tree)) {
    if (words.length > LIMITS.summary * 2) break;
    if (node.type === 'paragraph' || node.type === 'heading' || node.type === 'listItem' || node.type === 'tableCell')
      words += ' ';
    if ('value' in node) words += node.type === 'code' ? ` ${node.value}` : node.value;
    else if (node.type === 'break') words += ' ';
  }
  return words.replace(/\s+/g, ' ').trim();
}
