import type { Span } from '../../bridge/inbound.ts';
import { fenced, inlineCode, linkText, SpanBuilder } from './span-builder.ts';

const ENTITIES: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>' };

/** Decodes Slack's three entities once: who typed `&lt;` is sent as `&amp;lt;` (docs/slack.md, Text: rules). */
export function decodeEntities(text: string): string {
  return text.replace(/&(?:amp|lt|gt);/g, (entity) => ENTITIES[entity] ?? entity);
}

const TOKEN = /<([^<>]*)>/g;
/** Fences come first in the pattern, because a backtick inside a fence is text. */
const CODE = /```([\s\S]*?)```|`([^`\n]+)`/g;

function splitLabel(token: string): [string, string | null] {
  const bar = token.indexOf('|');
  return bar < 0 ? [token, null] : [token.slice(0, bar), decodeEntities(token.slice(bar + 1))];
}

function readToken(token: string, isInCode: boolean): Span {
  const [body, label] = splitLabel(token);
  const name = label === '' ? null : label;
  const user = /^@([UW][A-Z0-9]+)$/.exec(body)?.[1];
  if (user) return { kind: 'user', id: user };
  const channel = /^#([A-Z][A-Z0-9]+)$/.exec(body)?.[1];
  if (channel) return { kind: 'channel', id: channel, name };
  const group = /^!subteam\^([A-Z0-9]+)$/.exec(body)?.[1];
  if (group) return { kind: 'group', id: group, name: name?.replace(/^@/, '') ?? null };
  if (body === '!here' || body === '!channel' || body === '!everyone') {
    return { kind: 'broadcast', range: body.slice(1) as 'here' | 'channel' | 'everyone' };
  }
  if (body.startsWith('!')) return { kind: 'text', text: name ?? decodeEntities(body) };
  const url = decodeEntities(body);
  return { kind: 'text', text: isInCode ? (name ?? url) : linkText(url, name) };
}

/** Reads tokens inside code, too: a `<` that somebody typed arrives as `&lt;`, so a bare `<` is always Slack's. */
function readTokens(text: string, isInCode: boolean, plain: (text: string) => string): Span[] {
  const out = new SpanBuilder();
  let at = 0;
  for (const found of text.matchAll(TOKEN)) {
    out.text(plain(text.slice(at, found.index)));
    at = found.index + found[0].length;
    out.add(found[1] ? [readToken(found[1], isInCode)] : [{ kind: 'text', text: found[0] }]);
  }
  return out.text(plain(text.slice(at))).spans;
}

/** Converts bold and strike to Markdown; the rest of mrkdwn is Markdown already. */
function toMarkdown(text: string): string {
  const marked = text
    .replace(/(?<![\w*])\*(?![\s*])([^*\n]*[^*\s])\*(?![\w*])/g, '**$1**')
    .replace(/(?<![\w~])~(?![\s~])([^~\n]*[^~\s])~(?![\w~])/g, '~~$1~~');
  return decodeEntities(marked);
}

/**
 * Reads Slack's `text`. Never throws; an invalid token stays text.
 * @param keepsMarks the text is Markdown already, so that `*` and `~` mean what they mean there
 */
export function mrkdwnSpans(text: string, { keepsMarks = false } = {}): Span[] {
  const out = new SpanBuilder();
  const prose = (part: string) => out.add(readTokens(part, false, keepsMarks ? decodeEntities : toMarkdown));
  let at = 0;
  for (const found of text.matchAll(CODE)) {
    prose(text.slice(at, found.index));
    at = found.index + found[0].length;
    const fence = found[1];
    if (fence !== undefined) {
      const code = readTokens(fence.replace(/^\n/, '').replace(/\n$/, ''), true, decodeEntities);
      out.startLine().add(fenced(code));
      if (at < text.length && text[at] !== '\n') out.text('\n');
      continue;
    }
    for (const span of readTokens(found[2] ?? '', true, decodeEntities)) {
      out.add([span.kind === 'text' ? { kind: 'text', text: inlineCode(span.text) } : span]);
    }
  }
  prose(text.slice(at));
  return out.spans;
}
