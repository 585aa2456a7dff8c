import type { Token } from '../ids.ts';

const LETTERS = 8;

/** What people type to name a request. It is no secret: whoever types it is checked like whoever clicks. */
export function shortId(token: Token): string {
  return token.slice(0, LETTERS);
}
