/** A five-field rule as Letta takes it: digits, `*`, `-`, `,` and `/` only, no names (seen 80). */
export interface CronRule {
  readonly matches: (wall: Wall) => boolean;
}

/** A minute as the clock on the wall shows it. */
export interface Wall {
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  /** 1–12 */
  readonly month: number;
  /** 0–6, Sunday first */
  readonly weekday: number;
}

const RANGES = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

/** Null: Letta does not save such a rule. */
export function readRule(text: string): CronRule | null {
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5) return null;
  const sets = fields.map((field, at) => readField(field, RANGES[at]?.[0] ?? 0, RANGES[at]?.[1] ?? 0));
  const [minutes, hours, days, months, weekdays] = sets;
  if (!minutes || !hours || !days || !months || !weekdays) return null;
  const [anyDay, anyWeekday] = [fields[2] === '*', fields[4] === '*'];
  return {
    matches({ minute, hour, day, month, weekday }) {
      if (!minutes.has(minute) || !hours.has(hour) || !months.has(month)) return false;
      const isDay = days.has(day);
      const isWeekday = weekdays.has(weekday) || (weekday === 0 && weekdays.has(7));
      // When both are given, either is enough.
      return anyDay || anyWeekday ? isDay && isWeekday : isDay || isWeekday;
    },
  };
}

function readField(field: string, min: number, max: number): Set<number> | null {
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const found = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (!found) return null;
    const [, first, last, step] = found;
    if (step !== undefined && (Number(step) === 0 || (first !== undefined && last === undefined))) return null;
    const from = first === undefined ? min : Number(first);
    const to = first === undefined ? max : Number(last ?? first);
    if (from < min || to > max || from > to) return null;
    for (let value = from; value <= to; value += 1) {
      // `*/5` of days and months means the 5th, the 10th and so on.
      const at = first === undefined ? value : value - from;
      if (at % Number(step ?? 1) === 0) values.add(value);
    }
  }
  return values.size > 0 ? values : null;
}

/** The wall clock in a time zone; one that does not exist means UTC, as on the recorded machine. */
export function wallClock(ms: number, zone: string): Wall {
  const offset = offsetMs(ms, zone);
  const shown = new Date(ms + offset);
  return {
    minute: shown.getUTCMinutes(),
    hour: shown.getUTCHours(),
    day: shown.getUTCDate(),
    month: shown.getUTCMonth() + 1,
    weekday: shown.getUTCDay(),
  };
}

/** `2026-11-29T10:36:00.000+01:00[Europe/Berlin]` */
export function zonedIso(ms: number, zone: string): string {
  const offset = offsetMs(ms, zone);
  const minutes = Math.abs(Math.round(offset / 60_000));
  const two = (value: number) => String(value).padStart(2, '0');
  const sign = `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
  return `${new Date(ms + offset).toISOString().slice(0, -1)}${sign}[${isZone(zone) ? zone : 'UTC'}]`;
}

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

function offsetMs(ms: number, zone: string): number {
  if (!isZone(zone)) return 0;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const part = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
}
