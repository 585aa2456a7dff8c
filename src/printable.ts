/**
 * Text of others made fit for a terminal or a log: what a terminal obeys (C0, C1), what turns the order of letters around
 * (bidirectional controls) and what nobody sees has no place there.
 */

/** What a terminal obeys, breaks a line at, or shows in another order; and halves of characters. */
const UNSAFE = /(?:[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|(?![\u200c\u200d])\p{Cf})+/gu;
const UNSAFE_BUT_LINES = /(?![\n\t])\p{Cc}|[\p{Zl}\p{Zp}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/gu;

function visible(character: string): string {
  return `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
}

/** Text of several lines as a terminal may have it: what is unsafe is shown by its number. Line breaks and tabs stay. */
export function printable(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(UNSAFE_BUT_LINES, visible);
}

/** A name or message of others as one line: what is unsafe becomes a blank. @param max characters that are kept */
export function printableLine(text: string, max = Number.POSITIVE_INFINITY): string {
  const line = text
    .slice(0, max * 4)
    .replace(UNSAFE, ' ')
    .trim();
  const characters = Array.from(line);
  return characters.length > max ? `${characters.slice(0, max - 1).join('')}…` : line;
}

const NAME = 80;

/** A text of ours in which every value is a name or message of others: each is brought to one short line. */
export function line(texts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return texts.reduce((all, text, at) => all + printableLine(String(values[at - 1] ?? ''), NAME) + text);
}

/** JSON that means the same and has nothing unsafe in it. @param json the text of a JSON value */
export function printableJson(json: string): string {
  return json.replace(UNSAFE_BUT_LINES, escaped);
}

function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('');
}
