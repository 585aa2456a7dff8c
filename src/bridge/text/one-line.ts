/** One line of at most `max` characters. */
export function oneLine(text: string, max = 120): string {
  const line = text
    .slice(0, max * 4)
    .replace(/\s+/g, ' ')
    .trim();
  return line.length <= max && text.length <= max * 4 ? line : `${line.slice(0, max - 1)}…`;
}
