import { z } from 'zod';
import type { Span } from '../../bridge/inbound.ts';
import { cutSpans } from '../../bridge/text/cut-spans.ts';
import { fileLabel } from '../../bridge/text/file-label.ts';
import { oneLine } from '../../bridge/text/one-line.ts';
import { labelsText, layoutSpans } from './layout.ts';
import { decodeEntities, mrkdwnSpans } from './mrkdwn.ts';
import { richTextSpans } from './rich-text.ts';
import { isBlank, linkText, prefixLines, SpanBuilder } from './span-builder.ts';
import { messageSpans } from './spans.ts';

/** The parts of a message that hold what it says; any of them may be missing or malformed. */
export interface RawContent {
  text?: unknown;
  blocks?: unknown;
  attachments?: unknown;
}

export interface ContentOptions {
  /** Whether the previews that Slack made of links are read, too. Their words are those of the linked page. */
  hasPreviews?: boolean;
}

/** Characters of a message that are read; the rest is marked as cut. Slack itself stores at most 40,000 of text. */
const MOST_CHARACTERS = 60_000;
const PREVIEW_CHARACTERS = 300;
/** A forwarded message may hold another one; what lies deeper is left out. */
const DEEPEST = 3;

/** One field of a wrong type must not hide the others. */
const optionalText = z.string().nullish().catch(null);
const flag = z.boolean().nullish().catch(null);
const list = z.array(z.unknown()).nullish().catch(null);
const anything = z.unknown().optional();
const attachment = z.looseObject({
  is_msg_unfurl: flag,
  is_share: flag,
  is_app_unfurl: flag,
  from_url: optionalText,
  original_url: optionalText,
  pretext: optionalText,
  author_name: optionalText,
  title: optionalText,
  title_link: optionalText,
  text: optionalText,
  fields: list,
  blocks: anything,
  message_blocks: list,
  attachments: anything,
  files: list,
  actions: anything,
  footer: optionalText,
  fallback: optionalText,
  image_url: optionalText,
});
type Attachment = z.infer<typeof attachment>;
const field = z.looseObject({ title: optionalText, value: optionalText });
const messageBlock = z.looseObject({ message: z.looseObject({ blocks: anything }) });
const file = z.looseObject({ name: optionalText, title: optionalText, size: z.number().nullish().catch(null) });

/**
 * What people see of a message, as Markdown for the agent: its text, or the blocks that stand for it; then what is
 * attached: tables, forwarded messages, the texts of an app's attachments. Empty when it says nothing that can be read.
 */
export function contentSpans(message: RawContent, options: ContentOptions = {}): Span[] {
  return cutSpans(wordsOf(message, options, 0), MOST_CHARACTERS);
}

function wordsOf({ text, blocks, attachments }: RawContent, options: ContentOptions, depth: number): Span[] {
  const out = new SpanBuilder().add(bodySpans(typeof text === 'string' ? text : '', blocks));
  for (const item of Array.isArray(attachments) ? attachments : []) {
    const known = attachment.safeParse(item);
    if (!known.success) continue;
    const spans = attachedSpans(known.data, options, depth);
    // Some apps repeat their text in an attachment, for clients that show only one of the two.
    if (!isBlank(spans) && !contains(out.spans, spans)) out.startLine().add(spans);
  }
  return out.spans;
}

/** What is typed, or what an app wrote in blocks. `text` goes first where the blocks do not say the same. */
function bodySpans(text: string, blocks: unknown): Span[] {
  if (richTextSpans(blocks) !== null) return messageSpans({ text, blocks });
  const typed = mrkdwnSpans(text);
  const said = isPlaceholder(typed) ? typed.filter(({ kind }) => kind !== 'text') : typed;
  const laidOut = layoutSpans(blocks);
  if (isBlank(laidOut) || contains(said, laidOut)) return said;
  if (contains(laidOut, said)) return laidOut;
  return new SpanBuilder().add(said).startLine().add(laidOut).spans;
}

function attachedSpans(attached: Attachment, options: ContentOptions, depth: number): Span[] {
  if (attached.is_share || attached.is_msg_unfurl) return forwardedSpans(attached, options, depth);
  // Slack gives a link's address to each preview; what an app attaches has none.
  const url = attached.from_url || attached.original_url;
  if (url || attached.is_app_unfurl) return options.hasPreviews ? previewSpans(attached, url ?? null) : [];
  return appSpans(attached, options, depth);
}

