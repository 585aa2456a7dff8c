/**
 * An immutable, bounded set of keys: adding returns a new set. Copying it for each of thousands of frames would be
 * slow, so successive sets share one map of keys and positions, and each set contains the positions below its own
 * `end`. The map is copied only when a key is added to an older set or to a full map.
 */
export interface Seen {
  readonly places: ReadonlyMap<string, number>;
  readonly end: number;
}

/** At least this many of the last keys are known at any time. */
export const SEEN_KEPT = 2_048;

export const emptySeen: Seen = { places: new Map(), end: 0 };

export function hasSeen({ places, end }: Seen, key: string): boolean {
  const place = places.get(key);
  return place !== undefined && place < end;
}

export function addSeen(seen: Seen, key: string): Seen {
  if (hasSeen(seen, key)) return seen;
  const isNewest = seen.end > 0 && seen.end === seen.places.size;
  const next = isNewest && seen.end < 2 * SEEN_KEPT ? seen : latest(seen);
  // The only write into a shared map. It is safe because older sets ignore positions at or beyond their end.
  (next.places as Map<string, number>).set(key, next.end);
  return { places: next.places, end: next.end + 1 };
}

function latest({ places, end }: Seen): Seen {
  const copy = new Map<string, number>();
  for (const [key, place] of places) if (place < end && place >= end - SEEN_KEPT) copy.set(key, copy.size);
  return { places: copy, end: copy.size };
}
