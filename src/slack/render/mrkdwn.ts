import { childrenOf, endOf, type Parsed, startOf, walk, wordsOf } from './ast.ts';
import { hostBehind, safeUrl } from './links.ts';
import { neutralizeMrkdwn } from './neutralize.ts';
import { paddedTable } from './padded-table.ts';
import type { Image, ImageReference, Link, LinkReference, List, ListItem, Nodes } from './parse/tree.ts';

/** Longer URLs are shown as text, because a link token must never be cut. */
const URL_MAX = 1_000;
const FENCE = '```';
const INDENT = '    ';

interface Place {
  text: string;
  urls: ReadonlyMap<string, string>;
  /** The marks around this node, because mrkdwn cannot nest a mark in itself. */
  marks: string;
}

/**
 * Renders Markdown as mrkdwn, Slack's older markup (docs/slack.md, Text: rules), for section blocks with `verbatim:
 * true`, in pieces of at most `max` UTF-16 units, each with its code closed. mrkdwn lacks headings, tables, images and
 * nested lists: they become bold lines, code, links and indented lines.
 */
export function mrkdwnPieces(parsed: Parsed, max: number): string[] {
  const urls = new Map(parsed.definitions);
  for (const { node } of walk(parsed.tree)) if (node.type === 'definition') urls.set(node.identifier, node.url);
  const place = { text: parsed.text, urls, marks: '' };
  const pieces: string[] = [];
  for (const block of childrenOf(parsed.tree).map((node) => renderBlock(node, place))) {
    const joined = `${pieces.at(-1) ?? ''}\n\n${block}`;
    if (block === '') continue;
    if (pieces.length > 0 && joined.length <= max) pieces[pieces.length - 1] = joined;
    else pieces.push(...cutUp(block, max));
  }
  return pieces;
}

function renderBlock(node: Nodes, place: Place): string {
  switch (node.type) {
    case 'heading':
      return renderMarked(node, place, '*');
    case 'paragraph':
      return renderChildren(node, place);
    case 'code':
      return renderCode(node.value);
    case 'table':
      return renderCode(paddedTable(place.text, node)?.join('\n') ?? place.text.slice(startOf(node), endOf(node)));
    case 'blockquote':
      return prefixLines(renderBlocks(node, place), '> ');
    case 'list':
      return renderList(node, place);
    case 'thematicBreak':
      return '———';
    case 'definition':
      return neutralizeMrkdwn(place.text.slice(startOf(node), endOf(node)));
    default:
      return renderChildren(node, place);
  }
}

function renderBlocks(node: Nodes, place: Place, between = '\n\n'): string {
  return childrenOf(node)
    .map((child) => renderBlock(child, place))
    .join(between);
}

function renderList(list: List, place: Place): string {
  const first = list.first ?? 1;
  const mark = (item: ListItem, index: number) => {
    const bullet = list.isOrdered ? `${first + index}.` : '•';
    if (item.isChecked === true) return `${list.isOrdered ? `${bullet} ` : ''}☑`;
    return item.isChecked === false ? `${list.isOrdered ? `${bullet} ` : ''}☐` : bullet;
  };
  return list.children
    .map(
      (item, index) =>
        `${mark(item, index)} ${prefixLines(renderBlocks(item, place, '\n'), INDENT).slice(INDENT.length)}`,
    )
    .join('\n');
}

function prefixLines(lines: string, by: string): string {
  return by + lines.replaceAll('\n', `\n${by}`);
}

/**
 * Without the language, which mrkdwn does not know; three backticks inside are broken up, or they would end the code.
 */
function renderCode(code: string): string {
  return `${FENCE}\n${neutralizeMrkdwn(code, true).replaceAll(FENCE, '`\u2060`\u2060`')}\n${FENCE}`;
}

function renderChildren(node: Nodes, place: Place): string {
  return childrenOf(node)
    .map((child) => renderInline(child, place))
    .join('');
}

function renderInline(node: Nodes, place: Place): string {
  switch (node.type) {
    case 'text':
      return renderWords(node.value);
    case 'inlineCode':
      return `\`${neutralizeMrkdwn(node.value.replaceAll('`', 'ˋ'), true)}\``;
    case 'break':
      return '\n';
    case 'strong':
      return renderMarked(node, place, '*');
    case 'emphasis':
      return renderMarked(node, place, '_');
    case 'delete':
      return renderMarked(node, place, '~');
    case 'link':
    case 'image':
      return renderLink(node, node.url, place);
    case 'linkReference':
    case 'imageReference':
      return renderLink(node, place.urls.get(node.identifier) ?? '', place);
    default:
      return renderWords(place.text.slice(startOf(node), endOf(node)));
  }
}

/** Foreign words. Three backticks are broken up, or they would open code. */
function renderWords(text: string): string {
  return neutralizeMrkdwn(text).replaceAll(FENCE, '`\u2060`\u2060`');
}

/** Marks each line separately, because a mark ends with its line. */
function renderMarked(node: Nodes, place: Place, mark: string): string {
  const inside = renderChildren(node, { ...place, marks: place.marks + mark });
  if (place.marks.includes(mark)) return inside;
  return inside.replace(/\S(?:.*\S)?/g, (line) => `${mark}${line}${mark}`);
}

function renderLink(node: Link | Image | LinkReference | ImageReference, target: string, place: Place): string {
  const url = safeUrl(target);
  const label = wordsOf(node).replace(/\s+/g, ' ').trim();
  if (url === null || url.length > URL_MAX) return renderWords(place.text.slice(startOf(node), endOf(node)));
  const host = hostBehind(label, url);
  const shown = label === '' ? 'image' : renderWords(label.replaceAll('|', '¦'));
  const address = url.replaceAll('&', '&amp;');
  return `<${address}${label === target ? '' : `|${shown}`}>${host === null ? '' : ` (${host})`}`;
}

/** Cuts at lines, else at words. Code that is cut is closed and opened again. */
function cutUp(block: string, max: number): string[] {
  const pieces: string[] = [];
  const room = max - 2 * (FENCE.length + 1);
  let rest = block;
  while (rest.length > room) {
    const piece = rest.slice(0, cutAt(rest, room));
    rest = rest.slice(piece.length);
    const open = piece.split(FENCE).length % 2 === 0;
    pieces.push(open ? `${piece.replace(/\n$/, '')}\n${FENCE}` : piece);
    if (open) rest = `${FENCE}\n${rest}`;
  }
  return [...pieces, rest].filter((piece) => piece.replaceAll(FENCE, '').trim() !== '');
}

function cutAt(text: string, room: number): number {
  for (const mark of ['\n', ' ']) {
    const at = text.lastIndexOf(mark, room - 1) + 1;
    if (at > room / 2 && moveOutOfToken(text, at) === at) return at;
  }
  return Math.max(1, moveOutOfToken(text, room));
}

/** Moves a cut out of a link, an entity, a fence or a character, to its start. */
function moveOutOfToken(text: string, at: number): number {
  const before = text.slice(Math.max(0, at - 2 * URL_MAX), at);
  const half = /(?:<[^<>]*|&[a-z]{0,4}|`{1,3}|[\uD800-\uDBFF])$/.exec(before);
  return half ? at - half[0].length : at;
}
