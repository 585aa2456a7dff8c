import { holdTokens } from './own-tokens.ts';

/**
 * The bridge's own short Markdown texts (help, status) as mrkdwn, for the places that take no `markdown` block
 * (docs/slack.md, Markdown blocks): answers to commands, Home. Anything else in angle brackets is escaped.
 */
export function ownMrkdwn(markdown: string): string {
  const { text, restoreTokens } = holdTokens(markdown);
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return restoreTokens(
    escaped
      .replace(/\*\*([^*\n]+)\*\*/g, '*$1*')
      .replace(/^#{1,6} +(.+)$/gm, '*$1*')
      .replace(/^- /gm, '• '),
  );
}
