const DAY_MS = 86_400_000;

function dayWord(at: Date, now: Date): string | null {
  const midnight = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((midnight(at) - midnight(now)) / DAY_MS);
  return { 0: 'today', 1: 'tomorrow', [-1]: 'yesterday' }[days] ?? null;
}

function ago(at: Date, now: Date): string {
  const minutes = Math.round((at.getTime() - now.getTime()) / 60_000);
  const relative = new Intl.RelativeTimeFormat('en');
  if (Math.abs(minutes) < 60) return relative.format(minutes, 'minute');
  return Math.abs(minutes) < 1_440
    ? relative.format(Math.round(minutes / 60), 'hour')
    : relative.format(Math.round(minutes / 1_440), 'day');
}

/**
 * Slack's `<!date^…>` in the reader's time zone; an unknown placeholder makes it show the fallback, as in Slack.
 * @param seconds since 1970
 */
export function slackDate(seconds: number, format: string, fallback: string, now = new Date()): string {
  const at = new Date(seconds * 1_000);
  if (Number.isNaN(at.getTime())) return fallback;
  const date = (options: Intl.DateTimeFormatOptions) => at.toLocaleDateString('en', options);
  const pretty = (options: Intl.DateTimeFormatOptions) => dayWord(at, now) ?? date(options);
  const short = { month: 'short', day: 'numeric', year: 'numeric' } as const;
  const medium = { month: 'long', day: 'numeric', year: 'numeric' } as const;
  const long = { weekday: 'long', ...medium } as const;
  const parts: Record<string, string> = {
    date_num: `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, '0')}-${String(at.getDate()).padStart(2, '0')}`,
    date: date(medium),
    date_short: date(short),
    date_long: date(long),
    date_pretty: pretty(medium),
    date_short_pretty: pretty(short),
    date_long_pretty: pretty(long),
    time: at.toLocaleTimeString('en', { hour: 'numeric', minute: '2-digit' }),
    time_secs: at.toLocaleTimeString('en', { hour: 'numeric', minute: '2-digit', second: '2-digit' }),
    ago: ago(at, now),
  };
  let known = true;
  const shown = format.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const part = parts[name];
    if (part === undefined) known = false;
    return part ?? '';
  });
  return known && shown !== '' ? shown : fallback;
}
