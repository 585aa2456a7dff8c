/**
 * Characters that hide, reorder or fake text, by Unicode's own properties: controls and formats (bidi, zero width, tags),
 * ignorable characters (fillers, variation selectors), lone surrogates and noncharacters, blanks other than the space, and
 * three that are drawn as nothing (blank Braille, object replacement, null notehead). Line ends and tabs do not count.
 */
export const INVISIBLE =
  /(?![\n\t ])[\p{Cc}\p{Cf}\p{Cs}\p{Z}\p{Default_Ignorable_Code_Point}\p{Variation_Selector}\p{Noncharacter_Code_Point}\u2800\uFFFC\u{1D159}]/gu;

/** The most letters that one of them takes when it is shown by its number: `⟨U+10FFFF⟩`. */
export const INVISIBLE_SHOWN = 10;

/** The text with each of them as a code like `⟨U+202E⟩`, except where it only joins or draws an emoji. */
export function showInvisible(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(INVISIBLE, (char, at: number, all: string) => {
    if (char === '\u200D' && JOINABLE.test(all.slice(Math.max(0, at - 2), at))) return char;
    if (char === '\uFE0F' && DRAWN.test(all.slice(Math.max(0, at - 2), at))) return char;
    return `⟨U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** U+200D after these joins emoji (families, professions), so it is kept. */
const JOINABLE = /(?:\p{Extended_Pictographic}|\uFE0F|[\u{1F3FB}-\u{1F3FF}])$/u;
/** U+FE0F after these asks for a coloured emoji, so it is kept. */
const DRAWN = /\p{Extended_Pictographic}$/u;
