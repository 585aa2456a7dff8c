import type { UserId } from '../../bridge/ids.ts';
import { parseMarkdown, walk } from './ast.ts';

/**
 * The Slack tokens that our own texts may hold: mentions of one person, group or channel, and dates as
 * `bridge/text/moment.ts` writes them.
 */
const OWN_TOKEN = /<(?:[@#][A-Z0-9]{1,32}|!subteam\^S[A-Z0-9]{1,31}|!date\^\d{1,12}\^[{}\w ]{1,60}\|[\w:.-]{1,40})>/g;
/** Each token is replaced by a character of a private Unicode plane; such characters in the text are removed first. */
const FIRST = 0xf0000;
const PLACEHOLDERS = /[\u{F0000}-\u{FFFFF}]/gu;
const MOST = 0xffff;

export interface HeldTokens {
  /** The text with a placeholder character for each token. */
  text: string;
  /** Puts the tokens back, after the rest was made harmless. */
  restoreTokens(harmless: string): string;
}

/**
 * Replaces our own tokens by placeholders before a text is made harmless. So only what is a token now becomes one:
 * neither what people typed escaped (`&lt;!subteam^S1&gt;`) nor anything in code.
 */
export function holdTokens(markdown: string): HeldTokens {
  return hold(markdown, OWN_TOKEN, (token) => token);
}

const MENTION = /<@([UW][A-Z0-9]{2,31})(?:\|[^<>|\n]{0,80})?>/g;
/** Mentions that a text keeps; further ones become names. */
const MENTIONS = 20;

/**
 * As {@link holdTokens}, for a text of the agent: keeps mentions of people whom it may notify, nothing else.
 * @returns also whom it mentions
 */
export function holdMentions(
  markdown: string,
  mayMention: (user: UserId) => boolean,
): HeldTokens & { users: UserId[] } {
  const users: UserId[] = [];
  const held = hold(markdown, MENTION, (token) => {
    const user = token.replace(/^<@|[|>].*$/g, '');
    if (users.length >= MENTIONS || !mayMention(user)) return null;
    users.push(user);
    // Without a label, which says what the agent likes.
    return `<@${user}>`;
  });
  return { ...held, users };
}

function hold(markdown: string, pattern: RegExp, keep: (token: string) => string | null): HeldTokens {
  const tokens: string[] = [];
  const clean = markdown.replace(PLACEHOLDERS, '\uFFFD');
  const code = clean.includes('<') && /`|~~~| {4}|\t/.test(clean) ? findCode(clean) : [];
  let next = 0;
  const text = clean.replace(pattern, (token, ...rest) => {
    const at = rest.find((each) => typeof each === 'number') ?? 0;
    while ((code[next]?.end ?? Number.POSITIVE_INFINITY) <= at) next += 1;
    const isCode = (code[next]?.start ?? Number.POSITIVE_INFINITY) <= at;
    const kept = isCode || tokens.length >= MOST ? null : keep(token);
    return kept === null ? token : String.fromCodePoint(FIRST + tokens.push(kept) - 1);
  });
  return {
    text,
    restoreTokens: (harmless) =>
      harmless.replace(PLACEHOLDERS, (placeholder) => tokens[(placeholder.codePointAt(0) ?? 0) - FIRST] ?? ''),
  };
}

function findCode(text: string): { start: number; end: number }[] {
  const code: { start: number; end: number }[] = [];
  for (const { node } of walk(parseMarkdown(text).tree)) {
    if (node.type === 'code' || node.type === 'inlineCode') code.push({ start: node.start, end: node.end });
  }
  return code;
}
