/**
 * Makes text from others safe for a terminal or a log: control characters (C0, C1), bidirectional controls and
 * invisible characters are replaced.
 */

/** Control characters, line breaks, bidirectional and invisible characters, and lone surrogates. */
const UNSAFE = /(?:[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|(?![\u200c\u200d])\p{Cf})+/gu;
const UNSAFE_BUT_LINES = /(?![\n\t])\p{Cc}|[\p{Zl}\p{Zp}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/gu;

function visible(character: string): string {
  return `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
}

/** Text of several lines for a terminal: unsafe characters are shown as numbers. Line breaks and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(UNSAFE_BUT_LINES, visible);
}

/** A name or message from others as one line: unsafe characters become blanks. @param max characters that are kept */
export function printableLine(text: string, max = Number.POSITIVE_INFINITY): string {
  const line = text
    .slice(0, max * 4)
    .replace(UNSAFE, ' ')
    .trim();
  const characters = Array.from(line);
  return characters.length > max ? `${characters.slice(0, max - 1).join('')}…` : line;
}

const NAME = 80;

/** A template tag: each value is a name or message from others and becomes one short line. */
export function line(texts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return texts.reduce((all, text, at) => all + printableLine(String(values[at - 1] ?? ''), NAME) + text);
}

/** The same JSON with unsafe characters escaped. @param json the text of a JSON value */
export function printableJson(json: string): string {
  return json.replace(UNSAFE_BUT_LINES, escaped);
}

function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('');
}
