import { addDays, type Wall, weekdayOf, type Zone } from './zone.ts';

/** A five-field rule as Letta keeps it (docs/letta-protocol.md, Schedules). */
export interface Cron {
  /** The five fields, with single blanks. */
  text: string;
  minutes: readonly number[];
  hours: readonly number[];
  /** `null`: any. */
  days: ReadonlySet<number> | null;
  months: ReadonlySet<number>;
  /** 0–6, Sunday first; `null`: any. */
  weekdays: ReadonlySet<number> | null;
}

const RANGES: readonly (readonly [number, number])[] = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
];
/** A rule that does not come true within this many days never does: 29 February comes every eight years at most. */
const DAYS_AHEAD = 8 * 366 + 1;
const DAY_MINUTES = 24 * 60;

/**
 * Reads a rule of five fields: digits, `*`, `-`, `,` and `/`, nothing else, as Letta does.
 * @returns `null`: it is none; also where both a day of the month and a weekday are given, which people read as "and"
 * and Letta as "or"
 */
export function readCron(text: string): Cron | null {
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5) return null;
  const sets = fields.map((field, at) => readField(field, RANGES[at] ?? [0, 0]));
  const [minutes, hours, days, months, weekdays] = sets;
  if (!minutes || !hours || !days || !months || !weekdays) return null;
  const [anyDay, anyWeekday] = [fields[2] === '*', fields[4] === '*'];
  if (!anyDay && !anyWeekday) return null;
  return {
    text: fields.join(' '),
    minutes: sorted(minutes),
    hours: sorted(hours),
    days: anyDay ? null : days,
    months,
    weekdays: anyWeekday ? null : new Set([...weekdays].map((weekday) => weekday % 7)),
  };
}

const sorted = (values: ReadonlySet<number>) => [...values].sort((a, b) => a - b);

function readField(field: string, [min, max]: readonly [number, number]): Set<number> | null {
  const values = new Set<number>();
  for (const part of field.split(',')) {
    const found = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
    if (!found) return null;
    const [, first, last, by] = found;
    const step = Number(by ?? 1);
    if (step === 0 || (by !== undefined && first !== undefined && last === undefined)) return null;
    const from = Number(first ?? min);
    const to = Number(first === undefined ? max : (last ?? first));
    if (from < min || to > max || from > to) return null;
    for (let value = from; value <= to; value += 1) {
      // `*/5` of days means the 5th, the 10th and so on.
      if ((first === undefined ? value : value - from) % step === 0) values.add(value);
    }
  }
  return values.size > 0 ? values : null;
}

/** The least number of minutes between two times of the rule, by the clock on the wall. */
export function leastGap({ minutes, hours }: Cron): number {
  const times = hours.flatMap((hour) => minutes.map((minute) => hour * 60 + minute));
  const gaps = times.map((time, at) => ((times[at + 1] ?? (times[0] ?? 0) + DAY_MINUTES) - time) % DAY_MINUTES);
  return Math.min(...gaps.map((gap) => (gap === 0 ? DAY_MINUTES : gap)));
}

/**
 * The next times after `after` (ms since 1970), in order. A time that spring skips is left out, one that autumn repeats
 * comes twice, as Letta fires. Fewer than `count`, where the rule does not come true so often.
 */
export function nextTimes(cron: Cron, zone: Zone, after: number, count: number): number[] {
  const found: number[] = [];
  let day = { ...zone.wallAt(after), hour: 0, minute: 0 };
  for (let ahead = 0; ahead < DAYS_AHEAD && found.length < count; ahead += 1) {
    if (isDayOf(cron, day)) {
      const walls = cron.hours.flatMap((hour) => cron.minutes.map((minute) => ({ ...day, hour, minute })));
      const times = walls.flatMap((wall) => zone.momentsOf(wall)).filter((at) => at > after);
      found.push(...times.sort((a, b) => a - b));
    }
    day = addDays(day, 1);
  }
  return found.slice(0, count);
}

function isDayOf({ days, months, weekdays }: Cron, day: Wall): boolean {
  if (!months.has(day.month)) return false;
  return (days === null || days.has(day.day)) && (weekdays === null || weekdays.has(weekdayOf(day)));
}
