import type { Span } from '../../bridge/inbound.ts';

/** Collects spans and joins neighbouring text. */
export class SpanBuilder {
  readonly spans: Span[] = [];

  text(text: string): this {
    if (text === '') return this;
    const last = this.spans.at(-1);
    if (last?.kind === 'text') last.text += text;
    else this.spans.push({ kind: 'text', text });
    return this;
  }

  add(spans: readonly Span[]): this {
    for (const span of spans) {
      if (span.kind === 'text') this.text(span.text);
      else this.spans.push({ ...span });
    }
    return this;
  }

  /** Begins a new line if needed: Markdown blocks (fences, lists, quotes) must begin a line. */
  startLine(): this {
    const last = this.spans.at(-1);
    if (last !== undefined && !(last.kind === 'text' && last.text.endsWith('\n'))) this.text('\n');
    return this;
  }
}

/** Whether the spans hold nothing but white space. */
export function isBlank(spans: readonly Span[]): boolean {
  return spans.every((span) => span.kind === 'text' && span.text.trim() === '');
}

/** The spans with `first` before the first line and `rest` before each further one. */
export function prefixLines(spans: readonly Span[], first: string, rest: string): Span[] {
  const out = new SpanBuilder().text(first);
  for (const span of spans) {
    out.add([span.kind === 'text' ? { kind: 'text', text: span.text.replaceAll('\n', `\n${rest}`) } : span]);
  }
  return out.spans;
}

function longestRun(text: string, pattern: RegExp): number {
  let longest = 0;
  for (const run of text.matchAll(pattern)) longest = Math.max(longest, run[0].length);
  return longest;
}

function codeText(spans: readonly Span[]): string {
  return spans.map((span) => (span.kind === 'text' ? span.text : '')).join('');
}

/** A fenced block whose content is exactly the text of `spans`, whatever backticks it contains. */
export function fenced(spans: readonly Span[], language = ''): Span[] {
  const fence = '`'.repeat(Math.max(3, longestRun(codeText(spans), /`+/g) + 1));
  return new SpanBuilder().text(`${fence}${language}\n`).add(spans).text(`\n${fence}`).spans;
}

/** Inline code, padded with spaces where Markdown would otherwise drop or misread a character (CommonMark 6.1). */
export function inlineCode(text: string): string {
  if (text === '') return '';
  const mark = '`'.repeat(longestRun(text, /`+/g) + 1);
  const padded = text.startsWith('`') || text.endsWith('`') || (/^ .* $/s.test(text) && text.trim() !== '');
  return padded ? `${mark} ${text} ${mark}` : `${mark}${text}${mark}`;
}

/** `label (url)`, or one of the two where the label adds nothing. */
export function linkText(url: string, label: string | null): string {
  const address = url.startsWith('mailto:') ? url.slice('mailto:'.length) : url;
  if (label === null || label === '') return address;
  const plain = (text: string) => text.replace(/^https?:\/\//, '').replace(/\/$/, '');
  return plain(label) === plain(address) ? address : `${label} (${address})`;
}
