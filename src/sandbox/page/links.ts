/** The address of a link that may be followed; `null` for what a browser should not open. */
export function safeHref(url: string): string | null {
  try {
    const { protocol, href } = new URL(url);
    return ['http:', 'https:', 'mailto:'].includes(protocol) ? href : null;
  } catch {
    return null;
  }
}
