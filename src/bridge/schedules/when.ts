import { leastGap, nextTimes, readCron } from './cron.ts';
import { addDays, type Wall, weekdayOf, type Zone } from './zone.ts';

/** When something is to run: again and again by a rule of five fields, or once (ms since 1970). */
export type When = { cron: string; once?: undefined } | { cron?: undefined; once: number };

/**
 * - `unknown`: these are not words that we know.
 * - `no_time`: the time of day is missing.
 * - `uneven`: the minutes or hours do not divide an hour or a day.
 * - `several_minutes`: several times that are not at the same minute.
 * - `both_days`: a day of the month and a weekday.
 * - `too_often`: more often than every {@link LEAST_MINUTES} minutes.
 * - `past`: it is over.
 * - `never`: no such time comes, or the clocks skip it.
 * - `too_far`: more than a year ahead.
 */
export type NotWhen =
  | 'unknown'
  | 'no_time'
  | 'uneven'
  | 'several_minutes'
  | 'both_days'
  | 'too_often'
  | 'past'
  | 'never'
  | 'too_far';

/** A schedule runs no more often than this. */
export const LEAST_MINUTES = 5;
/** People need a moment to confirm it. */
const SOONEST_MS = 60_000;
const FARTHEST_MS = 366 * 24 * 60 * 60_000;

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

interface Time {
  hour: number;
  minute: number;
}

/** Reads `every Monday 9:00`, `tomorrow 15:00`, `0 9 * * 1` and the like. @param now ms since 1970 */
export function readWhen(text: string, zone: Zone, now: number): When | { problem: NotWhen } {
  const words = text.toLowerCase().replaceAll(/\s+/g, ' ').trim();
  const read = readRaw(words) ?? readEvery(words) ?? readOnce(words, zone, now) ?? { problem: 'unknown' as const };
  if ('problem' in read) return read;
  if (read.once !== undefined && read.once < now + SOONEST_MS) return { problem: 'past' };
  return checkWhen(read, zone, now);
}

/** Whether it may be made now; asked again when its owner confirms it. */
export function checkWhen(when: When, zone: Zone, now: number): When | { problem: NotWhen } {
  if (when.cron === undefined) {
    if (when.once <= now) return { problem: 'past' };
    return when.once > now + FARTHEST_MS ? { problem: 'too_far' } : when;
  }
  const cron = readCron(when.cron);
  if (!cron) return { problem: 'unknown' };
  if (leastGap(cron) < LEAST_MINUTES) return { problem: 'too_often' };
  return nextTimes(cron, zone, now, 1).length === 0 ? { problem: 'never' } : when;
}

/** The next times, at most `count`: ms since 1970. */
export function timesOf(when: When, zone: Zone, after: number, count: number): number[] {
  if (when.cron === undefined) return when.once > after ? [when.once] : [];
  const cron = readCron(when.cron);
  return cron ? nextTimes(cron, zone, after, count) : [];
}

type Read = When | { problem: NotWhen } | null;

function readRaw(words: string): Read {
  if (!/^[\d*,/-]+(?: [\d*,/-]+){4}$/.test(words)) return null;
  const [, , day, , weekday] = words.split(' ');
  if (day !== '*' && weekday !== '*') return { problem: 'both_days' };
  const cron = readCron(words);
  return cron ? { cron: cron.text } : { problem: 'unknown' };
}

const SHORT: Readonly<Record<string, string>> = {
  hourly: 'every hour',
  daily: 'every day',
  weekdays: 'every weekday',
  weekends: 'every weekend',
};

function readEvery(given: string): Read {
  const short = given.replace(/^\w+/, (word) => SHORT[word] ?? word);
  const words =
    /^(\w+)s\b/.test(short) && namedDay(short.split(/[ ,]/, 1)[0] ?? '') !== null ? `every ${short}` : short;
  const rest = /^(?:every|each) (.+)$/.exec(words)?.[1];
  if (rest === undefined) return null;
  const minutes = /^(?:(\d{1,3}) )?(?:minutes?|mins?|min)$/.exec(rest);
  if (minutes) return everyMinutes(Number(minutes[1] ?? 1));
  const hours = /^(?:(\d{1,2}) )?(?:hours?|h)(?: (?:at )?(?:minute )?:?(\d{1,2}))?$/.exec(rest);
  if (hours) return everyHours(Number(hours[1] ?? 1), Number(hours[2] ?? 0));
  const month = /^month (?:on )?(?:the )?(\d{1,2})(?:st|nd|rd|th)?(?: (.*))?$/.exec(rest);
  if (month) return atTimes(month[2] ?? '', String(Number(month[1])), '*');
  // Whether the words are days, `readDays` says: a pattern that told words from what joins them could try for ever.
  const found = /^([a-z][a-z, ]*?)(?: (?:at )?(\d.*|noon|midnight))?$/.exec(rest);
  const days = found?.[1] === undefined ? null : readDays(found[1]);
  return days === null ? null : atTimes(found?.[2] ?? '', '*', days);
}

