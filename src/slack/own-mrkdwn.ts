/**
 * Escaped, what our own texts may hold as Slack tokens: mentions of one person, group or channel, and dates as
 * `bridge/own-words.ts` writes them.
 */
export const OWN_TOKENS =
  /&lt;([@#][A-Z0-9]{1,32}|!subteam\^S[A-Z0-9]{1,31}|!date\^\d{1,12}\^[{}\w ]{1,60}\|[\w:.-]{1,40})&gt;/g;

/**
 * The bridge's own short Markdown texts (help, status) as mrkdwn, for the places that take no `markdown` block
 * (PLATFORM.md 2.2): answers to commands, Home. Anything else in angle brackets is escaped.
 */
export function ownMrkdwn(markdown: string): string {
  const escaped = markdown.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return escaped
    .replace(OWN_TOKENS, '<$1>')
    .replace(/\*\*([^*\n]+)\*\*/g, '*$1*')
    .replace(/^#{1,6} +(.+)$/gm, '*$1*')
    .replace(/^- /gm, '• ');
}
