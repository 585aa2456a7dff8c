import { describe, expect, it } from 'vitest';
import { permalink, placeBehind, safeHref } from '../../../sandbox/page/links.ts';
import { slackDate } from '../../../sandbox/slack/text/dates.ts';

describe('dates on the page', () => {
  const now = new Date(2026, 10, 25, 12, 0);
  const at = (day: number, hour: number, minute: number) => new Date(2026, 10, day, hour, minute).getTime() / 1_000;

  it('are shown as today, yesterday or a number of minutes', () => {
    expect(slackDate(at(25, 9, 5), '{date_short_pretty} at {time}', 'x', now)).toBe('today at 9:05 AM');
    expect(slackDate(at(24, 9, 5), '{date_pretty}', 'x', now)).toBe('yesterday');
    expect(slackDate(at(3, 9, 5), '{date_short_pretty}', 'x', now)).toBe('Nov 3, 2026');
    expect(slackDate(at(25, 11, 30), '{ago}', 'x', now)).toBe('30 minutes ago');
  });

  it('fall back to their text on an unknown format', () => {
    expect(slackDate(at(25, 9, 5), '{century}', 'some day', now)).toBe('some day');
    expect(slackDate(Number.NaN, '{time}', 'some day', now)).toBe('some day');
  });
});

describe('links on the page', () => {
  it('are kept for http, https and mailto only', () => {
    expect(safeHref('https://example.com/a b')).toBe('https://example.com/a%20b');
    expect(safeHref('mailto:a@example.com')).toBe('mailto:a@example.com');
    for (const url of ['javascript:alert(1)', ' JavaScript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'x']) {
      expect(safeHref(url)).toBeNull();
    }
  });

  it('to a message of this workspace open it inside the page', () => {
    const message = { channel: 'C01GEN', ts: '1795598139.009872', thread_ts: null };
    expect(placeBehind(permalink(message))).toEqual({ channel: 'C01GEN', thread: '1795598139.009872' });
    const reply = { ...message, ts: '1795598140.000001', thread_ts: '1795598139.009872' };
    expect(placeBehind(permalink(reply))).toEqual({ channel: 'C01GEN', thread: '1795598139.009872' });
    expect(placeBehind('https://evil.example/archives/C01GEN/p1795598139009872')).toBeNull();
  });
});
