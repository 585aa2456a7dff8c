import { childrenOf, endOf, lineStart, type Parsed, parseMarkdown, startOf, walk } from './ast.ts';
import type { Nodes } from './parse/tree.ts';

/** If more characters would be needed to close all marks, they are left as typed. */
const MAX_CLOSERS = 20;
/** Longer fences are left as typed. */
const MAX_FENCE = 100;

/** The text with the fence closed that is open at its end; `null`: none is open. */
export function closeFence(parsed: Parsed): string | null {
  const { text, tree } = parsed;
  const end = text.trimEnd().length;
  for (const { node } of walk(tree)) {
    if (node.type !== 'code' || endOf(node) < end) continue;
    const [opening, closing] = node.fences;
    if (!opening || closing) continue;
    const fence = fenceOf(text, opening.start);
    const prefix = containerPrefix(text, opening.start);
    if (fence.length > MAX_FENCE || prefix.length > MAX_FENCE) continue;
    // Directly after the code, because a blank line would end the quote around it.
    const code = text.slice(0, endOf(node));
    return `${code}${code.endsWith('\n') ? '' : '\n'}${prefix}${fence}${text.slice(endOf(node))}`;
  }
  return null;
}

export function fenceOf(text: string, start: number): string {
  return /^(?:`+|~+)/.exec(text.slice(start, start + 1_000))?.[0] ?? '```';
}

/** The prefix of a block's lines that the quotes and lists around it need. */
export function containerPrefix(text: string, start: number): string {
  return text.slice(lineStart(text, start), start).replace(/[^>\s]/g, ' ');
}

/** Marks (`**`, `_`, `` ` `` …) that are open at the end of the text, in the order in which they were opened. */
export function findOpenMarks(parsed: Parsed): string[] {
  const { text } = parsed;
  const leaf = lastLeaf(parsed);
  if (!leaf) return [];
  const open: { mark: string; at: number }[] = [];
  for (const { node } of walk(leaf)) {
    if (node.type !== 'text') continue;
    const [start, end] = [startOf(node), endOf(node)];
    const words = text.slice(start, end);
    for (const run of words.matchAll(/\\.|(?<mark>`+|\*{1,3}|_{1,3}|~~)(?=\S)/gs)) {
      const mark = run.groups?.mark;
      if (mark === undefined || open.at(-1)?.mark.startsWith('`')) continue;
      const at = start + run.index;
      const before = text.charAt(at - 1);
      const mayOpen = mark.startsWith('`') || before === '' || /[\s\p{P}\p{S}]/u.test(before);
      if (mayOpen && before !== mark.charAt(0)) open.push({ mark, at });
    }
  }
  // A mark may be meant as text ("2 * 3"): if closing it does not make it a mark, it is dropped from the list.
  while (open.length > 0) {
    const marks = open.map(({ mark }) => mark);
    const closers = marks.toReversed().join('');
    const first = open[0];
    if (closers.length > MAX_CLOSERS || !first) return [];
    const closed = parseMarkdown(`${text.trimEnd()}${closers}`, parsed.definitions);
    if (open.every(({ at }) => !isWords(closed, at))) return marks;
    open.pop();
  }
  return [];
}

/** Where a half-written link begins at the end of the text (`[label](htt`), and where its label ends. */
export function findOpenLink(parsed: Parsed): { start: number; label: string } | null {
  const leaf = lastLeaf(parsed);
  if (!leaf) return null;
  const from = Math.max(startOf(leaf), parsed.text.length - 2_000);
  const found = /!?\[([^[\]\n]{0,300})\]\(<?[^()\s<>]*$/.exec(parsed.text.slice(from));
  if (!found) return null;
  const start = from + found.index;
  return isWords(parsed, start) ? { start, label: found[1] ?? '' } : null;
}

function isWords(parsed: Parsed, at: number): boolean {
  for (const { node } of walk(parsed.tree))
    if (node.type === 'text' && startOf(node) <= at && at < endOf(node)) return true;
  return false;
}

/** The paragraph, heading or cell at the very end. */
function lastLeaf({ tree, text }: Parsed): Nodes | null {
  const end = text.trimEnd().length;
  let node: Nodes = tree;
  for (;;) {
    if (node.type === 'paragraph' || node.type === 'heading' || node.type === 'tableCell') break;
    const last: Nodes | undefined = childrenOf(node).at(-1);
    if (!last) return null;
    node = last;
  }
  return endOf(node) >= end ? node : null;
}
