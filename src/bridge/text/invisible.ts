/**
 * Characters that hide, reorder or fake text, by Unicode's own properties: controls and formats (bidi, zero width, tags),
 * ignorable characters (fillers, variation selectors), lone surrogates and noncharacters, blanks other than the space, and
 * three that are drawn as nothing (blank Braille, object replacement, null notehead). Line ends and tabs do not count.
 */
export const INVISIBLE =
  /(?![\n\t ])[\p{Cc}\p{Cf}\p{Cs}\p{Z}\p{Default_Ignorable_Code_Point}\p{Variation_Selector}\p{Noncharacter_Code_Point}\u2800\uFFFC\u{1D159}]/gu;

/** The most letters that one of them takes when it is shown by its number: `⟨U+10FFFF⟩`. */
export const INVISIBLE_SHOWN = 10;
