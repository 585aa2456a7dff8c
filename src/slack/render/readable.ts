import type { TurnView } from '../../bridge/view/turn.ts';
import { completeMarkdown, firstWords, oneLineOf } from './markdown.ts';

/**
 * How much the newest message of a live turn would show, least first. `activity`: only what the agent does. `waiting`:
 * what the turn waits for, outside the agent, or that messages can be handed to it. `words`: the beginning of a text. `readable`: enough of a text to be read
 * in a notification.
 */
export type Substance = 'activity' | 'waiting' | 'words' | 'readable';

/** So many characters of a text are worth a notification; so is a whole line. */
const READABLE = 40;
/** A longer text has something to read, whatever it is. */
const LONG = 2_000;

/**
 * Tells what the newest message of a live view would show: the text below its last card, else what the agent does. One
 * for each turn: a text that grows is read only until it is readable.
 */
export function createSubstance(): (view: TurnView) => Substance {
  let known: { item: number; length: number } | null = null;
  return ({ items, live, todo }) => {
    const item = items.length - 1;
    const last = items[item];
    const markdown = last?.kind === 'text' ? last.markdown : '';
    if (known?.item === item && markdown.length >= known.length) return 'readable';
    const text = substanceOfText(markdown);
    if (text === 'readable') known = { item, length: markdown.length };
    // The agent's own list can be read, too.
    if (todo !== undefined) return 'readable';
    return text ?? (isWaiting(live) ? 'waiting' : 'activity');
  };
}

function isWaiting(live: TurnView['live']): boolean {
  const activity = live?.activity;
  if (live?.steering !== undefined) return true;
  return activity?.kind === 'waiting_for_letta' || (activity?.kind === 'starting' && activity.place !== undefined);
}

/** `null`: it would show nothing, or mere markup. */
export function substanceOfText(markdown: string): 'words' | 'readable' | null {
  if (markdown.length > LONG) return 'readable';
  const words = wordsOf(markdown);
  if (!saysSomething(words)) return null;
  const line = markdown.lastIndexOf('\n');
  const isReadable = countVisible(words) >= READABLE || (line >= 0 && saysSomething(wordsOf(markdown.slice(0, line))));
  return isReadable ? 'readable' : 'words';
}

/** Whether words are more than markup, punctuation and invisible characters. */
export function saysSomething(words: string): boolean {
  return /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(words.replace(/\[[ xX]?\]/g, ''));
}

/** The words of a short, perhaps half-written Markdown text in one line, not neutralised. */
export const wordsOf = (markdown: string) => oneLineOf(firstWords(completeMarkdown(markdown, true).parsed.tree));

const countVisible = (words: string) => [...words.replace(/[\p{Cc}\p{Cf}\p{M}]/gu, '')].length;
