import { type Definitions, NO_DEFINITIONS, type Parsed, parseMarkdown, walk } from './ast.ts';
import { closeFence, findOpenLink, findOpenMarks } from './half-written.ts';
import { LIMITS } from './limits.ts';
import { neutralizeMarkdown } from './neutralize.ts';
import type { TextPart } from './part.ts';
import { type NameOf, translateSlackMarkup } from './slack-markup.ts';
import { markdownOf } from './split.ts';

export interface RenderedMarkdown {
  /** For one `markdown` block; empty when it would show nothing. */
  markdown: string;
  /** The first words, not neutralised. */
  summary: string;
  /** The link definitions in it. */
  definitions: Definitions;
}

export const NOTHING: RenderedMarkdown = { markdown: '', summary: '', definitions: NO_DEFINITIONS };

/** What is known beyond a part's own text. */
export interface Beyond {
  /** Link definitions in other parts. */
  definitions?: Definitions | undefined;
  nameOf?: NameOf | undefined;
}

/**
 * Renders a part as valid Slack Markdown.
 * @param isGrowing whether it is shown half-written: then open marks are closed and a half-written link shows its
 * label.
 */
export function renderMarkdown(
  part: TextPart,
  isGrowing: boolean,
  limit: number = LIMITS.markdown,
  beyond: Beyond = {},
): RenderedMarkdown {
  if (part.source.trim() === '') return NOTHING;
  const doc = markdownOf(part);
  const { parsed, words } = completeMarkdown(isGrowing ? dropHalfCharacter(doc) : doc, isGrowing, beyond);
  const full = neutralizeMarkdown(translateSlackMarkup(parsed, beyond.nameOf));
  const markdown = full.length <= limit ? full : neutralizeMarkdown(parsed, 'lean');
  return { markdown, summary: oneLineOf(words), definitions: definitionsIn(parsed) };
}

function definitionsIn({ text, tree }: Parsed): Definitions {
  if (!text.includes(']:')) return NO_DEFINITIONS;
  const found = new Map<string, string>();
  for (const { node } of walk(tree)) if (node.type === 'definition') found.set(node.identifier, node.url);
  return found;
}

/**
 * Closes the fence, and if it grows the marks, that are open at the text's end. `words`: the first words of the
 * original.
 */
export function completeMarkdown(
  text: string,
  isGrowing: boolean,
  { definitions = NO_DEFINITIONS }: Beyond = {},
): { parsed: Parsed; words: string } {
  const parsed = parseMarkdown(text, definitions);
  const words = firstWords(parsed.tree);
  const fenced = closeFence(parsed);
  if (fenced !== null) return { parsed: parseMarkdown(fenced, definitions), words };
  return { parsed: isGrowing ? closeMarks(parsed) : parsed, words };
}

function closeMarks(parsed: Parsed): Parsed {
  const link = findOpenLink(parsed);
  const labelled = link ? parseMarkdown(parsed.text.slice(0, link.start) + link.label, parsed.definitions) : parsed;
  const marks = findOpenMarks(labelled).toReversed().join('');
  return marks === '' ? labelled : parseMarkdown(labelled.text.trimEnd() + marks, parsed.definitions);
}

export function dropHalfCharacter(text: string): string {
  return /[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text;
}

/** No summary needs more characters. */
export const ENOUGH_WORDS = LIMITS.summary * 2;

/** The first plain words; spaces may be doubled. */
export function firstWords(tree: Parsed['tree']): string {
  let words = '';
  for (const { node } of walk(tree)) {
    if (words.length > ENOUGH_WORDS) break;
    if (node.type === 'paragraph' || node.type === 'heading' || node.type === 'listItem' || node.type === 'tableCell')
      words += ' ';
    if ('value' in node) words += node.type === 'code' ? ` ${node.value}` : node.value;
    else if ('alt' in node) words += node.alt;
    else if (node.type === 'break') words += ' ';
  }
  return words;
}

export function oneLineOf(words: string): string {
  return words.replace(/\s+/g, ' ').trim();
}
