/**
 * A bounded memory of keys, as a value: adding gives a new one and leaves the old as it was.
 * The newest keys lie in a short list that is copied, older ones in blocks that are shared; the oldest block is forgotten.
 */
export interface Seen {
  readonly recent: readonly string[];
  readonly blocks: readonly ReadonlySet<string>[];
}

const BLOCK = 64;
const BLOCKS = 32;

/** At least this many of the last keys are known at any time. */
export const SEEN_KEPT = BLOCK * BLOCKS;

export const emptySeen: Seen = { recent: [], blocks: [] };

export function hasSeen(seen: Seen, key: string): boolean {
  return seen.recent.includes(key) || seen.blocks.some((block) => block.has(key));
}

export function addSeen(seen: Seen, key: string): Seen {
  const recent = [...seen.recent, key];
  if (recent.length < BLOCK) return { recent, blocks: seen.blocks };
  return { recent: [], blocks: [new Set(recent), ...seen.blocks.slice(0, BLOCKS - 1)] };
}
