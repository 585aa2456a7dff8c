const WORD = /^[a-z][a-z0-9_.:-]{0,99}$/i;

/** Whether this is one of Slack's error words. The SDK puts an answer that is not JSON in the same place. */
export function isSlackWord(error: unknown): error is string {
  return typeof error === 'string' && WORD.test(error);
}

/** Troubles of Slack's own, which pass without anybody changing anything (the common errors of every method). */
const PASSING: ReadonlySet<string> = new Set([
  'fatal_error',
  'internal_error',
  'ratelimited',
  'request_timeout',
  'rollup_error',
  'service_unavailable',
  'team_added_to_org',
]);

/** Whether a call that Slack refused with this `error` may succeed later. */
export function isPassing(error: string): boolean {
  return PASSING.has(error);
}

/** Slack no longer accepts the token: somebody must set another one. */
const LASTING: ReadonlySet<string> = new Set([
  'account_inactive',
  'app_uninstalled',
  'invalid_auth',
  'not_allowed_token_type',
  'not_authed',
  'org_login_required',
  'team_disabled',
  'token_expired',
  'token_revoked',
  'user_removed_from_team',
]);

/** Whether a refusal with this `error` stays, however often the call is repeated. */
export function isLasting(error: string): boolean {
  return LASTING.has(error);
}
