import type { UserId } from '../ids.ts';
import type { Span } from '../inbound.ts';

/** A message that consists of one of these words stops the turn. Also the aliases of the command. */
export const STOP_WORDS = ['stop', 'cancel', 'abort', 'halt'] as const;

const WORD = `(?:${STOP_WORDS.join('|')})`;
const PLEASE = '(?:please|pls|plz)';
/** The word, up to five times, with a courtesy before or after it. */
const STOP = new RegExp(`^(?:${PLEASE} )?(${WORD})(?: \\1){0,4}(?: (?:${PLEASE}|thanks|thank you))?$`, 'u');
/** Longer texts are no stop, so that a long text is never normalised and split. */
const LONGEST = 200;
const EMOJI = /:[a-z0-9_+'-]{1,60}:|[\p{Extended_Pictographic}\p{Emoji_Modifier}]/giu;

/**
 * Whether a text says nothing but "stop": in any case, politely or not, with punctuation, emphasis, quotes, emoji and
 * invisible characters around it. "stop the deploy" is a prompt.
 */
export function isStopWord(text: string): boolean {
  if (text.length > LONGEST) return false;
  // Marks between letters stay, because "s-t-o-p" and "stop/cancel" are no stop.
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

/** Whether a message says only "stop", with or without a mention of the bot. With a mention of a person it does not count. */
export function saysStop(spans: readonly Span[], botUser: UserId): boolean {
  const texts = spans.map((span) => {
    if (span.kind === 'text') return span.text;
    return span.kind === 'user' && span.id === botUser ? ' ' : null;
  });
  return !texts.includes(null) && isStopWord(texts.join(''));
}
