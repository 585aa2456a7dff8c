import type { UserId } from '../ids.ts';
import type { Span } from '../inbound.ts';

/** What stops a turn, said alone. Also the aliases of the command. */
export const STOP_WORDS = ['stop', 'cancel', 'abort', 'halt'] as const;

const WORD = `(?:${STOP_WORDS.join('|')})`;
const PLEASE = '(?:please|pls|plz)';
/** The word, said up to five times, with a courtesy before or behind it. */
const STOP = new RegExp(`^(?:${PLEASE} )?(${WORD})(?: \\1){0,4}(?: (?:${PLEASE}|thanks|thank you))?$`, 'u');
/** Far longer than anybody says it, so that no long text is taken apart. */
const LONGEST = 200;
const EMOJI = /:[a-z0-9_+'-]{1,60}:|[\p{Extended_Pictographic}\p{Emoji_Modifier}]/giu;

/**
 * Whether somebody says nothing but "stop": any case, with punctuation, emphasis, quotes, emoji and invisible characters
 * around it, and politely. "stop the deploy" is a prompt.
 */
export function isStopWord(text: string): boolean {
  if (text.length > LONGEST) return false;
  // Marks between letters stay: "s-t-o-p" and "stop/cancel" are something else.
  const words = text
    .normalize('NFKC')
    .replace(/[\p{Cf}\p{Mn}]/gu, '')
    .replace(EMOJI, ' ')
    .toLowerCase()
    .split(/\s+/u)
    .map((word) => word.replace(/^[\p{P}\p{S}]+|[\p{P}\p{S}]+$/gu, ''))
    .filter((word) => word !== '');
  return STOP.test(words.join(' '));
}

/** The same of a message, whoever it addresses the bot: "@agent stop!", "stop, @agent". To somebody else it is talk. */
export function saysStop(spans: readonly Span[], botUser: UserId): boolean {
  const texts = spans.map((span) => {
    if (span.kind === 'text') return span.text;
    return span.kind === 'user' && span.id === botUser ? ' ' : null;
  });
  return !texts.includes(null) && isStopWord(texts.join(''));
}
