/** A minute as the clock on the wall shows it. */
export interface Wall {
  year: number;
  /** 1–12 */
  month: number;
  day: number;
  hour: number;
  minute: number;
}

/** A time zone, as its clocks on the wall go. */
export interface Zone {
  name: string;
  /** @param at ms since 1970 */
  wallAt(at: number): Wall;
  /**
   * When clocks show that minute: ms since 1970. Empty where spring skips it, two moments where autumn repeats it.
   */
  momentsOf(wall: Wall): number[];
}

const MINUTE_MS = 60_000;
/** No zone is further from UTC. */
const FARTHEST_MS = 26 * 60 * MINUTE_MS;

/** A zone by its name, as in `Europe/Berlin`. @returns `null`: there is no such zone */
export function readZone(name: string): Zone | null {
  // The name `+01:00` is a zone to some, but not to all machines.
  if (!/^[A-Za-z]/.test(name)) return null;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    });
  } catch {
    return null;
  }
  const wallAt = (at: number): Wall => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = parts;
    return { year, month, day, hour, minute };
  };
  const offsetAt = (at: number) => utcOf(wallAt(at)) - Math.floor(at / MINUTE_MS) * MINUTE_MS;
  return {
    name,
    wallAt,
    momentsOf(wall) {
      const utc = utcOf(wall);
      const offsets = new Set([offsetAt(utc - FARTHEST_MS), offsetAt(utc), offsetAt(utc + FARTHEST_MS)]);
      return [...offsets]
        .map((offset) => utc - offset)
        .filter((at) => utcOf(wallAt(at)) === utc)
        .sort((a, b) => a - b);
    },
  };
}

/** What the moment would be if the wall were in UTC: orders walls, and counts days between them. */
function utcOf({ year, month, day, hour, minute }: Wall): number {
  return Date.UTC(year, month - 1, day, hour, minute);
}

/** 0–6, Sunday first. */
export function weekdayOf(wall: Wall): number {
  return new Date(utcOf(wall)).getUTCDay();
}

/** The same time some days later. */
export function addDays(wall: Wall, days: number): Wall {
  const date = new Date(Date.UTC(wall.year, wall.month - 1, wall.day + days));
  return { ...wall, year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}
