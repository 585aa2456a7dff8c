import type { Check } from './health.ts';

/** Disconnected for this long, the bridge is not ready; `/readyz` says so within 30 s. */
const DEAF_AFTER_MS = 25_000;

/**
 * Whether Slack reaches us. Slack renews connections every few hours, so a gap of seconds is no outage. If another
 * process uses the same app token, Slack sends a part of our messages to it: then we are not ready either.
 * @param since when `isConnected` last changed, or when the lost connection last delivered; ms of the monotonic clock,
 * like `now`.
 */
export function slackCheck(
  state: { isConnected: boolean; since: number; foreignConnections: number },
  now: number,
): Check {
  const { isConnected, since, foreignConnections } = state;
  if (isConnected && foreignConnections > 0) {
    return {
      name: 'slack',
      ok: false,
      state: `connected, and ${foreignConnections} other connection(s) use this app token`,
      foreign: foreignConnections,
    };
  }
  const ok = isConnected || now - since < DEAF_AFTER_MS;
  return { name: 'slack', ok, state: isConnected ? 'connected' : 'not connected' };
}
