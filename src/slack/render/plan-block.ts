import type { KnownBlock } from '@slack/types';
import { INVISIBLE } from '../../bridge/text/invisible.ts';
import { parseMarkdown, walk } from './ast.ts';
import { markdown, preformatted, richText } from './blocks.ts';
import { renderMarkdown } from './markdown.ts';
import { neutralizePlain } from './neutralize.ts';
import type { Nodes } from './parse/tree.ts';
import { splitStart } from './part.ts';
import { openPart } from './split.ts';

/** The agent's plan as Markdown; as a box of text where Markdown would not show every word of it. */
export function planBlock(plan: string, isCut: boolean): KnownBlock {
  const shown = hidesNothing(plan) ? renderMarkdown(openPart(plan, splitStart), isCut).markdown : '';
  return shown === '' ? richText(preformatted(neutralizePlain(plan))) : markdown(shown);
}

function hidesNothing(text: string): boolean {
  if (text.match(INVISIBLE)) return false;
  for (const { node } of walk(parseMarkdown(text).tree)) if (hasHiddenWords(node, text)) return false;
  return true;
}

/** Whether words of it are not seen once it is rendered: definitions, alternative texts, titles, what follows a fence. */
function hasHiddenWords(node: Nodes, text: string): boolean {
  switch (node.type) {
    case 'definition':
    case 'image':
    case 'imageReference':
      return true;
    case 'link': {
      const { resource } = node;
      return (
        resource !== null && text.slice(resource.destination?.end ?? resource.opens + 1, node.end - 1).trim() !== ''
      );
    }
    case 'code': {
      const [opening] = node.fences;
      return opening !== undefined && !/^\W*[\w+#.-]{0,20}\s*$/.test(text.slice(opening.start, opening.end));
    }
    default:
      return false;
  }
}
