import { holdTokens } from './own-tokens.ts';

/**
 * Renders the bridge's own short Markdown texts (help, status) as mrkdwn, for answers to commands and Home, which take
 * no `markdown` block (docs/slack.md, Markdown blocks). Angle brackets are escaped, except in our own tokens.
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
