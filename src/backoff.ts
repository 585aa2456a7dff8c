/** How long to wait before trying again: twice as long after each failure. */
export interface Backoff {
  /** ms after the first failure. */
  firstMs: number;
  /** ms that are never exceeded, but for the spread. */
  longestMs: number;
  /** From and up to what part of it chance makes the wait, so that not all try at once; left out: all of it. */
  spread?: readonly [from: number, to: number];
}

/**
 * @param failures in a row; after none there is no wait
 * @param chance 0 ≤ chance < 1
 * @returns ms, whole
 */
export function backoffMs({ firstMs, longestMs, spread = [1, 1] }: Backoff, failures: number, chance = 0): number {
  if (failures <= 0) return 0;
  const [from, to] = spread;
  return Math.round(Math.min(longestMs, firstMs * 2 ** (failures - 1)) * (from + chance * (to - from)));
}
