/** Slack's own troubles, that go away without anybody changing anything (the common errors of every method). */
const PASSING: ReadonlySet<string> = new Set([
  'fatal_error',
  'internal_error',
  'ratelimited',
  'request_timeout',
  'rollup_error',
  'service_unavailable',
  'team_added_to_org',
]);

/** Whether a call that Slack refused with this `error` may go well later. */
export function isPassing(error: string): boolean {
  return PASSING.has(error);
}
