/** A date that Slack shows in each reader's own time zone. @param at ms since 1970 */
export function moment(at: number): string {
  return `<!date^${Math.floor(at / 1000)}^{date_short_pretty} {time_secs}|${new Date(at).toISOString()}>`;
}
