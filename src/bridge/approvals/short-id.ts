import type { Token } from '../ids.ts';

const LETTERS = 8;

/** What people type to name a request; it is no secret, and who may decide is asked all the same. */
export function shortId(token: Token): string {
  return token.slice(0, LETTERS);
}
