/** A text in pieces of at most `max` units: cut after a line's end if one is near, and never inside a character. */
export function piecesOf(text: string, max: number): string[] {
  const pieces: string[] = [];
  let at = 0;
  while (text.length - at > max) {
    const newline = text.lastIndexOf('\n', at + max - 1);
    const high = text.charCodeAt(at + max - 1);
    const whole = high >= 0xd800 && high <= 0xdbff ? at + max - 1 : at + max;
    const end = newline >= at + max / 2 ? newline + 1 : whole;
    pieces.push(text.slice(at, end));
    at = end;
  }
  return [...pieces, text.slice(at)];
}
