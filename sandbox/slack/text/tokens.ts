const LABEL = '(?:\\|[^<>]*)?';
const TOKEN = [
  `@[UW][A-Z0-9]+${LABEL}`,
  `#[CG][A-Z0-9]+${LABEL}`,
  `!(?:here|channel|everyone)${LABEL}`,
  `!subteam\\^S[A-Z0-9]+${LABEL}`,
  '!date\\^[^<>]+',
  `(?:https?://|mailto:|tel:)[^<>|\\s]+${LABEL}`,
].join('|');

/** Slack's `<…>` tokens (docs/slack.md, Text: rules); group 1 is the inside. */
export const tokenPattern = () => new RegExp(`<(${TOKEN})>`, 'g');

const BARE_URL = /https?:\/\/[^\s<>|`]*[^\s<>|`.,;:!?)'"\]]/g;

export function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

export function unescapeText(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');
}

function changeOutsideTokens(text: string, change: (part: string) => string): string {
  let result = '';
  let last = 0;
  for (const match of text.matchAll(tokenPattern())) {
    result += change(text.slice(last, match.index)) + match[0];
    last = match.index + match[0].length;
  }
  return result + change(text.slice(last));
}

/** What Slack makes of an app's `text`: tokens and entities stay, every other `&`, `<`, `>` is escaped. */
export function appText(text: string): string {
  return changeOutsideTokens(text, (part) =>
    part
      .replace(/&(?!(?:amp|lt|gt);)/g, '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;'),
  );
}

export interface Names {
  /** Token for `@name`, if such a person, group or broadcast exists. */
  mention(name: string): string | undefined;
  /** Token for `#name`. */
  channel(name: string): string | undefined;
}

function clientProse(text: string, names: Names): string {
  return changeOutsideTokens(text, (part) =>
    linkUrls(escapeText(part))
      .replace(/(?<![\w@.])@([a-z][a-z0-9._-]*[a-z0-9]|[a-z])/gi, (all, name: string) => names.mention(name) ?? all)
      .replace(/(?<![\w#&/])#([a-z0-9][a-z0-9_-]*)/gi, (all, name: string) => names.channel(name) ?? all),
  );
}

function linkUrls(escaped: string): string {
  return escaped.replace(BARE_URL, (url) => {
    const end = url.search(/&(?:lt|gt);/);
    return end < 0 ? `<${url}>` : `<${url.slice(0, end)}>${url.slice(end)}`;
  });
}

/**
 * What a client sends for what a person typed: `&`, `<`, `>` escaped except in real tokens, names turned into tokens,
 * URLs linked. In code only URLs are linked (clients do that there too) and everything else stays as typed.
 */
export function clientText(text: string, names: Names): string {
  let result = '';
  let last = 0;
  for (const match of text.matchAll(/```[\s\S]*?```|`[^`\n]+`/g)) {
    result += clientProse(text.slice(last, match.index), names) + linkUrls(escapeText(match[0]));
    last = match.index + match[0].length;
  }
  return result + clientProse(text.slice(last), names);
}
