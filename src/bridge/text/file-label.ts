import { oneLine } from './one-line.ts';

/** How a file is named in a text for the agent: `[file: report.pdf, 2.1 MB]`. @param size bytes; `null`: not known */
export function fileLabel({ name, size }: { name: string; size: number | null }): string {
  const shown = oneLine(name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}[\]]/gu, ' '), 120) || 'without a name';
  return size === null ? `[file: ${shown}]` : `[file: ${shown}, ${sizeText(size)}]`;
}

/** A size for people, with the units of 1000 that Slack shows: `812 B`, `2.1 MB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1_000) return `${Math.max(0, Math.round(bytes))} B`;
  const [unit, by] = bytes < 999_500 ? ['kB', 1e3] : bytes < 999_500_000 ? ['MB', 1e6] : ['GB', 1e9];
  const value = bytes / by;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}
