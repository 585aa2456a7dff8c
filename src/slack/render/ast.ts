import type { Nodes, Parents, Root } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';

export interface Range {
  start: number;
  end: number;
}

/** A text's structure, with the offsets that the tree itself forgets. All offsets are UTF-16 units. */
export interface Parsed {
  text: string;
  tree: Root;
  /** Where a `>` opens a line of a quote. */
  quoteMarkers: ReadonlySet<number>;
  /** Where the `(` of a link or image stands. */
  resources: readonly number[];
  /** Destinations of links and images, with their `<` `>` where they have any. */
  destinations: readonly Range[];
  /** Where the `:` of a definition stands. */
  definitions: readonly number[];
  /** Opening and closing lines of fenced code. */
  fences: readonly Range[];
}

/**
 * HTML is off because Slack shows it as text once its `<` is an entity, so its contents are Markdown for Slack;
 * footnotes are off because Slack has none.
 */
const SYNTAX = [
  gfm(),
  {
    disable: { null: ['htmlFlow', 'htmlText', 'gfmFootnoteCall', 'gfmFootnoteDefinition', 'gfmPotentialFootnoteCall'] },
  },
];
/** Without the transforms that add links without a position. */
const TREE = gfmFromMarkdown()
  .flat()
  .map((extension) => ({ ...extension, transforms: [] }));

/** Markdown as Slack reads it: CommonMark with GFM's tables, task lists, strikethrough and bare links. Never throws. */
export function parseMarkdown(text: string): Parsed {
  const quoteMarkers = new Set<number>();
  const resources: number[] = [];
  const destinations: Range[] = [];
  const definitions: number[] = [];
  const fences: Range[] = [];
  const tokens = {
    enter: {
      blockQuoteMarker: (token: Token) => void quoteMarkers.add(token.start.offset),
      resource: (token: Token) => void resources.push(token.start.offset),
      resourceDestination: (token: Token) => void destinations.push(rangeOf(token)),
      definitionMarker: (token: Token) => void definitions.push(token.start.offset),
      codeFencedFence: (token: Token) => void fences.push(rangeOf(token)),
    },
  };
  const tree = fromMarkdown(text, { extensions: SYNTAX, mdastExtensions: [...TREE, tokens] });
  return { text, tree, quoteMarkers, resources, destinations, definitions, fences };
}

interface Token {
  start: { offset: number };
  end: { offset: number };
}

const rangeOf = (token: Token): Range => ({ start: token.start.offset, end: token.end.offset });

export function startOf(node: Nodes): number {
  return node.position?.start.offset ?? 0;
}

export function endOf(node: Nodes): number {
  return node.position?.end.offset ?? 0;
}

export function childrenOf(node: Nodes): readonly Nodes[] {
  return 'children' in node ? (node as Parents).children : [];
}

/** Every node below `node`, parents first, with its ancestors from the root on. Not recursive: nesting may be deep. */
export function* walk(node: Nodes): Generator<{ node: Nodes; ancestors: readonly Nodes[] }> {
  const stack: { node: Nodes; ancestors: readonly Nodes[] }[] = [{ node, ancestors: [] }];
  for (let next = stack.pop(); next; next = stack.pop()) {
    yield next;
    const ancestors = [...next.ancestors, next.node];
    for (const child of childrenOf(next.node).toReversed()) stack.push({ node: child, ancestors });
  }
}

/** The words of a node, without marks. */
export function wordsOf(node: Nodes): string {
  let words = '';
  for (const { node: inner } of walk(node)) {
    if ('value' in inner) words += inner.value;
    else if (inner.type === 'image' || inner.type === 'imageReference') words += inner.alt ?? '';
    else if (inner.type === 'break') words += ' ';
  }
  return words;
}

/** Where the line of `offset` begins. */
export function lineStart(text: string, offset: number): number {
  return offset <= 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
}
