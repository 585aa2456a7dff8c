import { describe, expect, it } from 'vitest';
import { neutralizePlain, neutralizeWords } from '../../../src/slack/render/neutralize.ts';

const named = (code: number) => `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
const shown = (code: number) => neutralizePlain(`a${String.fromCodePoint(code)}b`);

/** What no reader can see or tell from a space, after Unicode's tables; written otherwise than in the code. */
function isUnseen(code: number): boolean {
  const char = String.fromCodePoint(code);
  if (char === '\n' || char === '\t' || char === ' ') return false;
  if (/^\p{DI}$/u.test(char) || /^\p{Bidi_C}$/u.test(char) || /^\p{White_Space}$/u.test(char)) return true;
  return /^[\p{Control}\p{Format}\p{Separator}]$/u.test(char);
}

describe('invisible characters on a card', () => {
  it('are shown by number: every one that Unicode has', () => {
    let unseen = 0;
    for (let code = 0; code <= 0x10ffff; code += 1) {
      if ((code >= 0xd800 && code <= 0xdfff) || !isUnseen(code)) continue;
      unseen += 1;
      if (shown(code) !== `a${named(code)}b`) expect(shown(code)).toBe(`a${named(code)}b`);
    }
    expect(unseen).toBeGreaterThan(4_000);
  });

  it('are shown even if Unicode classes them as letters or signs', () => {
    for (const code of [
      0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x2800, 0x3164, 0xfe0f, 0xfe00, 0xffa0, 0xfffc, 0x1d159, 0xe0041, 0xe01ef,
    ])
      expect(shown(code)).toBe(`a${named(code)}b`);
  });

  it('are the only ones changed: letters, digits and signs stay', () => {
    for (let code = 0x20; code <= 0x10ffff; code += 1) {
      const char = String.fromCodePoint(code);
      if (!/^[\p{L}\p{N}\p{P}\p{Sm}\p{Sc}\p{Sk}]$/u.test(char) || /^\p{DI}$/u.test(char)) continue;
      if (neutralizePlain(char) !== char) expect(neutralizePlain(char)).toBe(char);
    }
  });

  it('are kept inside emoji, and shown elsewhere', () => {
    for (const emoji of ['👩‍👩‍👧', '⚠️', '✂️', '🏳️‍🌈', '👍🏽']) expect(neutralizePlain(emoji)).toBe(emoji);
    expect(neutralizePlain('rm\u200D -rf\uFE0F')).toBe('rm⟨U+200D⟩ -rf⟨U+FE0F⟩');
  });
});

describe('invisible characters in a sentence', () => {
  it('are kept where Persian, Hindi and Hebrew need them', () => {
    for (const text of ['می‌خواهم کدام را', 'क्‍ष', 'שלום\u200F!', 'C++\u200F של', 'נִ\u034Fִ'])
      expect(neutralizeWords(text)).toBe(text);
  });

  it('are shown elsewhere, and always in text that is run', () => {
    expect(neutralizeWords('rm\u200C -rf\u200F x')).toBe('rm⟨U+200C⟩ -rf⟨U+200F⟩ x');
    expect(neutralizeWords('שלום\u202Etxt')).toBe('שלום⟨U+202E⟩txt');
    expect(neutralizeWords('שלום\u200F\u200F!')).toContain('⟨U+200F⟩');
    expect(neutralizePlain('می‌خواهم')).toContain('⟨U+200C⟩');
  });
});
