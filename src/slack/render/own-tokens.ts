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
  const tokens: string[] = [];
  const clean = markdown.replace(PLACEHOLDERS, '\uFFFD');
  const code = clean.includes('<') && /`|~~~| {4}|\t/.test(clean) ? findCode(clean) : [];
  let next = 0;
  const text = clean.replace(OWN_TOKEN, (token, at: number) => {
    while ((code[next]?.end ?? Number.POSITIVE_INFINITY) <= at) next += 1;
    if ((code[next]?.start ?? Number.POSITIVE_INFINITY) <= at || tokens.length >= MOST) return token;
    return String.fromCodePoint(FIRST + tokens.push(token) - 1);
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
