/** What a database cannot hold in a text (Postgres: either of both; SQLite: halves of pairs), and the sign that stands before its substitute. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what has to be found
const UNSTORABLE = /[\\\u0000]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const STORED = /\\(\\|0|u[0-9a-f]{4})/g;

/**
 * A key as text that a database takes and gives back unchanged: NUL, halves of surrogate pairs and the backslash are
 * written as escapes. Values need none of this, because JSON writes the first two as escapes already.
 */
export function keyToText(key: string): string {
  return key.replace(UNSTORABLE, (found) => {
    if (found === '\\') return '\\\\';
    return found === '\u0000' ? '\\0' : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

export function keyFromText(text: string): string {
  return text.replace(STORED, (_, written: string) => {
    if (written === '\\') return '\\';
    return written === '0' ? '\u0000' : String.fromCharCode(Number.parseInt(written.slice(1), 16));
  });
}
