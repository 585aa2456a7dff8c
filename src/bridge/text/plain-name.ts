import { oneLine } from './one-line.ts';

/** A person's display name as words in our Markdown: one line without marks, mentions and addresses. */
export function plainName(name: string): string {
  return plainWords(name, 60);
}

/** Foreign text as words in our Markdown: as {@link plainName}, up to `most` characters. */
export function plainWords(text: string, most: number): string {
  const words = text.replace(/[\\`*_~<>[\]|@#]/g, ' ').replaceAll('://', ' ');
  return oneLine(words, most).trim();
}
