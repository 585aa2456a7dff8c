/** In `.ci/run`, which leaves nothing out. */
export const IS_FULL = process.env.PROPERTY_RUNS === 'full';
const LOCAL_SHARE = 1 / 4;

/** How often a property is tried: a quarter of `full` in `npm test`, all of it where PROPERTY_RUNS is `full` (`.ci/run`). */
export function runs(full: number): number {
  return IS_FULL ? full : Math.ceil(full * LOCAL_SHARE);
}
