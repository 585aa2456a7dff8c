import type { Span } from '../inbound.ts';

/** The spans up to `max` characters of text, with a mark that says how many are left out. */
export function cutSpans(spans: readonly Span[], max: number): Span[] {
  const length = spans.reduce((sum, span) => sum + (span.kind === 'text' ? span.text.length : 0), 0);
  if (length <= max) return [...spans];
  const kept: Span[] = [];
  let left = max;
  for (const span of spans) {
    if (left <= 0) break;
    kept.push(span.kind === 'text' ? { kind: 'text', text: firstCharacters(span.text, left) } : span);
    if (span.kind === 'text') left -= span.text.length;
  }
  return [...kept, { kind: 'text', text: `\n[cut here: ${length - max} more characters]` }];
}

/** At most `max` characters, and no half of a pair of surrogates. */
function firstCharacters(text: string, max: number): string {
  const cut = text.slice(0, max);
  return cut.length < text.length ? cut.replace(/[\ud800-\udbff]$/, '') : cut;
}
