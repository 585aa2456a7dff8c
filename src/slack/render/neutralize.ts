import { showInvisible } from '../../bridge/text/invisible.ts';
import { endOf, type Parsed, parseMarkdown, type Range, startOf, walk, wordsOf } from './ast.ts';
import { LIMITS } from './limits.ts';
import { hostBehind, safeUrl } from './links.ts';
import { escapeFormulaChar, findFormulas } from './math.ts';
import { paddedTable } from './padded-table.ts';
import type { Image, ImageReference, Link, LinkReference, Table } from './parse/tree.ts';

/** U+2060 WORD JOINER: it is invisible, and Slack reads no token or mark across it. */
const JOINER = '\u2060';

/** Would notify a whole channel if Slack read it as a mention. */
const BROADCAST = /@(?:here|channel|everyone|group)(?![\p{L}\p{N}_])|@[a-z]{0,8}&/iuy;
/** Begins a Slack token that notifies or links; `<!--` and `<!DOCTYPE` do not (docs/slack.md, Text: rules). */
const TOKEN_IN_CODE = /<(?=[@#]|!(?!--|doctype|\[cdata)|(?:https?|mailto|tel|slack|ftp|sip):)/iy;
/** Other spellings of `<` and `@`. */
const ENTITY = /&(?:#0*60|#x0*3c|lt|(#0*64|#x0*40|commat));/iy;
const ESCAPABLE = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}_]/u;

interface Edit extends Range {
  text: string;
}

/**
 * - `full`: links work; where a label may mislead, the link's host is shown after it.
 * - `lean`: links, references and tables are shown as typed. For text whose full form would not fit.
 */
export type Form = 'full' | 'lean';

/**
 * Makes model text harmless for a `markdown` block (docs/slack.md, Pings and misleading text): outside code every `<`
 * is escaped, inside code none begins a token; quotes still work; links go to http, https or mailto only; images become
 * links; formulas are shown as typed; there is at most one table.
 * @param tablesBefore how many tables the message has above this text.
 */
export function neutralizeMarkdown(markdown: string | Parsed, form: Form = 'full', tablesBefore = 0): string {
  const parsed = typeof markdown === 'string' ? parseMarkdown(markdown) : markdown;
  const { code, edits } = collectEdits(parsed, form, tablesBefore);
  return applyEdits(parsed, code, form === 'full' ? findFormulas(parsed) : [], edits);
}

function collectEdits(parsed: Parsed, form: Form, tablesBefore: number): { code: Range[]; edits: Edit[] } {
  const { text, tree } = parsed;
  const code: Range[] = [];
  const edits: Edit[] = [];
  const urls = new Map(parsed.definitions);
  for (const { node } of walk(tree)) {
    if (node.type !== 'definition') continue;
    urls.set(node.identifier, node.url);
    edits.push(insertion(node.colon, JOINER));
  }
  let tables = tablesBefore;
  /** Until here, the text is a table that is shown as typed. */
  let typedUntil = 0;
  for (const { node, ancestors } of walk(tree)) {
    switch (node.type) {
      case 'code':
      case 'inlineCode':
        code.push({ start: startOf(node), end: endOf(node) });
        break;
      case 'table': {
        tables += 1;
        if (form === 'lean') edits.push(insertion(secondLine(text, startOf(node)).rowStart, JOINER));
        else if (tables > 1 || node.children.length > LIMITS.tableRows || columnsOf(node) > LIMITS.tableColumns) {
          code.push({ start: startOf(node), end: endOf(node) });
          typedUntil = endOf(node);
          edits.push(...fencedTable(text, node));
        }
        break;
      }
      case 'link':
        if (startOf(node) >= typedUntil) edits.push(...linkEdits(parsed, node, form));
        break;
      case 'image':
        if (startOf(node) < typedUntil) break;
        if (ancestors.some(({ type }) => type === 'link' || type === 'linkReference')) edits.push(asWords(node));
        else edits.push(...imageEdits(parsed, node, form));
        break;
      case 'linkReference':
      case 'imageReference': {
        const url = urls.get(node.identifier);
        if (form === 'full' && url !== undefined && !node.identifier.startsWith('^') && startOf(node) >= typedUntil)
          edits.push(...referenceEdits(text, node, url));
        break;
      }
      default:
    }
  }
  return { code: mergeRanges(code), edits };
}

/** Applies the edits, and the rules for single characters to the text between them. */
function applyEdits(
  { text, quoteMarkers }: Parsed,
  code: readonly Range[],
  maths: readonly Range[],
  all: Edit[],
): string {
  const edits = editsOutside(
    maths,
    all.sort((a, b) => a.start - b.start || a.end - b.end),
  );
  let out = '';
  let at = 0;
  let nextCode = 0;
  let nextMath = 0;
  let nextEdit = 0;
  while (at < text.length || nextEdit < edits.length) {
    const edit = edits[nextEdit];
    if (edit && edit.start <= at) {
      nextEdit += 1;
      // It lies inside something that an earlier edit has replaced.
      if (edit.start < at) continue;
      out += edit.text;
      at = edit.end;
      continue;
    }
    while ((code[nextCode]?.end ?? Number.POSITIVE_INFINITY) <= at) nextCode += 1;
    const isInCode = (code[nextCode]?.start ?? Number.POSITIVE_INFINITY) <= at;
    while ((maths[nextMath]?.end ?? Number.POSITIVE_INFINITY) <= at) nextMath += 1;
    const isInMath = (maths[nextMath]?.start ?? Number.POSITIVE_INFINITY) <= at;
    const char = text.charAt(at);
    if (isInMath && escapeFormulaChar(char) !== char) {
      out += escapeFormulaChar(char);
      at += 1;
      continue;
    }
    const following = text.charAt(at + 1);
    if (char === '\\' && !isInCode && ESCAPABLE.test(following) && edit?.start !== at + 1) {
      if (following === '<') out += '&lt;';
      else if (following === '>') out += '&gt;';
      else if (following === '@') out += `\\${isBroadcastAt(text, at + 1) ? `@${JOINER}` : '@'}`;
      else out += char + following;
      at += 2;
      continue;
    }
    if (char === '&' && !isInCode) {
      ENTITY.lastIndex = at;
      const entity = ENTITY.exec(text);
      if (entity) {
        out += entity[1] === undefined ? '&lt;' : `@${JOINER}`;
        at += entity[0].length;
        continue;
      }
    }
    out += oneCharacter(text, at, isInCode, quoteMarkers);
    at += 1;
  }
  return out;
}

function oneCharacter(text: string, at: number, isInCode: boolean, quoteMarkers: ReadonlySet<number>): string {
  const char = text.charAt(at);
  if (char === '<') {
    if (!isInCode) return '&lt;';
    TOKEN_IN_CODE.lastIndex = at;
    return TOKEN_IN_CODE.test(text) ? `<${JOINER}` : '<';
  }
  if (char === '>') return isInCode || quoteMarkers.has(at) ? '>' : '&gt;';
  // In code Slack reads no mention without its `<!`, and people copy code.
  if (char === '@' && !isInCode) return isBroadcastAt(text, at) ? `@${JOINER}` : '@';
  return printable(char, text, at);
}

/** Breaks each Slack token in code by a joiner. */
function neutralizeCode(code: string): string {
  const none: ReadonlySet<number> = new Set();
  let out = '';
  for (let at = 0; at < code.length; at += 1) out += oneCharacter(code, at, true, none);
  return out;
}

function isBroadcastAt(text: string, at: number): boolean {
  BROADCAST.lastIndex = at;
  return BROADCAST.test(text) && !WORD.test(text.charAt(at - 1));
}

/** Replaces control characters and halves of characters by U+FFFD. */
function printable(char: string, text: string, at: number): string {
  const unit = char.charCodeAt(0);
  if (unit < 0x20) return char === '\n' || char === '\t' || char === '\r' ? char : '\uFFFD';
  if (unit >= 0xd800 && unit <= 0xdbff) return isLow(text.charCodeAt(at + 1)) ? char : '\uFFFD';
  if (isLow(unit)) return isHigh(text.charCodeAt(at - 1)) ? char : '\uFFFD';
  return char;
}

const isHigh = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLow = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

function linkEdits(parsed: Parsed, node: Link, form: Form): Edit[] {
  const { text } = parsed;
  const [start, end] = [startOf(node), endOf(node)];
  const url = form === 'full' ? safeUrl(node.url) : null;
  const host = url === null ? null : hostBehind(wordsOf(node), url);
  const shown = host === null ? [] : [insertion(end, ` (${host})`)];
  if (text.charAt(start) === '[') {
    const { resource } = node;
    if (!resource) return [];
    if (url === null) return [insertion(resource.opens, JOINER)];
    return resource.destination ? [{ ...resource.destination, text: url }, ...shown] : shown;
  }
  if (text.charAt(start) === '<') {
    if (url === null) return [];
    const typed = text.slice(start + 1, end - 1);
    const alone = /^$|[\s(]/.test(text.charAt(start - 1)) && /^$|[\s).,;]/.test(text.charAt(end));
    const whole = alone && typed === url ? url : `[${labelOf(typed)}](${url})`;
    return [{ start, end, text: whole }, ...shown];
  }
  // A bare link: only what could notify in it is changed.
  const typed = text.slice(start, end);
  const safe = typed.replace(/(?<![\p{L}\p{N}_])@(?=here|channel|everyone|group)/giu, '%40');
  const plain = safe === typed ? [] : [{ start, end, text: safe }];
  return form === 'full' ? [...plain, ...shown] : plain.length > 0 ? [] : [];
}

function imageEdits(parsed: Parsed, node: Image, form: Form): Edit[] {
  const { text } = parsed;
  const start = startOf(node);
  const { resource } = node;
  const url = form === 'full' ? safeUrl(node.url) : null;
  if (!resource) return [];
  if (url === null) return [insertion(resource.opens, JOINER)];
  const mark = text.charAt(start - 1) === '!' ? JOINER : '';
  const host = hostBehind(node.alt ?? '', url);
  return [
    { start, end: start + 1, text: mark },
    ...((node.alt ?? '') === '' ? [insertion(start + 2, 'image')] : []),
    ...(resource.destination ? [{ ...resource.destination, text: url }] : []),
    ...(host === null ? [] : [insertion(endOf(node), ` (${host})`)]),
  ];
}

/** `[label][id]` becomes `[label](url)`, because Slack may not resolve definitions. */
function referenceEdits(text: string, node: LinkReference | ImageReference, target: string): Edit[] {
  const url = safeUrl(target);
  if (url === null) return [];
  const [start, end] = [startOf(node), endOf(node)];
  const words = wordsOf(node);
  const host = hostBehind(words, url);
  const tail = `](${url})${host === null ? '' : ` (${host})`}`;
  if (node.type === 'imageReference') {
    return [{ start, end, text: `[${labelOf(words) || 'image'}${tail}` }];
  }
  const last = node.children.at(-1);
  const closes = last ? text.indexOf(']', endOf(last)) : -1;
  return closes < 0 || closes >= end ? [] : [{ start: closes, end, text: tail }];
}

/** An image inside a link becomes its words, as the link's label. */
function asWords(node: Image | ImageReference): Edit {
  return { start: startOf(node), end: endOf(node), text: labelOf(node.alt ?? '') || 'image' };
}

/** Words for a label, without anything that is Markdown. */
function labelOf(words: string): string {
  return neutralizeMrkdwn(words.replace(/[[\]`*_~|\\!\n\r]/g, ' ')).trim();
}

/** Puts a table into a fence, padded, because Slack refuses a second table in a message (docs/slack.md, Size limits). */
function fencedTable(text: string, node: Table): Edit[] {
  const [start, end] = [startOf(node), endOf(node)];
  const { prefix } = secondLine(text, start);
  const runs = text.slice(start, end).match(/`+/g) ?? [];
  const fence = '`'.repeat(Math.max(3, ...runs.map((run) => run.length + 1)));
  const opens = `${fence}
${prefix}`;
  const closes = `
${prefix}${fence}`;
  const padded = paddedTable(text, node);
  if (padded === null) return [insertion(start, opens), insertion(end, closes)];
  const lines = padded
    .map((line) => neutralizeCode(line))
    .join(`
${prefix}`);
  return [{ start, end, text: `${opens}${lines}${closes}` }];
}

/** Where the content of the line after `start` begins, and the quote and list marks before it. */
function secondLine(text: string, start: number): { prefix: string; rowStart: number } {
  const line = text.indexOf('\n', start) + 1;
  const prefix = /^[ \t>]*/.exec(text.slice(line, line + 200))?.[0] ?? '';
  return { prefix, rowStart: line + prefix.length };
}

function columnsOf(table: Table): number {
  return Math.max(0, ...table.children.map((row) => row.children.length));
}

const insertion = (at: number, text: string): Edit => ({ start: at, end: at, text });

/** The edits that begin outside the ranges. Both must be in the order of the text. */
function editsOutside(ranges: readonly Range[], edits: Edit[]): Edit[] {
  if (ranges.length === 0) return edits;
  let next = 0;
  return edits.filter(({ start }) => {
    while ((ranges[next]?.end ?? Number.POSITIVE_INFINITY) <= start) next += 1;
    return start < (ranges[next]?.start ?? Number.POSITIVE_INFINITY);
  });
}

function mergeRanges(ranges: Range[]): Range[] {
  ranges.sort((a, b) => a.start - b.start);
  const out: Range[] = [];
  for (const range of ranges) {
    const last = out.at(-1);
    if (last && range.start <= last.end) last.end = Math.max(last.end, range.end);
    else out.push({ ...range });
  }
  return out;
}

/**
 * Makes foreign text harmless for mrkdwn objects with `verbatim: true` and for a message's `text` (docs/slack.md, Text:
 * rules; Pings and misleading text).
 * @param isCode whether it stands between backticks, where a bare `@here` notifies nobody
 */
export function neutralizeMrkdwn(text: string, isCode = false): string {
  let out = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === '&') out += '&amp;';
    else if (char === '<') out += '&lt;';
    else if (char === '>') out += '&gt;';
    else if (char === '@') out += !isCode && isBroadcastAt(text, at) ? `@${JOINER}` : '@';
    else out += printable(char, text, at);
  }
  return out;
}

/**
 * Foreign text for `plain_text` objects and `rich_text` elements, in which Slack parses nothing (docs/slack.md, Text:
 * rules): invisible characters are shown as codes like `⟨U+202E⟩`.
 */
export function neutralizePlain(text: string): string {
  return showInvisible(text);
}

/**
 * As {@link neutralizePlain}, for sentences: signs that the spelling of their script needs are kept where they do what
 * they are for. Text that is run, written or compared must be shown exactly instead.
 */
export function neutralizeWords(text: string): string {
  const kept = text.includes('\u200C') || text.includes('\u200D') || RTL_LETTER.test(text);
  if (!kept) return neutralizePlain(text);
  let out = '';
  let from = 0;
  for (const sign of text.matchAll(SPELLING)) {
    out += neutralizePlain(text.slice(from, sign.index)) + sign[0];
    from = sign.index + sign[0].length;
  }
  return out + neutralizePlain(text.slice(from));
}

const RTL_LETTER = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u;
/**
 * U+200C between Arabic letters (Persian), and with U+200D after the virama of an Indic script; a single direction mark
 * next to a letter that is written from right to left; U+034F between Hebrew marks.
 */
const SPELLING = new RegExp(
  [
    '(?<=[\\p{Script=Arabic}\\p{Script=Syriac}]\\p{M}{0,3})\\u200C(?=[\\p{Script=Arabic}\\p{Script=Syriac}])',
    '(?<=[\\u094D\\u09CD\\u0A4D\\u0ACD\\u0B4D\\u0BCD\\u0C4D\\u0CCD\\u0D4D\\u0DCA])[\\u200C\\u200D](?=\\p{L}|\\s|$)',
    `(?<=${RTL_LETTER.source}\\p{M}{0,3}[^\\p{L}\\p{C}]{0,3})[\\u200E\\u200F\\u061C](?![\\u200E\\u200F\\u061C])`,
    `(?<![\\u200E\\u200F\\u061C])[\\u200E\\u200F\\u061C](?=[^\\p{L}\\p{C}]{0,3}${RTL_LETTER.source})`,
    '(?<=[\\u0591-\\u05C7])\\u034F(?=[\\u0591-\\u05C7])',
  ].join('|'),
  'gu',
);
