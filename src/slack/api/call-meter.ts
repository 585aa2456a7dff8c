import type { Clock } from '../../bridge/ports.ts';
import type { SlackApi } from './slack-api.ts';

/** Slack's limits hold for each method and minute (docs/slack.md, Limits: rules). */
const WINDOW_MS = 60_000;
/** More calls of one method in a minute than any limit allows. */
const MOST = 300;

export interface CallMeter {
  /** The same API; its calls are counted. */
  api: SlackApi;
  /** How many calls of a method were made in the last minute, whoever made them. */
  countRecent(method: string): number;
}

/** Counts the calls of the last minute by method, so that a call that can be left out is left out when many were made. */
export function meterCalls(inner: SlackApi, clock: Pick<Clock, 'monotonic'>): CallMeter {
  const made = new Map<string, number[]>();
  const recent = (method: string) => (made.get(method) ?? []).filter((at) => clock.monotonic() - at < WINDOW_MS);
  return {
    api: {
      call(method, args, options) {
        made.set(method, [...recent(method), clock.monotonic()].slice(-MOST));
        return inner.call(method, args, options);
      },
    },
    countRecent: (method) => recent(method).length,
  };
}
