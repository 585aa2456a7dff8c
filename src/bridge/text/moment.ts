/** A date that Slack shows in each reader's own time zone. @param at ms since 1970 */
export function moment(at: number, precision: 'seconds' | 'minutes' = 'seconds'): string {
  const time = precision === 'seconds' ? '{time_secs}' : '{time}';
  return `<!date^${Math.floor(at / 1000)}^{date_short_pretty} ${time}|${new Date(at).toISOString()}>`;
}
