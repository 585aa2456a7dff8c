import { oneLine } from './one-line.ts';

/** A person's display name as words in our Markdown: one line without marks, mentions and addresses. */
export function plainName(name: string): string {
  const words = name.replace(/[\\`*_~<>[\]|@#]/g, ' ').replaceAll('://', ' ');
  return oneLine(words, 60).trim();
}
