import { showInvisible } from './invisible.ts';

/** Unicode's embeddings, overrides and isolates: each changes the order of all that follows in its line. */
const REORDERS = /[\u202A-\u202E\u2066-\u2069]/g;

/**
 * Puts foreign text into our Markdown as code, so that nothing in it is formatted, and none of our words after it are
 * reordered. Empty stays empty.
 */
export function asCode(text: string): string {
  const shown = text
    .replace(/[`<>]/g, ' ')
    .replace(REORDERS, (char) => showInvisible(char))
    .trim();
  return shown === '' ? '' : `\`${shown}\``;
}
