/**
 * A bounded memory of keys, as a value: adding gives a new one, and what the old one knows stays as it was.
 * Frames come by the thousand, so values that follow one another share one map of keys and places: each knows the
 * places below its own end. Only who adds to a value that is not the newest, or to a full map, copies.
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
  // The one place that writes into a shared map: no older value reads what lies beyond its end.
  (next.places as Map<string, number>).set(key, next.end);
  return { places: next.places, end: next.end + 1 };
}

function latest({ places, end }: Seen): Seen {
  const copy = new Map<string, number>();
  for (const [key, place] of places) if (place < end && place >= end - SEEN_KEPT) copy.set(key, copy.size);
  return { places: copy, end: copy.size };
}
