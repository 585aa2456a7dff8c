import { BoundedMap } from '../../bounded-map.ts';
import type { Clock } from '../../bridge/ports.ts';

/** Allows each key `most` times within `ms`; the count starts anew when that time is over. */
export function limitRate(clock: Clock, most: number, ms: number): (key: string) => boolean {
  const counts = new BoundedMap<string, { since: number; count: number }>(1_000);
  return (key) => {
    const now = clock.monotonic();
    const before = counts.get(key);
    if (before && now - before.since < ms) {
      before.count += 1;
      return before.count <= most;
    }
    counts.set(key, { since: now, count: 1 });
    return true;
  };
}
