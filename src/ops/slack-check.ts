import type { Check } from './health.ts';

/** Heard nothing of Slack for this long the bridge counts as deaf: `/readyz` is red within 30 s. */
const DEAF_AFTER_MS = 25_000;

/**
 * Whether Slack reaches us. Connections are renewed every few hours: a gap of seconds is no outage.
 * Another process on the same app token takes messages away: then not all of what is written is heard.
 * @param since when `connected` last changed, or the lost connection was last heard; ms by the monotonic clock, as
 * `now`.
 */
export function slackCheck(state: { connected: boolean; since: number; foreign: number }, now: number): Check {
  const { connected, since, foreign } = state;
  if (connected && foreign > 0) {
    return {
      name: 'slack',
      ok: false,
      state: `connected, and ${foreign} other connection(s) use this app token`,
      foreign,
    };
  }
  const ok = connected || now - since < DEAF_AFTER_MS;
  return { name: 'slack', ok, state: connected ? 'connected' : 'not connected' };
}
