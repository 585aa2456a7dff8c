/** Text of others in Markdown of ours: shown as it is, whatever it holds. Empty stays empty. */
export function asCode(text: string): string {
  const shown = text.replace(/[`<>]/g, ' ').trim();
  return shown === '' ? '' : `\`${shown}\``;
}
