import { z } from 'zod';
import type { Span } from '../../bridge/inbound.ts';
import { fenced, inlineCode, linkText, prefixLines, SpanBuilder } from './span-builder.ts';

const style = z
  .looseObject({
    bold: z.boolean().optional(),
    italic: z.boolean().optional(),
    strike: z.boolean().optional(),
    code: z.boolean().optional(),
  })
  .optional();
type Style = z.infer<typeof style>;

const inline = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('text'), text: z.string(), style }),
  z.looseObject({ type: z.literal('link'), url: z.string(), text: z.string().optional(), style }),
  z.looseObject({ type: z.literal('user'), user_id: z.string(), style }),
  z.looseObject({ type: z.literal('usergroup'), usergroup_id: z.string(), style }),
  z.looseObject({ type: z.literal('channel'), channel_id: z.string(), style }),
  z.looseObject({ type: z.literal('broadcast'), range: z.enum(['here', 'channel', 'everyone']), style }),
  z.looseObject({ type: z.literal('emoji'), name: z.string(), unicode: z.string().optional(), style }),
  z.looseObject({ type: z.literal('date'), timestamp: z.number(), fallback: z.string(), style }),
  z.looseObject({ type: z.literal('color'), value: z.string(), style }),
]);
type Inline = z.infer<typeof inline>;

const section = z.looseObject({ type: z.literal('rich_text_section'), elements: z.array(inline) });
const block = z.discriminatedUnion('type', [
  section,
  z.looseObject({
    type: z.literal('rich_text_list'),
    style: z.enum(['bullet', 'ordered']),
    indent: z.number().int().min(0).max(20).optional(),
    offset: z.number().int().min(0).optional(),
    elements: z.array(section),
  }),
  z.looseObject({ type: z.literal('rich_text_quote'), elements: z.array(inline) }),
  z.looseObject({
    type: z.literal('rich_text_preformatted'),
    elements: z.array(inline),
    language: z.string().optional(),
  }),
]);
type Block = z.infer<typeof block>;

const richText = z.array(z.looseObject({ type: z.literal('rich_text'), elements: z.array(block) })).min(1);

/** An element without formatting; inside code a link is shown as it was typed. */
function bareSpan(element: Inline, isInCode: boolean): Span {
  switch (element.type) {
    case 'text':
      return { kind: 'text', text: element.text };
    case 'link': {
      const label = element.text ?? null;
      return { kind: 'text', text: isInCode ? (label ?? element.url) : linkText(element.url, label) };
    }
    case 'user':
      return { kind: 'user', id: element.user_id };
    case 'usergroup':
      return { kind: 'group', id: element.usergroup_id, name: null };
    case 'channel':
      return { kind: 'channel', id: element.channel_id, name: null };
    case 'broadcast':
      return { kind: 'broadcast', range: element.range };
    case 'emoji':
      return { kind: 'text', text: `:${element.name}:` };
    case 'date':
      return { kind: 'text', text: element.fallback };
    case 'color':
      return { kind: 'text', text: element.value };
    default:
      return element satisfies never;
  }
}

const MARKS: readonly [keyof NonNullable<Style>, string][] = [
  ['bold', '**'],
  ['italic', '_'],
  ['strike', '~~'],
];

function marksOf(styled: Style): string {
  return MARKS.flatMap(([name, mark]) => (styled?.[name] === true ? [mark] : [])).join(' ');
}

/** Markdown's marks must touch the words, so white space at either end goes outside. */
function wrap(spans: readonly Span[], marks: string): Span[] {
  const opening = marks.replaceAll(' ', '');
  if (opening === '') return [...spans];
  const inner = spans.map((span) => ({ ...span }));
  let before = '';
  let after = '';
  const first = inner[0];
  if (first?.kind === 'text') {
    const text = first.text.trimStart();
    before = first.text.slice(0, first.text.length - text.length);
    first.text = text;
  }
  const last = inner.at(-1);
  if (last?.kind === 'text') {
    const text = last.text.trimEnd();
    after = last.text.slice(text.length);
    last.text = text;
  }
  const out = new SpanBuilder().text(before);
  if (inner.every((span) => span.kind === 'text' && span.text === '')) return out.text(after).spans;
  const closing = marks.split(' ').reverse().join('');
  return out.text(opening).add(inner).text(closing).text(after).spans;
}

