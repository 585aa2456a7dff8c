import type { JsonObject } from '../model.ts';
import { tokenPattern, unescapeText } from './tokens.ts';

type Style = { bold?: true; italic?: true; strike?: true; code?: true };

const INLINE = new RegExp(
  [
    tokenPattern().source,
    '`([^`\\n]+)`',
    '(?<![\\w*])\\*(\\S|\\S[^*\\n]*?\\S)\\*(?![\\w*])',
    '(?<![\\w_])_(\\S|\\S[^_\\n]*?\\S)_(?![\\w_])',
    '(?<![\\w~])~(\\S|\\S[^~\\n]*?\\S)~(?![\\w~])',
    '(?<![\\w:]):([a-z0-9_+-]*[a-z_+-][a-z0-9_+-]*):(?!\\w)',
  ].join('|'),
  'g',
);

function withStyle(element: JsonObject, style: Style): JsonObject {
  return Object.keys(style).length > 0 ? { ...element, style: { ...style } } : element;
}

function tokenElement(inside: string, style: Style): JsonObject {
  const bar = inside.indexOf('|');
  const value = bar < 0 ? inside : inside.slice(0, bar);
  const label = bar < 0 ? undefined : unescapeText(inside.slice(bar + 1));
  if (value.startsWith('@')) return withStyle({ type: 'user', user_id: value.slice(1) }, style);
  if (value.startsWith('#')) return withStyle({ type: 'channel', channel_id: value.slice(1) }, style);
  if (value.startsWith('!subteam^')) return withStyle({ type: 'usergroup', usergroup_id: value.slice(9) }, style);
  if (value.startsWith('!date^')) {
    const [, timestamp, format] = value.split('^');
    return withStyle(
      { type: 'date', timestamp: Number(timestamp), format: format ?? '', fallback: label ?? '' },
      style,
    );
  }
  if (value.startsWith('!')) return withStyle({ type: 'broadcast', range: value.slice(1) }, style);
  const url = unescapeText(value);
  return withStyle({ type: 'link', url, ...(label !== undefined && { text: label }) }, style);
}

/** Only tokens and text, as inside code. */
function plainElements(text: string, style: Style): JsonObject[] {
  const elements: JsonObject[] = [];
  let last = 0;
  for (const match of text.matchAll(tokenPattern())) {
    if (match.index > last)
      elements.push(withStyle({ type: 'text', text: unescapeText(text.slice(last, match.index)) }, style));
    elements.push(tokenElement(match[1] ?? '', style));
    last = match.index + match[0].length;
  }
  if (last < text.length) elements.push(withStyle({ type: 'text', text: unescapeText(text.slice(last)) }, style));
  return elements;
}

function inlineElements(text: string, style: Style = {}): JsonObject[] {
  const elements: JsonObject[] = [];
  let last = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > last)
      elements.push(withStyle({ type: 'text', text: unescapeText(text.slice(last, match.index)) }, style));
    last = match.index + match[0].length;
    const [, inside, code, bold, italic, strike, emoji] = match;
    if (inside !== undefined) elements.push(tokenElement(inside, style));
    else if (code !== undefined) elements.push(...plainElements(code, { ...style, code: true }));
    else if (bold !== undefined) elements.push(...inlineElements(bold, { ...style, bold: true }));
    else if (italic !== undefined) elements.push(...inlineElements(italic, { ...style, italic: true }));
    else if (strike !== undefined) elements.push(...inlineElements(strike, { ...style, strike: true }));
    else if (emoji !== undefined) elements.push(withStyle({ type: 'emoji', name: emoji }, style));
  }
  if (last < text.length) elements.push(withStyle({ type: 'text', text: unescapeText(text.slice(last)) }, style));
  return elements;
}

const section = (text: string): JsonObject => ({ type: 'rich_text_section', elements: inlineElements(text) });

type LineKind = 'prose' | 'quote' | 'bullet' | 'ordered';

function lineKind(line: string): { kind: LineKind; text: string; indent: number } {
  const quote = /^&gt; ?(.*)$/s.exec(line);
  if (quote) return { kind: 'quote', text: quote[1] ?? '', indent: 0 };
  const bullet = /^( *)[•◦▪] +(.*)$/s.exec(line);
  if (bullet) return { kind: 'bullet', text: bullet[2] ?? '', indent: Math.floor((bullet[1] ?? '').length / 4) };
  const ordered = /^( *)\d+\. +(.*)$/s.exec(line);
  if (ordered) return { kind: 'ordered', text: ordered[2] ?? '', indent: Math.floor((ordered[1] ?? '').length / 4) };
  return { kind: 'prose', text: line, indent: 0 };
}

function paragraphElements(text: string): JsonObject[] {
  const groups: { kind: LineKind; indent: number; lines: string[] }[] = [];
  for (const line of text.split('\n')) {
    const { kind, text: content, indent } = lineKind(line);
    const group = groups.at(-1);
    if (group && group.kind === kind && group.indent === indent) group.lines.push(content);
    else groups.push({ kind, indent, lines: [content] });
  }
  const elements: JsonObject[] = [];
  for (const group of groups) {
    if (group.kind === 'quote')
      elements.push({ type: 'rich_text_quote', elements: inlineElements(group.lines.join('\n')) });
    else if (group.kind !== 'prose') {
      const items = group.lines.map(section);
      elements.push({ type: 'rich_text_list', style: group.kind, indent: group.indent, border: 0, elements: items });
    } else if (group.lines.join('') !== '' || groups.length === 1) elements.push(section(group.lines.join('\n')));
  }
  return elements;
}

/** The `rich_text` block Slack makes of (escaped) message text; lists and nesting only roughly. */
export function richText(text: string, blockId: string): JsonObject {
  const elements: JsonObject[] = [];
  let last = 0;
  for (const match of text.matchAll(/```\n?([\s\S]*?)```/g)) {
    const before = text.slice(last, match.index).replace(/\n$/, '');
    if (before !== '') elements.push(...paragraphElements(before));
    const code = (match[1] ?? '').replace(/\n$/, '');
    elements.push({ type: 'rich_text_preformatted', elements: plainElements(code, {}), border: 0 });
    last = match.index + match[0].length;
    if (text[last] === '\n') last += 1;
  }
  const rest = text.slice(last);
  if (rest !== '' || elements.length === 0) elements.push(...paragraphElements(rest));
  return { type: 'rich_text', block_id: blockId, elements };
}
