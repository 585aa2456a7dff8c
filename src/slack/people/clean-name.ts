const NAME = 80;

/** A name that is safe to show: one line without invisible characters, at most 80 characters. */
export function cleanName(name: string): string {
  const line = name
    .replace(/\p{Cf}/gu, '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  return Array.from(line).slice(0, NAME).join('').trim();
}
