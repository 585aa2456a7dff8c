import { childrenOf, endOf, type Range, startOf } from './ast.ts';
import {
  blockStart,
  type Cut,
  columnsAt,
  cutCode,
  cutParagraph,
  cutTable,
  findLastPlace,
  followingNumber,
  numberOf,
  numbersAt,
  type Place,
  plainCut,
  SPACES,
} from './cut.ts';
import type { Nodes } from './parse/tree.ts';

/** Where people see a text up to the end of `place`. */
interface SeamPlace extends Place {
  /** The character after it; empty: there is none. */
  next: string;
}

/** A single word that is longer is cut in two. */
const LONG_WORD = 80;
/** Scripts that write no spaces between words. */
const NO_SPACES = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]$/u;

/**
 * Chooses where a text goes on in a new message when people see all of `place` already: at the end, or before what is
 * half-written there (a word, a link, a line of code, a row), which the new message then repeats. `null`: nothing would
 * be left in the first message.
 */
export function chooseSeam(place: Place, next: string): Cut | null {
  const cut = seamIn(place.parsed.tree, [], { ...place, next });
  return cut !== null && cut.at > place.from && /\S/.test(place.parsed.text.slice(place.from, cut.at)) ? cut : null;
}

/** Goes on inside the last child, or else before it. */
function seamIn(node: Nodes, ancestors: readonly Nodes[], place: SeamPlace): Cut | null {
  const { parsed, from } = place;
  const inside = [...ancestors, node];
  const index = childrenOf(node).length - 1;
  const last = childrenOf(node)[index];
  if (!last) return null;
  const cut = seamInside(last, inside, place);
  if (cut !== null && cut.at > from) return cut;
  const at = blockStart(parsed, last);
  if (index === 0 || at <= from) return null;
  return { ...plainCut(at, columnsAt(last, inside)), ...numbersAt(node, index, inside, place) };
}

function seamInside(node: Nodes, ancestors: readonly Nodes[], place: SeamPlace): Cut | null {
  const { text } = place.parsed;
  const after = text.slice(endOf(node));
  const isLineEnd = after.includes('\n') || place.next === '\n';
  switch (node.type) {
    case 'list':
    case 'listItem':
    case 'blockquote':
      return seamIn(node, ancestors, place);
    case 'table':
      if (/\n[ \t>]*\n/.test(after + place.next)) return endCut(node, ancestors, place);
      return cutTable(node, ancestors, place, undefined, after.includes('\n') ? text.length : null);
    case 'code':
      return node.fences.length > 1 && isLineEnd ? endCut(node, ancestors, place) : cutCode(node, ancestors, place);
    case 'paragraph': {
      if (isLikeTable(text.slice(startOf(node), endOf(node)))) return null;
      const cut = cutParagraph(node, ancestors, place, wordSeam(place));
      return cut !== null && cut.at > startOf(node) ? unlisted(cut, ancestors, place) : null;
    }
    default:
      return isLineEnd ? endCut(node, ancestors, place) : null;
  }
}

function endCut(node: Nodes, ancestors: readonly Nodes[], place: SeamPlace): Cut {
  const { text } = place.parsed;
  return unlisted(
    { ...plainCut(text.length, columnsAt(node, ancestors)), ...followingNumber(ancestors, place) },
    ancestors,
    place,
  );
}

/** Its last line may become the head of a table. */
const isLikeTable = (words: string) => words.slice(words.lastIndexOf('\n') + 1).includes('|');

/** The last place in a text that people see: its end, unless that is inside a word or a link. */
function wordSeam({ next }: SeamPlace) {
  return (text: string, { start, end }: Range, atoms: readonly Range[]): number => {
    const isFree = (at: number) => !atoms.some((atom) => atom.start < at && at < atom.end);
    const isEnd =
      next === '' || SPACES.test(next) || SPACES.test(text.charAt(end - 1)) || NO_SPACES.test(text.slice(start, end));
    if (isEnd && isFree(end)) return end;
    const at = findLastPlace(text, { start, end }, SPACES, isFree);
    return at ?? (end - start > LONG_WORD && isFree(end) ? end : start);
  };
}

/** After a line's end in a list, a line without indentation does not belong to the item before. */
function unlisted<C extends Cut | null>(cut: C, ancestors: readonly Nodes[], { parsed, next, ...place }: SeamPlace): C {
  const isLine = cut !== null && parsed.text.charAt(cut.at - 1) === '\n' && cut.at === parsed.text.length;
  if (!isLine || /^\s?$/.test(next)) return cut;
  const lists = ancestors.filter(({ type }) => type === 'list');
  const [list] = lists;
  if (list?.type !== 'list') return cut;
  const first =
    lists.length === 1 && list.isOrdered ? numberOf(list, list.children.length, { parsed, ...place }) : null;
  return { ...cut, columns: 0, following: undefined, ...(first !== null && { first }) };
}
