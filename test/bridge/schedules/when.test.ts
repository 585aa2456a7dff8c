import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastGap, nextTimes, readCron } from '../../../src/bridge/schedules/cron.ts';
import { lastFiring, unheardFirings } from '../../../src/bridge/schedules/firing.ts';
import { readWhen, timesOf } from '../../../src/bridge/schedules/when.ts';
import { readZone, type Zone } from '../../../src/bridge/schedules/zone.ts';
import { splitSchedule } from '../../../src/bridge/thread/core/drafts.ts';

const zoneOf = (name: string): Zone => {
  const zone = readZone(name);
  if (!zone) throw new Error(`no zone ${name}`);
  return zone;
};
const BERLIN = zoneOf('Europe/Berlin');
const NAMES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'Pacific/Apia', 'UTC'];
/** Sunday, 29 November 2026, 10:30 in Berlin. */
const NOW = Date.UTC(2026, 10, 29, 9, 30);
const iso = (times: readonly number[]) => times.map((at) => new Date(at).toISOString().slice(0, 16));

describe('the words of a schedule', () => {
  it.each([
    ['every Monday 9:00', '0 9 * * 1'],
    ['every monday at 9', '0 9 * * 1'],
    ['Mondays at 9am', '0 9 * * 1'],
    ['every mon, wed and fri at 17:30', '30 17 * * 1,3,5'],
    ['every weekday at 8:15', '15 8 * * 1-5'],
    ['weekdays 8:15', '15 8 * * 1-5'],
    ['every weekend noon', '0 12 * * 0,6'],
    ['daily at 9:00 and 15:00', '0 9,15 * * *'],
    ['every day midnight', '0 0 * * *'],
    ['each day at 12am', '0 0 * * *'],
    ['every hour', '0 * * * *'],
    ['every hour at :20', '20 * * * *'],
    ['every 6 hours', '0 */6 * * *'],
    ['every 15 minutes', '*/15 * * * *'],
    ['every month on the 1st at 9:00', '0 9 1 * *'],
    ['0 9 * * 1', '0 9 * * 1'],
    ['  */10  8-18 * * 1-5 ', '*/10 8-18 * * 1-5'],
  ])('%s', (words, cron) => {
    expect(readWhen(words, BERLIN, NOW)).toEqual({ cron });
  });

  it.each([
    ['tomorrow 15:00', '2026-11-30T14:00'],
    ['today at 11:00', '2026-11-29T10:00'],
    ['in 90 minutes', '2026-11-29T11:00'],
    ['next Monday 9:00', '2026-11-30T08:00'],
    ['on sunday 9:00', '2026-12-06T08:00'],
    ['2026-12-24 18:00', '2026-12-24T17:00'],
  ])('once: %s', (words, at) => {
    const when = readWhen(words, BERLIN, NOW);
    expect(iso('once' in when && when.once !== undefined ? [when.once] : [])).toEqual([at]);
  });

  it.each([
    ['when the moon is full', 'unknown'],
    ['every monday', 'no_time'],
    ['tomorrow', 'no_time'],
    ['every monday at 25:00', 'unknown'],
    ['every 7 minutes', 'uneven'],
    ['every 5 hours', 'uneven'],
    ['every minute', 'too_often'],
    ['* * * * *', 'too_often'],
    ['0,2 9 * * *', 'too_often'],
    ['every day at 9:00 and 15:30', 'several_minutes'],
    ['0 9 1 * 1', 'both_days'],
    ['0 9 30 2 *', 'never'],
    ['61 9 * * 1', 'unknown'],
    ['today 9:00', 'past'],
    ['2027-03-28 02:30', 'never'],
    ['2026-02-30 9:00', 'unknown'],
    ['2030-01-01 9:00', 'too_far'],
  ])('refused: %s', (words, problem) => {
    expect(readWhen(words, BERLIN, NOW)).toEqual({ problem });
  });

  it('are refused or lead to a time that comes, whatever they are', () => {
    const piece = fc.constantFrom(
      ...'every each on in at and , : 1 9 30 31st month monday day hour minutes am */5 *'.split(' '),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.constantFrom(...NAMES), (pieces, name) => {
        const zone = zoneOf(name);
        const when = readWhen(pieces.join(' '), zone, NOW);
        if ('problem' in when) return;
        const [first = 0] = timesOf(when, zone, NOW, 1);
        expect(first).toBeGreaterThan(NOW);
      }),
    );
  });
});

describe('hostile words of a schedule', () => {
  it('take no longer than others', () => {
    const before = process.cpuUsage();
    expect(readWhen(`every ${'a and '.repeat(24)}a !`, BERLIN, NOW)).toEqual({ problem: 'unknown' });
    expect(splitSchedule(`every day${' '.repeat(30_000)}at 9`)).toEqual({ when: '', what: '' });
    const { user, system } = process.cpuUsage(before);
    // They took 20 s.
    expect((user + system) / 1_000).toBeLessThan(2_000);
  });

  it('are parted from the task at the first double colon', () => {
    expect(splitSchedule('  every day 9:00 ::  post it :: twice')).toEqual({
      when: '  every day 9:00',
      what: 'post it :: twice',
    });
  });
});

