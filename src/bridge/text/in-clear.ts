import { oneLine } from './one-line.ts';

/**
 * Foreign words in a text of ours, as one line outside of code: without `<`, so that none of them is one of the mentions
 * that our own texts may hold.
 */
export function inClear(words: string, max: number): string {
  return oneLine(words.replaceAll('<', '‹'), max);
}
