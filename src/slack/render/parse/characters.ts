import { decodeNamedCharacterReference } from 'decode-named-character-reference';

/** CommonMark's character classes. An empty string means the start or the end of the text. */
export const isBlank = (char: string) => char === ' ' || char === '\t';
export const isSpace = (char: string) => char === ' ' || char === '\t' || char === '\n' || char === '\r';
export const isDigit = (char: string) => char >= '0' && char <= '9' && char.length === 1;
export const isLetter = (char: string) => /^[A-Za-z]$/.test(char);
export const isUnicodeSpace = (char: string) => char === '' || /^\s$/u.test(char);
export const isPunctuation = (char: string) => /^[\p{P}\p{S}]$/u.test(char);
export const isEscapable = (char: string) => /^[!-/:-@[-`{-~]$/.test(char);
export const isControl = (char: string) => char !== '' && (char.charCodeAt(0) < 0x20 || char.charCodeAt(0) === 0x7f);

const REFERENCE = /&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z][A-Za-z0-9]{0,30}));/y;

/** The character reference (`&amp;`) at `at`, decoded, and its length; `null`: there is none. */
export function characterReference(text: string, at: number): { value: string; length: number } | null {
  REFERENCE.lastIndex = at;
  const found = REFERENCE.exec(text);
  if (!found) return null;
  const [whole, decimal, hex, name] = found;
  const value = name === undefined ? ofNumber(decimal, hex) : decodeNamedCharacterReference(name);
  return value === false ? null : { value, length: whole.length };
}

function ofNumber(decimal: string | undefined, hex: string | undefined): string {
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number.parseInt(decimal, 10);
  const isNone = code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff);
  return isNone ? '\uFFFD' : String.fromCodePoint(code);
}

/** Removes backslashes before punctuation and decodes character references. */
export function unescapeMarkdown(text: string): string {
  if (!/[\\&]/.test(text)) return text;
  return text.replace(
    /\\([!-/:-@[-`{-~])|&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{0,30});/g,
    (found, char) => (char === undefined ? (characterReference(found, 0)?.value ?? found) : char),
  );
}
