/** Puts foreign text into our Markdown as code, so that nothing in it is formatted. Empty stays empty. */
export function asCode(text: string): string {
  const shown = text.replace(/[`<>]/g, ' ').trim();
  return shown === '' ? '' : `\`${shown}\``;
}
