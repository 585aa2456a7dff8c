const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/**
 * How long to wait before dialling again: full jitter under a limit that doubles from 0.5 s to 30 s.
 * @param attempt 0 after the first failure
 * @param chance 0 ≤ chance < 1
 * @returns ms
 */
export function backoff(attempt: number, chance: number): number {
  const limit = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(limit * chance);
}
