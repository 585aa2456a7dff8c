/**
 * The bridge's own short Markdown texts (help, status) as mrkdwn, for the places that take no `markdown` block
 * (PLATFORM.md 2.2): answers to commands, Home. Anything that is not one of our mentions is escaped.
 */
export function ownMrkdwn(markdown: string): string {
  const escaped = markdown.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return escaped
    .replace(/&lt;([@#][A-Z0-9]+)&gt;/g, '<$1>')
    .replace(/\*\*([^*\n]+)\*\*/g, '*$1*')
    .replace(/^#{1,6} +(.+)$/gm, '*$1*')
    .replace(/^- /gm, '• ');
}