function forwardedSpans(attached: Attachment, options: ContentOptions, depth: number): Span[] {
  const { author_name, text, message_blocks, blocks, attachments, files } = attached;
  const author = oneLine((author_name ?? '').replace(/[\]]/g, ' '), 80) || 'someone';
  const inner = new SpanBuilder();
  for (const item of message_blocks ?? []) {
    const spans = bodySpans('', messageBlock.safeParse(item).data?.message.blocks);
    if (!isBlank(spans)) inner.startLine().add(spans);
  }
  if (isBlank(inner.spans)) inner.add(bodySpans(text ?? '', blocks));
  if (depth < DEEPEST && attachments !== undefined) {
    const nested = wordsOf({ attachments }, options, depth + 1);
    if (!isBlank(nested)) inner.startLine().add(nested);
  }
  for (const item of files ?? []) {
    const known = file.safeParse(item).data;
    if (known) inner.startLine().text(fileLabel({ name: known.name || known.title || '', size: known.size ?? null }));
  }
  if (isBlank(inner.spans)) inner.add(mrkdwnSpans(attached.fallback ?? ''));
  if (isBlank(inner.spans)) return [{ kind: 'text', text: `\n[message of ${author} that cannot be read here]\n` }];
  // What Slack shows below a link is not what its author forwarded.
  const isLinked = !attached.is_share && attached.from_url;
  const what = isLinked ? `message of ${author} behind ${attached.from_url}` : `forwarded message of ${author}`;
  const out = new SpanBuilder().text(`\n[${what}]\n`);
  return out.add(prefixLines(inner.spans, '> ', '> ')).text('\n').spans;
}

function previewSpans({ title, text, fallback }: Attachment, url: string | null): Span[] {
  const words = [title, text].filter(Boolean).join(': ') || (fallback ?? '');
  const shown = oneLine(plain(mrkdwnSpans(words)), PREVIEW_CHARACTERS);
  return shown === '' ? [] : [{ kind: 'text', text: `[preview of ${url ?? 'a link'}: ${shown}]` }];
}

/** An attachment of an app, in the order in which Slack shows it. */
function appSpans(attached: Attachment, options: ContentOptions, depth: number): Span[] {
  const { pretext, author_name, title, title_link, text, fields, actions, footer, fallback, image_url } = attached;
  const out = new SpanBuilder();
  const addLine = (spans: readonly Span[]) => {
    if (!isBlank(spans)) out.startLine().add(spans);
  };
  const line = (words: string): Span[] => [{ kind: 'text', text: words }];
  addLine(mrkdwnSpans(pretext ?? ''));
  addLine(line(decodeEntities(author_name ?? '')));
  const label = plain(mrkdwnSpans(title ?? ''));
  const named = title_link ? linkText(decodeEntities(title_link), label) : label;
  addLine(line(named === '' ? '' : `**${named}**`));
  addLine(mrkdwnSpans(text ?? ''));
  for (const item of fields ?? []) {
    const { title: name, value } = field.safeParse(item).data ?? {};
    const spans = mrkdwnSpans(value ?? '');
    const words =
      isBlank(spans) && !name ? [] : new SpanBuilder().text(`- ${plain(mrkdwnSpans(name ?? ''))}: `).add(spans);
    if (!Array.isArray(words)) addLine(words.spans);
  }
  addLine(layoutSpans(attached.blocks));
  if (depth < DEEPEST && attached.attachments !== undefined) {
    addLine(wordsOf({ attachments: attached.attachments }, options, depth + 1));
  }
  addLine(line(labelsText(actions)));
  if (image_url) addLine(line(isBlank(out.spans) && fallback ? `[image: ${decodeEntities(fallback)}]` : '[image]'));
  addLine(mrkdwnSpans(footer ?? ''));
  return isBlank(out.spans) ? mrkdwnSpans(fallback ?? '') : out.spans;
}

function plain(spans: readonly Span[]): string {
  return spans.map((span) => (span.kind === 'text' ? span.text : `@${'id' in span ? span.id : span.range}`)).join('');
}

/** Whether `spans` already says all words of `other`. Short words may stand in a text by chance, so they count as new. */
function contains(spans: readonly Span[], other: readonly Span[]): boolean {
  const [all, part] = [lettersOf(spans), lettersOf(other)];
  return part === all || part === '' || (part.length >= 20 && all.includes(part));
}

function lettersOf(spans: readonly Span[]): string {
  return plain(spans)
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '');
}

/** What Slack writes into `text` when all words are in blocks or attachments (docs/slack.md, Learned since). */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  'this content cant be displayed',
  'this message contains interactive elements',
  'no preview available',
]);

/** Whether the words of a message are only Slack’s placeholder for content that it cannot show as text. */
function isPlaceholder(spans: readonly Span[]): boolean {
  const words = spans.map((span) => (span.kind === 'text' ? span.text : '')).join('');
  return (
    words.length < 100 &&
    PLACEHOLDERS.has(
      words
        .toLowerCase()
        .replace(/[^a-z ]/g, '')
        .trim(),
    )
  );
}

/** Whether there was something to read besides text: layout or attachments. */
export function hasMoreThanText({ text, blocks, attachments }: RawContent): boolean {
  const isLayout = (block: unknown) =>
    typeof block === 'object' && block !== null && 'type' in block && block.type !== 'rich_text';
  const hasPlaceholder = typeof text === 'string' && isPlaceholder(mrkdwnSpans(text));
  return (
    hasPlaceholder ||
    (Array.isArray(attachments) && attachments.length > 0) ||
    (Array.isArray(blocks) && blocks.some(isLayout))
  );
}
