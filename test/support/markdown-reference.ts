import type { Nodes as Mdast } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';

/** As Slack reads Markdown: no HTML, no footnotes. */
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

/** The tree that micromark makes of a text: complete CommonMark and GFM, but too slow for hostile texts. */
export function referenceTree(text: string): Mdast {
  return fromMarkdown(text, { extensions: SYNTAX, mdastExtensions: TREE });
}

/** Every node of it, parents first. */
export function referenceNodes(text: string): Mdast[] {
  const nodes: Mdast[] = [referenceTree(text)];
  for (const node of nodes) if ('children' in node) nodes.push(...node.children);
  return nodes;
}
