/** Where a shell would open quotes in the text; none if it has heredocs, because their bodies have quotes of their own. */
export function openingQuotes(text: string): ReadonlySet<number> {
  const opens = new Set<number>();
  if (text.includes('<<')) return opens;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quote === '') {
      if (char === '\\') at += 1;
      else if (char === '"' || char === "'") {
        opens.add(at);
        quote = char;
      } else if (char === '#' && (at === 0 || /\s/.test(text.charAt(at - 1)))) {
        const end = text.indexOf('\n', at);
        at = end < 0 ? text.length : end;
      }
    } else if (char === '\\' && quote === '"') {
      at += 1;
    } else if (char === quote) {
      quote = '';
    }
  }
  return opens;
}