/** Neighbours with the same style share one pair of marks: `**a b**`, not `**a****b**`. */
function inlineSpans(elements: readonly Inline[]): Span[] {
  const out = new SpanBuilder();
  let at = 0;
  while (at < elements.length) {
    const code = elements[at]?.style?.code === true;
    const marks = marksOf(elements[at]?.style);
    const run: Inline[] = [];
    for (let element = elements[at]; element !== undefined; element = elements[at]) {
      if ((element.style?.code === true) !== code || marksOf(element.style) !== marks) break;
      run.push(element);
      at += 1;
    }
    const spans = new SpanBuilder().add(run.map((element) => bareSpan(element, code))).spans;
    const coded = code
      ? spans.map((span): Span => (span.kind === 'text' ? { kind: 'text', text: inlineCode(span.text) } : span))
      : spans;
    out.add(wrap(coded, marks));
  }
  return out.spans;
}

function blockSpans(element: Block): Span[] {
  switch (element.type) {
    case 'rich_text_section':
      return inlineSpans(element.elements);
    case 'rich_text_quote':
      return prefixLines(inlineSpans(element.elements), '> ', '> ');
    case 'rich_text_preformatted': {
      const language = /^[\w+#.-]{1,30}$/.test(element.language ?? '') ? element.language : '';
      return fenced(
        element.elements.map((part) => bareSpan(part, true)),
        language,
      );
    }
    case 'rich_text_list': {
      const out = new SpanBuilder();
      const indent = '    '.repeat(element.indent ?? 0);
      for (const [index, item] of element.elements.entries()) {
        const mark = element.style === 'ordered' ? `${(element.offset ?? 0) + index + 1}. ` : '- ';
        const rest = `${indent}${' '.repeat(mark.length)}`;
        out.startLine().add(prefixLines(inlineSpans(item.elements), `${indent}${mark}`, rest));
      }
      return out.spans;
    }
    default:
      return element satisfies never;
  }
}

/**
 * Reads a message's `blocks`; `null` when any part is not rich text that we know, because then `text` says more. Rich
 * text is not escaped, so what looks like a token is text.
 */
export function richTextSpans(blocks: unknown): Span[] | null {
  const parsed = richText.safeParse(blocks);
  return parsed.success ? elementSpans(parsed.data.flatMap((item) => item.elements)) : null;
}

function elementSpans(elements: readonly Block[]): Span[] {
  const out = new SpanBuilder();
  elements.forEach((element, index) => {
    if (index > 0) out.startLine();
    out.add(blockSpans(element));
  });
  return out.spans;
}

const parts = z.looseObject({ type: z.string(), elements: z.array(z.unknown()) });

/** The parts of rich text that we know; the others are left out. */
export function knownRichTextSpans(blocks: readonly unknown[]): Span[] {
  const keepKnown = (value: unknown, depth: number): unknown => {
    const parsed = parts.safeParse(value);
    if (!parsed.success || depth > 1) return value;
    return {
      ...parsed.data,
      elements: parsed.data.elements.map((each) => keepKnown(each, depth + 1)).filter(isKnownPart),
    };
  };
  const elements = blocks.flatMap((item) => parts.safeParse(item).data?.elements ?? []);
  return elementSpans(elements.flatMap((element) => block.safeParse(keepKnown(element, 0)).data ?? []));
}

function isKnownPart(value: unknown): boolean {
  return inline.safeParse(value).success || section.safeParse(value).success;
}
