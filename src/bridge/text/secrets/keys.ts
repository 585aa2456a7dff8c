import { FAMILIES, type KeyFamily } from './families.ts';

/** A part of a text, in UTF-16 units. */
export interface Span {
  from: number;
  to: number;
}

/** By the first two letters of a key. */
const BY_BEGIN = new Map<string, KeyFamily[]>();
for (const family of FAMILIES) {
  for (const two of new Set(family.begins.map((letters) => letters.slice(0, 2).toLowerCase()))) {
    BY_BEGIN.set(two, [...(BY_BEGIN.get(two) ?? []), family]);
  }
}

/**
 * Shapes without a telling beginning, each with letters that a text must contain before the shape is searched.
 * From gitleaks, as {@link FAMILIES}: azure-ad-client-secret, hashicorp-tf-api-token, maxmind-license-key; ours: Telegram.
 */
const OTHER_SHAPES: readonly (readonly [string, RegExp])[] = [
  ['Q~', /(?<![\w.~-])[\w.~]{3}\dQ~[\w.~-]{31,34}/g],
  ['.atlasv1.', /(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}/g],
  ['_mmk', /(?<![A-Za-z0-9])[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk/g],
  [':AA', /(?<![A-Za-z0-9])\d{8,10}:AA[\w-]{33}/g],
];

/** Keys of known shapes, in order, none inside of another. Linear in the text, whatever it holds. */
export function keysIn(text: string): Span[] {
  const spans = beginningKeys(text);
  for (const [letters, shape] of OTHER_SHAPES) {
    if (!text.includes(letters)) continue;
    for (const { index, 0: key } of text.matchAll(shape)) spans.push({ from: index, to: index + key.length });
  }
  return apart(spans);
}

function beginningKeys(text: string): Span[] {
  const spans: Span[] = [];
  let before = false;
  for (let at = 0; at < text.length; at += 1) {
    const is = isWordUnit(text.charCodeAt(at));
    if (is && (!before || isBehindEscape(text, at))) {
      const to = keyAt(text, at);
      if (to !== null) {
        spans.push({ from: at, to });
        at = to - 1;
        before = true;
        continue;
      }
    }
    before = is;
  }
  return spans;
}

function keyAt(text: string, at: number): number | null {
  const families = BY_BEGIN.get(text.slice(at, at + 2).toLowerCase());
  if (!families) return null;
  let to = at;
  for (const { pattern } of families) {
    pattern.lastIndex = at;
    if (pattern.test(text)) to = Math.max(to, pattern.lastIndex);
  }
  if (to === at) return null;
  // When a key is longer than its shape, its rest is hidden, too.
  while (isWordUnit(text.charCodeAt(to)) || text.charCodeAt(to) === 0x5f) to += 1;
  return to;
}

/** An ASCII letter or digit. */
function isWordUnit(unit: number): boolean {
  return (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
}

/** Escapes that end in a letter right before a key: a colour code, `\n` in JSON or a script, `%20`. */
const ESCAPE = /(?:\[[0-9;]{0,8}[A-Za-z]|\\[nrtbf0ae]|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|%[0-9A-Fa-f]{2})$/;

function isBehindEscape(text: string, at: number): boolean {
  return ESCAPE.test(text.slice(Math.max(0, at - 10), at));
}

/** The spans in order, overlapping ones merged. */
export function apart<S extends Span>(spans: S[]): S[] {
  const sorted = spans.toSorted((a, b) => a.from - b.from || b.to - a.to);
  const out: S[] = [];
  for (const span of sorted) {
    const last = out.at(-1);
    if (last && span.from < last.to) last.to = Math.max(last.to, span.to);
    else out.push({ ...span });
  }
  return out;
}
