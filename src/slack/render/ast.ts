import { parseBlocks } from './parse/blocks.ts';
import type { Nodes, Root } from './parse/tree.ts';

export type { Range } from './parse/tree.ts';

/** A text's structure. All offsets are UTF-16 units. */
export interface Parsed {
  text: string;
  tree: Root;
  /** Where a `>` opens a line of a quote. */
  quoteMarkers: ReadonlySet<number>;
  /** Link definitions that stand elsewhere. */
  definitions: Definitions;
}

/** The URLs of link definitions (`[1]: https://…`), by identifier. */
export type Definitions = ReadonlyMap<string, string>;

export const NO_DEFINITIONS: Definitions = new Map();

/**
 * Parses Markdown as Slack reads it: CommonMark with GFM's tables, task lists, strikethrough and bare links, without
 * footnotes and without HTML, which Slack shows as text. Never throws. The parser is our own, because each library that
 * we tried takes minutes for some texts of a few kB, and so could block the bridge.
 * @param definitions link definitions that stand elsewhere
 */
export function parseMarkdown(text: string, definitions: Definitions = NO_DEFINITIONS): Parsed {
  return { text, ...parseBlocks(text, definitions.keys()), definitions };
}

export function startOf(node: Nodes): number {
  return node.start;
}

export function endOf(node: Nodes): number {
  return node.end;
}

export function childrenOf(node: Nodes): readonly Nodes[] {
  return 'children' in node ? node.children : [];
}

/** Every node below `node`, parents first, with its ancestors from the root on. Not recursive: nesting may be deep. */
export function* walk(node: Nodes): Generator<{ node: Nodes; ancestors: readonly Nodes[] }> {
  const stack: { node: Nodes; ancestors: readonly Nodes[] }[] = [{ node, ancestors: [] }];
  for (let next = stack.pop(); next; next = stack.pop()) {
    yield next;
    const children = childrenOf(next.node);
    if (children.length === 0) continue;
    const ancestors = [...next.ancestors, next.node];
    for (let index = children.length - 1; index >= 0; index -= 1) {
      const child = children[index];
      if (child) stack.push({ node: child, ancestors });
    }
  }
}

/** The words of a node, without marks. */
export function wordsOf(node: Nodes): string {
  let words = '';
  for (const { node: inner } of walk(node)) {
    if ('value' in inner) words += inner.value;
    else if ('alt' in inner) words += inner.alt;
    else if (inner.type === 'break') words += ' ';
  }
  return words;
}

/** Where the line of `offset` begins. */
export function lineStart(text: string, offset: number): number {
  return offset <= 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
}