describe('a firing', () => {
  const schedules = [{ id: 'abcd1234', firedAt: 0 }];
  const head =
    'Scheduled task "x (slack-abcd1234)" is firing.\nTimezone: UTC\nCurrent time: 2026-11-30T09:00:05.000+00:00[UTC]\n';
  const input = (text: string, clientMessageId: string | null = 'otid-1') =>
    [{ kind: 'user', id: 'u', clientMessageId, text }] as const;

  it('is read from Letta’s own words alone', () => {
    const at = Date.UTC(2026, 10, 30, 9, 0, 5);
    expect(unheardFirings(input(`${head}\nPrompt: x`), schedules)).toEqual([{ id: 'abcd1234', input: 'otid-1', at }]);
    expect(lastFiring(input(`${head}\nPrompt: x`), [{ id: 'abcd1234', firedAt: at }])).toBeNull();
  });

  it.each([
    ['a message of a person', input(`${head}\nPrompt: x`, 'slack-T1-C1-1.000001')],
    ['a quote further down', input(`Look:\n${head}\nPrompt: x`)],
    [
      'a time in the prompt',
      input('Scheduled task "x (slack-abcd1234)" is firing.\n\nCurrent time: 2026-11-30T09:00:05.000+00:00[UTC]'),
    ],
    ['another schedule', input(head.replace('abcd1234', 'zzzz9999'))],
  ])('is not taken from %s', (_, history) => {
    expect(unheardFirings(history, schedules)).toEqual([]);
    expect(lastFiring(history, schedules)).toBeNull();
  });
});

describe('a zone', () => {
  it('is refused when it does not exist', () => {
    expect(['Mars/Base', '', '+01:00', 'Europe/Berlin; x'].map(readZone)).toEqual([null, null, null, null]);
  });

  it('knows the moments at which its clocks show a minute', () => {
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), fc.integer({ min: 0, max: 70_000_000 }), (name, minutes) => {
        const zone = zoneOf(name);
        const at = minutes * 60_000;
        expect(zone.momentsOf(zone.wallAt(at))).toContain(at);
      }),
    );
  });
});

describe('the next times of a rule', () => {
  it('keep the time of day over a change of the clocks', () => {
    const cron = readCron('0 9 * * 0');
    const times = cron ? nextTimes(cron, BERLIN, Date.UTC(2027, 2, 20), 3) : [];
    expect(iso(times)).toEqual(['2027-03-21T08:00', '2027-03-28T07:00', '2027-04-04T07:00']);
  });

  it('leave out what spring skips and repeat what autumn repeats', () => {
    const cron = readCron('30 2 * * *');
    if (!cron) throw new Error('no rule');
    expect(iso(nextTimes(cron, BERLIN, Date.UTC(2027, 2, 27, 12), 2))).toEqual([
      '2027-03-29T00:30',
      '2027-03-30T00:30',
    ]);
    expect(iso(nextTimes(cron, BERLIN, Date.UTC(2026, 9, 24, 12), 3))).toEqual([
      '2026-10-25T00:30',
      '2026-10-25T01:30',
      '2026-10-26T01:30',
    ]);
  });

  const field = (min: number, max: number) =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min, max }).map(String),
      fc
        .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
        .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      fc.integer({ min: 2, max: 9 }).map((step) => `*/${step}`),
    );
  const rule = fc
    .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), fc.boolean())
    .map(([minute, hour, day, month, byDay]) => `${minute} ${hour} ${byDay ? day : '*'} ${month} *`);

  it('are exactly the minutes that clocks on the wall match', () => {
    fc.assert(
      fc.property(
        rule,
        fc.constantFrom(...NAMES),
        fc.integer({ min: 28_000_000, max: 32_000_000 }),
        (text, name, from) => {
          const cron = readCron(text);
          const zone = zoneOf(name);
          if (!cron) throw new Error(`not read: ${text}`);
          const after = from * 60_000;
          const times = nextTimes(cron, zone, after, 3);
          const matches = (at: number) => {
            const { minute, hour, day, month } = zone.wallAt(at);
            const isDay = cron.days === null || cron.days.has(day);
            return cron.minutes.includes(minute) && cron.hours.includes(hour) && isDay && cron.months.has(month);
          };
          expect(times.every(matches)).toBe(true);
          expect(times).toEqual([...new Set(times)].sort((a, b) => a - b));
          // Minute by minute, as Letta looks: none was left out.
          const until = Math.min(times.at(-1) ?? after, after + 2 * 24 * 60 * 60_000);
          const seen: number[] = [];
          for (let at = after + 60_000; at <= until; at += 60_000) if (matches(at)) seen.push(at);
          expect(times.filter((at) => at <= until)).toEqual(seen.slice(0, 3));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are as far apart as the least gap says', () => {
    expect(
      ['*/15 * * * *', '0 9 * * *', '50 23,0 * * *', '0,58 * * * *'].map((text) => {
        const cron = readCron(text);
        return cron && leastGap(cron);
      }),
    ).toEqual([15, 1440, 60, 2]);
  });
});