function everyMinutes(step: number): Read {
  if (step > 0 && step < LEAST_MINUTES) return { problem: 'too_often' };
  return step > 0 && step < 60 && 60 % step === 0 ? { cron: `*/${step} * * * *` } : { problem: 'uneven' };
}

function everyHours(step: number, minute: number): Read {
  if (minute > 59) return { problem: 'unknown' };
  if (step === 1) return { cron: `${minute} * * * *` };
  return step > 0 && step < 24 && 24 % step === 0 ? { cron: `${minute} */${step} * * *` } : { problem: 'uneven' };
}

/** Weekdays as a field of a rule. */
function readDays(words: string): string | null {
  if (words === 'day') return '*';
  if (words === 'weekday' || words === 'workday') return '1-5';
  if (words === 'weekend') return '0,6';
  const days = words.split(/, and |, | and |,| /).map(namedDay);
  return days.includes(null) ? null : [...new Set(days as number[])].sort((a, b) => a - b).join(',');
}

/** `mon`, `monday`, `mondays` */
function namedDay(word: string): number | null {
  const single = word.replace(/s$/, '');
  const at = WEEKDAYS.findIndex((day) => day === single || day === word || (word.length >= 3 && day.startsWith(word)));
  return at < 0 ? null : at;
}

/** At one or several times of these days. */
function atTimes(words: string, day: string, weekdays: string): Read {
  const given = words.replace(/^at /, '');
  if (given === '') return { problem: 'no_time' };
  const times = given.split(/, and |, | and |,/).map(readTime);
  const known = times.flatMap((time) => (time ? [time] : []));
  if (known.length < times.length) return { problem: 'unknown' };
  const minutes = new Set(known.map(({ minute }) => minute));
  if (minutes.size > 1) return { problem: 'several_minutes' };
  const hours = [...new Set(known.map(({ hour }) => hour))].sort((a, b) => a - b);
  return { cron: `${[...minutes][0]} ${hours.join(',')} ${day} * ${weekdays}` };
}

/** `9`, `9:00`, `9.30`, `9am`, `9:30 pm`, `noon` */
function readTime(words: string): Time | null {
  if (words === 'noon') return { hour: 12, minute: 0 };
  if (words === 'midnight') return { hour: 0, minute: 0 };
  const found = /^(\d{1,2})(?:[:.h](\d{2}))? ?(am|pm|h|o'clock)?$/.exec(words);
  if (!found) return null;
  const [, hours, minutes = '0', half] = found;
  const minute = Number(minutes);
  let hour = Number(hours);
  if (half === 'am' || half === 'pm') {
    if (hour < 1 || hour > 12) return null;
    hour = (hour % 12) + (half === 'pm' ? 12 : 0);
  }
  return hour > 23 || minute > 59 ? null : { hour, minute };
}

function readOnce(words: string, zone: Zone, now: number): Read {
  const after = /^in (\d{1,4}) (minutes?|mins?|hours?|days?)$/.exec(words);
  if (after) {
    const unit = after[2]?.startsWith('m') ? 60_000 : after[2]?.startsWith('h') ? 3_600_000 : 86_400_000;
    return { once: Math.ceil((now + Number(after[1]) * unit) / 60_000) * 60_000 };
  }
  const found = /^(?:on |next )?(today|tomorrow|\d{4}-\d\d-\d\d|[a-z]+)(?:,? (?:at )?(.+))?$/.exec(words);
  const today = zone.wallAt(now);
  const day = found?.[1] === undefined ? null : readDay(found[1], today);
  if (!day) return null;
  if (found?.[2] === undefined) return { problem: 'no_time' };
  const time = readTime(found[2]);
  if (!time) return { problem: 'unknown' };
  const [once] = zone.momentsOf({ ...day, ...time });
  return once === undefined ? { problem: 'never' } : { once };
}

function readDay(word: string, today: Wall): Wall | null {
  if (word === 'today') return today;
  if (word === 'tomorrow') return addDays(today, 1);
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(word) ?? [];
  if (year !== undefined) {
    const given = { ...today, year: Number(year), month: Number(month), day: Number(day) };
    const real = addDays(given, 0);
    return real.month === given.month && real.day === given.day ? real : null;
  }
  const weekday = namedDay(word);
  if (weekday === null || word.endsWith('days')) return null;
  return addDays(today, ((weekday - weekdayOf(today) + 6) % 7) + 1);
}
