import type { Random } from '../../bridge/ports.ts';

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** How long to wait, in ms, after so many failures in a row: none for none, then doubling with jitter up to 30 s. */
export function backoff(failures: number, random: Random): number {
  if (failures === 0) return 0;
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return longest * (0.5 + random.next() / 2);
}
