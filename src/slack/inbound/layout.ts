import type { Span } from '../../bridge/inbound.ts';
import { decodeEntities, mrkdwnSpans } from './mrkdwn.ts';
import { knownRichTextSpans } from './rich-text.ts';
import { isBlank, linkText, SpanBuilder } from './span-builder.ts';
import { tableText } from './tables.ts';

type Fields = Record<string, unknown>;

/** Blocks lie in blocks (container, carousel); deeper ones are left out. */
const DEEPEST = 4;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.filter(isFields) : [];
}

/** A text object, or a plain string where a block has one. */
function textSpans(value: unknown): Span[] {
  if (typeof value === 'string') return new SpanBuilder().text(decodeEntities(value)).spans;
  if (!isFields(value)) return [];
  if (value.type === 'mrkdwn' && typeof value.text === 'string') return mrkdwnSpans(value.text);
  if (value.type === 'plain_text' && typeof value.text === 'string') return textSpans(value.text);
  return value.type === 'rich_text' ? knownRichTextSpans([value]) : [];
}

function plainText(value: unknown): string {
  const words = textSpans(value).map((span) => (span.kind === 'text' ? span.text : ''));
  return words.join('').replace(/\s+/g, ' ').trim();
}

function imageText({ alt_text, title }: Fields): string {
  const words = [plainText(title), plainText(alt_text)].filter((each) => each !== '');
  return `[image${words.length > 0 ? `: ${[...new Set(words)].join(', ')}` : ''}]`;
}

/** The label of a button or menu, with what is chosen in it and where it leads. */
function elementText(element: Fields): string {
  if (element.type === 'image') return imageText(element);
  const label = plainText(element.text) || plainText(element.placeholder);
  const chosen = [element.initial_option, ...listOf(element.initial_options)]
    .map((option) => (isFields(option) ? plainText(option.text) : ''))
    .filter((each) => each !== '');
  const url = typeof element.url === 'string' ? decodeEntities(element.url) : null;
  const words = [label, ...chosen].filter((each) => each !== '').join(' ');
  return url !== null && words !== '' ? linkText(url, words) : words;
}

/** Labels of buttons and menus in one line; empty when there are none. */
export function labelsText(elements: unknown): string {
  const labels = listOf(elements)
    .map(elementText)
    .filter((each) => each !== '');
  return labels.length === 0 ? '' : `[buttons: ${labels.join(' · ')}]`;
}

function videoText(block: Fields): string {
  const { title, description, title_url, alt_text } = block;
  const name = plainText(title) || plainText(alt_text);
  const url = typeof title_url === 'string' ? linkText(decodeEntities(title_url), name) : name;
  return [`[video: ${url}]`, plainText(description)].filter((each) => each !== '').join('\n');
}

/** Fields of blocks that hold words people see, in the order in which Slack shows them. */
const SHOWN = ['title', 'subtitle', 'caption', 'text', 'body', 'label', 'description', 'details', 'output', 'subtext'];
const NESTED = ['elements', 'children', 'blocks', 'cards', 'items', 'tasks'];

/** Blocks that Slack adds over the years (alert, card, plan …) are built of the same parts: their texts, then what lies in them. */
function otherSpans(block: Fields, depth: number): Span[] {
  const out = new SpanBuilder();
  if (typeof block.alt_text === 'string') out.text(imageText({ alt_text: block.alt_text }));
  for (const name of SHOWN) {
    const spans = textSpans(block[name]);
    if (!isBlank(spans)) out.startLine().add(spans);
  }
  for (const name of NESTED) {
    const inner = layoutSpans(block[name], depth + 1);
    if (!isBlank(inner)) out.startLine().add(inner);
  }
  const labels = labelsText(block.actions);
  if (labels !== '') out.startLine().text(labels);
  return out.spans;
}

function sectionSpans({ text, fields, accessory }: Fields): Span[] {
  const out = new SpanBuilder().add(textSpans(text));
  for (const field of listOf(fields)) {
    const spans = textSpans(field);
    // Slack shows a field's name and value in two lines of one cell.
    const joined = spans.map((span) =>
      span.kind === 'text' ? { ...span, text: span.text.replace(/\s*\n\s*/g, ' ') } : span,
    );
    if (!isBlank(joined)) out.startLine().text('- ').add(joined);
  }
  if (isFields(accessory)) {
    const label = accessory.type === 'image' ? imageText(accessory) : labelsText([accessory]);
    if (label !== '') out.startLine().text(label);
  }
  return out.spans;
}

function contextSpans({ elements }: Fields): Span[] {
  const out = new SpanBuilder();
  for (const element of listOf(elements)) {
    const spans: Span[] = element.type === 'image' ? [{ kind: 'text', text: imageText(element) }] : textSpans(element);
    if (isBlank(spans)) continue;
    if (out.spans.length > 0) out.text(' ');
    out.add(spans);
  }
  return out.spans;
}

function blockSpans(block: Fields, depth: number): Span[] {
  const line = (text: string): Span[] => (text === '' ? [] : [{ kind: 'text', text }]);
  switch (block.type) {
    case 'divider':
      return [];
    case 'rich_text':
      return knownRichTextSpans([block]);
    case 'section':
      return sectionSpans(block);
    case 'header': {
      const text = plainText(block.text);
      return line(text === '' ? '' : `**${text}**`);
    }
    case 'context':
      return contextSpans(block);
    case 'markdown':
      return typeof block.text === 'string' ? markdownSpans(block.text) : [];
    case 'image':
      return line(imageText(block));
    case 'video':
      return line(videoText(block));
    case 'actions':
      return line(labelsText(block.elements));
    case 'context_actions':
      return [];
    case 'table':
    case 'data_table': {
      const text = tableText(block);
      return line(text === null ? '' : `\n${text}\n`);
    }
    default:
      return otherSpans(block, depth);
  }
}

/** Markdown stays as it is; only Slack's own tokens in it are read. */
function markdownSpans(text: string): Span[] {
  return mrkdwnSpans(text, { keepsMarks: true });
}

/** All that people see of blocks of any kind, a line or more for each. Never throws; what is no block is left out. */
export function layoutSpans(blocks: unknown, depth = 0): Span[] {
  const out = new SpanBuilder();
  if (depth > DEEPEST) return [];
  for (const block of listOf(blocks)) {
    const spans = block.type === 'mrkdwn' || block.type === 'plain_text' ? textSpans(block) : blockSpans(block, depth);
    if (!isBlank(spans)) out.startLine().add(spans);
  }
  return out.spans;
}
